"""The frames of shadow tables: which guest table each mirrors, and who points where.

Stands for: the part of ring -1 that keeps shadow pages, and finds them again from either end.
Spec: none; entries are those of AMD APM vol. 2, "Long-Mode Page Translation".
Simplified: the pages lie in one run of frames; the oldest go first, used or not.
Twin: ``native/core/src/shadow_pages.c``, held equal by ``tests/twins/test_shadow.py``.
Next: ``minihv.paging.shadow``
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from minihv.errors import ConfigurationError
from minihv.paging.formats import ENTRIES_PER_TABLE, ENTRY_BYTES, PD, PT, X86_64, Level
from minihv.paging.tables import TableMemory
from minihv.spec.x86_paging import ACCESSED, DIRTY, FRAME, LARGE, PRESENT, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES

LEVELS = {level.number: level for level in X86_64[5].levels}
WRITE_RIGHT = WRITABLE | DIRTY
"""A leaf has both or neither: what may be written is known to be dirty, so no write goes by unseen."""
FEWEST = 16
"""Frames below which a walk could not keep the tables on its own way."""
SHARE_EVICTED = 8
"""One in so many pages goes when room is needed: each time the processor has to forget translations."""


@dataclass(frozen=True, slots=True)
class ShadowCounters:
    """Shadow pages in use, the most that were at a time, and those that had to go to make room."""

    pages: int
    peak: int
    evicted: int


@dataclass(slots=True, eq=False)
class ShadowPage:
    """One frame of 512 slots that mirrors a guest's table, or stands for a piece of a large page.

    ``table`` is the SPA of the guest's table; for a ``direct`` page, of which the guest has none, the GPA at
    which the piece begins. While it is ``in_sync`` the guest cannot change the table unheard.
    """

    frame: int
    table: int
    level: Level
    direct: bool
    in_sync: bool = False
    writes: int = 0
    """To its table, heard since a walk last came by."""
    parents: dict[int, None] = field(default_factory=dict)
    """Addresses of the slots that point here."""

    def slot(self, address: int) -> int:
        """Where the slot for ``address`` lies."""
        return self.level.entry_address(self.frame, address)

    @property
    def slots(self) -> range:
        """Where its slots lie."""
        return range(self.frame, self.frame + PAGE_BYTES, ENTRY_BYTES)


class ShadowPages:
    """``count`` frames at ``base`` for shadow pages, which are listed from the oldest to the newest.

    ``stale`` is set when a translation was taken away: the processor must forget what it knows.

    Raises:
        ConfigurationError: fewer than 16 frames.
    """

    def __init__(self, memory: TableMemory, base: int, count: int) -> None:
        check_count(count)
        self.memory, self.base, self.count = memory, base, count
        self.stale = False
        self.peak = 0
        self.evicted = 0
        self._free = [base + PAGE_BYTES * number for number in reversed(range(count))]
        self._by_key: dict[tuple[int, int, bool], ShadowPage] = {}
        self._by_frame: dict[int, ShadowPage] = {}
        self._writable: dict[int, dict[int, None]] = {}
        self._tables_near: dict[int, int] = {}

    def __iter__(self) -> Iterator[ShadowPage]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def counters(self) -> ShadowCounters:
        """How full it is, and was."""
        return ShadowCounters(len(self), self.peak, self.evicted)

    def find(self, table: int, level: Level, direct: bool) -> ShadowPage | None:
        """The page that mirrors ``table`` as one of ``level``."""
        return self._by_key.get((table, level.number, direct))

    def make(self, table: int, level: Level, direct: bool, busy: Collection[ShadowPage]) -> ShadowPage:
        """A new, empty page. When no frame is left the oldest pages go, but none that is ``busy``."""
        if not self._free:
            self._evict(busy)
        page = ShadowPage(self._free.pop(), table, level, direct)
        self.memory.fill_zero(page.frame, PAGE_BYTES)
        self._by_key[table, level.number, direct] = page
        self._by_frame[page.frame] = page
        self.peak = max(self.peak, len(self))
        return page

    def mirrors(self, spa: int) -> list[ShadowPage]:
        """The pages that mirror the guest's table in the frame of ``spa``, from the top level down."""
        found = (self.find(spa & -PAGE_BYTES, level, direct=False) for level in LEVELS.values())
        return [page for page in found if page is not None]

    def is_protected(self, spa: int) -> bool:
        """Whether the frame of ``spa`` must not be written unheard: some page in sync mirrors it."""
        return any(page.in_sync for page in self.mirrors(spa))

    def is_protected_near(self, spa: int) -> bool:
        """Whether one of the 512 frames around ``spa`` is protected."""
        return self._tables_near.get(spa // LARGE_PAGE_BYTES, 0) > 0

    def protect(self, page: ShadowPage) -> None:
        """From now on no slot allows to write to the guest's table of ``page``: the page is in sync."""
        page.in_sync = True
        near = page.table // LARGE_PAGE_BYTES
        self._tables_near[near] = self._tables_near.get(near, 0) + 1
        for slot in list(self._writable.get(page.table, ())):
            self._take_write(slot, page.table)
        for slot in list(self._writable.get(near * LARGE_PAGE_BYTES | LARGE, ())):
            self.zap(slot)

    def let_go(self, page: ShadowPage) -> None:
        """The guest may write to its table again: the page is out of sync."""
        if page.in_sync:
            page.in_sync = False
            self._tables_near[page.table // LARGE_PAGE_BYTES] -= 1

    def child(self, slot: int) -> ShadowPage | None:
        """The page that ``slot`` points to, if it does not hold a leaf, or nothing."""
        entry = self.memory.read_u64(slot)
        return None if not entry & PRESENT or self._is_leaf(slot, entry) else self._by_frame[entry & FRAME]

    def link(self, slot: int, child: ShadowPage, rights: int) -> None:
        """Has ``slot`` point to ``child``."""
        if self._put(slot, child.frame | PRESENT | ACCESSED | rights):
            child.parents[slot] = None

    def put_leaf(self, slot: int, value: int) -> None:
        """Has ``slot`` hold the leaf ``value``."""
        if self._put(slot, value) and value & WRITABLE:
            self._writable.setdefault(value & FRAME | value & LARGE, {})[slot] = None

    def zap(self, slot: int) -> None:
        """Empties ``slot``."""
        entry = self.memory.read_u64(slot)
        if not entry & PRESENT:
            return
        if not self._is_leaf(slot, entry):
            del self._by_frame[entry & FRAME].parents[slot]
        elif entry & WRITABLE:
            del self._writable[entry & FRAME | entry & LARGE][slot]
        self.memory.write_u64(slot, 0)
        self.stale = True

    def take_writes(self) -> None:
        """No leaf allows to write any more."""
        for frame, slots in self._writable.items():
            for slot in list(slots):
                self._take_write(slot, frame)

    def release(self, page: ShadowPage) -> None:
        """Gives the frame of ``page`` back. Nothing points to it, or to where it pointed, any more."""
        for slot in [*page.parents, *page.slots]:
            self.zap(slot)
        self.let_go(page)
        del self._by_key[page.table, page.level.number, page.direct]
        del self._by_frame[page.frame]
        self._free.append(page.frame)
        self.stale = True

    def _evict(self, busy: Collection[ShadowPage]) -> None:
        idle = [page for page in self if page not in busy]
        for page in idle[: max(1, self.count // SHARE_EVICTED)]:
            self.release(page)
            self.evicted += 1

    def _is_leaf(self, slot: int, entry: int) -> bool:
        return bool(entry & LARGE) or self._by_frame[slot & -PAGE_BYTES].level is PT

    def _put(self, slot: int, value: int) -> bool:
        """Whether ``slot`` holds ``value`` only now. One that only allows more takes no translation away."""
        held = self.memory.read_u64(slot)
        if held == value:
            return False
        was_stale = self.stale
        self.zap(slot)
        if held & ~value == 0 and held | WRITE_RIGHT == value:
            self.stale = was_stale
        self.memory.write_u64(slot, value)
        return True

    def _take_write(self, slot: int, frame: int) -> None:
        del self._writable[frame][slot]
        self.memory.write_u64(slot, self.memory.read_u64(slot) & ~WRITE_RIGHT)
        self.stale = True


def check_count(count: int) -> None:
    """Refuses too few frames."""
    if count < FEWEST:
        raise ConfigurationError(
            f"Shadow tables need at least {FEWEST} frames, not {count}: allow more with --shadow-frames."
        )


def large_fits(level: Level) -> bool:
    """Whether shadow tables have pages of ``level``: those of 1 GiB are always made of smaller ones."""
    return level is PD or level is PT


def slots_of(table: int, spa: int, byte_count: int) -> range:
    """The numbers of the entries of the guest's ``table`` that a write to ``spa`` touches."""
    first = max(spa, table) - table
    last = min(spa + byte_count, table + PAGE_BYTES) - 1 - table
    return range(first // ENTRY_BYTES, min(last // ENTRY_BYTES + 1, ENTRIES_PER_TABLE))
