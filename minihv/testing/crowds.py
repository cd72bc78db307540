"""Crowded memories: whole frames of plausible entries, in which the rare bits are not rare.

Stands for: a machine's memory full of page tables of two stages.
Simplified: drawn from one seed and so not shrunk; ``minihv.testing.worlds`` has small worlds that are.
Next: ``minihv.testing.calls``

A walk through them meets every outcome of ``outcome_of`` and costs next to nothing: they are for comparing
two walks some ten thousand times, with the bytes that they leave.
"""

from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from minihv.paging.access import Access, AccessKind, BufferMemory, Paging
from minihv.spec.x86_paging import LARGE_ATTRIBUTE, NO_EXECUTE, PRESENT, USER, WRITABLE

FRAME_COUNT = 24
SECOND_FRAMES = {5: range(1, 3), 4: range(1, 3), 3: range(3, 6), 2: range(6, 9), 1: range(9, 12)}
GUEST_FRAMES = range(12, FRAME_COUNT)
"""Frames 1 to 11 hold tables of a second stage by level, the others tables of a guest; frame 0 is empty."""


@dataclass(frozen=True)
class CrowdedWorld:
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


def crowded_entries(
    choose: np.random.Generator, targets: NDArray[np.uint64], large_share: float, few: float
) -> NDArray[np.uint64]:
    """A table of 512 entries that point at ``targets``; a ``few`` of them refuse, for each of the reasons.

    Args:
        choose: makes the choices.
        targets: frame numbers.
        large_share: from 0 to 1, how many have PS set.
        few: from 0 to 1; so many lack W, as many lack U, as many have NX, half as many are absent.
    """

    def flags(bit: int, share: float) -> NDArray[np.uint64]:
        return (choose.random(512) < share).astype(np.uint64) << np.uint64(bit)

    address = choose.choice(targets, 512) << np.uint64(12)
    wide = choose.random(512) < few / 4
    address[wide] = choose.integers(0, 1 << 28, int(wide.sum()), dtype=np.uint64) << np.uint64(12)
    large = choose.random(512) < large_share
    aligned = large & (choose.random(512) < 0.8)
    address[aligned] &= np.uint64(~0x3FFF_FFFF & (1 << 64) - 1 | LARGE_ATTRIBUTE)
    address[large & (choose.random(512) < 0.2)] &= np.uint64(~0x1F_FFFF & (1 << 64) - 1)
    high = flags(0, few / 4) << choose.integers(32, 63, 512, dtype=np.uint64)
    made: NDArray[np.uint64] = (
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
    return made


@st.composite
def crowded_worlds(draw: st.DrawFn) -> CrowdedWorld:
    """24 frames full of tables; addresses are 36, 40, 46 or 52 bits wide.

    Walks of one stage and of two meet each outcome of ``outcome_of``, the rarest once in five thousand walks;
    most of those of two stages end on the way to a table. ``tests/twins`` has the floor of each.
    """
    seed = draw(st.integers(0, (1 << 32) - 1))
    choose = np.random.default_rng(seed)
    words = np.zeros(FRAME_COUNT * 512, dtype=np.uint64)
    guest = np.array([*GUEST_FRAMES, *range(FRAME_COUNT)], dtype=np.uint64)
    for frame in GUEST_FRAMES:
        large_share, few = choose.choice([0, 0.05, 0.2]), choose.choice([0.01, 0.02, 0.15])
        words[frame * 512 :][:512] = crowded_entries(choose, guest, large_share, few)
    for level in (4, 3, 2, 1):
        next_frames = np.array([*SECOND_FRAMES.get(level - 1, GUEST_FRAMES)], dtype=np.uint64)
        for frame in SECOND_FRAMES[level]:
            large_share = {4: 0.005, 3: 0.1, 2: 0.1, 1: 0.3}[level]
            few = choose.choice([0.0, 0.1] if level == 1 else [0.0, 0.005])
            words[frame * 512 :][:512] = crowded_entries(choose, next_frames, large_share, few)
    return CrowdedWorld(
        BufferMemory(words.view(np.uint8)), Random(seed), int(choose.choice([36, 40, 46, 52]))
    )
