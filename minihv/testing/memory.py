"""Physical memory for tables that belong to no machine: small, or sparse.

Stands for: the RAM in which a kernel, or a hypervisor, keeps its page tables.
Simplified: only aligned words of eight bytes; a processor reads its tables in no other way.
Next: ``minihv.testing.tables``
"""

import numpy as np

from minihv.paging.access import BufferMemory
from minihv.terms import MIB

ALL_ONES = (1 << 64) - 1


def memory_of(byte_count: int) -> BufferMemory:
    """Zeroed physical memory."""
    return BufferMemory(np.zeros(byte_count, dtype=np.uint8))


def copy_of(memory: BufferMemory) -> BufferMemory:
    """The same bytes at another place."""
    return BufferMemory(memory.view.copy())


class WordMemory:
    """Physical memory that keeps only the words that were written: the others below ``byte_count`` are 0.

    A read outside gives all ones and a write outside is lost, as in ``BufferMemory``.
    """

    def __init__(self, byte_count: int = 4 * MIB, words: dict[int, int] | None = None) -> None:
        self.byte_count = byte_count
        self.words = dict(words or {})

    def read_u64(self, pa: int) -> int:
        """Eight bytes at ``pa``, a multiple of 8; all ones where no memory is."""
        return self.words.get(pa, 0) if pa + 8 <= self.byte_count else ALL_ONES

    def write_u64(self, pa: int, value: int) -> None:
        """Eight bytes at ``pa``, a multiple of 8; lost where no memory is."""
        if pa + 8 <= self.byte_count:
            self.words[pa] = value

    def copy(self) -> "WordMemory":
        """The same words at another place."""
        return WordMemory(self.byte_count, self.words)

    def as_buffer(self) -> BufferMemory:
        """The same bytes in a buffer, for a walker that cannot call Python for each word."""
        memory = memory_of(self.byte_count)
        for pa, value in self.words.items():
            memory.write_u64(pa, value)
        return memory
