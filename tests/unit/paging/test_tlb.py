"""The TLB: what hits, what an entry may say and to whom, and what each flush takes away."""

from dataclasses import replace

import pytest
from builders import (
    ACCESSED,
    DIRTY,
    EXECUTE,
    NO_EXECUTE,
    PRESENT,
    READ,
    USER,
    USER_READ,
    USER_WRITE,
    WRITABLE,
    WRITE,
)
from two_stages import RAM_SPA, TwoStages

from minihv.paging.access import Access, AccessKind, Reference
from minihv.paging.nested import NestedMapping, nested_walk
from minihv.paging.tlb import Tlb
from minihv.paging.tlb_parts import AddressSpace, TlbCounters, TlbShape
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.testing import PageTable, page_table

GVA = 0x0000_1234_4567_8000
GLOBAL = 1 << 8
MIB_2, GIB = 1 << 21, 1 << 30
PIECES = 8
SMALL = TlbShape(sets=4, ways=2)

Shared = tuple[Tlb, AddressSpace, AddressSpace, AddressSpace]


def tlb_over(tables: PageTable, shape: TlbShape = SMALL) -> tuple[Tlb, AddressSpace]:
    return Tlb(tables.memory, shape), AddressSpace(tables.paging)


def hits(tlb: Tlb, space: AddressSpace, gva: int, access: Access = READ) -> bool:
    before = tlb.counters.hits
    tlb.translate(space, gva, access)
    return tlb.counters.hits > before


def steered(space: AddressSpace, **registers: bool) -> AddressSpace:
    return replace(space, guest=replace(space.guest, **registers))  # type: ignore[arg-type]


def test_hit_answers_as_the_walk_and_reads_nothing() -> None:
    tables = page_table().maps(GVA, to=0x9000)
    tlb, space = tlb_over(tables)
    first, again = tlb.translate(space, GVA + 5, READ), tlb.translate(space, GVA + 9, READ)
    expected = walk(tables.memory, tables.paging, GVA + 9, READ)
    assert isinstance(first, Mapping) and isinstance(expected, Mapping)
    assert (first.references, again) == (4, replace(expected, references=0))
    assert tlb.counters == TlbCounters(accesses=2, hits=1, misses=1, references=4)


def test_hit_answers_as_the_walk_of_two_stages() -> None:
    stages = TwoStages().maps(GVA, to=0x9000)
    tlb = Tlb(stages.memory, TlbShape())
    tlb.translate(stages.space, GVA, WRITE)
    expected = nested_walk(stages.memory, stages.guest.paging, stages.second.paging, GVA + 7, WRITE)
    assert isinstance(expected, NestedMapping)
    assert tlb.translate(stages.space, GVA + 7, WRITE) == replace(expected, references=0)


def test_observer_sees_what_is_really_read() -> None:
    tlb, space = tlb_over(page_table().maps(GVA, to=0x9000))
    seen: list[Reference] = []
    for _ in range(2):
        tlb.translate(space, GVA, READ, seen.append)
    assert [reference.level for reference in seen] == [4, 3, 2, 1]


def test_address_that_is_not_canonical_is_no_access_to_the_tlb() -> None:
    tlb, space = tlb_over(page_table())
    assert tlb.translate(space, 1 << 62, READ) == NotCanonical(1 << 62)
    assert tlb.counters == TlbCounters()


def test_page_that_is_not_there_is_asked_for_each_time() -> None:
    tlb, space = tlb_over(page_table())
    assert [hits(tlb, space, GVA) for _ in range(2)] == [False, False]
    assert tlb.counters == TlbCounters(accesses=2, misses=2, references=2, refusals=2)


def test_first_write_misses_until_d_is_set() -> None:
    tables = page_table().maps(GVA, to=0x9000)
    tlb, space = tlb_over(tables)
    assert [hits(tlb, space, GVA, access) for access in (READ, READ, WRITE, WRITE)] == [
        False,
        True,
        False,
        True,
    ]
    assert tables.entry(GVA, 1) & DIRTY


