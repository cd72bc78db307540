"""The command chooses rows by name and prints every field of each."""

import json
import sys

import pytest

from minihv.cli.bench import command
from minihv.cli.bench.rows import Effort, Row
from minihv.errors import ConfigurationError

FIELDS = {"name", "value", "unit", "against", "against_value", "ratio", "goal", "holds"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(_effort: Effort) -> Row:
        return Row("exits.cpuid", 1234.5, "ns", "a peer", 0.5, 2469.0, "ratio <= 2.5", False)

    def left_out(_effort: Effort) -> str:
        return "exits.other is left out: there is a reason."

    monkeypatch.setattr(command, "GROUPS", {"exits": {"cpuid": measured, "other": left_out}})


def test_names_of_rows_are_unique_and_begin_with_their_group() -> None:
    names = list(command.all_rows())
    assert len(names) == len(set(names)) == sum(len(rows) for rows in command.GROUPS.values())
    assert list(command.GROUPS) == [
        "exits",
        "cpu",
        "walk",
        "paging",
        "dirty",
        "ring",
        "disk",
        "startup",
        "density",
    ]


def test_groups_and_rows_can_be_chosen() -> None:
    assert list(command.choose(["walk", "exits.cpuid"])) == ["exits.cpuid", "walk.miss", "walk.python"]
    assert list(command.choose([])) == list(command.all_rows())


def test_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        command.bench(["exit"], as_json=False, plain=True, rounds=1)
    assert str(refusal.value) == (
        "The bench has the groups exits, cpu, walk, paging, dirty, ring, disk, startup, density and no "
        "'exit', did you mean 'exits'?"
    )


def test_unknown_name_that_is_near_to_none_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        command.bench(["qqq"], as_json=False, plain=True, rounds=1)
    assert str(refusal.value) == (
        "The bench has the groups exits, cpu, walk, paging, dirty, ring, disk, startup, density and no "
        "'qqq': leave the name out to measure all."
    )


def test_bench_shows_its_progress_on_a_terminal_unless_plain_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(effort: Effort) -> str:
        effort.tell("measuring")
        return "left out."

    monkeypatch.setattr(command, "GROUPS", {"exits": {"cpuid": measured}})
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = []
    for plain in (False, True):
        command.bench([], as_json=True, plain=plain, rounds=1)
        told.append("measuring" in capsys.readouterr().err)
    assert told == [True, False]


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        command.bench([], as_json=False, plain=True, rounds=0)
    expected = "A measurement takes at least one round, not 0: leave --rounds out for 5."
    assert str(refusal.value) == expected


@pytest.mark.usefixtures("quick")
def test_json_is_one_list_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.bench([], as_json=True, plain=True, rounds=1) == 0
    printed = capsys.readouterr()
    (row,) = json.loads(printed.out)
    assert set(row) == FIELDS
    assert printed.err == "exits.other is left out: there is a reason.\n"


@pytest.mark.usefixtures("quick")
def test_table_says_which_goals_hold(capsys: pytest.CaptureFixture[str]) -> None:
    command.bench([], as_json=False, plain=True, rounds=1)
    line = " ".join(capsys.readouterr().out.splitlines()[-1].split())
    assert line == "exits.cpuid 1,234 ns a peer 0.5 2469.00 ratio <= 2.5 no"
