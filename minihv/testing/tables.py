"""Page tables written entry by entry, in the field's words: a page is mapped, and then a bit is turned.

Stands for: tables as a test wants them, sound or not.
Simplified: tables take the frames behind their root, one after the other, and are never freed.
Next: ``minihv.testing.twists``

This does not use ``minihv.paging.tables``, so the walk and the builder can be tested against each other.
"""

from dataclasses import replace
from typing import Self

from minihv.paging.access import Paging, PhysicalMemory
from minihv.paging.formats import ENTRIES_PER_TABLE, ENTRY_BYTES, INDEX_BITS
from minihv.spec.x86_paging import FRAME, LARGE, PRESENT, USER, WRITABLE
from minihv.terms import HUGE_PAGE_BYTES, LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT
from minihv.testing.memory import memory_of

PAGE_LEVELS = {PAGE_BYTES: 1, LARGE_PAGE_BYTES: 2, HUGE_PAGE_BYTES: 3}
"""The level of the entry that names a page of so many bytes."""


class PageTable:
    """Tables under a root at ``root``, with further tables in the frames behind it.

    Addresses inside the tables are ``offset`` less than where they lie in memory: GPAs of a guest whose RAM
    begins at ``offset``.
    """

    def __init__(self, memory: PhysicalMemory, root: int, levels: int, offset: int = 0) -> None:
        self.memory, self.levels, self.offset = memory, levels, offset
        self.paging = Paging(root, levels)
        self.next_table = root + PAGE_BYTES

    def maps(
        self, address: int, *, to: int, page_bytes: int = PAGE_BYTES, flags: int = USER | WRITABLE
    ) -> Self:
        """One more page; ``flags`` are those of the leaf, tables on the way allow everything."""
        leaf_level = PAGE_LEVELS[page_bytes]
        table = self.paging.root & FRAME
        for level in range(self.levels, leaf_level, -1):
            entry_pa = self.entry_pa(table, address, level)
            if not self.memory.read_u64(entry_pa) & PRESENT:
                self.memory.write_u64(entry_pa, self.next_table | PRESENT | WRITABLE | USER)
                self.next_table += PAGE_BYTES
            table = self.memory.read_u64(entry_pa) & FRAME
        large = LARGE if leaf_level > 1 else 0
        self.memory.write_u64(self.entry_pa(table, address, leaf_level), to | flags | large | PRESENT)
        return self

    def has_room(self, address: int, page_bytes: int) -> bool:
        """Whether nothing is mapped where a page of ``page_bytes`` at ``address`` would be."""
        entries = [self.memory.read_u64(entry_pa) for entry_pa in self.way(address)]
        above_the_page = len(entries) <= self.levels + 1 - PAGE_LEVELS[page_bytes]
        return above_the_page and not entries[-1] & PRESENT

    def with_entry(self, address: int, level: int, *, set: int = 0, clear: int = 0) -> Self:
        """Changes bits in the entry for ``address`` at ``level``."""
        entry_pa = self.way(address)[self.levels - level]
        self.memory.write_u64(entry_pa, self.memory.read_u64(entry_pa) & ~clear | set)
        return self

    def steered_by(self, **registers: int | bool) -> Self:
        """Other registers, by the names of ``Paging``."""
        self.paging = replace(self.paging, **registers)  # type: ignore[arg-type]
        return self

    def way(self, address: int) -> list[int]:
        """Where the entries for ``address`` lie, from the root down to the page."""
        found, table = [], self.paging.root & FRAME
        for level in range(self.levels, 0, -1):
            found.append(self.entry_pa(table, address, level))
            entry = self.memory.read_u64(found[-1])
            if not entry & PRESENT or (level < 4 and entry & LARGE):
                break
            table = entry & FRAME
        return found

    def entry(self, address: int, level: int) -> int:
        """The entry for ``address`` at ``level``, as it is in memory."""
        return self.memory.read_u64(self.way(address)[self.levels - level])

    def entry_pa(self, table: int, address: int, level: int) -> int:
        """Where in memory the entry lies."""
        index = address >> PAGE_SHIFT + INDEX_BITS * (level - 1) & ENTRIES_PER_TABLE - 1
        return self.offset + table + ENTRY_BYTES * index


def page_table(levels: int = 4, memory: PhysicalMemory | None = None, root: int = 0x1000) -> PageTable:
    """Empty tables of ``levels`` levels, in a memory of their own unless one is given."""
    return PageTable(memory_of(0x40000) if memory is None else memory, root, levels)


def canonical(address: int, levels: int) -> int:
    """The canonical GVA with the low bits of ``address``, as many as ``levels`` levels translate."""
    bits = PAGE_SHIFT + INDEX_BITS * levels
    low = address & (1 << bits) - 1
    return low | (0 if low >> bits - 1 == 0 else (1 << 64) - (1 << bits))
