"""Two partitions with two address spaces each, their tables, and edits with the flush that each demands.

All four spaces use the same addresses. The two of a partition have their own lower halves and share the upper
one, as those of a kernel do; the partitions number their spaces alike. So an entry that answers whom it
should not is soon found out.
"""

from dataclasses import dataclass, replace
from random import Random

from builders import ACCESSED, DIRTY, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE

from minihv.paging.access import Access, AccessKind, BufferMemory, PhysicalMemory, Reference, StageName
from minihv.paging.nested import NestedMapping, Violation, nested_walk
from minihv.paging.tlb_parts import AddressSpace
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.testing import PageTable, copy_of, memory_of

Answer = Mapping | NestedMapping | PageFault | NotCanonical | Violation
Flush = tuple[str, AddressSpace, int]

GLOBAL, TOO_WIDE = 1 << 8, 1 << 45
MARKS = ACCESSED | DIRTY
PHYSICAL_BITS = 40
KIB_4, MIB_2, GIB = 1 << 12, 1 << 21, 1 << 30
KERNEL = 0xFFFF_8000_0000_0000
LOWER = [0x40_0000, 0x40_1000, 0x40_3000, 0x60_0000, GIB, 1 << 39]
UPPER = [KERNEL, KERNEL + KIB_4, KERNEL + MIB_2]
GVAS = LOWER + UPPER
SIZES = {0x60_0000: MIB_2, GIB: GIB, KERNEL + MIB_2: MIB_2}
PIECES = {KIB_4: [0], MIB_2: [0, KIB_4, 3 * KIB_4], GIB: [0, KIB_4, MIB_2, 2 * MIB_2]}
EVERYWHERE = [gva + piece for gva in GVAS for piece in PIECES[SIZES.get(gva, KIB_4)]]

RAM_BYTES = 0x2_0000
RAM_SPAS = (2 * RAM_BYTES, 3 * RAM_BYTES)
ROOTS = (0x1000, 0x1_0000)
SECOND_ROOTS = (0x1000, 0x1_1000)
MEMORY_BYTES = 4 * RAM_BYTES
PAGE_GPAS = [0x1D000, 0x1E000, 0x1F000, MIB_2, MIB_2 + 3 * KIB_4, 2 * MIB_2, GIB, GIB + MIB_2]


class ReadOnly:
    """Memory that walks may look at without leaving marks."""

    def __init__(self, memory: BufferMemory) -> None:
        self.read_u64 = memory.read_u64

    def write_u64(self, spa: int, value: int) -> None:
        pass


def plain(
    memory: PhysicalMemory, space: AddressSpace, gva: int, access: Access, seen: list[Reference]
) -> Answer:
    """The answer without a TLB."""
    if space.second is None:
        return walk(memory, space.guest, gva, access, seen.append)
    return nested_walk(memory, space.guest, space.second, gva, access, seen.append)


RIGHTS = ("readable", "writable", "executable")


def agrees(ours: object, expected: Answer, *, exact: bool = True, marks: bool = True) -> bool:
    """Whether the answer of a TLB is the walk's, but for ``references``, and A and D as they were when it was
    loaded.

    If not ``exact``, rights that were added since may be missing in what it says of other accesses; without
    ``marks``, D is none of our business.
    """
    if not isinstance(expected, Mapping | NestedMapping) or type(ours) is not type(expected):
        return type(ours) is type(expected) and as_if(ours, expected, "references") == expected
    two_stages = isinstance(expected, NestedMapping)
    entries = ["leaf_entry", "second_leaf_entry"] if two_stages else ["leaf_entry"]
    late = ACCESSED | DIRTY | (0 if exact else WRITABLE | NO_EXECUTE | (USER if two_stages else 0))
    less = [*(["dirty"] if marks else []), *([] if exact else RIGHTS)]
    return (
        as_if(ours, expected, "references", "dirty", *entries, *less) == expected
        and all(not (getattr(ours, name) ^ getattr(expected, name)) & ~late for name in entries)
        and all(getattr(ours, name) <= getattr(expected, name) for name in less)
    )


def as_if(ours: object, expected: object, *names: str) -> object:
    """``ours`` with some attributes of ``expected``."""
    known = {name: getattr(expected, name) for name in names if hasattr(expected, name)}
    return replace(ours, **known)  # type: ignore[type-var]


