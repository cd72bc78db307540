"""Selectors, segment and system descriptors, gates of the IDT, and the TSS of long mode.

Stands for: what the processor reads from GDT, IDT and TSS.
Spec: AMD APM vol. 2, "Segment Selectors", "Long-Mode Segment Descriptors" and "64-Bit Task State Segment".
Twin: ``native/core/include/minihv/x86.h``, held equal by ``tests/layouts/test_x86.py``.
Next: ``minihv.spec.x86_registers``
"""

from enum import IntEnum

from minihv.spec.bits import Bits, Layout, field, flag, u16, u64


class Selector(Bits, width=16):
    """What a segment register holds.  Spec: AMD APM vol. 2, "Segment Selectors"."""

    rpl = field(1, 0)
    local = flag(2)
    index = field(15, 3)


class SegmentDescriptor(Bits, width=64):
    """A code or data segment.  Spec: AMD APM vol. 2, "Legacy Segment Descriptors".

    Of a code segment in long mode only ``dpl``, ``present``, ``long``, ``default_big`` and bit 42 count.
    """

    limit_low = field(15, 0)
    base_low = field(39, 16)
    type = field(43, 40)
    code_or_data = flag(44)
    dpl = field(46, 45)
    present = flag(47)
    limit_high = field(51, 48)
    available = flag(52)
    long = flag(53)
    default_big = flag(54)
    granularity = flag(55)
    base_high = field(63, 56)

    @property
    def base(self) -> int:
        """The address of byte 0."""
        return self.base_low | self.base_high << 24

    @property
    def limit(self) -> int:
        """The offset of the last byte, with ``granularity`` taken into account."""
        units = self.limit_low | self.limit_high << 16
        return units << 12 | 0xFFF if self.granularity else units


class SystemDescriptor(Bits, width=128):
    """A TSS or an LDT in long mode.  Spec: AMD APM vol. 2, "System Descriptors"."""

    limit_low = field(15, 0)
    base_low = field(39, 16)
    type = field(43, 40)
    code_or_data = flag(44)
    dpl = field(46, 45)
    present = flag(47)
    limit_high = field(51, 48)
    available = flag(52)
    granularity = flag(55)
    base_high = field(63, 56)
    base_upper = field(95, 64)

    @property
    def base(self) -> int:
        """The address of byte 0, all 64 bits."""
        return self.base_low | self.base_high << 24 | self.base_upper << 32

    @property
    def limit(self) -> int:
        """The offset of the last byte, with ``granularity`` taken into account."""
        units = self.limit_low | self.limit_high << 16
        return units << 12 | 0xFFF if self.granularity else units


class GateDescriptor(Bits, width=128):
    """An interrupt or trap gate in long mode.  Spec: AMD APM vol. 2, "Gate Descriptors"."""

    offset_low = field(15, 0)
    selector = field(31, 16)
    ist = field(34, 32)
    type = field(43, 40)
    code_or_data = flag(44)
    dpl = field(46, 45)
    present = flag(47)
    offset_middle = field(63, 48)
    offset_high = field(95, 64)

    @property
    def offset(self) -> int:
        """The address of the handler."""
        return self.offset_low | self.offset_middle << 16 | self.offset_high << 32

    @classmethod
    def to(cls, offset: int, selector: int, *, type: int, dpl: int = 0, ist: int = 0) -> "GateDescriptor":
        """A present gate to the handler at ``offset``."""
        return cls(
            offset_low=offset & 0xFFFF,
            offset_middle=offset >> 16 & 0xFFFF,
            offset_high=offset >> 32,
            selector=selector,
            type=type,
            dpl=dpl,
            ist=ist,
            present=True,
        )


class SystemType(IntEnum):
    """Types of system descriptors in long mode.  Spec: AMD APM vol. 2, "System-Segment Descriptor Types"."""

    LDT = 0x2
    AVAILABLE_TSS = 0x9
    BUSY_TSS = 0xB
    CALL_GATE = 0xC
    INTERRUPT_GATE = 0xE
    TRAP_GATE = 0xF


class TaskStateSegment(Layout, byte_count=0x68):
    """The stacks that the processor changes to.  Spec: AMD APM vol. 2, "64-Bit Task State Segment"."""

    rsp0 = u64(0x04)
    rsp1 = u64(0x0C)
    rsp2 = u64(0x14)
    ist1 = u64(0x24)
    ist2 = u64(0x2C)
    ist3 = u64(0x34)
    ist4 = u64(0x3C)
    ist5 = u64(0x44)
    ist6 = u64(0x4C)
    ist7 = u64(0x54)
    io_map_base = u16(0x66)


class TableRegister(Layout, byte_count=10):
    """What LGDT and LIDT read.  Spec: AMD APM vol. 2, "Global Descriptor-Table Register"."""

    limit = u16(0)
    base = u64(2)
