"""Random page tables for properties: whole frames of plausible entries, in which the rare bits are not rare.

A walk through them meets every outcome. What it met is told by ``outcome_of`` in the words of the manuals,
so that a property can report the share of each and assert a floor.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from hypothesis import event
from hypothesis import strategies as st
from numpy.typing import NDArray

from minihv.paging.access import Access, AccessKind, BufferMemory, Paging, Reference, StageName
from minihv.paging.nested import Violation
from minihv.paging.walk import NotCanonical, PageFault

FRAME_COUNT = 24
SECOND_FRAMES = {5: range(1, 3), 4: range(1, 3), 3: range(3, 6), 2: range(6, 9), 1: range(9, 12)}
GUEST_FRAMES = range(12, FRAME_COUNT)
"""Frames 1 to 11 hold tables of a second stage by level, the others tables of a guest; frame 0 is empty."""

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE, PAT = (1 << bit for bit in (0, 1, 2, 5, 6, 7, 12))
NO_EXECUTE = 1 << 63


@dataclass(frozen=True)
class World:
    """Memory full of tables, and a source of further choices: the same ones for the same seed."""

    memory: BufferMemory
    random: Random
    physical_bits: int

    def guest(self, *, nested: bool = False) -> Paging:
        """Registers over the guest's tables; with a second stage any GPA leads to one."""
        frame = self.random.getrandbits(24) if nested else self.random.choice(GUEST_FRAMES)
        return self._paging(5 if self.random.random() < 0.3 else 4, frame)

    def second(self) -> Paging:
        """Registers over the tables of the second stage."""
        levels = 5 if self.random.random() < 0.3 else 4
        return self._paging(levels, self.random.choice(SECOND_FRAMES[levels]))

    def _paging(self, levels: int, frame: int) -> Paging:
        often = self.random.random
        return Paging(
            frame << 12 | self.random.choice((0, 0x18, 1 << 63)),
            levels,
            self.physical_bits,
            nxe=often() < 0.85,
            wp=often() < 0.6,
            smep=often() < 0.4,
            smap=often() < 0.4,
        )

    def access(self) -> Access:
        """Any access; ring 0 and ring 3, with and without AC, explicit and implicit."""
        kind = self.random.choice(list(AccessKind))
        often = self.random.random
        return Access(kind, user=often() < 0.5, ac=often() < 0.3, implicit=often() < 0.15)

    def spoil(self, entry_pa: int, *memories: BufferMemory) -> None:
        """Turns one decisive bit of the entry over, in every copy."""
        bit = self.random.choice([PRESENT, WRITABLE, USER, NO_EXECUTE, 1 << 51, 1 << self.physical_bits - 1])
        for memory in memories:
            memory.write_u64(entry_pa, memory.read_u64(entry_pa) ^ bit)

    def gva(self) -> int:
        """Mostly canonical: with four levels, or with five only."""
        low_bits = self.random.choice((47,) * 8 + (56,) * 3 + (63,))
        low = self.random.getrandbits(low_bits)
        return low if self.random.random() < 0.5 else low ^ (1 << 64) - 1

    def gpa(self) -> int:
        """Mostly within what four levels translate."""
        return self.random.getrandbits(52 if self.random.random() < 0.1 else 44)


