"""The builder of page tables: map, unmap, protect, split, merge, in any format that the walker reads.

Stands for: the part of ring -1, or of a kernel, that writes page tables.
Spec: AMD APM vol. 2, "Long-Mode Page Translation"; the entries are those of ``minihv.spec.x86_paging``.
Simplified: rights are those of the leaves (every table entry grants all); no PAT bit; no flush of a TLB,
    whoever changes tables that are in use tells the processor.
Twin: ``native/core/src/tables.c``, held equal by ``tests/twins/test_tables.py``, down to the image in memory.
First reading: ``PageTables.map`` and ``PageTables.unmap``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import or_
from typing import NoReturn, Protocol

from minihv.errors import LayoutError, MinihvError
from minihv.paging.access import PhysicalMemory
from minihv.paging.formats import ENTRIES_PER_TABLE, ENTRY_BYTES, PML4, Format, Level
from minihv.spec.x86_paging import ACCESSED, DIRTY, FRAME, LARGE, PRESENT, USER, WRITABLE
from minihv.terms import PAGE_BYTES

IN_TABLE_ENTRY = PRESENT | WRITABLE | USER
MARKS = ACCESSED | DIRTY
FLAGS = (1 << 64) - 1 & ~(FRAME | PRESENT | LARGE)
"""What a caller may choose in a leaf: everything but the address, P, and PS (or PAT)."""


class TableStatus(IntEnum):
    """Why the builder refuses; ``enum mhv_status`` of the C core."""

    OK = 0
    MISALIGNED = 1
    OUT_OF_REACH = 2
    ALREADY_MAPPED = 3
    NOT_MAPPED = 4
    WOULD_SPLIT = 5
    NO_FRAMES = 6
    NOT_UNIFORM = 7
    NO_SUCH_PAGE = 8
    BAD_FLAGS = 9


MESSAGES = {
    TableStatus.MISALIGNED: (
        "Pages lie at multiples of their size, and {count:#x} bytes at {va:#x} to {pa:#x} do not: "
        "align both addresses and the size."
    ),
    TableStatus.OUT_OF_REACH: (
        "Tables of {format} do not translate {count:#x} bytes at {va:#x} to {pa:#x}: choose a range inside."
    ),
    TableStatus.ALREADY_MAPPED: (
        "An address is mapped once, and there is something at {va:#x}: unmap it first."
    ),
    TableStatus.NOT_MAPPED: "Only a mapped page can be changed, and there is none at {va:#x}: map it first.",
    TableStatus.WOULD_SPLIT: (
        "A range begins and ends where pages do, and {count:#x} bytes at {va:#x} end inside a large one: "
        "split it first."
    ),
    TableStatus.NO_FRAMES: (
        "A new table takes a frame, and none is left for {va:#x}: give the tables more frames."
    ),
    TableStatus.NOT_UNIFORM: (
        "A large page is made of 512 that follow each other with equal flags, and those around {va:#x} do "
        "not: map them alike first."
    ),
    TableStatus.NO_SUCH_PAGE: (
        "Pages have 0x1000, 0x200000 or 0x40000000 bytes, not {count:#x} as at {va:#x}: "
        "choose one of these sizes."
    ),
    TableStatus.BAD_FLAGS: (
        "Flags of a page leave P, PS and the address alone, and {flags:#x} does not: clear {bad:#x}."
    ),
}


class TableError(LayoutError):
    """The builder refused, and changed nothing. ``status`` is what the C twin returns."""

    def __init__(self, status: TableStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def refuse(  # noqa: PLR0913 - a message shows all that was asked
    status: TableStatus, tables: Format, va: int, pa: int = 0, byte_count: int = 0, flags: int = 0
) -> NoReturn:
    """Raises the refusal that ``status`` stands for, in the words that both twins use."""
    values = {"va": va, "pa": pa, "count": byte_count, "flags": flags, "bad": flags & ~FLAGS}
    raise TableError(status, MESSAGES[status].format(format=tables.name, **values))


class TableMemory(PhysicalMemory, Protocol):
    """Where tables are built."""

    def fill_zero(self, spa: int, byte_count: int, /) -> None:
        """Zeros from ``spa`` on."""


class FramePool:
    """Frames for tables: the last one given back is the first to be handed out."""

    def __init__(self, frames: list[int]) -> None:
        self.frames = frames

    def allocate(self) -> int | None:
        """A frame, or None when none is left."""
        return self.frames.pop() if self.frames else None

    def free(self, frame: int) -> None:
        """Takes ``frame`` back."""
        self.frames.append(frame)


@dataclass(frozen=True, slots=True)
class TableLeaf:
    """A page as the tables have it."""

    va: int
    pa: int
    page_bytes: int
    entry: int
    entry_pa: int

    @property
    def flags(self) -> int:
        """The bits of the entry that the builder's caller chose, and the marks of the walker."""
        return self.entry & FLAGS


