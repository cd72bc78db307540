"""A guest whose every table and page lies in RAM that the second stage maps, for tests of what is cached."""

from builders import USER, WRITABLE

from minihv.paging.access import Paging
from minihv.paging.tlb_parts import AddressSpace
from minihv.testing import PageTable, memory_of

RAM_SPA = 0x40000
RAM_BYTES = 0x40000


class TwoStages:
    """An empty guest: GPA 0 lies at ``RAM_SPA``, and its tables begin at GPA 0x1000."""

    def __init__(self, levels: int = 4) -> None:
        self.memory = memory_of(RAM_SPA + RAM_BYTES)
        self.second = PageTable(self.memory, 0x1000, 4)
        for gpa in range(0, RAM_BYTES, 0x1000):
            self.second.maps(gpa, to=RAM_SPA + gpa)
        self.guest = PageTable(self.memory, 0x1000, levels, offset=RAM_SPA)

    def maps(
        self, gva: int, *, to: int, page_bytes: int = 0x1000, flags: int = USER | WRITABLE
    ) -> "TwoStages":
        """One more page of the guest."""
        self.guest.maps(gva, to=to, page_bytes=page_bytes, flags=flags)
        return self

    @property
    def space(self) -> AddressSpace:
        """Its address space."""
        second: Paging = self.second.paging
        return AddressSpace(self.guest.paging, second)
