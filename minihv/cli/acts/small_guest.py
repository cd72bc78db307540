"""A guest of a few instructions for the tour, with page tables of its own in the smallest pages.

Its partition's memory is no multiple of 2 MiB, so the second level uses the smallest pages too: a walk
passes every level of both.

Next: ``minihv.cli.acts.act1``
"""

from typing import Self

from minihv.guests.image import Image, Segment
from minihv.guests.session import load
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.paging.formats import X86_64
from minihv.paging.tables import FramePool, PageTables
from minihv.spec.x86_paging import WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, Gpa, Gva

MEMORY_BYTES = LARGE_PAGE_BYTES + PAGE_BYTES
CODE_GPA, DATA_GPA = Gpa(0x10_0000), Gpa(0x10_1000)
CODE_GVA, DATA_GVA = Gva(0x1234_5678_9000), Gva(0x1234_5678_A000)
FRAMES_FOR_TABLES = range(0x10_2000, 0x11_0000, PAGE_BYTES)


class GuestMemory:
    """The RAM of a guest as it sees it, for building tables there."""

    def __init__(self, space: GpaSpace) -> None:
        self._space = space

    def read_u64(self, gpa: int) -> int:
        """Eight bytes at ``gpa``."""
        return int.from_bytes(self._space.read(gpa, 8), "little")

    def write_u64(self, gpa: int, value: int) -> None:
        """Eight bytes at ``gpa``."""
        self._space.write(gpa, value.to_bytes(8, "little"))

    def fill_zero(self, gpa: int, byte_count: int) -> None:
        """``byte_count`` zeros from ``gpa`` on."""
        self._space.write(gpa, bytes(byte_count))


class SmallGuest:
    """A machine with one partition that is about to execute ``code``. RBX is the GVA of a page of data."""

    def __init__(self, code: bytes) -> None:
        self.hypervisor = Hypervisor(machine_bytes(MEMORY_BYTES))
        self.partition = self.hypervisor.create_partition("a guest of the tour", MEMORY_BYTES)
        self.vp = self.partition.vps[0]
        segment = Segment(Gva(CODE_GPA), CODE_GPA, code, PAGE_BYTES, True, True, True)
        load(self.partition, Image("tour", Gva(CODE_GPA), (segment,), (), {}, 4), MEMORY_BYTES)
        pool = FramePool(list(FRAMES_FOR_TABLES))
        self.tables = PageTables(
            GuestMemory(self.partition.gpa_space), X86_64[4], allocate=pool.allocate, free=pool.free
        )
        self.maps(CODE_GVA, CODE_GPA)
        self.maps(DATA_GVA, DATA_GPA)
        self.vp.write("cr3", self.tables.root)
        self.vp.write("rip", CODE_GVA)
        self.vp.write("rbx", DATA_GVA)

    def maps(self, gva: int, gpa: int) -> None:
        """The guest's own tables lead from ``gva`` to ``gpa``, whatever is there."""
        self.tables.map(gva, gpa, PAGE_BYTES, WRITABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hypervisor.close()
