"""Builders that speak the field's words: page tables in a small memory, entry by entry.

They do not use ``minihv.paging.tables``: the walk and the builder are tested against each other elsewhere.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import numpy as np

from minihv.hypervisor.exits import SHADOW_EXITS
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NO_EXECUTE = 1 << 63
FRAME = 0x000F_FFFF_FFFF_F000
PAGE_LEVELS = {1 << 12: 1, 1 << 21: 2, 1 << 30: 3}

READ = Access(AccessKind.READ)
WRITE = Access(AccessKind.WRITE)
EXECUTE = Access(AccessKind.EXECUTE)
USER_READ = Access(AccessKind.READ, user=True)
USER_WRITE = Access(AccessKind.WRITE, user=True)
USER_EXECUTE = Access(AccessKind.EXECUTE, user=True)


def without_shadow(exits: Mapping[str, int]) -> dict[str, int]:
    """Exits by name, less those that shadow paging adds."""
    added = {code.name for code in SHADOW_EXITS}
    return {name: count for name, count in exits.items() if name not in added}


def memory_of(byte_count: int) -> BufferMemory:
    """Zeroed physical memory."""
    return BufferMemory(np.zeros(byte_count, dtype=np.uint8))


def copy_of(memory: BufferMemory) -> BufferMemory:
    """The same bytes at another place."""
    return BufferMemory(memory.view.copy())


class PageTable:
    """Tables under a root at ``root``, with further tables in the frames behind it.

    Addresses inside the tables are ``offset`` less than where they lie in memory: GPAs of a guest whose RAM
    begins at ``offset``.
    """

    def __init__(self, memory: BufferMemory, root: int, levels: int, offset: int = 0) -> None:
        self.memory, self.levels, self.offset = memory, levels, offset
        self.paging = Paging(root, levels)
        self._next_table = root + 0x1000

    def maps(self, address: int, *, to: int, page_bytes: int = 0x1000, flags: int = USER | WRITABLE) -> Self:
        """One more page; ``flags`` are those of the leaf, tables on the way allow everything."""
        leaf_level = PAGE_LEVELS[page_bytes]
        table = self.paging.root
        for level in range(self.levels, leaf_level, -1):
            entry_pa = self.entry_pa(table, address, level)
            if not self.memory.read_u64(entry_pa) & PRESENT:
                self.memory.write_u64(entry_pa, self._next_table | PRESENT | WRITABLE | USER)
                self._next_table += 0x1000
            table = self.memory.read_u64(entry_pa) & FRAME
        large = LARGE if leaf_level > 1 else 0
        self.memory.write_u64(self.entry_pa(table, address, leaf_level), to | flags | large | PRESENT)
        return self

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
        found, table = [], self.paging.root
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
        return self.offset + table + 8 * (address >> 3 + 9 * level & 0x1FF)


def page_table(levels: int = 4, memory: BufferMemory | None = None, root: int = 0x1000) -> PageTable:
    """Empty tables of ``levels`` levels, in a memory of their own unless one is given."""
    return PageTable(memory or memory_of(0x40000), root, levels)
