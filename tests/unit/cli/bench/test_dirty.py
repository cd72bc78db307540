"""Rows of the dirty log have both sides, and each side does what is measured."""

from unittest.mock import patch

import pytest

from minihv.cli.bench import dirty
from minihv.cli.bench.loops import MEMORY
from minihv.cli.bench.rows import Effort, Row
from minihv.cli.bench.sides import Child
from minihv.errors import InternalError
from minihv.terms import MIB

TINY = Effort(rounds=1, scale=0.005)


@pytest.mark.parametrize(("name", "goal"), [("harvest", "value <= 1"), ("logging", "ratio >= 0.95")])
def test_row_has_both_sides_and_a_goal(name: str, goal: str) -> None:
    found = dirty.ROWS[name](TINY)
    assert isinstance(found, Row)
    assert (found.name, found.goal) == (f"dirty.{name}", goal)
    assert min(found.value, found.against_value, found.ratio) > 0


def test_one_page_in_a_hundred_is_written() -> None:
    with dirty.Scattered(8 * MIB) as child:
        assert child.write() == child.reader.take().count == 20


def test_harvest_that_finds_other_pages_is_not_reported() -> None:
    with pytest.raises(InternalError) as refusal:
        dirty.milliseconds_of(1.0, 20, [19])
    assert str(refusal.value) == "A harvest should find 20 pages, not [19]: please report it."


def test_log_is_taken_from_while_the_loop_runs() -> None:
    with Child(MEMORY) as child, child.partition.gpa_space.dirty_log.reader() as reader:
        with patch.object(reader, "take", wraps=reader.take) as take:
            dirty.run_logged(child, reader, 2 * dirty.BLOCKS_BETWEEN)
        assert take.call_count == 2


def test_log_that_tells_nothing_is_not_reported() -> None:
    with Child(MEMORY) as child, pytest.raises(InternalError) as refusal:
        dirty.check_told(child.partition.gpa_space.dirty_log.reader())
    assert str(refusal.value) == (
        "The log should tell the pages that the loop stores to, not <0 of 1024 pages from 0x0>: "
        "please report it."
    )
