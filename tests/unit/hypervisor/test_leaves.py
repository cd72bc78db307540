"""Leaves of second-level tables, written many at a time: as one by one."""

from collections.abc import Iterator

import numpy as np
import pytest

from minihv.hypervisor.gpa_map import READ, READ_WRITE_EXECUTE
from minihv.hypervisor.leaves import (
    OFFSETS,
    frames_needed,
    frames_to_unmap,
    free_tables,
    is_large_page,
    merge,
    small_entries,
    split,
    write_small,
)
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.paging.formats import NESTED
from minihv.paging.tables import FramePool, PageTables, TableError
from minihv.spec.x86_paging import DIRTY, NO_EXECUTE, USER, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, MIB, PAGE_BYTES

RWX = USER | WRITABLE


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(4 * MIB)
    yield made
    made.close()


@pytest.fixture
def tables(memory: SystemMemory) -> PageTables:
    frames = memory.frames
    return PageTables(
        memory,
        NESTED[4],
        lambda: frames.allocate(HYPERVISOR),
        lambda frame: frames.free(HYPERVISOR, frame),
    )


def words(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, dtype=np.uint64)


@pytest.mark.parametrize(
    ("rights", "flags"),
    [(1, USER | NO_EXECUTE), (3, USER | WRITABLE | NO_EXECUTE), (5, USER), (7, USER | WRITABLE), (0, None)],
)
def test_leaf_says_the_rights(
    memory: SystemMemory, tables: PageTables, rights: int, flags: int | None
) -> None:
    entries = small_entries(np.array([0x124], np.uint32), np.array([rights], np.uint8))
    write_small(memory, tables, 0x40, entries)
    page = tables.find(0x40 * PAGE_BYTES)
    assert (page and (page.pa, page.flags)) == (flags and (0x12_3000, flags))


def test_page_without_a_frame_has_no_leaf() -> None:
    entries = small_entries(np.zeros(2, np.uint32), np.array([7, 0], np.uint8))
    assert entries.tolist() == [0, 0]


def test_nothing_is_taken_for_pages_that_are_nowhere(memory: SystemMemory, tables: PageTables) -> None:
    free = memory.frames.free_count
    write_small(memory, tables, 0x40, words(0, 0))
    assert memory.frames.free_count == free


def test_leaves_inside_a_large_page_split_it(memory: SystemMemory, tables: PageTables) -> None:
    tables.map(0, 0, LARGE_PAGE_BYTES, RWX)
    write_small(memory, tables, 3, words(0))
    pages = [tables.find(gpn * PAGE_BYTES) for gpn in (2, 3, 4)]
    assert [page and page.pa for page in pages] == [0x2000, None, 0x4000]


def test_large_page_that_cannot_be_split_stays(memory: SystemMemory) -> None:
    pool = FramePool([0x1000 * number for number in range(100, 103)])
    tables = PageTables(memory, NESTED[4], pool.allocate, pool.free)
    tables.map(0, 0, LARGE_PAGE_BYTES, RWX | DIRTY)
    tables.map(LARGE_PAGE_BYTES, 0, LARGE_PAGE_BYTES, RWX | DIRTY)
    before = tables.find(LARGE_PAGE_BYTES)
    with pytest.raises(TableError):
        write_small(memory, tables, 0x207, words(0))
    assert tables.find(LARGE_PAGE_BYTES) == before


def test_split_and_merged_page_is_what_it_was(memory: SystemMemory, tables: PageTables) -> None:
    tables.map(0, LARGE_PAGE_BYTES, LARGE_PAGE_BYTES, RWX | DIRTY)
    before = tables.find(0)
    assert before is not None
    split(memory, tables, before)
    small = [tables.find(gpn * PAGE_BYTES) for gpn in range(512)]
    assert all(page and page.flags == RWX | DIRTY for page in small)
    assert [page and page.pa for page in small] == [LARGE_PAGE_BYTES + gpn * PAGE_BYTES for gpn in range(512)]
    merge(memory, tables, 0)
    assert tables.find(0) == before