def test_write_misses_until_d_is_set_in_the_second_stage_too() -> None:
    stages = TwoStages().maps(GVA, to=0x9000, flags=USER | WRITABLE | DIRTY | ACCESSED)
    tlb, space = Tlb(stages.memory, TlbShape()), stages.space
    assert [hits(tlb, space, GVA, access) for access in (READ, WRITE, WRITE)] == [False, False, True]
    assert stages.second.entry(0x9000, 1) & DIRTY


@pytest.mark.parametrize(
    ("flags", "registers", "access", "error_code"),
    [
        (0, {"wp": True}, WRITE, 3),
        (USER, {"wp": False}, USER_WRITE, 7),
        (USER | WRITABLE, {"smep": True}, EXECUTE, 0x11),
        (USER | WRITABLE, {"smap": True}, READ, 1),
        (USER | WRITABLE, {"smap": True}, Access(AccessKind.READ, ac=True, implicit=True), 1),
        (WRITABLE, {}, USER_READ, 5),
        (NO_EXECUTE, {}, EXECUTE, 0x11),
    ],
)
def test_rights_are_asked_at_each_access(
    flags: int, registers: dict[str, bool], access: Access, error_code: int
) -> None:
    tlb, space = tlb_over(page_table().maps(GVA, to=0x9000, flags=flags | DIRTY))
    tlb.translate(steered(space, wp=False), GVA, WRITE)
    found = tlb.translate(steered(space, **registers), GVA, access)
    assert isinstance(found, PageFault) and found.error_code == error_code


def test_access_that_the_registers_now_allow_hits() -> None:
    tlb, space = tlb_over(page_table().maps(GVA, to=0x9000, flags=USER | DIRTY))
    tlb.translate(space, GVA, USER_READ)
    assert hits(tlb, steered(space, wp=False), GVA, WRITE)
    assert hits(tlb, steered(space, smap=True), GVA, Access(AccessKind.READ, ac=True))
    assert hits(tlb, steered(space, smep=True), GVA, Access(AccessKind.EXECUTE, user=True))


def test_entry_that_refuses_is_dropped() -> None:
    tables = page_table().maps(GVA, to=0x9000, flags=USER)
    tlb, space = tlb_over(tables)
    tlb.translate(space, GVA, READ)
    assert isinstance(tlb.translate(space, GVA, WRITE), PageFault)
    assert tlb.entries() == [[]] * 6


def test_right_that_was_added_counts_without_a_flush() -> None:
    tables = page_table().maps(GVA, to=0x9000, flags=USER)
    tlb, space = tlb_over(tables)
    tlb.translate(space, GVA, READ)
    tables.with_entry(GVA, 1, set=WRITABLE)
    assert isinstance(tlb.translate(space, GVA, WRITE), Mapping)


def test_right_that_was_taken_away_counts_after_the_flush() -> None:
    tables = page_table().maps(GVA, to=0x9000)
    tlb, space = tlb_over(tables)
    tlb.translate(space, GVA, WRITE)
    tables.with_entry(GVA, 1, clear=WRITABLE)
    assert isinstance(tlb.translate(space, GVA, WRITE), Mapping)
    tlb.flush_page(space, GVA)
    assert isinstance(tlb.translate(space, GVA, WRITE), PageFault)


@pytest.mark.parametrize(("page_bytes", "base"), [(0x1000, GVA), (MIB_2, 0x60_0000), (GIB, 5 * GIB)])
def test_one_entry_covers_a_page_of_any_size(page_bytes: int, base: int) -> None:
    tlb, space = tlb_over(page_table().maps(base, to=3 * GIB, page_bytes=page_bytes))
    tlb.translate(space, base, READ)
    found = tlb.translate(space, base + page_bytes - 1, READ)
    assert isinstance(found, Mapping)
    assert (found.gpa, found.references, found.page_bytes) == (3 * GIB + page_bytes - 1, 0, page_bytes)


