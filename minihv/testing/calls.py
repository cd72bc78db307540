"""Calls of the builder of page tables: few addresses, so that they meet, and every refusal is reached.

Stands for: a kernel that maps, unmaps, protects, splits and merges.
Simplified: drawn from one seed and so not shrunk.
Next: ``minihv.testing.edits``
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from hypothesis import strategies as st

from minihv.paging.tables import TableError, TableLeaf
from minihv.spec.x86_paging import ACCESSED, DIRTY, LARGE, LARGE_ATTRIBUTE, NO_EXECUTE, USER, WRITABLE
from minihv.terms import HUGE_PAGE_BYTES as GIB_1
from minihv.terms import LARGE_PAGE_BYTES as MIB_2
from minihv.terms import PAGE_BYTES as KIB_4

REGIONS = [0, GIB_1, (1 << 39) - GIB_1, 0xFFFF_8000_0000_0000]
OFFSETS = [0, KIB_4, MIB_2 - KIB_4, MIB_2, MIB_2 + KIB_4, 2 * MIB_2, GIB_1 - MIB_2, GIB_1 - KIB_4]
SIZES = [KIB_4, KIB_4, MIB_2, MIB_2, GIB_1]


class Tables(Protocol):
    """What is called: ``minihv.paging.tables.PageTables``, its C twin, or a builder of yours."""

    def find(self, va: int) -> TableLeaf | None:
        """The page that ``va`` lies in."""

    def map(self, va: int, pa: int, page_bytes: int, flags: int) -> None:
        """Maps one page."""

    def unmap(self, va: int, byte_count: int) -> int:
        """Unmaps a range. Bytes unmapped."""

    def protect(self, va: int, byte_count: int, flags: int) -> int:
        """Gives the pages of a range new flags. Bytes changed."""

    def split(self, va: int) -> None:
        """Makes 512 pages of a large one."""

    def merge(self, va: int) -> None:
        """Makes a large page of 512."""


@dataclass(frozen=True)
class Change:
    """One call of the builder."""

    verb: str
    arguments: tuple[int, ...]

    def apply(self, tables: Tables) -> Any:
        """What the call returns, or the refusal as its status and its words."""
        call: Callable[..., Any] = getattr(tables, self.verb)
        try:
            return call(*self.arguments)
        except TableError as refusal:
            return refusal.status, str(refusal)


class Changes:
    """An endless source of calls; where pages were mapped, more is likely to happen."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._pages = [(0, KIB_4)]

    def next(self) -> Change:
        """Any call of the builder."""
        verb = self._random.choice(
            ["map"] * 5 + ["unmap"] * 2 + ["protect", "split", "split", "merge", "merge"]
        )
        if verb == "map":
            return self._map()
        va, page_bytes = self._random.choice(self._pages)
        if self._seldom(4):
            va = self._address()
        if verb in ("split", "merge"):
            return Change(verb, (va + (self._random.randrange(page_bytes) & -KIB_4),))
        if self._seldom(4):
            va += page_bytes - KIB_4
        byte_count = self._random.choice([page_bytes] * 4 + [*SIZES, 2 * MIB_2 + KIB_4, 0, 100, 1 << 48])
        return Change(verb, (va, byte_count) if verb == "unmap" else (va, byte_count, self._flags()))

    def _map(self) -> Change:
        size = 0x2000 if self._seldom(20) else self._random.choice(SIZES)
        va = self._address() if self._seldom(20) else self._address() & -size
        pa = self._random.choice([0, GIB_1, 3 * GIB_1] * 4 + [KIB_4, 1 << 52])
        self._pages = [*self._pages[-5:], (va, size)]
        return Change("map", (va, pa, size, self._flags()))

    def _address(self) -> int:
        stray = self._random.choice([8, 1 << 48]) if self._seldom(20) else 0
        return self._random.choice(REGIONS) + self._random.choice(OFFSETS) + stray & (1 << 64) - 1

    def _flags(self) -> int:
        rights = self._random.choice([0, WRITABLE, USER, USER | WRITABLE, USER | NO_EXECUTE])
        rights |= self._random.choice([0, 0, ACCESSED, DIRTY])
        return rights | (self._random.choice([LARGE, LARGE_ATTRIBUTE]) if self._seldom(20) else 0)

    def _seldom(self, times: int) -> bool:
        return self._random.randrange(times) == 0


def changes() -> st.SearchStrategy[list[Change]]:
    """From 50 to 200 calls, of which a fourth is done; each refusal has more than two in a hundred."""

    def some(seed: int, count: int) -> list[Change]:
        source = Changes(seed)
        return [source.next() for _ in range(count)]

    return st.builds(some, st.integers(0, (1 << 32) - 1), st.integers(50, 200))
