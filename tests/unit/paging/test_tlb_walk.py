"""The walk that remembers: how much less it reads, and that what it remembers never refuses anything."""

import pytest
from builders import NO_EXECUTE, PRESENT, READ, USER, USER_READ, WRITABLE, WRITE
from two_stages import RAM_SPA, TwoStages

from minihv.paging.access import Reference
from minihv.paging.nested import Violation
from minihv.paging.tlb_parts import AddressSpace, TlbCounters, TlbShape
from minihv.paging.tlb_walk import CachedWalk, Leaves, WalkCaches
from minihv.paging.walk import PageFault
from minihv.testing import PageTable, page_table

GVA = 0x0000_1234_4567_8000
NEXT = GVA + 0x1000
EVERY_CACHE = TlbShape(pdes=4, pdptes=4, pml4es=4, pml5es=4, nested=16)


class Walker:
    """Walks in one address space with the same caches."""

    def __init__(self, tables: PageTable | TwoStages, shape: TlbShape) -> None:
        space = tables.space if isinstance(tables, TwoStages) else AddressSpace(tables.paging)
        self.space, self.counters = space, TlbCounters()
        self.caches = WalkCaches(tables.memory, shape, self.counters)
        self.seen: list[Reference] = []

    def walk(self, gva: int, access: object = READ) -> object:
        self.seen.clear()
        walk = CachedWalk(self.caches, self.space, self.seen.append)
        found = walk.walk(gva, access)  # type: ignore[arg-type]
        assert walk.trail.references == len(self.seen)
        return found

    def references(self, gva: int) -> int:
        assert isinstance(self.walk(gva), tuple)
        return len(self.seen)


def two_pages(levels: int = 4) -> PageTable:
    return page_table(levels).maps(GVA, to=0x9000).maps(NEXT, to=0xA000)


@pytest.mark.parametrize(
    ("levels", "shape", "second"),
    [
        (4, TlbShape(), 4),
        (4, TlbShape(pml4es=1), 3),
        (4, TlbShape(pdptes=1), 2),
        (4, TlbShape(pdes=1), 1),
        (4, TlbShape(pdes=1, pdptes=1, pml4es=1), 1),
        (5, TlbShape(), 5),
        (5, TlbShape(pml5es=1), 4),
        (5, TlbShape(pdes=1), 1),
    ],
)
def test_walk_begins_at_the_lowest_table_that_is_remembered(
    levels: int, shape: TlbShape, second: int
) -> None:
    walker = Walker(two_pages(levels), shape)
    assert (walker.references(GVA), walker.references(NEXT)) == (levels, second)
    assert walker.counters.structure_hits == (second < levels)


@pytest.mark.parametrize(
    ("shape", "first", "again"),
    [
        (TlbShape(), 24, 24),
        (TlbShape(pdes=1), 24, 1 + 4),
        (TlbShape(nested=16), 24, 4),  # the four of the guest
        (TlbShape(pdes=1, nested=16), 24, 1),
        (TlbShape(nested=1), 24, 24),  # each table drives the one before it out
    ],
)
def test_two_stages_have_two_kinds_of_caches(shape: TlbShape, first: int, again: int) -> None:
    walker = Walker(TwoStages().maps(GVA, to=0x9000), shape)
    assert (walker.references(GVA), walker.references(GVA)) == (first, again)


def test_next_page_costs_its_own_translation() -> None:
    walker = Walker(TwoStages().maps(GVA, to=0x9000).maps(NEXT, to=0xA000), EVERY_CACHE)
    assert (walker.references(GVA), walker.references(NEXT)) == (24, 1 + 4)
    assert (walker.counters.structure_hits, walker.counters.nested_hits) == (1, 0)


def test_table_is_remembered_where_it_lies() -> None:
    walker = Walker(TwoStages().maps(GVA, to=0x9000), EVERY_CACHE)
    walker.walk(GVA)
    tables = [bank.entries()[0][2].first for bank in list(walker.caches.structures.values())[:3]]
    assert [(table and table.base) for table in tables] == [RAM_SPA + gpa for gpa in (0x4000, 0x3000, 0x2000)]


def test_rights_of_the_tables_above_are_remembered_too() -> None:
    tables = two_pages().with_entry(GVA, 3, clear=WRITABLE).with_entry(GVA, 2, set=NO_EXECUTE)
    walker = Walker(tables, TlbShape(pdes=1))
    walker.walk(GVA)
    found = walker.walk(NEXT)
    assert isinstance(found, tuple) and len(walker.seen) == 1
    assert found[0].together == USER


@pytest.mark.parametrize("access", [USER_READ, WRITE])
def test_right_that_a_table_was_given_counts_without_a_flush(access: object) -> None:
    tables = two_pages().with_entry(GVA, 2, clear=WRITABLE | USER)
    walker = Walker(tables, EVERY_CACHE)
    walker.walk(GVA)
    assert isinstance(walker.walk(GVA, access), PageFault)
    tables.with_entry(GVA, 2, set=WRITABLE | USER)
    assert isinstance(walker.walk(GVA, access), tuple)


def test_refusal_that_rests_on_a_cache_is_asked_of_the_tables() -> None:
    walker = Walker(two_pages().with_entry(NEXT, 1, clear=PRESENT), EVERY_CACHE)
    walker.walk(GVA)
    assert walker.walk(NEXT) == PageFault(NEXT, level=1, references=5, error_code=0)
    assert [reference.level for reference in walker.seen] == [1, 4, 3, 2, 1]


def test_page_fault_drops_the_tables_on_its_way() -> None:
    walker = Walker(two_pages().with_entry(NEXT, 1, clear=PRESENT), EVERY_CACHE)
    walker.walk(GVA)
    walker.walk(NEXT)
    assert [bank.entries() for bank in walker.caches.structures.values()] == [[]] * 4


def test_second_stage_that_was_opened_counts_without_a_flush() -> None:
    stages = TwoStages().maps(GVA, to=0x9000)
    stages.second.with_entry(0x9000, 1, clear=WRITABLE)
    walker = Walker(stages, EVERY_CACHE)
    assert isinstance(walker.walk(GVA), tuple)
    assert isinstance(walker.walk(GVA, WRITE), Violation)
    stages.second.with_entry(0x9000, 1, set=WRITABLE)
    assert isinstance(walker.walk(GVA, WRITE), tuple)


def test_write_asks_the_second_stage_until_its_d_is_set() -> None:
    walker = Walker(TwoStages().maps(GVA, to=0x9000), TlbShape(nested=16))
    reads = [walker.references(GVA), walker.references(GVA)]
    writes = [len(walker.seen) for _ in range(2) if walker.walk(GVA, WRITE)]
    assert (reads, writes) == ([24, 4], [4 + 4, 4])


def test_large_page_of_the_second_stage_is_remembered_whole() -> None:
    stages = TwoStages().maps(GVA, to=0x20_0000).maps(NEXT, to=0x3F_F000)
    stages.second.maps(0x20_0000, to=0x60_0000, page_bytes=0x20_0000)
    walker = Walker(stages, EVERY_CACHE)
    assert (walker.references(GVA), walker.references(NEXT)) == (23, 1)
    found: Leaves = walker.walk(NEXT + 5)  # type: ignore[assignment]
    assert found[1] is not None and found[1].address == 0x7F_F005