@dataclass(frozen=True)
class Edit:
    """A word of memory that gets another value, and the flushes that this demands: any list will do."""

    entry_pa: int
    value: int
    kind: str
    demanded: list[list[Flush]]
    is_upgrade: bool
    """Only rights were added: nothing is demanded, and not everything is told at once."""


class TlbWorld:
    """Memory and four address spaces. What happens in them is drawn from the ``random`` of the caller."""

    def __init__(self, seed: int, levels: int, *, two_stages: bool) -> None:
        random = Random(seed)
        self.memory = memory_of(MEMORY_BYTES)
        self.spaces: list[AddressSpace] = []
        global_pages = random.random() < 0.8
        for partition, ram_spa in enumerate(RAM_SPAS):
            second = None
            if two_stages:
                second = second_of(self.memory, partition).steered_by(physical_bits=PHYSICAL_BITS).paging
            for number, tables in enumerate(guests_of(self.memory, levels, ram_spa, two_stages, random)):
                guest = tables.steered_by(physical_bits=PHYSICAL_BITS).paging
                self.spaces.append(AddressSpace(guest, second, number, partition, global_pages))
        self._original = copy_of(self.memory)
        self._pages = [(random.choice(self.spaces), random.choice(GVAS)) for _ in range(3)]

    def accesses(self, random: Random, count: int) -> list[tuple[AddressSpace, int, Access]]:
        """``count`` accesses to a few pages, often to those of the last time."""
        for i in range(len(self._pages)):
            if random.random() < 0.3:
                self._pages[i] = random.choice(self.spaces), random.choice(GVAS)
        return [self._access(random, *random.choice(self._pages)) for _ in range(count)]

    def _access(self, random: Random, space: AddressSpace, gva: int) -> tuple[AddressSpace, int, Access]:
        """Any access, with the registers that judge it as they happen to be."""
        often = random.random
        guest = replace(space.guest, wp=often() < 0.5, smep=often() < 0.3, smap=often() < 0.3)
        gva += random.choice(PIECES[SIZES.get(gva, KIB_4)]) + random.randrange(KIB_4)
        access = Access(random.choice(list(AccessKind)), often() < 0.5, often() < 0.3, often() < 0.1)
        return replace(space, guest=guest), gva, access

    def edit(self, random: Random) -> Edit:
        """Any change of an entry that some walk reads, if pages that are global stay so in both spaces."""
        while True:
            edit = self._any_edit(random)
            after = copy_of(self.memory)
            after.write_u64(edit.entry_pa, edit.value)
            if all(self._agree_on_global_pages(ReadOnly(after), *self.spaces[i : i + 2]) for i in (0, 2)):
                return edit

    def _agree_on_global_pages(self, memory: ReadOnly, one: AddressSpace, other: AddressSpace) -> bool:
        for gva in EVERYWHERE:
            answers = [plain(memory, space, gva, Access(), []) for space in (one, other)]
            mapped = [found for found in answers if isinstance(found, Mapping | NestedMapping)]
            is_global = any(found.leaf_entry & GLOBAL for found in mapped) and one.global_pages
            if is_global and not (len(mapped) == 2 and agrees(mapped[0], mapped[1], marks=False)):
                return False
        return True

    def _any_edit(self, random: Random) -> Edit:
        space, gva = random.choice(self._pages)
        gva += random.choice(PIECES[SIZES.get(gva, KIB_4)])
        entries = self._entries(space, gva)
        own = [one for one in entries if one.stage is StageName.GUEST]
        old = random.choice(own if own and random.random() < 0.5 else entries)
        kind, value = self._changed(random, space, old)
        changed = [one for one in entries if self._was(one) != one.entry]
        if changed and random.random() < 0.4:
            old = random.choice(changed)
            kind, value = "as it was", self._was(old)
        added = value ^ old.entry if old.entry & PRESENT else 0
        widens = WRITABLE | (USER if old.stage is StageName.SECOND else 0)
        is_upgrade = bool(added) and not added & ~(widens & value | NO_EXECUTE & old.entry)
        harmless = is_upgrade or not old.entry & PRESENT
        demanded = [[]] if harmless else self._demanded(space, old)
        return Edit(old.entry_pa, value, "upgrade" if is_upgrade else kind, demanded, is_upgrade)

    def _was(self, entry: Reference) -> int:
        """The entry as it was in the beginning, with the marks of today."""
        return self._original.read_u64(entry.entry_pa) & ~MARKS | entry.entry & MARKS

    def _entries(self, space: AddressSpace, gva: int) -> list[Reference]:
        seen: list[Reference] = []
        plain(ReadOnly(self.memory), space, gva, Access(), seen)
        return seen

    def _changed(self, random: Random, space: AddressSpace, old: Reference) -> tuple[str, int]:
        """Another value for an entry: one bit turned over, or what an entry of that level has elsewhere."""
        bits = {
            "P": PRESENT, "W": WRITABLE, "U": USER, "NX": NO_EXECUTE, "G": GLOBAL, "A": ACCESSED, "D": DIRTY,
            "PS": LARGE, "reserved": TOO_WIDE,
        }  # fmt: skip
        kind = random.choice([*bits, "W", "NX", "other", "other", "other"])
        if not old.entry & PRESENT and random.random() < 0.8:
            kind = "P"
        if kind != "other":
            return kind, old.entry ^ bits[kind]
        mates = [one for one in self.spaces if one.partition == space.partition]
        seen = [entry for one in mates for gva in EVERYWHERE for entry in self._entries(one, gva)]
        alike = [one.entry for one in seen if (one.stage, one.level) == (old.stage, old.level)]
        return kind, random.choice(alike)

    def _demanded(self, space: AddressSpace, old: Reference) -> list[list[Flush]]:
        """What the manuals ask for, coarse and fine. For the second stage nothing is fine."""
        coarse: list[Flush] = [("flush_partition", one, 0) for one in self.spaces[::2]]
        users: dict[tuple[int, int, int], tuple[AddressSpace, int, bool]] = {}
        for number, user in enumerate(self.spaces):
            for gva in EVERYWHERE:
                seen = self._entries(user, gva)
                if any(one.entry_pa == old.entry_pa and one.stage is StageName.SECOND for one in seen):
                    return [coarse, [("flush_all", user, 0)]]
                own = [one for one in seen if one.stage is StageName.GUEST]
                if any(one.entry_pa == old.entry_pa for one in own):
                    page_bits = 3 + 9 * own[-1].level  # one INVLPG is enough for all pieces of a page
                    page = number, page_bits, gva >> page_bits
                    users.setdefault(page, (user, gva, bool(own[-1].entry & GLOBAL)))
        pages: list[Flush] = [("flush_page", user, gva) for user, gva, _ in users.values()]
        everywhere: list[Flush] = [("flush_page_everywhere", user, gva) for user, gva, _ in users.values()]
        spaces: list[Flush] = [
            flush
            for user, gva, is_global in users.values()
            for flush in (("flush_address_space", user, 0), ("flush_page_everywhere", user, gva))
            if flush[0] == "flush_address_space" or is_global
        ]
        return [coarse, pages, spaces, everywhere]


