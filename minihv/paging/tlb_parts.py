"""What a TLB is made of: its shape, its entries and whose they are, and the banks that hold them.

Stands for: the associative arrays in a processor: the TLB itself, and the caches of its page walker.
Spec: AMD APM vol. 2, "Translation-Lookaside Buffer (TLB)"; Intel SDM vol. 3A, "Caching Translation
    Information".
Simplified: the entry that was used longest ago gives way, exactly; processors only come near that.
Twin: ``native/core/include/minihv/tlb.h`` and ``native/core/src/tlb_parts.h``, held equal by
    ``tests/twins/test_tlb.py``.
Next: ``minihv.paging.tlb_walk``
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

from minihv.errors import ConfigurationError, LayoutError
from minihv.paging.access import Access, Paging
from minihv.paging.formats import X86_64, Level
from minihv.paging.walk import Leaf, Rights

MOST_ENTRIES = 1 << 20
MOST_CACHED = 4096
LEVELS = {level.number: level for level in X86_64[5].levels}


@dataclass(frozen=True, slots=True)
class TlbShape:
    """How much a TLB and the caches of its walker hold; a cache of 0 entries is absent."""

    sets: int = 64
    """A power of two."""
    ways: int = 4
    pdes: int = 0
    """PDEs that the walker remembers: each leads to a PT, and leaves one entry of the guest to read."""
    pdptes: int = 0
    pml4es: int = 0
    pml5es: int = 0
    nested: int = 0
    """Pages of guest-physical memory that the walker remembers."""

    def __post_init__(self) -> None:
        fits = self.sets > 0 and self.ways > 0 and self.sets * self.ways <= MOST_ENTRIES
        if not fits or self.sets & self.sets - 1:
            raise ConfigurationError(
                f"A TLB has a power of two of sets and at least one way, {MOST_ENTRIES:#x} entries at most, "
                f"not {self.sets} sets of {self.ways} ways: choose others."
            )
        for name in ("pdes", "pdptes", "pml4es", "pml5es", "nested"):
            count = getattr(self, name)
            if not 0 <= count <= MOST_CACHED:
                raise ConfigurationError(
                    f"A cache of the page walker holds 0 to {MOST_CACHED} entries, not {name}={count}: "
                    "choose a number in between, or 0 to do without."
                )


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """The tables that are in use, and the two numbers that say whose entries are whose.

    ``wp``, ``smep`` and ``smap`` of ``guest`` may differ from one access to the next. When anything else
    changes, whoever changes it flushes: the address space if it is the guest's, the partition if not.
    """

    guest: Paging
    second: Paging | None = None
    number: int = 0
    """Of this set of the guest's tables, as PCID is; the address in CR3 will do. 64 bits."""
    partition: int = 0
    """As VPID is for Intel; AMD calls it ASID. 32 bits."""
    global_pages: bool = True
    """CR4.PGE: G in a leaf of the guest has its meaning."""

    def __post_init__(self) -> None:
        if self.number >> 64 or self.partition >> 32:
            raise ConfigurationError(
                "The number of an address space has 64 bits and that of a partition 32, not "
                f"{self.number:#x} and {self.partition:#x}: choose smaller ones."
            )


@dataclass(slots=True)
class TlbCounters:
    """What happened since the TLB was made."""

    accesses: int = 0
    """Translations of canonical addresses: ``hits`` and ``misses`` together."""
    hits: int = 0
    misses: int = 0
    references: int = 0
    """Entries of tables that were really read."""
    evictions: int = 0
    """Entries of the TLB that gave way to others."""
    structure_hits: int = 0
    """Walks of the guest's tables that began below the root."""
    nested_hits: int = 0
    """Guest-physical addresses that needed no walk of the second stage."""
    refusals: int = 0
    """Misses that ended in a page fault or a violation."""

    def since(self, earlier: "TlbCounters") -> "TlbCounters":
        """What happened after ``earlier`` was copied."""
        pairs = zip(astuple(self), astuple(earlier), strict=True)
        return TlbCounters(*(now - before for now, before in pairs))


def each_access(gva_count: int, accesses: Access | Sequence[Access]) -> Sequence[Access]:
    """One access for each address.

    Raises:
        LayoutError: there are fewer or more.
    """
    each = [accesses] * gva_count if isinstance(accesses, Access) else accesses
    if len(each) != gva_count:
        raise LayoutError(
            f"Each address is accessed in its own way or all in one, and {gva_count} addresses came with "
            f"{len(each)} accesses: give as many, or one that is no sequence."
        )
    return each


