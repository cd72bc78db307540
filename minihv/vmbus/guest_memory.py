"""What VMBus asks of a child's memory: which pages are RAM, to copy, and to share pages for a ring.

Stands for: the parent's mappings of a child's memory, made by the VID.
Spec: TLFS, "Guest Physical Address Spaces".
Simplified: a page that is RAM when a GPADL is made stays so; who takes it away resets the server first.
Next: ``minihv.vmbus.gpadl``
"""

from collections.abc import Sequence
from typing import Protocol

from minihv.errors import AccessError
from minihv.terms import PAGE_BYTES, PAGE_SHIFT
from minihv.vmbus.pages import RingPages


class GuestMemory(Protocol):
    """The RAM of a child. Page numbers come from the guest and may be any 64 bits."""

    def is_ram(self, gpn: int) -> bool:
        """Whether the page is the child's RAM."""

    def read(self, gpa: int, byte_count: int) -> bytes:
        """A copy of bytes that are all RAM."""

    def write(self, gpa: int, data: bytes) -> None:
        """Writes to RAM, and marks the pages as written."""

    def ring(self, gpns: Sequence[int]) -> RingPages:
        """These pages of RAM, to be read and written in place for as long as the server lives.

        What is written through it counts as written by the host, as with ``write``.
        """


class FlatMemory:
    """RAM from GPA 0 on, in one buffer: a child without a machine, for tests and for readers."""

    def __init__(self, page_count: int) -> None:
        self.buffer = bytearray(page_count * PAGE_BYTES)
        self.page_count = page_count
        self.written: set[int] = set()
        """Pages that the host wrote."""

    def is_ram(self, gpn: int) -> bool:
        """Whether the page lies in the buffer."""
        return 0 <= gpn < self.page_count

    def read(self, gpa: int, byte_count: int) -> bytes:
        """A copy of bytes of the buffer."""
        return bytes(self.buffer[self._checked(gpa, byte_count) : gpa + byte_count])

    def write(self, gpa: int, data: bytes) -> None:
        """Writes to the buffer."""
        self.buffer[self._checked(gpa, len(data)) : gpa + len(data)] = data
        self._mark_written(gpa, len(data))

    def ring(self, gpns: Sequence[int]) -> RingPages:
        """Pages of the buffer."""
        return RingPages(self.buffer, [gpn << PAGE_SHIFT for gpn in gpns], self._mark_written)

    def _mark_written(self, gpa: int, byte_count: int) -> None:
        self.written.update(range(gpa >> PAGE_SHIFT, gpa + byte_count + PAGE_BYTES - 1 >> PAGE_SHIFT))

    def _checked(self, gpa: int, byte_count: int) -> int:
        if not 0 <= gpa <= gpa + byte_count <= len(self.buffer):
            raise AccessError(
                f"RAM ends at GPA {len(self.buffer):#x}, and {byte_count:#x} bytes at {gpa:#x} lie outside: "
                "ask `is_ram` first."
            )
        return gpa