@dataclass(frozen=True, slots=True)
class Step:
    """One entry on the way down to a page."""

    level: Level
    entry_pa: int
    entry: int

    @property
    def is_page(self) -> bool:
        """Whether the way ends at a page."""
        return bool(self.entry & PRESENT) and self.level.is_page(self.entry)

    @property
    def pa(self) -> int:
        """Where the page lies."""
        return self.entry & FRAME & -self.level.page_bytes


class PageTables:
    """The tables under one root. Without ``root`` a frame is taken for an empty one.

    ``allocate`` gives the SPA of a frame for a table, or None when there is none; ``free`` takes it back.
    """

    def __init__(
        self,
        memory: TableMemory,
        format: Format,
        allocate: Callable[[], int | None],
        free: Callable[[int], None],
        root: int | None = None,
    ) -> None:
        self.memory, self.format = memory, format
        self._allocate, self._free = allocate, free
        self.root = self._take(1, va=0)[0] if root is None else root
        if root is None:
            memory.fill_zero(self.root, PAGE_BYTES)

    def find(self, va: int) -> TableLeaf | None:
        """The page that ``va`` lies in."""
        if not self.format.translates(va):
            return None
        last = self._descend(va)[-1]
        if not last.is_page:
            return None
        return TableLeaf(
            va & -last.level.page_bytes, last.pa, last.level.page_bytes, last.entry, last.entry_pa
        )

    def lowest_table(self, va: int) -> tuple[int, int]:
        """The level and the SPA of the last table on the way to ``va``; level 1 when all tables are there."""
        last = self._descend(va)[-1]
        return last.level.number, last.entry_pa & -PAGE_BYTES

    def map(self, va: int, pa: int, page_bytes: int, flags: int) -> None:
        """Maps one page of ``page_bytes`` at ``va`` to ``pa``; tables on the way are made as needed.

        Raises:
            TableError: an address, the size or the flags do not fit, something is there, or no frame is left.
        """
        level = self._check_page(va, pa, page_bytes, flags)
        way = self._descend(va, level.number)
        if way[-1].entry & PRESENT:
            refuse(TableStatus.ALREADY_MAPPED, self.format, va)
        entry_pa = way[-1].entry_pa
        missing = self.format.levels[len(way) : len(self.format.levels) - level.number + 1]
        for lower, table in zip(missing, self._take(len(missing), va), strict=True):
            self.memory.fill_zero(table, PAGE_BYTES)
            self.memory.write_u64(entry_pa, table | IN_TABLE_ENTRY)
            entry_pa = lower.entry_address(table, va)
        self.memory.write_u64(entry_pa, page_entry(level, pa, flags))

    def map_range(self, va: int, pa: int, byte_count: int, flags: int, largest: int = PAGE_BYTES) -> None:
        """Maps ``byte_count`` bytes with pages of at most ``largest`` bytes, as large as they can be aligned.

        Raises:
            TableError: as ``map``; pages before the refused one stay mapped.
        """
        if (va | pa | byte_count) % PAGE_BYTES:
            refuse(TableStatus.MISALIGNED, self.format, va, pa, byte_count)
        sizes = [level.page_bytes for level in self.format.levels if level.may_be_page]
        while byte_count:
            page_bytes = next(
                size
                for size in sizes
                if size == PAGE_BYTES or (size <= min(largest, byte_count) and not (va | pa) % size)
            )
            self.map(va, pa, page_bytes, flags)
            va, pa, byte_count = va + page_bytes, pa + page_bytes, byte_count - page_bytes

    def unmap(self, va: int, byte_count: int) -> int:
        """Unmaps every page of a range, which may have holes; tables left empty are freed. Bytes unmapped.

        Raises:
            TableError: the range does not fit, or begins or ends inside a large page.
        """
        unmapped = 0
        for at, size, way in self._ways(va, byte_count):
            last = way[-1]
            if last.is_page:
                self.memory.write_u64(last.entry_pa, 0)
                unmapped += last.level.page_bytes
            table_bytes = last.level.page_bytes * ENTRIES_PER_TABLE
            if (at + size) % table_bytes == 0 or at + size == va + byte_count:
                self._prune(way)
        return unmapped

    def protect(self, va: int, byte_count: int, flags: int) -> int:
        """Gives every page of a range, which may have holes, new ``flags``. A and D stay. Bytes changed.

        Raises:
            TableError: the range or the flags do not fit, or it begins or ends inside a large page.
        """
        if flags & ~FLAGS:
            refuse(TableStatus.BAD_FLAGS, self.format, va, flags=flags)
        changed = 0
        for _, _, way in self._ways(va, byte_count):
            last = way[-1]
            if last.is_page:
                entry = page_entry(last.level, last.pa, flags | last.entry & MARKS)
                self.memory.write_u64(last.entry_pa, entry)
                changed += last.level.page_bytes
        return changed

    def split(self, va: int) -> None:
        """Replaces the large page at ``va`` by a table of 512 smaller ones, with its flags and marks.

        Raises:
            TableError: there is no page, or none smaller, or no frame is left.
        """
        smaller = PAGE_BYTES // ENTRIES_PER_TABLE
        last = self._page_way(va, smaller)[-1]
        if last.level.number == 1:
            refuse(TableStatus.NO_SUCH_PAGE, self.format, va, byte_count=smaller)
        lower = self.format.levels[-(last.level.number - 1)]
        table = self._take(1, va)[0]
        for i in range(ENTRIES_PER_TABLE):
            entry = page_entry(lower, last.pa + i * lower.page_bytes, last.entry & FLAGS)
            self.memory.write_u64(table + ENTRY_BYTES * i, entry)
        self.memory.write_u64(last.entry_pa, table | IN_TABLE_ENTRY)

    def merge(self, va: int) -> None:
        """Replaces the table around ``va`` by one large page. It is marked as any of its 512 pages was.

        Raises:
            TableError: there is no page, or none larger, or the 512 are not alike.
        """
        larger = PML4.page_bytes
        way = self._page_way(va, larger)
        level, upper = way[-1].level, way[-2]
        if not upper.level.may_be_page:
            refuse(TableStatus.NO_SUCH_PAGE, self.format, va, byte_count=larger)
        table = upper.entry & FRAME
        entries = [self.memory.read_u64(table + ENTRY_BYTES * i) for i in range(ENTRIES_PER_TABLE)]
        first = entries[0] & ~MARKS
        in_a_row = all(entry & ~MARKS == first + i * level.page_bytes for i, entry in enumerate(entries))
        if not in_a_row or first & FRAME & upper.level.page_bytes - 1:
            refuse(TableStatus.NOT_UNIFORM, self.format, va)
        marks = reduce(or_, entries) & MARKS
        self.memory.write_u64(upper.entry_pa, page_entry(upper.level, first & FRAME, first & FLAGS | marks))
        self._free(table)

    def collapse(self, va: int, flags: int) -> None:
        """Does what ``merge`` does for one who knows that the 512 pages from ``va`` on are alike.

        ``flags`` are theirs, with the marks that any of them has.
        """
        upper, last = self._descend(va)[-2:]
        self.memory.write_u64(upper.entry_pa, page_entry(upper.level, last.pa, flags))
        self._free(upper.entry & FRAME)

    def _descend(self, va: int, to_level: int = 1) -> list[Step]:
        """The entries on the way to ``va``, down to ``to_level``, or to a page or a hole above it."""
        way: list[Step] = []
        table = self.root
        for level in self.format.levels:
            entry_pa = level.entry_address(table, va)
            way.append(Step(level, entry_pa, self.memory.read_u64(entry_pa)))
            if level.number == to_level or not way[-1].entry & PRESENT or way[-1].is_page:
                break
            table = way[-1].entry & FRAME
        return way

    def _page_way(self, va: int, wanted_bytes: int) -> list[Step]:
        """The way to the page at ``va``, which there must be, for one who wants it in ``wanted_bytes``."""
        if not self.format.translates(va):
            refuse(TableStatus.OUT_OF_REACH, self.format, va, byte_count=wanted_bytes)
        way = self._descend(va)
        if not way[-1].is_page:
            refuse(TableStatus.NOT_MAPPED, self.format, va)
        return way

    def _ways(self, va: int, byte_count: int) -> Iterator[tuple[int, int, list[Step]]]:
        """For each page or hole of a range: where its part in it begins, its size, and the way to it."""
        self._check_range(va, byte_count)
        end = va + byte_count
        while va < end:
            way = self._descend(va)
            page_bytes = way[-1].level.page_bytes
            size = min(page_bytes - va % page_bytes, end - va)
            yield va, size, way
            va += size

    def _prune(self, way: list[Step]) -> None:
        """Frees the tables on ``way`` in which nothing is left, from the lowest up; never the root."""
        for upper in reversed(way[:-1]):
            table = upper.entry & FRAME
            if any(self.memory.read_u64(table + ENTRY_BYTES * i) & PRESENT for i in range(ENTRIES_PER_TABLE)):
                return
            self.memory.write_u64(upper.entry_pa, 0)
            self._free(table)

    def _take(self, count: int, va: int) -> list[int]:
        """``count`` frames, or none at all and a refusal: this one, or that of whoever gives the frames."""
        taken: list[int] = []
        try:
            while len(taken) < count:
                frame = self._allocate()
                if frame is None:
                    refuse(TableStatus.NO_FRAMES, self.format, va)
                taken.append(frame)
        except MinihvError:
            for unused in reversed(taken):
                self._free(unused)
            raise
        return taken

    def _check_page(self, va: int, pa: int, page_bytes: int, flags: int) -> Level:
        """The level of pages of ``page_bytes``, when all of it fits."""
        level = self.format.level_of(page_bytes)
        if level is None:
            refuse(TableStatus.NO_SUCH_PAGE, self.format, va, byte_count=page_bytes)
        if (va | pa) % page_bytes:
            refuse(TableStatus.MISALIGNED, self.format, va, pa, page_bytes)
        if not self.format.translates(va) or pa & ~FRAME:
            refuse(TableStatus.OUT_OF_REACH, self.format, va, pa, page_bytes)
        if flags & ~FLAGS:
            refuse(TableStatus.BAD_FLAGS, self.format, va, flags=flags)
        return level

    def _check_range(self, va: int, byte_count: int) -> None:
        """Refuses a range that is not made of whole pages that the tables can translate."""
        last = va + byte_count - 1
        if (va | byte_count) % PAGE_BYTES:
            refuse(TableStatus.MISALIGNED, self.format, va, 0, byte_count)
        if byte_count == 0:
            return
        crosses = self.format.sign_extended and (va ^ last) >> self.format.address_bits - 1
        if crosses or not self.format.translates(va) or not self.format.translates(last):
            refuse(TableStatus.OUT_OF_REACH, self.format, va, 0, byte_count)
        for edge, inside in ((va, va), (last + 1, last)):
            page = self.find(inside)
            if page is not None and edge % page.page_bytes:
                refuse(TableStatus.WOULD_SPLIT, self.format, va, 0, byte_count)


def page_entry(level: Level, pa: int, flags: int) -> int:
    """The entry of a page at ``pa``."""
    return pa | flags | PRESENT | (LARGE if level.number > 1 else 0)
