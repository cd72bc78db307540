"""The life of one read: loops are told once, and three forms say the same."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihv.cli.compare.timeline import (
    Life,
    as_chrome,
    as_svg,
    as_text,
    check_timeline,
    folded,
    life_of,
    longest_loop,
    write_timeline,
)
from minihv.cli.compare.ways import IDE_PIO, SCSI
from minihv.errors import ConfigurationError


@pytest.fixture(scope="module")
def life() -> Life:
    return life_of(SCSI)


@given(st.lists(st.sampled_from("ab"), max_size=60))
def test_folding_loses_nothing(lines: list[str]) -> None:
    parts = folded(lines)
    assert [one for part in parts for one in part.lines * part.times] == lines


@pytest.mark.parametrize(
    ("lines", "expected"), [("abcabcabd", (3, 2)), ("aaaa", (1, 4)), ("abc", (1, 1)), ("", (1, 1))]
)
def test_loop_is_the_one_that_covers_most(lines: str, expected: tuple[int, int]) -> None:
    assert longest_loop(list(lines), 0) == expected


def test_life_of_a_synthetic_read_is_a_signal_there_and_one_back(life: Life) -> None:
    kinds = [one.kind for one in life.events]
    assert kinds.count("exit") == 5 and kinds.count("interrupt") == 2
    assert [one.name for one in life.events if one.kind == "exit" and one.partition == life.child] == [
        "VMMCALL",
        "HLT",
    ]


def test_text_puts_lives_side_by_side(life: Life) -> None:
    first, second, _, third, *_ = as_text([life, life]).splitlines()
    assert first.split() == ["scsi:", "4096", "bytes"] * 2
    assert second.count(f"{len(life.events)} events") == 2
    assert third.split() == ["child:", "exit", "VMMCALL", "child:", "exit", "VMMCALL"]


def test_drawing_has_a_tick_for_each_event(life: Life) -> None:
    drawing = ElementTree.fromstring(as_svg([life]))
    assert len(drawing.findall("{http://www.w3.org/2000/svg}rect")) == len(life.events)


def test_trace_of_each_way_begins_at_0(life: Life) -> None:
    events = json.loads(as_chrome([life, life]))["traceEvents"]
    instants = [one for one in events if one["ph"] == "i"]
    names = [one["args"]["name"] for one in events if one["ph"] == "M"]
    assert names == ["scsi: parent", "scsi: child"] * 2
    assert len(instants) == 2 * len(life.events) and min(one["ts"] for one in instants) >= 0
    assert len({one["pid"] for one in instants}) == 4


def test_timeline_is_written_where_it_was_asked_for(tmp_path: Path, life: Life) -> None:
    path = tmp_path / "a.txt"
    write_timeline(path, [SCSI])
    assert path.read_text() == as_text([life])


def test_timeline_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_timeline(tmp_path / "none" / "a.svg")
    assert str(refused.value) == (
        f"A timeline is written to a folder that exists, and {tmp_path / 'none'} does not: choose another "
        "name."
    )
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(ConfigurationError) as refused:
        write_timeline(tmp_path / "a.svg", [SCSI])
    assert str(refused.value) == (
        f"A timeline is written to a file that can be made, and {tmp_path / 'a.svg'} cannot "
        "(Is a directory): choose another name."
    )


def test_words_of_an_emulated_read_are_one_loop() -> None:
    said = as_text([life_of(IDE_PIO)]).splitlines()
    loops = [int(line.split()[0]) for line in said if line.endswith(" times:")]
    assert max(loops) >= 2048
