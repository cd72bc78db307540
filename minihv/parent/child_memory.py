"""The RAM of a child as VMBus wants it: rings are used in place, and what is written there counts as written.

Stands for: the parent's mappings of a child's pages, which the VID makes.
Spec: TLFS, "Guest Physical Address Spaces".
Next: ``minihv.parent.vmbus_service``
"""

from collections.abc import Sequence

from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.memory import SystemMemory
from minihv.terms import PAGE_BYTES, PAGE_SHIFT
from minihv.vmbus.pages import RingPages

MOST_GPN = 1 << 40


class ChildRam:
    """What the child of ``space`` may read and write, for its VSPs. Overlays are none of it."""

    def __init__(self, space: GpaSpace, memory: SystemMemory) -> None:
        self._space = space
        self._memory = memory

    def is_ram(self, gpn: int) -> bool:
        """Whether the page is the child's RAM."""
        return 0 <= gpn < MOST_GPN and self._space.is_backed(gpn << PAGE_SHIFT, PAGE_BYTES, writable=True)

    def read(self, gpa: int, byte_count: int) -> bytes:
        """A copy of bytes that are all RAM."""
        return self._space.read(gpa, byte_count)

    def write(self, gpa: int, data: bytes) -> None:
        """Writes to RAM, and marks the pages as written."""
        self._space.write(gpa, data)

    def ring(self, gpns: Sequence[int]) -> RingPages:
        """These pages of RAM, in place."""
        spas = [int(self._space.spa_of(gpn << PAGE_SHIFT) or 0) for gpn in gpns]
        gpa_of = {spa: gpn << PAGE_SHIFT for spa, gpn in zip(spas, gpns, strict=True)}

        def written(spa: int, byte_count: int) -> None:
            self._memory.touch(spa, byte_count)
            self._space.mark_written(gpa_of[spa & -PAGE_BYTES], PAGE_BYTES)

        return RingPages(self._memory.view, spas, written)
