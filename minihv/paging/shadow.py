"""Shadow paging: tables from GVA to SPA that ring -1 keeps beside the guest's own, for a walk of one stage.

Stands for: the part of ring -1 that makes memory virtual where the processor has no nested paging.
Spec: AMD APM vol. 2, "Shadow Paging" (in "Secure Virtual Machine", "Nested Paging" tells what it replaces).
Simplified: one set of shadow pages for all VPs of a partition; pages of 1 GiB are made of smaller ones.
Twin: ``native/core/src/shadow.c``, held equal by ``tests/twins/test_shadow.py``.
First reading: ``Shadow.fill``.

The processor walks the shadow tables only. What they do not allow is a page fault that ring -1 intercepts:
``fill`` then walks the guest's tables as the processor would, and either the fault is the guest's own, or the
shadow tables lacked an entry, which is made. A slot mirrors the guest's entry at the same place: rights as
there, but the address of a shadow page, or the SPA of the page. It is made only once A is set in the guest's
entry, and may be written only once D is: so A and D are set there as a processor would.

The guest's tables change, and what mirrors them must follow. How it does is the policy (``ShadowPolicy``).
"""

from collections.abc import Sequence
from enum import Enum

from minihv.errors import ConfigurationError, nearest
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.formats import ENTRY_BYTES, PT, X86_64, Level
from minihv.paging.nested import NestedMapping, SecondMapping, Violation, nested_walk, second_walk
from minihv.paging.shadow_pages import (
    LEVELS,
    WRITE_RIGHT,
    ShadowCounters,
    ShadowPage,
    ShadowPages,
    large_fits,
    slots_of,
)
from minihv.paging.tables import TableMemory
from minihv.paging.walk import NotCanonical, PageFault
from minihv.spec.x86_paging import (
    ACCESSED,
    DIRTY,
    FRAME,
    GLOBAL,
    LARGE,
    NO_EXECUTE,
    PRESENT,
    USER,
    WRITABLE,
)
from minihv.terms import PAGE_BYTES

RIGHTS = WRITABLE | USER | NO_EXECUTE
FLOOD = 3
"""So many writes to a table in a row are worth to be heard: then it is mirrored no more until it is used."""
GRANTS_ALL = WRITABLE | USER


class ShadowPolicy(Enum):
    """How shadow tables follow the guest's."""

    TRAP = "trap"
    """Every table that is mirrored is write-protected; each write to it is an exit, and is heard at once."""
    UNSYNC = "unsync"
    """A table of the lowest level is let go at its first write, and compared again when the guest flushes."""
    FLUSH = "flush"
    """Nothing is write-protected; all is thrown away when the guest flushes, and built again."""

    @classmethod
    def named(cls, name: str) -> "ShadowPolicy":
        """The policy called ``name``, or a refusal that lists them."""
        names = [policy.value for policy in cls]
        if name in names:
            return cls(name)
        raise ConfigurationError(
            f"The policy of shadow paging must be one of {', '.join(names)}, not {name!r}"
            f"{nearest(name, names) or '.'}"
        )


class Filled(NestedMapping):
    """The shadow tables have the translation now: the processor may try again."""

    __slots__ = ()


class Emulated(NestedMapping):
    """The guest may write, and the shadow tables may not let it: ring -1 has to write for it at ``spa``."""

    __slots__ = ()