@pytest.mark.parametrize(
    ("first", "second", "pieces_hit"), [(MIB_2, 0x1000, False), (0x1000, MIB_2, False), (MIB_2, MIB_2, True)]
)
def test_entry_covers_what_both_stages_map_whole(first: int, second: int, pieces_hit: bool) -> None:
    stages = TwoStages().maps(0, to=MIB_2, page_bytes=first)
    if first == 0x1000:
        stages.maps(0x1000, to=MIB_2 + 0x1000)
    for gpa in range(MIB_2, MIB_2 + (0x2000 if second == 0x1000 else 1), second):
        stages.second.maps(gpa, to=gpa, page_bytes=second)
    tlb = Tlb(stages.memory, TlbShape())
    assert [hits(tlb, stages.space, gva) for gva in (0, 0xFFF, 0x1000)] == [False, True, pieces_hit]


def test_sizes_share_the_array_and_keep_their_own_sets() -> None:
    tables = page_table().maps(0x3000, to=0x9000).maps(MIB_2, to=MIB_2, page_bytes=MIB_2)
    tables.maps(6 * GIB, to=0, page_bytes=GIB)
    tlb, space = tlb_over(tables)
    for gva in (0x3000, MIB_2, 6 * GIB):
        tlb.translate(space, gva, READ)
    assert [(number, entry.shift) for number, _, entry in tlb.entries()[0]] == [(1, 21), (2, 30), (3, 12)]


def many_pages(count: int) -> PageTable:
    tables = page_table()
    for page in range(count):
        tables.maps(page << 12, to=0x9000)
    return tables


@pytest.mark.parametrize(("sets", "ways"), [(1, 1), (1, 8), (8, 1), (4, 4), (16, 2)])
def test_stride_over_all_that_fits_hits_always(sets: int, ways: int) -> None:
    tlb, space = tlb_over(many_pages(sets * ways), TlbShape(sets, ways))
    pages = [page << 12 for page in range(sets * ways)]
    tlb.translate_each(space, pages, READ)
    assert tlb.translate_each(space, pages * 3, READ) == TlbCounters(len(pages) * 3, len(pages) * 3)


@pytest.mark.parametrize("ways", [1, 2, 8])
def test_one_page_more_than_fits_never_hits(ways: int) -> None:
    tlb, space = tlb_over(many_pages(ways + 1), TlbShape(1, ways))
    pages = [page << 12 for page in range(ways + 1)]
    tlb.translate_each(space, pages, READ)
    counted = tlb.translate_each(space, pages * 3, READ)
    assert (counted.hits, counted.misses, counted.evictions) == (0, len(pages) * 3, len(pages) * 3)


def test_one_page_more_thrashes_its_own_set_only() -> None:
    sets, ways = 4, 2
    tlb, space = tlb_over(many_pages(sets * ways + 1), TlbShape(sets, ways))
    pages = [page << 12 for page in range(sets * ways + 1)]
    tlb.translate_each(space, pages, READ)
    counted = tlb.translate_each(space, pages, READ)
    assert (counted.hits, counted.misses) == (6, 3)


@pytest.fixture
def shared() -> Shared:
    """A page, one that is global, and a large one: used in two spaces of a partition, and in another one."""
    tables = page_table().maps(0, to=0x9000).maps(0x1000, to=0xA000, flags=GLOBAL)
    tables.maps(MIB_2, to=MIB_2, page_bytes=MIB_2)
    tlb, one = tlb_over(tables, TlbShape(64, 8, pdes=8, pdptes=8, pml4es=8))
    other, stranger = replace(one, number=1), replace(one, partition=1)
    for space in (one, other, stranger):
        tlb.translate_each(space, [0, 0x1000, MIB_2], READ)
    return tlb, one, other, stranger


def left(tlb: Tlb, space: AddressSpace) -> list[int]:
    """Which of the three pages still hit, and how many tables are remembered, in ``space``."""
    own = [entry for _, _, entry in tlb.entries()[0] if entry.answers(space)]
    tables = [entry for bank in tlb.entries()[2:] for _, _, entry in bank if entry.answers(space)]
    return [sum(entry.covers(gva) for entry in own) for gva in (0, 0x1000, MIB_2)] + [len(tables)]


