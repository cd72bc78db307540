"""The memory of a child as one of its VPs sees it: by GVA, with the rights that its own page tables give.

Stands for: what an instruction emulator in a worker process asks the hypervisor for.
Spec: TLFS, "HvCallTranslateVirtualAddress".
Simplified: a page that the child's tables lead to and that is not its RAM reads as ones, and keeps nothing.
Next: ``minihv.parent.string_ports``
"""

from collections.abc import Iterator
from dataclasses import dataclass

from minihv.hypervisor.partition import Partition
from minihv.paging.access import AccessKind
from minihv.terms import PAGE_BYTES, Gva

USER_RING = 3


@dataclass(frozen=True, slots=True)
class LinearFault:
    """The child's tables refuse an access: what its #PF is told of."""

    gva: int
    error_code: int


@dataclass(frozen=True, slots=True)
class LinearMemory:
    """The memory of VP ``vp_index`` of ``partition``, which does not run now, in ring ``ring``."""

    partition: Partition
    vp_index: int
    ring: int

    def read(self, gva: int, byte_count: int) -> bytes | LinearFault:
        """Bytes from ``gva`` on, or why there are none."""
        places = self.places(gva, byte_count, AccessKind.READ)
        if isinstance(places, LinearFault):
            return places
        space = self.partition.gpa_space
        return b"".join(
            space.read(gpa, count) if space.is_backed(gpa, count) else b"\xff" * count
            for gpa, count in places
        )

    def places(self, gva: int, byte_count: int, kind: AccessKind) -> list[tuple[int, int]] | LinearFault:
        """GPA and length of each part of so many bytes from ``gva`` on, all of which may be accessed."""
        found: list[tuple[int, int]] = []
        for at, count in parts(gva, byte_count):
            gpa = self._translate(at, kind)
            if isinstance(gpa, LinearFault):
                return gpa
            found.append((gpa, count))
        return found

    def put(self, places: list[tuple[int, int]], data: bytes) -> None:
        """Writes to what ``places`` has found to be writable."""
        space = self.partition.gpa_space
        for gpa, count in places:
            if space.is_backed(gpa, count, writable=True):
                space.write(gpa, data[:count])
            data = data[count:]

    def _translate(self, gva: int, kind: AccessKind) -> int | LinearFault:
        hypervisor, vp = self.partition.hypervisor, self.partition.vps[self.vp_index]
        gpa, error_code = hypervisor.reach(vp, Gva(gva), kind, user=self.ring == USER_RING)
        return gpa if error_code is None else LinearFault(gva, error_code)


def parts(gva: int, byte_count: int) -> Iterator[tuple[int, int]]:
    """The bytes from ``gva`` on, page by page."""
    while byte_count:
        count = min(byte_count, PAGE_BYTES - gva % PAGE_BYTES)
        yield gva, count
        gva, byte_count = (gva + count) % (1 << 64), byte_count - count
