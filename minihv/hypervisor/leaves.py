"""The leaves of second-level tables, written many at a time: 512 pages take one store, not 512 walks.

Stands for: ring -1's part that keeps second-level tables in step with the map of a GPA space.
Spec: AMD APM vol. 2, "Nested Paging"; "4-Kbyte Page Translation".
Simplified: leaves of 4 KiB and 2 MiB; pages of 1 GiB are not formed.
Next: ``minihv.hypervisor.gpa_space``
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minihv.errors import MinihvError
from minihv.hypervisor.gpa_map import EXECUTE, NOWHERE, READ, WRITE, Frames, Rights
from minihv.machine.memory import SystemMemory
from minihv.paging.formats import ENTRIES_PER_TABLE, ENTRY_BYTES
from minihv.paging.tables import MARKS, PageTables, TableLeaf
from minihv.spec.x86_paging import FRAME, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT

REGION_PAGES = ENTRIES_PER_TABLE
"""Pages whose leaves lie in one table: 2 MiB."""

OFFSETS = np.arange(REGION_PAGES, dtype=np.uint64) << np.uint64(PAGE_SHIFT)

FLAGS_OF_RIGHTS = np.array(
    [
        PRESENT | USER | (WRITABLE if rights & WRITE else 0) | (0 if rights & EXECUTE else NO_EXECUTE)
        if rights & READ
        else 0
        for rights in range(8)
    ],
    dtype=np.uint64,
)
"""Bits of a leaf for each value of ``MapFlags``; without the right to read there is no leaf."""


def small_entries(frames: Frames, rights: Rights) -> NDArray[np.uint64]:
    """Leaves of 4 KiB for what ``GpaMap.read`` says of some pages; 0 where none is due."""
    flags = FLAGS_OF_RIGHTS[rights]
    flags[frames == NOWHERE] = 0
    spas = (frames.astype(np.uint64) - np.uint64(1)) << np.uint64(PAGE_SHIFT)
    return np.where(flags == 0, np.uint64(0), spas | flags)


def is_large_page(frames: Frames, rights: Rights) -> bool:
    """Whether 512 pages can be one of 2 MiB: frames in a row, aligned, with the same rights, and some."""
    first = int(frames[0]) - 1
    if frames[0] == NOWHERE or first % REGION_PAGES or not rights[0] or bool(np.any(rights != rights[0])):
        return False
    return bool(np.array_equal(frames, np.arange(frames[0], frames[0] + REGION_PAGES, dtype=np.uint32)))


def frames_needed(tables: PageTables, gpn: int, count: int) -> int:
    """How many frames tables for small pages from ``gpn`` on may take, beside those that are there."""
    missing = set()
    for page in range(gpn & -REGION_PAGES, gpn + count, REGION_PAGES):
        level, _ = tables.lowest_table(page << PAGE_SHIFT)
        missing |= {(lower, page >> 9 * lower) for lower in range(1, level)}
    return len(missing)


def frames_to_unmap(tables: PageTables, gpn: int, count: int) -> int:
    """How many frames it takes to unmap pages from ``gpn`` on: large pages at the edges have to be split."""
    needed, end = 0, gpn + count
    for region in {gpn & -REGION_PAGES, end - 1 & -REGION_PAGES}:
        page = tables.find(region << PAGE_SHIFT)
        is_whole = gpn <= region and region + REGION_PAGES <= end
        needed += page is not None and page.page_bytes == LARGE_PAGE_BYTES and not is_whole
    return needed


def write_small(memory: SystemMemory, tables: PageTables, gpn: int, entries: NDArray[np.uint64]) -> None:
    """Gives the pages from ``gpn`` on, which lie in one region, these leaves. A large page there is split."""
    gpa, present = gpn << PAGE_SHIFT, np.flatnonzero(entries)
    page = tables.find(gpa)
    if page is not None and page.page_bytes == LARGE_PAGE_BYTES:
        if len(entries) == REGION_PAGES and not len(present):
            tables.unmap(gpa, LARGE_PAGE_BYTES)
            return
        split(memory, tables, page)
    level, table = tables.lowest_table(gpa)
    if level > 1:
        if not len(present):
            return
        first = int(present[0])
        map_entry(tables, gpa + first * PAGE_BYTES, int(entries[first]))
        _, table = tables.lowest_table(gpa)
    memory.write(table + gpn % REGION_PAGES * ENTRY_BYTES, entries.tobytes())


def map_entry(tables: PageTables, gpa: int, entry: int) -> None:
    """Maps the small page at ``gpa`` with the leaf ``entry``."""
    tables.map(gpa, entry & FRAME, PAGE_BYTES, entry & ~(FRAME | PRESENT))


def split(memory: SystemMemory, tables: PageTables, page: TableLeaf) -> None:
    """Does what ``PageTables.split`` does, with one store for 512 leaves.

    Raises:
        MinihvError: no frame is left; then nothing has changed.
    """
    entry = page.pa | page.flags | PRESENT
    tables.unmap(page.va, LARGE_PAGE_BYTES)
    try:
        map_entry(tables, page.va, entry)
    except MinihvError:
        tables.map(page.va, page.pa, LARGE_PAGE_BYTES, page.flags)
        raise
    _, table = tables.lowest_table(page.va)
    memory.write(table, (np.uint64(entry) + OFFSETS).tobytes())


def merge(memory: SystemMemory, tables: PageTables, gpn: int) -> None:
    """Makes one large page of the 512 from ``gpn`` on, which are alike but for their marks."""
    _, table = tables.lowest_table(gpn << PAGE_SHIFT)
    words = np.frombuffer(memory.read(table, PAGE_BYTES), np.uint64)
    marks = int(np.bitwise_or.reduce(words)) & MARKS
    tables.collapse(gpn << PAGE_SHIFT, int(words[0]) & ~(FRAME | PRESENT) | marks)


def free_tables(memory: SystemMemory, table: int, level: int, free: Callable[[int], None]) -> None:
    """Frees the table at ``table`` of ``level`` (4 for the root) and all tables below it."""
    if level > 1:
        words = np.frombuffer(memory.read(table, PAGE_BYTES), np.uint64)
        is_table = (words & np.uint64(PRESENT | LARGE)) == np.uint64(PRESENT)
        for entry in words[is_table].tolist():
            free_tables(memory, entry & FRAME, level - 1, free)
    free(table)