def guests_of(
    memory: BufferMemory, levels: int, ram_spa: int, two_stages: bool, random: Random
) -> list[PageTable]:
    """The guest's tables of both spaces of a partition, in its RAM."""
    base, offset = (0, ram_spa) if two_stages else (ram_spa, 0)
    tables = [PageTable(memory, base + root, levels, offset) for root in ROOTS]
    for number, table in enumerate(tables):
        for i, gva in enumerate(LOWER if number else GVAS):
            size = SIZES.get(gva, KIB_4)
            to = PAGE_GPAS[(i + 3 * number) % len(PAGE_GPAS)] & -size
            flags = random.choice([USER, WRITABLE, USER | WRITABLE, USER | WRITABLE])
            flags |= random.choice([0, 0, NO_EXECUTE]) | (GLOBAL if gva >= KERNEL else 0)
            table.maps(gva, to=to, page_bytes=size, flags=flags)
    top = [table.entry_pa(table.paging.root, KERNEL, levels) for table in tables]
    memory.write_u64(top[1], memory.read_u64(top[0]))
    return tables


def second_of(memory: BufferMemory, partition: int) -> PageTable:
    """A second stage with pages of every size: RAM in pieces, and more where the guest has large pages."""
    second = PageTable(memory, SECOND_ROOTS[partition], 4)
    for gpa in range(0, RAM_BYTES, KIB_4):
        second.maps(gpa, to=RAM_SPAS[partition] + gpa)
    away = GIB << 1 + partition
    for gpa in (MIB_2, MIB_2 + KIB_4, MIB_2 + 3 * KIB_4):
        second.maps(gpa, to=away + gpa)
    second.maps(2 * MIB_2, to=away + MIB_2, page_bytes=MIB_2)
    return second.maps(GIB, to=away, page_bytes=GIB)