def test_merged_page_is_marked_as_any_of_the_small_ones(memory: SystemMemory, tables: PageTables) -> None:
    write_small(memory, tables, 0, OFFSETS + np.uint64(RWX | 1))
    write_small(memory, tables, 77, words(77 * PAGE_BYTES | RWX | 1 | DIRTY))
    merge(memory, tables, 0)
    page = tables.find(0)
    assert page is not None and (page.page_bytes, page.flags) == (LARGE_PAGE_BYTES, RWX | DIRTY)


def test_first_pages_of_a_range_may_be_nowhere(memory: SystemMemory, tables: PageTables) -> None:
    write_small(memory, tables, 0x40, words(0, 0x5000 | RWX | 1))
    page = tables.find(0x41 * PAGE_BYTES)
    assert tables.find(0x40 * PAGE_BYTES) is None and page is not None and page.pa == 0x5000


@pytest.mark.parametrize(
    ("gpn", "count", "needed"), [(0, 1, 3), (0x1FF, 2, 4), (0x3FFFF, 2, 5), (0x40, 0, 3), (0x7FFFFFF, 2, 6)]
)
def test_every_table_that_is_missing_is_counted(
    tables: PageTables, gpn: int, count: int, needed: int
) -> None:
    assert frames_needed(tables, gpn, max(count, 1)) == needed


def test_table_that_is_there_is_not_counted(tables: PageTables) -> None:
    tables.map(0, 0, PAGE_BYTES, RWX)
    assert (frames_needed(tables, 5, 7), frames_needed(tables, 5, 512)) == (0, 1)


def in_a_row(first: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.arange(first + 1, first + 513, dtype=np.uint32)


def test_frames_in_a_row_are_a_large_page_if_aligned_and_alike() -> None:
    rights = np.full(512, READ_WRITE_EXECUTE, np.uint8)
    assert is_large_page(in_a_row(512), rights)
    assert not is_large_page(in_a_row(513), rights)
    assert not is_large_page(in_a_row(512)[::-1].copy(), rights)
    assert not is_large_page(in_a_row(512), np.zeros(512, np.uint8))
    assert not is_large_page(np.zeros(512, np.uint32), rights)
    rights[77] = READ
    assert not is_large_page(in_a_row(512), rights)


def test_all_tables_are_freed_and_no_page(memory: SystemMemory, tables: PageTables) -> None:
    for va, size in ((0, LARGE_PAGE_BYTES), (LARGE_PAGE_BYTES, PAGE_BYTES), (1 << 39, PAGE_BYTES)):
        tables.map(va, 0, size, RWX)
    free_tables(memory, tables.root, 4, lambda frame: memory.frames.free(HYPERVISOR, frame))
    assert memory.frames.owned_by(HYPERVISOR) == 0


@pytest.mark.parametrize(
    ("gpn", "count", "needed"),
    [(0, 512, 0), (0, 511, 1), (1, 511, 1), (5, 1000, 2), (0, 1024, 0), (1024, 9, 0)],
)
def test_only_large_pages_at_the_edges_are_split_to_be_unmapped(
    tables: PageTables, gpn: int, count: int, needed: int
) -> None:
    for va in (0, LARGE_PAGE_BYTES):
        tables.map(va, 0, LARGE_PAGE_BYTES, RWX)
    assert frames_to_unmap(tables, gpn, count) == needed


def test_large_page_that_goes_as_a_whole_is_not_split(memory: SystemMemory) -> None:
    pool = FramePool([0x1000 * number for number in range(100, 103)])
    tables = PageTables(memory, NESTED[4], pool.allocate, pool.free)
    tables.map(0, 0, LARGE_PAGE_BYTES, RWX)
    pool.frames = []
    write_small(memory, tables, 0, words(*[0] * 512))
    assert tables.find(0) is None
