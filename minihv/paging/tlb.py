"""The TLB: what a processor remembers of the tables, when it may say so, and what makes it forget.

Stands for: the translation-lookaside buffer of a processor, with the caches of the walker behind it.
Spec: AMD APM vol. 2, "Translation-Lookaside Buffer (TLB)", "TLB Management" and, for guests, "TLB Control";
    Intel SDM vol. 3A, "Caching Translation Information".
Simplified: one level, for data and fetches alike; nothing is loaded before it is asked for. A refusal never
    comes from an entry: the tables are walked again, as AMD does it, so no page fault is spurious.
Twin: ``native/core/src/tlb.c``, held equal by ``tests/twins/test_tlb.py``. That a TLB changes no answer is
    said by ``tests/properties/test_tlb.py``.
First reading: ``Tlb.translate``, and the verbs that flush.
"""

from collections.abc import Sequence
from dataclasses import replace

from minihv.paging.access import Access, Observe, PhysicalMemory
from minihv.paging.formats import X86_64
from minihv.paging.nested import NestedMapping, Violation, combined
from minihv.paging.tlb_parts import AddressSpace, Bank, Entry, TlbCounters, TlbShape, each_access, held
from minihv.paging.tlb_walk import CachedWalk, Leaves, WalkCaches, second_leaf, usable
from minihv.paging.walk import Mapping, NotCanonical, PageFault, mapping, rights_of
from minihv.spec.x86_paging import GLOBAL

PAGE_SHIFTS = (12, 21, 30)
"""4 KiB, 2 MiB, 1 GiB: what an entry may cover. Each size counts its sets on its own, in the one array."""


class Tlb:
    """An empty TLB over physical memory."""

    def __init__(self, memory: PhysicalMemory, shape: TlbShape) -> None:
        self.shape, self.counters = shape, TlbCounters()
        self.pages = Bank(shape.sets, shape.ways)
        self.caches = WalkCaches(memory, shape, self.counters)

    def translate(
        self, space: AddressSpace, gva: int, access: Access, observe: Observe | None = None
    ) -> Mapping | NestedMapping | PageFault | NotCanonical | Violation:
        """What the processor makes of ``access`` to ``gva``. ``observe`` sees every entry that is read."""
        if not X86_64[space.guest.levels].translates(gva):
            return NotCanonical(gva)
        counters = self.counters
        counters.accesses += 1

        # 1. An entry that covers the address and lets the access through is the answer.
        known = self._look_up(space, gva, access)
        if known is not None:
            counters.hits += 1
            return answer_of(known, references=0)

        # 2. Else the tables are, and the TLB keeps what they say.
        counters.misses += 1
        walk = CachedWalk(self.caches, space, observe)
        found = walk.walk(gva, access)
        counters.references += walk.trail.references
        if not isinstance(found, tuple):
            counters.refusals += 1
            return found
        self._remember(space, gva, found)
        return answer_of(found, walk.trail.references)

    def translate_each(
        self, space: AddressSpace, gvas: Sequence[int], accesses: Access | Sequence[Access]
    ) -> TlbCounters:
        """Translates ``gvas`` in their order, each with its access or all with one. What that counted."""
        before = replace(self.counters)
        for gva, access in zip(gvas, each_access(len(gvas), accesses), strict=True):
            self.translate(space, gva, access)
        return self.counters.since(before)

    def flush_page(self, space: AddressSpace, gva: int) -> None:
        """INVLPG: what is held of the page of ``gva``, be it global, and every table on the way to anything.

        A page of the guest that the second stage maps in smaller pieces is dropped with all its pieces.
        """
        self.pages.drop(lambda entry: entry.answers(space) and entry.is_of_page(gva))
        for bank in self.caches.structures.values():
            bank.drop(lambda entry: entry.answers(space))

    def flush_page_everywhere(self, space: AddressSpace, gva: int) -> None:
        """INVLPGA, whose ASID is the partition: as INVLPG in each of its address spaces."""
        self.pages.drop(lambda entry: entry.partition == space.partition and entry.is_of_page(gva))
        for bank in self.caches.structures.values():
            bank.drop(lambda entry: entry.partition == space.partition)

    def flush_address_space(self, space: AddressSpace) -> None:
        """A write to CR3: all of ``space`` that is not global."""
        for bank in (self.pages, *self.caches.structures.values()):
            bank.drop(lambda entry: entry.answers(space) and not entry.is_global)

    def flush_partition(self, space: AddressSpace) -> None:
        """CR4.PGE turned over, another nested CR3, changed tables behind it: all of the partition."""
        for bank in (self.pages, *self.caches.structures.values(), self.caches.nested):
            bank.drop(lambda entry: entry.partition == space.partition)

    def flush_all(self) -> None:
        """Everything of everybody."""
        for bank in (self.pages, *self.caches.structures.values(), self.caches.nested):
            bank.drop(lambda entry: True)

    def entries(self) -> list[list[tuple[int, int, Entry]]]:
        """Everything held: in the TLB, in the nested cache, and of tables from PDEs to PML5Es."""
        return [bank.entries() for bank in (self.pages, self.caches.nested, *self.caches.structures.values())]

    def _look_up(self, space: AddressSpace, gva: int, access: Access) -> Leaves | None:
        """What an entry says, if it lets the access through. One that does not is dropped."""
        for shift in PAGE_SHIFTS:
            entry = self.pages.find(shift, gva, space)
            if entry is not None:
                break
        else:
            return None
        self.pages.touch(entry)
        known = leaves_of(entry, space, gva, access)
        if known is None:
            for shift in PAGE_SHIFTS:
                self.pages.drop_covering(shift, gva, space)
        return known

    def _remember(self, space: AddressSpace, gva: int, found: Leaves) -> None:
        """The page of ``gva`` has an entry: for as much of it as both stages map in one piece."""
        first, last = found
        shift = min(leaf.level.shift for leaf in found if leaf is not None)
        is_global = space.global_pages and bool(first.entry & GLOBAL)
        entry = Entry(gva >> shift, shift, space.number, space.partition, is_global)
        entry.first, entry.last = held(first, shift), None if last is None else held(last, shift)
        self.counters.evictions += self.pages.insert(entry)


def leaves_of(entry: Entry, space: AddressSpace, gva: int, access: Access) -> Leaves | None:
    """The leaves that a walk would end at. None: it would be refused, or a write has to set D first.

    An entry holds the rights of the page, not of whoever it was loaded for: CR0.WP, SMEP and SMAP are asked
    here, at each access.
    """
    assert entry.first is not None
    offset = gva & (1 << entry.shift) - 1
    first = entry.first.leaf(offset, rights_of(space.guest, entry.first.together, access))
    last = None if entry.last is None else second_leaf(entry.last, offset, space, access.kind)
    lets_through = all(usable(leaf, access.kind) for leaf in (first, last) if leaf is not None)
    return (first, last) if lets_through else None


def answer_of(leaves: Leaves, references: int) -> Mapping | NestedMapping:
    """What the leaves of a walk make of a page."""
    first, last = leaves
    return mapping(first, references) if last is None else combined(first, last, references)
