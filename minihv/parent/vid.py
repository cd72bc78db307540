"""Which pages of the parent are the memory of which child: the parent's RAM, handed out and taken back.

Stands for: the virtualization infrastructure driver (VID), in the kernel of the parent.
Spec: TLFS, "Guest Physical Address Spaces": a child's GPA space is made of GPA pages of its parent.
Simplified: memory is given whole at creation; no paging, no sharing between children.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minihv.errors import AccessError, ConfigurationError
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.frames import FrameAllocator
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT, Gpa

LARGE_PAGES = LARGE_PAGE_BYTES // PAGE_BYTES
OF_KERNEL = 0xFFFF
"""The owner of what is not for children."""


@dataclass(frozen=True, slots=True)
class Run:
    """``page_count`` pages of a child from ``gpn`` on are those of the parent from ``parent_gpn`` on."""

    gpn: int
    parent_gpn: int
    page_count: int


class ChildMemory:
    """The RAM of one child, seen from the parent: GPA 0 to ``byte_count``."""

    def __init__(self, parent_space: GpaSpace, runs: tuple[Run, ...]) -> None:
        self.runs = runs
        self._space = parent_space

    @property
    def byte_count(self) -> int:
        """How much RAM there is."""
        return sum(run.page_count for run in self.runs) * PAGE_BYTES

    def pages(self) -> Iterator[tuple[int, int]]:
        """Each page number of the child, with the parent's."""
        for run in self.runs:
            yield from zip(
                range(run.gpn, run.gpn + run.page_count),
                range(run.parent_gpn, run.parent_gpn + run.page_count),
                strict=True,
            )

    def write(self, gpa: Gpa, data: bytes) -> None:
        """Stores ``data`` at ``gpa`` of the child, through the pages of the parent.

        Raises:
            AccessError: not all of it is RAM of the child.
        """
        at = 0
        for parent_gpa, byte_count in self._parts(gpa, len(data)):
            self._space.write(parent_gpa, data[at : at + byte_count])
            at += byte_count

    def read(self, gpa: int, byte_count: int) -> bytes:
        """Bytes of the child's RAM.

        Raises:
            AccessError: not all of it is RAM of the child.
        """
        return b"".join(self._space.read(*part) for part in self._parts(gpa, byte_count))

    def _parts(self, gpa: int, byte_count: int) -> Iterator[tuple[int, int]]:
        if gpa < 0 or gpa + byte_count > self.byte_count:
            raise AccessError(
                f"A child of {self.byte_count:#x} bytes has no {byte_count} bytes at GPA {gpa:#x}: "
                "check the address, or give it more memory."
            )
        for run in self.runs:
            begin = max(gpa, run.gpn * PAGE_BYTES)
            end = min(gpa + byte_count, (run.gpn + run.page_count) * PAGE_BYTES)
            if begin < end:
                yield begin - run.gpn * PAGE_BYTES + run.parent_gpn * PAGE_BYTES, end - begin


class Vid:
    """Hands out the pages of the parent from ``free_from`` on. Pages of 2 MiB while there are any."""

    def __init__(self, parent_space: GpaSpace, free_from: int, end: int) -> None:
        self._space = parent_space
        self._pages = FrameAllocator(end >> PAGE_SHIFT)
        kernel = -(-free_from // PAGE_BYTES)
        self._pages.owners[:kernel] = OF_KERNEL

    @property
    def free_bytes(self) -> int:
        """How much is left for children."""
        return self._pages.free_count * PAGE_BYTES

    def owned_by(self, child: int) -> int:
        """How many pages ``child`` has, deposits included."""
        return self._pages.owned_by(child)

    def allocate(self, child: int, byte_count: int) -> ChildMemory:
        """RAM for ``child``, zeroed, in runs that are as long as can be.

        Raises:
            ConfigurationError: there is not so much.
        """
        if byte_count > self.free_bytes:
            raise ConfigurationError(
                f"The parent has {self.free_bytes >> 20} MiB left for children, and {byte_count >> 20} MiB "
                "are asked for: give it more memory, or its children less."
            )
        runs: list[Run] = []
        gpn, count = 0, byte_count // PAGE_BYTES
        while gpn < count:
            run = self._take(child, gpn, count - gpn)
            self._zero(run)
            runs.append(run)
            gpn += run.page_count
        return ChildMemory(self._space, tuple(runs))

    def take_pages(self, child: int, page_count: int) -> list[int]:
        """Page numbers to deposit for ``child``, one by one.

        Raises:
            ConfigurationError: there are not so many.
        """
        return [self._pages.allocate(child) >> PAGE_SHIFT for _ in range(page_count)]

    def give_back(self, child: int) -> int:
        """Every page of ``child`` is free again; how many there were."""
        return self._pages.free_all(child)

    def _take(self, child: int, gpn: int, most: int) -> Run:
        """The longest run that is found by halving."""
        count = most
        while True:
            align = LARGE_PAGES if count >= LARGE_PAGES else 1
            try:
                spa = self._pages.allocate(child, count, align=align)
            except ConfigurationError:
                if count == 1:
                    raise
                count = smaller(count)
                continue
            return Run(gpn, spa >> PAGE_SHIFT, count)

    def _zero(self, run: Run) -> None:
        """Earlier children wrote here; only pages that somebody had are written."""
        used = np.flatnonzero(self._pages.used[run.parent_gpn : run.parent_gpn + run.page_count])
        for part in np.split(used, np.flatnonzero(np.diff(used) > 1) + 1):
            if len(part):
                gpa = (run.parent_gpn + int(part[0])) * PAGE_BYTES
                self._space.write(gpa, bytes(len(part) * PAGE_BYTES))


def smaller(count: int) -> int:
    """The next length to try: half of it, in whole large pages as long as there are any."""
    half = count // 2
    return half // LARGE_PAGES * LARGE_PAGES or half
