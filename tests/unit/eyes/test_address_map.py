"""Maps of addresses: ranges, limits, and what is hidden."""

import numpy as np
from builders import ACCESSED, DIRTY, LARGE, NO_EXECUTE, USER, WRITABLE
from looked_at import GVA, RAM_SPA, LookedAt

from minihv.eyes.address_map import Limits, MappedRange, StageMap, map_stage
from minihv.paging.access import Paging, StageName
from minihv.testing import memory_of, page_table

GLOBAL = 1 << 8
UPPER = 0xFFFF_8000_0000_0000


def ranges_of(stage: StageMap) -> list[tuple[int, int, int]]:
    return [(one.begin, one.target, one.page_count) for one in stage.ranges]


def test_pages_that_follow_each_other_in_both_spaces_are_one_range() -> None:
    tables = page_table().maps(0x5000, to=0x8000).maps(0x6000, to=0x9000).maps(0x7000, to=0xB000)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert ranges_of(stage) == [(0x5000, 0x8000, 2), (0x7000, 0xB000, 1)]


def test_pages_that_are_not_alike_are_not_one_range() -> None:
    tables = page_table()
    for number, flags in enumerate((USER | WRITABLE, USER, WRITABLE, NO_EXECUTE, GLOBAL | NO_EXECUTE)):
        tables.maps(number << 12, to=number << 12, flags=flags)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert [(one.writable, one.user, one.executable, one.is_global) for one in stage.ranges] == [
        (True, True, True, False), (False, True, True, False), (True, False, True, False),
        (False, False, False, False), (False, False, False, True),
    ]  # fmt: skip


def test_marks_are_counted_and_do_not_part_a_range() -> None:
    tables = page_table().maps(0, to=0, flags=ACCESSED | DIRTY).maps(0x1000, to=0x1000, flags=ACCESSED)
    (one,) = map_stage(tables.memory, tables.paging, StageName.GUEST).ranges
    assert (one.page_count, one.accessed_count, one.dirty_count) == (2, 2, 1)


def test_page_of_another_size_begins_a_range() -> None:
    tables = page_table().maps(0x1F_F000, to=0x1F_F000).maps(0x20_0000, to=0x20_0000, page_bytes=2 << 20)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert [(one.begin, one.page_bytes) for one in stage.ranges] == [(0x1F_F000, 4096), (0x20_0000, 2 << 20)]


def test_upper_half_comes_last_with_its_whole_address() -> None:
    tables = page_table().maps(UPPER, to=0x8000).maps(0, to=0x9000)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert ranges_of(stage) == [(0, 0x9000, 1), (UPPER, 0x8000, 1)]
    assert stage.target_of(UPPER + 5) == 0x8005


def test_address_is_found_in_its_range_and_nowhere_else() -> None:
    tables = page_table().maps(0x5000, to=0x8000)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert [stage.target_of(at) for at in (0x4FFF, 0x5000, 0x5FFF, 0x6000)] == [None, 0x8000, 0x8FFF, None]


def test_right_counts_only_if_every_level_grants_it() -> None:
    tables = page_table().maps(0x5000, to=0x8000).with_entry(0x5000, 3, clear=WRITABLE, set=NO_EXECUTE)
    (one,) = map_stage(tables.memory, tables.paging, StageName.GUEST).ranges
    assert (one.writable, one.executable, one.user) == (False, False, True)


def test_named_page_is_a_range_of_its_own() -> None:
    stage = LookedAt().second_map(x5000="hypercall page")
    assert [(one.begin, one.page_count, one.what) for one in stage.ranges] == [
        (0, 5, ""), (0x5000, 1, "hypercall page"), (0x6000, 10, "")
    ]  # fmt: skip
    assert stage.ranges[0].target == RAM_SPA


def test_table_that_the_second_level_refuses_is_told_of() -> None:
    guest = LookedAt()
    guest.second.with_entry(guest.table_gpa(2), 1, clear=WRITABLE)
    stage = guest.guest_map()
    assert (stage.ranges, stage.hidden_count) == ((), 1)
    assert stage.hidden == ((GVA & -1 << 30, guest.table_gpa(2) & -0x1000),)


def test_entry_with_reserved_bits_maps_nothing_and_is_counted() -> None:
    tables = page_table().maps(0x5000, to=0x8000).with_entry(0x5000, 4, set=LARGE)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert (stage.ranges, stage.reserved_count) == ((), 1)


def test_root_that_maps_itself_lists_the_tables_as_pages() -> None:
    tables = page_table().maps(0x5000, to=0x8000)
    tables.memory.write_u64(0x1000 + 8 * 511, 0x1000 | 3)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST)
    assert stage.target_of(0xFFFF_FFFF_FFFF_F000) == 0x1000
    assert stage.complete_below is None and stage.tables_read == 10


def test_table_that_is_all_its_own_entries_ends_at_a_limit() -> None:
    memory = memory_of(0x2000)
    for index in range(512):
        memory.write_u64(0x1000 + 8 * index, 0x1000 | 7)
    stage = map_stage(memory, Paging(0x1000), StageName.GUEST, limits=Limits(tables=10, ranges=10_000))
    assert (stage.tables_read, stage.complete_below) == (10, 7 << 21)
    assert stage.left_out == (
        "The map ends below GVA 0xe00000: 10 tables and 3,584 ranges are as much as it takes, and what lies "
        "above was left out."
    )


def test_ranges_have_a_limit_too() -> None:
    tables = page_table()
    for number in range(8):
        tables.maps(number << 13, to=0x8000)
    stage = map_stage(tables.memory, tables.paging, StageName.GUEST, limits=Limits(ranges=3))
    assert (len(stage.ranges), stage.complete_below) == (3, 3 << 13)


def test_looking_leaves_no_mark() -> None:
    guest = LookedAt()
    before = guest.memory.view.copy()
    guest.map()
    assert np.array_equal(before, guest.memory.view)


def test_range_knows_its_end() -> None:
    one = MappedRange(0x1000, 0x9000, 0x1000, 0, False, page_count=3)
    assert (one.byte_count, one.end) == (0x3000, 0x4000)


def test_notebook_gets_the_drawing_and_the_text() -> None:
    picture = LookedAt().map("a test's")
    html = picture._repr_html_()
    assert picture._repr_svg_() in html and "The second-level tables, GPA to SPA" in html
