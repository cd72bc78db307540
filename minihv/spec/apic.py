"""The local APIC: its registers, and what their bits mean.

Stands for: the page at 0xFEE00000 of xAPIC mode; in x2APIC mode MSR 0x800 + (offset >> 4) is the register.
Spec: AMD APM vol. 2, "Local APIC" and "x2APIC Support"; Intel SDM vol. 3A, "Local APIC Register Address Map",
    "Interrupt Command Register (ICR)", "APIC Timer" and "Local APIC State".
Next: ``minihv.hypervisor.apic``
"""

from enum import IntEnum

from minihv.spec.bits import Bits, field, flag

APIC_PAGE = 0xFEE0_0000
"""GPA of the page after reset."""
FIRST_X2APIC_MSR = 0x800
BROADCAST, X2APIC_BROADCAST = 0xFF, 0xFFFF_FFFF
VERSION = 0x0005_0014
"""Six entries in the local vector table; integrated."""


class ApicRegister(IntEnum):
    """Offsets into the page; ISR, TMR and IRR are eight registers each."""

    ID = 0x020
    VERSION = 0x030
    TPR = 0x080
    APR = 0x090
    PPR = 0x0A0
    EOI = 0x0B0
    LDR = 0x0D0
    DFR = 0x0E0
    SPURIOUS = 0x0F0
    ISR = 0x100
    TMR = 0x180
    IRR = 0x200
    ERROR_STATUS = 0x280
    ICR = 0x300
    ICR_HIGH = 0x310
    LVT_TIMER = 0x320
    LVT_THERMAL = 0x330
    LVT_PERFORMANCE = 0x340
    LVT_LINT0 = 0x350
    LVT_LINT1 = 0x360
    LVT_ERROR = 0x370
    TIMER_INITIAL = 0x380
    TIMER_CURRENT = 0x390
    TIMER_DIVIDE = 0x3E0
    SELF_IPI = 0x3F0


class DeliveryMode(IntEnum):
    """How an interrupt is delivered: bits 10:8 of the ICR and of LVT entries."""

    FIXED = 0
    LOWEST_PRIORITY = 1
    SMI = 2
    NMI = 4
    INIT = 5
    STARTUP = 6
    EXTINT = 7


class Shorthand(IntEnum):
    """Bits 19:18 of the ICR."""

    NONE = 0
    SELF = 1
    ALL = 2
    ALL_BUT_SELF = 3


class ApicBase(Bits, width=64):
    """MSR 0x1B.  Spec: Intel SDM vol. 3A, "Local APIC Status and Location" and "x2APIC State Transitions"."""

    bootstrap = flag(8)
    x2apic = flag(10)
    enable = flag(11)
    page = field(39, 12)


class InterruptCommand(Bits, width=64):
    """The ICR. In x2APIC mode the destination has 32 bits, in xAPIC mode only the upper eight of them."""

    vector = field(7, 0)
    delivery_mode = field(10, 8)
    logical = flag(11)
    pending = flag(12)
    asserted = flag(14)
    level = flag(15)
    shorthand = field(19, 18)
    destination = field(63, 32)


class SpuriousVector(Bits, width=32):
    """The spurious interrupt vector register, whose bit 8 enables the APIC."""

    vector = field(7, 0)
    enable = flag(8)


class LocalVector(Bits, width=32):
    """An entry of the local vector table; ``periodic`` is the timer's."""

    vector = field(7, 0)
    delivery_mode = field(10, 8)
    pending = flag(12)
    masked = flag(16)
    periodic = flag(17)


class ErrorStatus(Bits, width=32):
    """What an APIC did not accept.  Spec: Intel SDM vol. 3A, "Error Handling"."""

    send_illegal_vector = flag(5)
    received_illegal_vector = flag(6)
    illegal_register = flag(7)


class TimerDivide(Bits, width=32):
    """The divide configuration: 2 to the power of (number + 1), and 1 for 7; bit 2 is reserved."""

    low = field(1, 0)
    high = flag(3)

    @property
    def divisor(self) -> int:
        """By how much the clock is slowed."""
        return 1 << ((self.low | self.high << 2) + 1) % 8
