"""A page walk that remembers: it begins at the lowest table that it knows, and leaves behind what it learns.

Stands for: the page-miss handler of a processor, with paging-structure caches and a nested TLB.
Spec: Intel SDM vol. 3A, "Paging-Structure Caches"; for two stages Intel SDM vol. 3C, "Information That May Be
    Cached": its "combined mappings" are the caches of tables here, its "guest-physical mappings" the nested
    cache. AMD APM vol. 2, "Nested Paging".
Simplified: the second stage has no paging-structure caches of its own. A walk that is refused leaves nothing,
    though processors may keep the tables that it passed.
Twin: ``native/core/src/tlb_walk.c``, held equal by ``tests/twins/test_tlb.py``.
First reading: ``CachedWalk.walk``.
Next: ``minihv.paging.tlb``
"""

from minihv.paging.access import Access, AccessKind, Observe, PhysicalMemory, Reference, StageName
from minihv.paging.formats import NESTED, X86_64, Level
from minihv.paging.nested import Violation, translate
from minihv.paging.tlb_parts import LEVELS, AddressSpace, Bank, Entry, Held, TlbCounters, TlbShape, held
from minihv.paging.walk import (
    Leaf,
    NotCanonical,
    PageFault,
    Stage,
    Start,
    Trail,
    follow,
    rights_of,
    root_of,
)
from minihv.spec.x86_paging import DIRTY, FRAME, NO_EXECUTE

Leaves = tuple[Leaf, Leaf | None]
"""Where the walk ended in the guest's tables, and in the second stage if there is one."""


class WalkCaches:
    """What one walker remembers of the tables in ``memory``; what it saves is counted in ``counters``."""

    def __init__(self, memory: PhysicalMemory, shape: TlbShape, counters: TlbCounters) -> None:
        self.memory, self.counters = memory, counters
        counts = {2: shape.pdes, 3: shape.pdptes, 4: shape.pml4es, 5: shape.pml5es}
        self.structures = {level: Bank(1, count) for level, count in counts.items()}
        """By the level of the entries held: each of them leads to a table of the level below."""
        self.nested = Bank(1, shape.nested)
        """Pages of the second stage, of any size."""


class CachedWalk:
    """One walk in ``space``. What it really reads is counted in ``trail``."""

    def __init__(self, caches: WalkCaches, space: AddressSpace, observe: Observe | None) -> None:
        self.caches, self.space = caches, space
        self.trail = Trail(self._see)
        self._observe = observe
        self._way: list[Reference] = []
        self._trusts, self._trusted = True, False

    def walk(self, gva: int, access: Access) -> Leaves | PageFault | NotCanonical | Violation:
        """Where the walk ends. A refusal stands only if it comes from the tables in memory and from no cache.

        Spec: AMD APM vol. 2, "Invalidation of Table Entry Upgrades": rights that were added to an entry count
        at once, without a flush. Intel SDM vol. 3A, "Operations that Invalidate TLBs and Paging-Structure
        Caches": a page fault drops what is cached for its address.
        """
        found = self._walk_once(gva, access)
        if isinstance(found, PageFault | Violation) and self._trusted:
            for bank in self.caches.structures.values():
                bank.drop_covering(0, gva, self.space)
            self._trusts = False
            found = self._walk_once(gva, access)
        return found

    def _walk_once(self, gva: int, access: Access) -> Leaves | PageFault | NotCanonical | Violation:
        self._way.clear()
        space, start = self.space, self._nearest_table(gva)

        # 1. Down from that table. It is known where it lies; those below are found through the second stage.
        def reach(entry_address: int, level: Level) -> int | Violation:
            if space.second is None or level.number == start.level < space.guest.levels:
                return entry_address
            found = self._reach_spa(entry_address, AccessKind.WRITE, level.number, on_table=True)
            return found.address if isinstance(found, Leaf) else found

        guest = Stage(
            StageName.GUEST, self.caches.memory, X86_64[space.guest.levels], space.guest, self.trail
        )
        first = follow(guest, gva, access, reach, start)
        if not isinstance(first, Leaf):
            return first

        # 2. The page itself.
        last = None
        if space.second is not None:
            found = self._reach_spa(first.address, access.kind, first.level.number, on_table=False)
            if not isinstance(found, Leaf):
                return found
            last = found

        # 3. What was passed on the way need not be read again.
        self._remember_tables(gva, start)
        return first, last

    def _nearest_table(self, gva: int) -> Start:
        """The lowest table on the way to ``gva`` that is remembered; else the root."""
        for level, bank in self.caches.structures.items():
            entry = bank.find(0, gva, self.space) if level <= self.space.guest.levels else None
            if entry is not None and entry.first is not None:
                bank.touch(entry)
                self.caches.counters.structure_hits += 1
                self._trusted = True
                return Start(level - 1, entry.first.base, entry.first.together)
        return root_of(self.space.guest)

    def _remember_tables(self, gva: int, start: Start) -> None:
        """Each entry that was passed leads to the table in which the next one lies."""
        together = start.together
        for above, below in zip(self._way, self._way[1:], strict=False):
            together &= above.entry ^ NO_EXECUTE
            table = Held(below.entry_pa & FRAME, above.entry, above.entry_pa, above.level, together)
            shift = LEVELS[above.level].shift
            entry = Entry(gva >> shift, shift, self.space.number, self.space.partition, False, first=table)
            self.caches.structures[above.level].insert(entry)

    def _reach_spa(self, gpa: int, kind: AccessKind, level: int, *, on_table: bool) -> Leaf | Violation:
        """Where ``gpa`` lies: from the nested cache, or by a walk of the second stage."""
        assert self.space.second is not None
        nested, second = self.caches.nested, self.space.second
        entry = nested.find(0, gpa, self.space) if self._trusts else None
        if entry is not None and entry.last is not None:
            known = second_leaf(entry.last, gpa & (1 << entry.shift) - 1, self.space, kind)
            if usable(known, kind):
                nested.touch(entry)
                self.caches.counters.nested_hits += 1
                self._trusted = True
                return known
        stage = Stage(StageName.SECOND, self.caches.memory, NESTED[second.levels], second, self.trail)
        found = translate(stage, gpa, kind, level, on_table=on_table)
        if isinstance(found, Leaf):
            shift = found.level.shift
            nested.drop_covering(0, gpa, self.space)
            nested.insert(Entry(gpa >> shift, shift, 0, self.space.partition, True, last=held(found, shift)))
        return found

    def _see(self, reference: Reference) -> None:
        if reference.stage is StageName.GUEST:
            self._way.append(reference)
        if self._observe is not None:
            self._observe(reference)


def second_leaf(last: Held, offset: int, space: AddressSpace, kind: AccessKind) -> Leaf:
    """A leaf of the second stage. Every access is a user's there, so no register changes its rights."""
    return last.leaf(offset, rights_of(space.guest, last.together, Access(kind, user=True)))


def usable(leaf: Leaf, kind: AccessKind) -> bool:
    """Whether an access may go on without a look at the tables: it is allowed, and need not set D."""
    return leaf.rights.allow(kind) and (kind is not AccessKind.WRITE or bool(leaf.entry & DIRTY))
