"""Each event is paid once, by the cost of its name, and every cost can be another."""

from dataclasses import fields
from pathlib import Path

import pytest
from comparisons import counters
from hypothesis import given
from hypothesis import strategies as st

from minihv.cli.compare.costs import (
    Costs,
    contributions,
    events,
    explained,
    load_costs,
    modelled_cycles,
    names,
)
from minihv.errors import ConfigurationError

NAMES = ["block", "walk_reference", "exit", "shadow_fault", "control_write", "invalidation"]
EXITS = {"IOIO": 7, "EXCP14": 100, "CR0_WRITE": 1, "CR3_WRITE": 20, "CR4_WRITE": 2, "INVLPG": 30}
ONE_OF = f"A cost must be one of {', '.join(NAMES)}, not "


def table(folder: Path, text: str) -> Path:
    path = folder / "costs.toml"
    path.write_text(text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_costs(path)
    return str(refused.value)


def test_every_event_has_a_cost_and_every_cost_an_event() -> None:
    assert list(events(counters())) == names() == NAMES


def test_events_are_counted_by_the_exits_that_they_are() -> None:
    assert events(counters(EXITS, fills=10, each=4)) == {
        "block": 1000,
        "walk_reference": 40,
        "exit": 160,
        "shadow_fault": 100,
        "control_write": 23,
        "invalidation": 30,
    }


def test_sum_is_what_a_hand_would_add() -> None:
    hand = 5 * 1000 + 12 * 40 + 2000 * 160 + 1000 * 100 + 1000 * 23 + 500 * 30
    assert modelled_cycles(counters(EXITS, fills=10, each=4), Costs()) == hand


@pytest.mark.parametrize("name", NAMES)
def test_each_cost_moves_the_sum_by_its_own_count(name: str) -> None:
    counted = counters(EXITS, fills=10, each=4)
    dearer = Costs(**{name: getattr(Costs(), name) + 1})
    assert modelled_cycles(counted, dearer) - modelled_cycles(counted, Costs()) == events(counted)[name]


@given(st.dictionaries(st.sampled_from(sorted(EXITS)), st.integers(0, 10**6)), st.integers(0, 10**6))
def test_sum_is_that_of_the_contributions(exits: dict[str, int], fills: int) -> None:
    counted = counters(exits, fills)
    assert modelled_cycles(counted, Costs()) == sum(contributions(counted, Costs()).values())


def test_every_cost_says_what_it_is_for_and_where_it_is_from() -> None:
    assert all(of and source for _, _, of, source in explained(Costs()))
    assert [one.default for one in fields(Costs)] == [5, 12, 2000, 1000, 1000, 500]


def test_cost_of_your_own_is_called_so() -> None:
    rows = {name: (cycles, source) for name, cycles, _, source in explained(Costs(exit=1350.5))}
    assert rows["exit"] == ("1350.5", "your own number")
    assert rows["block"][1].startswith("Five instructions")


def test_table_replaces_what_it_names(tmp_path: Path) -> None:
    assert load_costs(table(tmp_path, "exit = 1350\nblock = 2.5\n")) == Costs(exit=1350, block=2.5)
    assert load_costs(table(tmp_path, "")) == Costs()


def test_unknown_cost_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert refusal(table(tmp_path, "exits = 1")) == f"{ONE_OF}'exits', did you mean 'exit'?"
    assert refusal(table(tmp_path, "zzz = 1")) == f"{ONE_OF}'zzz'."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"many"', "'many'"),
        ("true", "True"),
        ("-1", "-1"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("[1]", "[1]"),
        ("{a = 1}", "{'a': 1}"),
        ("1979-05-27", "datetime.date(1979, 5, 27)"),
    ],
)
def test_cost_that_is_no_number_of_cycles_is_refused(tmp_path: Path, value: str, shown: str) -> None:
    assert refusal(table(tmp_path, f"exit = {value}")) == (
        f"The cost 'exit' must be a number of cycles, 0 or more, not {shown}: leave the line out for 2000."
    )


def test_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "exit 1")
    assert refusal(path) == (
        f"A table of costs is TOML, which {path} is not (Expected '=' after a key in a key/value pair "
        "(at line 1, column 6)): write lines such as 'exit = 1500'."
    )


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.toml"
    path.write_bytes(b"\xff")
    assert refusal(path).startswith(f"A table of costs is TOML, which {path} is not ('utf-8' codec")


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.toml"
    assert refusal(path) == (
        f"A table of costs is a file that can be read, and {path} cannot (No such file or directory): "
        "check the path."
    )