def test_spaces_share_global_pages_only(shared: Shared) -> None:
    tlb, *spaces = shared
    assert [left(tlb, space) for space in spaces] == [[1, 1, 1, 3]] * 3
    assert tlb.counters.hits == 1


def test_invlpg_drops_one_page_and_the_tables_of_its_space(shared: Shared) -> None:
    tlb, one, other, stranger = shared
    tlb.flush_page(one, 0xFFF)
    assert [left(tlb, space) for space in (one, other, stranger)] == [
        [0, 1, 1, 0],
        [1, 1, 1, 3],
        [1, 1, 1, 3],
    ]


def test_invlpg_drops_a_global_page_for_all_spaces_of_the_partition(shared: Shared) -> None:
    tlb, one, other, stranger = shared
    tlb.flush_page(other, 0x1000)
    assert [left(tlb, space) for space in (one, other, stranger)] == [
        [1, 0, 1, 3],
        [1, 0, 1, 0],
        [1, 1, 1, 3],
    ]


def test_invlpga_drops_the_page_in_every_space_of_the_partition(shared: Shared) -> None:
    tlb, one, other, stranger = shared
    tlb.flush_page_everywhere(one, MIB_2 + 0x5000)
    assert [left(tlb, space) for space in (one, other, stranger)] == [
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 3],
    ]


def test_write_to_cr3_spares_global_pages(shared: Shared) -> None:
    tlb, one, other, stranger = shared
    tlb.flush_address_space(one)
    assert [left(tlb, space) for space in (one, other, stranger)] == [
        [0, 1, 0, 0],
        [1, 1, 1, 3],
        [1, 1, 1, 3],
    ]


def test_flush_of_a_partition_spares_the_others(shared: Shared) -> None:
    tlb, one, other, stranger = shared
    tlb.flush_partition(one)
    assert [left(tlb, space) for space in (one, other, stranger)] == [[0] * 4, [0] * 4, [1, 1, 1, 3]]


def test_flush_of_all_leaves_nothing(shared: Shared) -> None:
    tlb, *_ = shared
    tlb.flush_all()
    assert tlb.entries() == [[]] * 6


def test_page_is_not_global_without_pge() -> None:
    tables = page_table().maps(0x1000, to=0xA000, flags=GLOBAL)
    tlb, space = tlb_over(tables)
    tlb.translate(replace(space, global_pages=False), 0x1000, READ)
    assert not hits(tlb, replace(space, number=1), 0x1000)


def test_invlpg_drops_a_large_page_with_all_its_pieces() -> None:
    stages = TwoStages().maps(0, to=0, page_bytes=MIB_2)
    tlb, space = Tlb(stages.memory, TlbShape()), stages.space
    tlb.translate_each(space, [piece << 12 for piece in range(PIECES)], READ)
    assert len(tlb.entries()[0]) == PIECES
    tlb.flush_page(space, MIB_2 - 1)
    assert tlb.entries()[0] == []


def test_invlpg_and_cr3_leave_the_nested_cache_alone() -> None:
    stages = TwoStages().maps(GVA, to=0x9000)
    tlb, space = Tlb(stages.memory, TlbShape(nested=8)), stages.space
    tlb.translate(space, GVA, READ)
    for flush in (lambda: tlb.flush_page(space, GVA), lambda: tlb.flush_address_space(space)):
        flush()
        assert len(tlb.entries()[1]) == 5
    tlb.flush_partition(space)
    assert tlb.entries()[1] == []


def test_second_stage_that_changed_counts_after_the_flush_of_the_partition() -> None:
    stages = TwoStages().maps(GVA, to=0x9000)
    tlb, space = Tlb(stages.memory, TlbShape(pdes=2, nested=8)), stages.space
    tlb.translate(space, GVA, READ)
    stages.second.with_entry(0x9000, 1, clear=PRESENT | RAM_SPA + 0x9000, set=PRESENT | RAM_SPA + 0xB000)
    tlb.flush_partition(space)
    found = tlb.translate(space, GVA, READ)
    assert isinstance(found, NestedMapping) and found.spa == RAM_SPA + 0xB000