class Shadow:
    """The shadow tables of the guest behind the second-level tables of ``second``."""

    def __init__(
        self,
        memory: TableMemory,
        second: Paging,
        pages: ShadowPages,
        policy: ShadowPolicy,
        *,
        keep_large: bool = True,
    ) -> None:
        self.memory, self.second, self.pages, self.policy = memory, second, pages, policy
        self.keep_large = keep_large
        self._mode: tuple[int, bool, int] | None = None

    def root(self, guest: Paging) -> int | None:
        """The SPA of the top shadow table for ``guest.root``; None when that is no memory of the guest."""
        page = self._root_page(guest)
        return page.frame if isinstance(page, ShadowPage) else None

    def fill(
        self, guest: Paging, gva: int, access: Access
    ) -> Filled | Emulated | PageFault | NotCanonical | Violation:
        """What ring -1 makes of an access that the shadow tables did not allow."""
        # 1. The fault may be the guest's own. The walk also sets A, and D for a write, as it should be.
        found = nested_walk(self.memory, guest, self.second, gva, access)
        if not isinstance(found, NestedMapping):
            return found

        # 2. Go down the shadow tables along the guest's, making what is missing.
        way = self._way_to(guest, gva, found.level)
        if isinstance(way, Violation):
            return way

        # 3. The page itself: a write to a table in its frame may let that table go out of sync.
        if access.kind is AccessKind.WRITE and self.policy is ShadowPolicy.UNSYNC:
            self._let_go(found.spa)
        granted = self._put_page(way, found, gva)
        if isinstance(granted, Violation):
            return granted
        kind = Emulated if access.kind is AccessKind.WRITE and not granted else Filled
        return kind(*(getattr(found, name) for name in NestedMapping.__slots__))

    def written(self, spa: int, byte_count: int) -> None:
        """Ring -1 has written to memory: slots that mirror what was there are emptied."""
        for table in range(spa & -PAGE_BYTES, spa + byte_count, PAGE_BYTES):
            for page in self.pages.mirrors(table):
                for number in slots_of(table, spa, byte_count):
                    self.pages.zap(page.frame + ENTRY_BYTES * number)
                page.writes += 1
                if page.writes > FLOOD:  # it is being filled, or is no table any more
                    self.pages.release(page)

    def invalidate_page(self, guest: Paging, gva: int) -> None:
        """INVLPG: nothing out of date is left on the way to ``gva``."""
        page = None if self.policy is ShadowPolicy.TRAP else self._root_page(guest)
        while isinstance(page, ShadowPage):
            slot = page.slot(gva)
            if not page.in_sync and not page.direct and not self._is_true(page, slot):
                self.pages.zap(slot)
            page = self.pages.child(slot)

    def invalidate_all(self) -> None:
        """A write to CR3, or to a control register that flushes: nothing out of date is left."""
        if self.policy is ShadowPolicy.FLUSH:
            self.drop()
        if self.policy is ShadowPolicy.UNSYNC:
            for page in self.pages:
                if not page.in_sync and not page.direct:
                    self._reconcile(page)

    def drop(self) -> None:
        """Forgets everything: second-level tables were changed, or the format of the guest's."""
        for page in self.pages:
            self.pages.release(page)

    def take_writes(self) -> None:
        """No slot allows to write any more: D bits of the second level were cleared."""
        self.pages.take_writes()

    def take_stale(self) -> bool:
        """Whether a translation was taken away since the last call: then the processor must forget."""
        stale, self.pages.stale = self.pages.stale, False
        return stale

    @property
    def counters(self) -> ShadowCounters:
        """Pages in use, the most that were, and those that had to go."""
        return self.pages.counters

    def _root_page(self, guest: Paging) -> ShadowPage | Violation:
        mode = guest.levels, guest.nxe, guest.physical_bits
        if mode != self._mode:
            self.drop()
            self._mode = mode
        return self._mirror(guest.root & FRAME, X86_64[guest.levels].levels[0], ())

    def _way_to(self, guest: Paging, gva: int, level_number: int) -> list[ShadowPage] | Violation:
        """The shadow pages on the way to the slot for ``gva`` in the table of that level."""
        page, way = self._root_page(guest), list[ShadowPage]()
        while isinstance(page, ShadowPage):
            way.append(page)
            page.writes = 0
            if page.level.number == level_number:
                return way
            entry = self.memory.read_u64(page.level.entry_address(page.table, gva))
            child = self._mirror(entry & FRAME, LEVELS[page.level.number - 1], way)
            if isinstance(child, ShadowPage):
                self.pages.link(page.slot(gva), child, entry & RIGHTS)
            page = child
        return page

    def _mirror(self, table_gpa: int, level: Level, busy: Sequence[ShadowPage]) -> ShadowPage | Violation:
        """The page that mirrors the guest's table at ``table_gpa``."""
        reached = second_walk(self.memory, self.second, table_gpa, AccessKind.WRITE)
        return reached if isinstance(reached, Violation) else self._page(reached.spa, level, False, busy)

    def _page(self, table: int, level: Level, direct: bool, busy: Sequence[ShadowPage]) -> ShadowPage:
        page = self.pages.find(table, level, direct)
        if page is None:
            page = self.pages.make(table, level, direct, busy)
            if not direct and self.policy is not ShadowPolicy.FLUSH:
                self.pages.protect(page)
        return page

    def _put_page(self, way: list[ShadowPage], found: NestedMapping, gva: int) -> int | Violation:
        """Puts the leaf for ``gva`` below the last page of ``way``. Not 0, if it may be written."""
        target = second_walk(self.memory, self.second, found.gpa, AccessKind.READ)
        if isinstance(target, Violation):
            return target
        marks = leaf_marks(found.leaf_entry)
        while not self._fits(way[-1].level, target):
            page = way[-1]
            piece = self._page(found.gpa & -page.level.page_bytes, LEVELS[page.level.number - 1], True, way)
            self.pages.link(page.slot(gva), piece, marks & RIGHTS)
            way.append(piece)
            marks = GRANTS_ALL
        self.pages.put_leaf(way[-1].slot(gva), self._leaf(way[-1].level, marks, target))
        return self._granted(way, gva)

    def _granted(self, way: list[ShadowPage], gva: int) -> int:
        """WRITABLE, if every slot on ``way`` grants it."""
        granted = WRITABLE
        for page in way:
            granted &= self.memory.read_u64(page.slot(gva))
        return granted

    def _fits(self, level: Level, target: SecondMapping) -> bool:
        """Whether one slot of ``level`` can hold the page around ``target``: all of it alike."""
        if level is PT:
            return True
        return (
            self.keep_large
            and large_fits(level)
            and target.second_page_bytes >= level.page_bytes
            and not self.pages.is_protected_near(target.spa)
        )

    def _leaf(self, level: Level, marks: int, target: SecondMapping) -> int:
        """The slot of a page of ``level`` around ``target`` to which the guest grants ``marks``."""
        value = target.spa & -level.page_bytes | PRESENT | ACCESSED | marks & (USER | GLOBAL | NO_EXECUTE)
        if level is not PT:
            value |= LARGE
        if not target.executable:
            value |= NO_EXECUTE
        protected = level is PT and self.pages.is_protected(target.spa)
        if marks & WRITABLE and target.writable and target.dirty and not protected:
            value |= WRITE_RIGHT
        return value

    def _let_go(self, spa: int) -> None:
        """The table in the frame of ``spa`` goes out of sync, if it is one of the lowest level only."""
        mirrors = self.pages.mirrors(spa)
        if [page.level for page in mirrors] == [PT]:
            self.pages.let_go(mirrors[0])

    def _reconcile(self, page: ShadowPage) -> None:
        """Empties the slots of ``page`` that are out of date, and has it in sync again."""
        for slot in page.slots:
            if self.memory.read_u64(slot) & PRESENT and not self._is_true(page, slot):
                self.pages.zap(slot)
        self.pages.protect(page)

    def _is_true(self, page: ShadowPage, slot: int) -> bool:
        """Whether ``slot`` still mirrors the guest's entry, or grants less."""
        held = self.memory.read_u64(slot)
        expected = self._expected(page, slot)
        return expected is not None and held in (expected, expected & ~WRITE_RIGHT)

    def _expected(self, page: ShadowPage, slot: int) -> int | None:
        """What ``fill`` would put into ``slot``; None for nothing."""
        entry = self.memory.read_u64(page.table + slot - page.frame)
        if not entry & PRESENT or not entry & ACCESSED or self._is_reserved(page.level, entry):
            return None
        lower = LEVELS.get(page.level.number - 1)
        if not page.level.is_page(entry):
            reached = second_walk(self.memory, self.second, entry & FRAME, AccessKind.WRITE)
            return None if isinstance(reached, Violation) else self._expected_link(reached.spa, lower, entry)
        gpa = entry & FRAME & -page.level.page_bytes
        target = second_walk(self.memory, self.second, gpa, AccessKind.READ)
        if isinstance(target, Violation):
            return None
        marks = leaf_marks(entry)
        if self._fits(page.level, target):
            return self._leaf(page.level, marks, target)
        return self._expected_link(gpa, lower, marks, direct=True)

    def _expected_link(
        self, table: int, level: Level | None, marks: int, *, direct: bool = False
    ) -> int | None:
        child = None if level is None else self.pages.find(table, level, direct)
        return None if child is None else child.frame | PRESENT | ACCESSED | marks & RIGHTS

    def _is_reserved(self, level: Level, entry: int) -> bool:
        levels, nxe, physical_bits = self._mode or (4, True, 52)
        paging = Paging(0, levels, physical_bits, nxe=nxe)
        return bool(entry & (paging.reserved | level.reserved(entry)))


def leaf_marks(entry: int) -> int:
    """What the guest's entry of a page grants: to write only once D is set."""
    return entry & (USER | GLOBAL | NO_EXECUTE) | (entry & WRITABLE if entry & DIRTY else 0)
