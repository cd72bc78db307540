"""The harvest of A and D bits: which pages were touched, or written, since they were last asked for.

Stands for: the part of ring -1 that reads a dirty log out of second-level tables.
Spec: AMD APM vol. 2, "Nested Paging", "Accessed (A) Bit" and "Dirty (D) Bit".
Simplified: the marks of tables are not used to pass over what lies below them.
Twin: ``native/core/src/dirty.c``, held equal by ``tests/twins/test_dirty.py``, down to the image in memory.
First reading: ``harvest_table``.
Next: ``minihv.hypervisor.page_log``
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from minihv.errors import LayoutError
from minihv.paging.access import Paging, PhysicalMemory
from minihv.paging.formats import ENTRIES_PER_TABLE, ENTRY_BYTES, NESTED, Level
from minihv.paging.tables import TableStatus
from minihv.spec.x86_paging import ACCESSED, DIRTY, FRAME, PRESENT
from minihv.terms import PAGE_BYTES, PAGE_SHIFT

PAGES_PER_BYTE = 8
MESSAGES = {
    TableStatus.BAD_FLAGS: "A harvest collects A (0x20) or D (0x40), not {mark:#x}: choose one of the two.",
    TableStatus.MISALIGNED: (
        "A harvest begins at a page whose number is a multiple of 8, and {gpn:#x} is none: "
        "begin at {aligned:#x}."
    ),
    TableStatus.OUT_OF_REACH: (
        "Tables of {format} do not translate {count:#x} pages from {gpn:#x}: choose a range inside."
    ),
}


class HarvestError(LayoutError):
    """The harvest refused, and changed nothing. ``status`` is what the C twin returns."""

    def __init__(self, status: TableStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def refuse_harvest(status: TableStatus, second: Paging, gpn: int, page_count: int, mark: int) -> NoReturn:
    """Raises the refusal that ``status`` stands for, in the words that both twins use."""
    values = {"gpn": gpn, "aligned": gpn & -PAGES_PER_BYTE, "count": page_count, "mark": mark}
    raise HarvestError(status, MESSAGES[status].format(format=NESTED[second.levels].name, **values))


class PageBitmap:
    """A bit for each of ``page_count`` guest pages from ``gpn`` on.

    ``bits`` are packed, eight pages a byte, the first in bit 0: a bitmap of 1 GiB is 32 KiB, so that joining
    two of them, which is done for every reader at every harvest, stays within the processor's first caches.
    """

    def __init__(self, gpn: int, page_count: int) -> None:
        self.gpn, self.page_count = gpn, page_count
        self.bits: NDArray[np.uint8] = np.zeros(-(-page_count // PAGES_PER_BYTE), dtype=np.uint8)

    @property
    def count(self) -> int:
        """How many pages are in it."""
        return int.from_bytes(self.bits.tobytes(), "little").bit_count()

    def as_bools(self) -> NDArray[np.bool_]:
        """One truth value for each page."""
        return np.unpackbits(self.bits, count=self.page_count, bitorder="little").view(np.bool_)

    def gpns(self) -> list[int]:
        """The numbers of the pages in it, ascending."""
        return [int(gpn) for gpn in np.flatnonzero(self.as_bools()) + self.gpn]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Pages that follow each other, as the number of the first and how many there are."""
        edges = np.flatnonzero(np.diff(self.as_bools(), prepend=False, append=False))
        for begin, end in edges.reshape(-1, 2):
            yield self.gpn + int(begin), int(end - begin)

    def add(self, gpn: int) -> None:
        """One more page, which lies in the range."""
        at = gpn - self.gpn
        self.bits[at // PAGES_PER_BYTE] |= 1 << at % PAGES_PER_BYTE

    def join(self, other: "PageBitmap") -> None:
        """All pages of ``other``, which is for the same range, are in this one too."""
        np.bitwise_or(self.bits, other.bits, out=self.bits)

    def __contains__(self, gpn: int) -> bool:
        at = gpn - self.gpn
        inside = 0 <= at < self.page_count
        return inside and bool(self.bits[at // PAGES_PER_BYTE] >> at % PAGES_PER_BYTE & 1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PageBitmap):
            return NotImplemented
        same_range = (self.gpn, self.page_count) == (other.gpn, other.page_count)
        return same_range and bool(np.array_equal(self.bits, other.bits))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.count} of {self.page_count} pages from {self.gpn:#x}>"


class HarvestMemory(PhysicalMemory, Protocol):
    """Where the tables lie."""

    @property
    def byte_count(self) -> int:
        """Where memory ends."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One harvest on its way."""

    memory: HarvestMemory
    mark: int
    found: PageBitmap

    @property
    def begin(self) -> int:
        """The first page that is asked for."""
        return self.found.gpn

    @property
    def end(self) -> int:
        """The first page behind those that are."""
        return self.found.gpn + self.found.page_count


def harvest(memory: HarvestMemory, second: Paging, gpn: int, page_count: int, mark: int) -> PageBitmap:
    """The pages of a range whose leaf has ``mark`` (A or D); their leaves have it no more.

    A leaf of a large page stands for all pages in it. One that reaches out of the range keeps its mark: else
    nobody would hear of the pages outside.

    Whoever uses the tables must be told: a TLB that holds a right to write sets no D again.

    Raises:
        HarvestError: the mark is no mark, or the range does not fit.
    """
    if mark not in (ACCESSED, DIRTY):
        refuse_harvest(TableStatus.BAD_FLAGS, second, gpn, page_count, mark)
    if gpn % PAGES_PER_BYTE:
        refuse_harvest(TableStatus.MISALIGNED, second, gpn, page_count, mark)
    if gpn + page_count > 1 << NESTED[second.levels].address_bits - PAGE_SHIFT:
        refuse_harvest(TableStatus.OUT_OF_REACH, second, gpn, page_count, mark)
    sweep = Sweep(memory, mark, PageBitmap(gpn, page_count))
    harvest_table(sweep, NESTED[second.levels].levels, second.root & FRAME, 0)
    return sweep.found


def harvest_table(sweep: Sweep, levels: tuple[Level, ...], table: int, first: int) -> None:
    """Harvests the table at ``table``, of the first of ``levels``; its first entry is for page ``first``."""
    level = levels[0]
    span = level.page_bytes >> PAGE_SHIFT

    # 1. What lies in no memory is no table.
    if table + PAGE_BYTES > sweep.memory.byte_count:
        return

    # 2. Entries whose pages are all below the range, or all behind it, are not read.
    for index in range(max(sweep.begin - first, 0) // span, ENTRIES_PER_TABLE):
        gpn = first + index * span
        if gpn >= sweep.end:
            return

        # 3. An entry that is not present has nothing below it, whatever else it says.
        entry_pa = table + ENTRY_BYTES * index
        entry = sweep.memory.read_u64(entry_pa)
        if not entry & PRESENT:
            continue

        # 4. A leaf is asked for its mark, a table for its leaves.
        if not level.is_page(entry):
            harvest_table(sweep, levels[1:], entry & FRAME, gpn)
        elif entry & sweep.mark:
            harvest_page(sweep, entry_pa, gpn, span)


def harvest_page(sweep: Sweep, entry_pa: int, first: int, span: int) -> None:
    """Reports ``span`` pages from ``first`` on, as far as they were asked for, and takes the mark away."""
    pages = range(max(first, sweep.begin), min(first + span, sweep.end))
    for gpn in pages:
        sweep.found.add(gpn)
    if len(pages) == span:
        sweep.memory.write_u64(entry_pa, sweep.memory.read_u64(entry_pa) & ~sweep.mark)


def mark_page(memory: HarvestMemory, root: int, levels: int, gpn: int, mark: int) -> bool:
    """Gives the leaf of page ``gpn`` its ``mark`` (A or D), as a walk does that touches or writes the page.

    The tables begin at ``root`` and have 4 or 5 ``levels``; their own marks stay. False: it has no leaf.
    """
    table = root & FRAME
    if gpn >> NESTED[levels].address_bits - PAGE_SHIFT:
        return False
    for level in NESTED[levels].levels:
        if table + PAGE_BYTES > memory.byte_count:
            return False
        entry_pa = level.entry_address(table, gpn << PAGE_SHIFT)
        entry = memory.read_u64(entry_pa)
        if not entry & PRESENT:
            return False
        if level.is_page(entry):
            memory.write_u64(entry_pa, entry | mark)
            return True
        table = entry & FRAME
    return False
