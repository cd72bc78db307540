"""The values of registers that are more than a number, and the names of the general registers.

Stands for: words of ring -1's objects.
Spec: TLFS, "HV_X64_SEGMENT_REGISTER"; AMD APM vol. 1, "General-Purpose Registers".
Simplified: none known.
Next: ``minihv.hypervisor.vp``
"""

from dataclasses import dataclass

GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))


@dataclass(frozen=True, slots=True)
class SegmentValue:
    """A segment register as the TLFS packs it: base, limit, selector, attributes."""

    base: int
    limit: int
    selector: int
    attributes: int

    @classmethod
    def from_bytes(cls, data: bytes) -> "SegmentValue":
        """From the 16 bytes of a hypercall element."""
        return cls(*(int.from_bytes(data[a:b], "little") for a, b in ((0, 8), (8, 12), (12, 14), (14, 16))))

    def to_bytes(self) -> bytes:
        """As the 16 bytes of a hypercall element."""
        parts = (self.base, 8), (self.limit, 4), (self.selector, 2), (self.attributes, 2)
        return b"".join(value.to_bytes(size, "little") for value, size in parts)
