"""The frame allocator: every 4 KiB frame of system physical memory has one owner, or is free.

Stands for: ring -1's memory manager.
Spec: TLFS, "Partition Memory Pools" (memory is deposited to and withdrawn from an owner).
Simplified: no NUMA; a run of frames is found first-fit.
"""

import numpy as np
from numpy.typing import NDArray

from minihv.errors import ConfigurationError, InternalError
from minihv.terms import PAGE_BYTES, PAGE_SHIFT, Spa

FREE = 0
HYPERVISOR = 0xFFFF
"""Owner numbers: 0 is nobody, 0xFFFF the hypervisor, anything else a partition id."""


class FrameAllocator:
    """Hands out frames of a memory of ``frame_count`` frames, and takes them back from their owner only."""

    def __init__(self, frame_count: int) -> None:
        self.owners: NDArray[np.uint16] = np.zeros(frame_count, dtype=np.uint16)
        self.used: NDArray[np.bool_] = np.zeros(frame_count, dtype=np.bool_)
        """Whether the frame was somebody's before: what they wrote is still there."""
        self.shares: NDArray[np.uint32] = np.zeros(frame_count, dtype=np.uint32)
        """How often the frame is mapped for others than its owner, who keeps it as long as it is."""
        self._low = 0  # no free frame lies below

    @property
    def free_count(self) -> int:
        """Frames that nobody owns."""
        return int(np.count_nonzero(self.owners == FREE))

    def owned_by(self, owner: int) -> int:
        """Frames that ``owner`` has."""
        return int(np.count_nonzero(self.owners == owner))

    def owner_of(self, spa: int) -> int:
        """Who owns the frame at ``spa``."""
        return int(self.owners[spa >> PAGE_SHIFT])

    def allocate(self, owner: int, count: int = 1, *, align: int = 1) -> Spa:
        """A run of ``count`` frames, now of ``owner``; its first frame number is a multiple of ``align``.

        Raises:
            ConfigurationError: no such run is free.
        """
        if not 0 < owner <= 0xFFFF:
            raise InternalError(f"An owner of frames must be 1 to 0xffff, not {owner:#x}.")
        first = self._find(count, align)
        if first is None:
            raise ConfigurationError(
                f"The machine has {self.free_count * PAGE_BYTES >> 10} KiB of system memory left and no "
                f"run of {count * PAGE_BYTES >> 10} KiB in it: give the machine more, or its partitions less."
            )
        self.owners[first : first + count] = owner
        if first == self._low:
            self._low = first + count
        return Spa(first << PAGE_SHIFT)

    def free(self, owner: int, spa: int, count: int = 1) -> None:
        """Takes ``count`` frames at ``spa`` back from ``owner``.

        Raises:
            InternalError: one of them is not the owner's.
        """
        first = spa >> PAGE_SHIFT
        run = self.owners[first : first + count]
        if spa % PAGE_BYTES or len(run) != count or not bool(np.all(run == owner)):
            raise InternalError(
                f"Owner {owner:#x} gives back {count} frames at SPA {spa:#x} that are not all its own."
            )
        self._check_shares(self.shares[first : first + count])
        run[:] = FREE
        self.used[first : first + count] = True
        self._low = min(self._low, first)

    def free_all(self, owner: int) -> int:
        """Takes every frame of ``owner`` back; how many there were."""
        mine = np.flatnonzero(self.owners == owner)
        self._check_shares(self.shares[mine])
        self.owners[mine] = FREE
        self.used[mine] = True
        if len(mine):
            self._low = min(self._low, int(mine[0]))
        return len(mine)

    def share(self, spns: NDArray[np.uint32], change: int) -> None:
        """Each of the frames ``spns``, in which one may be listed twice, is shared ``change`` times more."""
        np.add.at(self.shares, spns, np.uint32(change & 0xFFFF_FFFF))

    def give_to(self, spn: int, old: int, new: int) -> None:
        """Frame number ``spn``, of ``old`` until now and shared with nobody, is of ``new``."""
        if self.owners[spn] != old:
            raise InternalError(f"Frame {spn:#x} is given away by {old:#x}, and is not its own.")
        self._check_shares(self.shares[spn : spn + 1])
        self.owners[spn] = new

    def _check_shares(self, shares: NDArray[np.uint32]) -> None:
        if shares.any():
            raise InternalError("A frame is given away while it is mapped for others: unmap it there first.")

    def _find(self, count: int, align: int) -> int | None:
        self._raise_low()
        start = -(-self._low // align) * align
        while start + count <= len(self.owners):
            taken = np.flatnonzero(self.owners[start : start + count] != FREE)
            if not len(taken):
                return start
            start = -(-(start + int(taken[-1]) + 1) // align) * align
        return None

    def _raise_low(self) -> None:
        width = 4096
        while self._low < len(self.owners):
            free = self.owners[self._low : self._low + width] == FREE
            first = int(np.argmax(free))
            if free[first]:
                self._low += first
                return
            self._low += len(free)
            width *= 2