@dataclass(frozen=True, slots=True)
class Held:
    """What the tables of one stage led to, for any accessor: a piece of a page, or the next table."""

    base: int
    """Where it begins: the address to which the piece is translated, or where the next table lies."""
    entry: int
    entry_pa: int
    level: int
    """Of the entry."""
    together: int
    """What all levels down to it grant together, as in ``Leaf``."""

    @property
    def page(self) -> Level:
        """The level; its ``page_bytes`` are those of the page in the tables."""
        return LEVELS[self.level]

    def leaf(self, offset: int, rights: Rights) -> Leaf:
        """The leaf at which a walk would have ended, ``offset`` bytes into the piece."""
        return Leaf(self.base + offset, self.entry, self.entry_pa, self.page, rights, self.together)


def held(leaf: Leaf, shift: int) -> Held:
    """What an entry for a piece of ``1 << shift`` bytes remembers of ``leaf``."""
    return Held(leaf.address & -(1 << shift), leaf.entry, leaf.entry_pa, leaf.level.number, leaf.together)


@dataclass(slots=True)
class Entry:
    """One slot in use.

    In the TLB ``first`` is the guest's leaf, and ``last`` that of the second stage if there is one. A
    paging-structure cache holds a table in ``first``, the nested cache a page of the second stage in
    ``last``.
    """

    page: int
    """The address that was translated, without the lowest ``shift`` bits."""
    shift: int
    space: int
    partition: int
    is_global: bool
    """It answers every address space of its partition."""
    first: Held | None = None
    last: Held | None = None
    used: int = 0
    """When: the clock of its bank ticks at each use."""

    def answers(self, space: AddressSpace) -> bool:
        """Whether it is one of ``space``."""
        return self.partition == space.partition and (self.is_global or self.space == space.number)

    def covers(self, address: int) -> bool:
        """Whether ``address`` lies in the piece that it translates."""
        return address >> self.shift == self.page

    def is_of_page(self, gva: int) -> bool:
        """Whether ``gva`` lies in the same page of the *guest*, of which this may be one piece of many."""
        assert self.first is not None
        return (gva ^ self.page << self.shift) >> self.first.page.shift == 0


class Bank:
    """``set_count`` sets of ``way_count`` slots. The lowest bits of a page's number choose its set."""

    def __init__(self, set_count: int, way_count: int) -> None:
        self.sets: list[list[Entry | None]] = [[None] * way_count for _ in range(set_count)]
        self._clock = 0

    def find(self, shift: int, address: int, space: AddressSpace) -> Entry | None:
        """What answers ``address``, among entries in the set of pages of ``1 << shift`` bytes."""
        for entry in self._set(address >> shift):
            if entry is not None and entry.covers(address) and entry.answers(space):
                return entry
        return None

    def touch(self, entry: Entry) -> None:
        """``entry`` is the one used last."""
        self._clock += 1
        entry.used = self._clock

    def insert(self, entry: Entry) -> bool:
        """Puts ``entry`` into a free slot of its set, or where the one used longest ago was. True: it was."""
        slots = self._set(entry.page)
        if not slots:
            return False
        way = min(range(len(slots)), key=lambda way: last_use(slots[way]))
        evicts = slots[way] is not None
        slots[way] = entry
        self.touch(entry)
        return evicts

    def drop_covering(self, shift: int, address: int, space: AddressSpace) -> None:
        """Empties each slot that ``find`` could answer with."""
        slots = self._set(address >> shift)
        for way, entry in enumerate(slots):
            if entry is not None and entry.covers(address) and entry.answers(space):
                slots[way] = None

    def drop(self, goes: Callable[[Entry], bool]) -> None:
        """Empties each slot whose entry ``goes``."""
        for slots in self.sets:
            for way, entry in enumerate(slots):
                if entry is not None and goes(entry):
                    slots[way] = None

    def entries(self) -> list[tuple[int, int, Entry]]:
        """Everything held, each with its set and its way."""
        return [
            (number, way, entry)
            for number, slots in enumerate(self.sets)
            for way, entry in enumerate(slots)
            if entry is not None
        ]

    def _set(self, page: int) -> list[Entry | None]:
        return self.sets[page & len(self.sets) - 1]


def last_use(entry: Entry | None) -> int:
    """What decides which slot is taken: a free one comes before all others."""
    return 0 if entry is None else entry.used
