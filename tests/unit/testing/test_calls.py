"""Drawn calls of the builder reach each verb; the refusals are counted by ``tests/twins/test_tables.py``."""

from hypothesis import given

from minihv.paging.formats import X86_64
from minihv.paging.tables import FramePool, PageTables, TableStatus
from minihv.testing.calls import Change, changes
from minihv.testing.memory import memory_of


def tables() -> PageTables:
    pool = FramePool([0x3000, 0x2000, 0x1000])
    return PageTables(memory_of(0x4000), X86_64[4], pool.allocate, pool.free)


@given(changes())
def test_a_list_of_calls_has_every_verb(wanted: list[Change]) -> None:
    assert 50 <= len(wanted) <= 200
    assert {"map", "unmap", "split", "merge"} <= {change.verb for change in wanted}


def test_refused_call_answers_with_its_status_and_its_words() -> None:
    status, words = Change("split", (0x5000,)).apply(tables())
    assert status is TableStatus.NOT_MAPPED
    assert words == "Only a mapped page can be changed, and there is none at 0x5000: map it first."


def test_call_that_is_done_answers_as_the_builder_does() -> None:
    assert Change("unmap", (0, 0x1000)).apply(tables()) == 0
