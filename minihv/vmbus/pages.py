"""The memory of a ring: pages that lie anywhere, seen as one run of bytes, the control page first.

Stands for: what a GPADL describes.
Spec: Linux, "drivers/hv/channel.c" (how a ring is laid into its GPADL).
Simplified: none known.
Next: ``minihv.vmbus.ring``
"""

from collections.abc import Callable, Sequence
from typing import Any

from minihv.errors import LayoutError
from minihv.terms import PAGE_BYTES

LARGEST_DATA = 1 << 30
UNIT = 8


class RingPages:
    """A ring in ``view``, a writable buffer: page n of it begins at ``addresses[n]``.

    ``written`` is told of every byte that an end changes, as address and number of bytes: whoever keeps a
    log of writes, or code translated from there, wants to know.
    """

    def __init__(
        self, view: Any, addresses: Sequence[int], written: Callable[[int, int], None] | None = None
    ) -> None:
        self.view = memoryview(view).cast("B")
        self.addresses = tuple(addresses)
        self.written = written
        self.data_bytes = PAGE_BYTES * (len(self.addresses) - 1)
        if len(self.addresses) < 2:
            raise LayoutError(
                f"A ring is a control page and at least one page of data, not {len(self.addresses)} pages."
            )
        if self.data_bytes > LARGEST_DATA:
            raise LayoutError(
                f"A ring has at most {LARGEST_DATA:#x} bytes of data, not {self.data_bytes:#x}."
            )
        outside = [a for a in self.addresses if a % UNIT or not 0 <= a <= len(self.view) - PAGE_BYTES]
        if outside:
            raise LayoutError(
                f"Pages of a ring begin at multiples of 8 inside the {len(self.view):#x} bytes of its "
                f"memory, not at {outside[0]:#x}."
            )

    @classmethod
    def of(cls, buffer: Any) -> "RingPages":
        """A ring in one piece that fills ``buffer``."""
        view = memoryview(buffer).cast("B")
        return cls(view, range(0, len(view) - PAGE_BYTES + 1, PAGE_BYTES))

    @property
    def is_flat(self) -> bool:
        """Whether the data lies in one piece."""
        first = self.addresses[1] - PAGE_BYTES
        return all(a == first + PAGE_BYTES * n for n, a in enumerate(self.addresses[1:], start=1))

    def pieces(self, offset: int, byte_count: int) -> list[tuple[int, int]]:
        """Address and length of the pieces of a range, which may not reach out of the ring."""
        found = []
        while byte_count:
            within = offset % PAGE_BYTES
            step = min(byte_count, PAGE_BYTES - within)
            found.append((self.addresses[offset // PAGE_BYTES] + within, step))
            offset, byte_count = offset + step, byte_count - step
        return found

    def read(self, offset: int, byte_count: int) -> bytes:
        """A copy of a range."""
        return b"".join(bytes(self.view[a : a + n]) for a, n in self.pieces(offset, byte_count))

    def write(self, offset: int, data: bytes) -> None:
        """Changes a range."""
        done = 0
        for address, byte_count in self.pieces(offset, len(data)):
            self.view[address : address + byte_count] = data[done : done + byte_count]
            done += byte_count
        self.note(offset, len(data))

    def note(self, offset: int, byte_count: int) -> None:
        """Tells who wants to know that a range was changed."""
        if self.written is not None:
            for address, count in self.pieces(offset, byte_count):
                self.written(address, count)