def entries(
    choose: np.random.Generator, targets: NDArray[np.uint64], large_share: float, few: float
) -> NDArray[np.uint64]:
    """A table of 512 entries that point at ``targets``; a ``few`` of them refuse, for each of the reasons."""

    def flags(bit: int, share: float) -> NDArray[np.uint64]:
        return (choose.random(512) < share).astype(np.uint64) << np.uint64(bit)

    address = choose.choice(targets, 512) << np.uint64(12)
    wide = choose.random(512) < few / 4
    address[wide] = choose.integers(0, 1 << 28, int(wide.sum()), dtype=np.uint64) << np.uint64(12)
    large = choose.random(512) < large_share
    aligned = large & (choose.random(512) < 0.8)
    address[aligned] &= np.uint64(~0x3FFF_FFFF & (1 << 64) - 1 | PAT)
    address[large & (choose.random(512) < 0.2)] &= np.uint64(~0x1F_FFFF & (1 << 64) - 1)
    high = flags(0, few / 4) << choose.integers(32, 63, 512, dtype=np.uint64)
    return (
        address
        | high
        | (large.astype(np.uint64) << np.uint64(7))
        | flags(0, 1 - few / 2)
        | flags(1, 1 - few)
        | flags(2, 1 - few)
        | flags(5, 0.5)
        | flags(6, 0.5)
        | flags(63, few)
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Memory full of tables."""
    seed = draw(st.integers(0, (1 << 32) - 1))
    choose = np.random.default_rng(seed)
    words = np.zeros(FRAME_COUNT * 512, dtype=np.uint64)
    guest = np.array([*GUEST_FRAMES, *range(FRAME_COUNT)], dtype=np.uint64)
    for frame in GUEST_FRAMES:
        large_share, few = choose.choice([0, 0.05, 0.2]), choose.choice([0.01, 0.02, 0.15])
        words[frame * 512 :][:512] = entries(choose, guest, large_share, few)
    for level in (4, 3, 2, 1):
        next_frames = np.array([*SECOND_FRAMES.get(level - 1, GUEST_FRAMES)], dtype=np.uint64)
        for frame in SECOND_FRAMES[level]:
            large_share = {4: 0.005, 3: 0.1, 2: 0.1, 1: 0.3}[level]
            few = choose.choice([0.0, 0.1] if level == 1 else [0.0, 0.005])
            words[frame * 512 :][:512] = entries(choose, next_frames, large_share, few)
    return World(BufferMemory(words.view(np.uint8)), Random(seed), int(choose.choice([36, 40, 46, 52])))


def cause_of(paging: Paging, access: Access, together: int) -> str:
    """Why an access to a present page is refused, where all levels together grant ``together``."""
    supervisor = not access.user or access.implicit
    if not supervisor and not together & USER:
        return "U/S"
    if supervisor and together & USER and access.kind is AccessKind.EXECUTE and paging.smep:
        return "SMEP"
    stopped_by_smap = paging.smap and (not access.ac or access.implicit)
    if supervisor and together & USER and access.kind is not AccessKind.EXECUTE and stopped_by_smap:
        return "SMAP, implicit" if access.ac else "SMAP"
    return "NX" if access.kind is AccessKind.EXECUTE else "R/W"


def refusal_of(paging: Paging, access: Access, error_code: int, entries_read: list[int]) -> str:
    """Why a stage refused, as far as its error code and its entries tell."""
    if not error_code & 1:
        return "absent"
    if error_code & 8:
        return "reserved"
    together = (1 << 64) - 1
    for entry in entries_read:
        together &= entry ^ NO_EXECUTE
    return cause_of(paging, access, together)


def outcome_of(
    found: Any, guest: Paging, second: Paging | None, access: Access, seen: list[Reference]
) -> str:
    """What a walk met, in a few words."""
    match found:
        case NotCanonical():
            return "not canonical"
        case PageFault(level=level, error_code=error_code):
            own = [reference.entry for reference in seen if reference.stage is StageName.GUEST]
            return f"page fault: {refusal_of(guest, access, error_code, own)} at level {level}"
        case Violation(on_table=on_table, second_level=level, error_code=error_code, kind=kind):
            assert second is not None
            last = [r.entry for r in seen if r.stage is StageName.SECOND][level - second.levels - 1 :]
            why = refusal_of(second, Access(kind, user=True), error_code, last)
            return f"violation on {'a table' if on_table else 'the page'}: {why}"
    sizes = [found.page_bytes] if hasattr(found, "page_bytes") else []
    sizes += [found.second_page_bytes] if hasattr(found, "second_page_bytes") else []
    names = {1 << 12: "4 KiB", 1 << 21: "2 MiB", 1 << 30: "1 GiB"}
    return "mapped: " + " by ".join(names[size] for size in sizes)


class Shares:
    """Counts outcomes over a whole property, reports them to Hypothesis, and asserts floors at the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, outcome: str) -> None:
        """One more of ``outcome``."""
        event(outcome)
        self.counts[outcome] += 1

    def share(self, part: str) -> float:
        """The share of outcomes whose words contain ``part``."""
        return sum(n for words, n in self.counts.items() if part in words) / max(1, self.counts.total())

    def assert_floors(self, floors: dict[str, float]) -> None:
        """Each of ``floors`` is reached: a property that tests easy cases only fails here."""
        missed = {part: self.share(part) for part, floor in floors.items() if self.share(part) < floor}
        assert not missed, f"shares below their floor: {missed} in {self.counts}"
