"""Numbers of the 82093AA: its two windows, its registers, and a redirection entry.

Spec: Intel, "82093AA I/O Advanced Programmable Interrupt Controller (IOAPIC)": "Register Description".
Next: ``minihv.devices.emulated.io_apic``
"""

from enum import IntEnum

from minihv.spec.bits import Bits, field, flag

BASE_GPA, BYTES, PINS = 0xFEC0_0000, 0x1000, 24
SELECT, WINDOW = 0x00, 0x10
"""Offsets of the register that chooses, and of the one that is chosen."""
VERSION = 0x11 | PINS - 1 << 16


class Register(IntEnum):
    """What can be chosen; from ``ENTRIES`` on two registers for each pin."""

    ID = 0x00
    VERSION = 0x01
    ARBITRATION = 0x02
    ENTRIES = 0x10


class DeliveryMode(IntEnum):
    """How an interrupt is delivered."""

    FIXED = 0
    LOWEST_PRIORITY = 1
    SMI = 2
    NMI = 4
    INIT = 5
    EXTINT = 7


class RedirectionEntry(Bits, width=64):
    """What becomes of a pin."""

    vector = field(7, 0)
    delivery_mode = field(10, 8)
    logical = flag(11)
    pending = flag(12)
    active_low = flag(13)
    remote_irr = flag(14)
    level = flag(15)
    masked = flag(16)
    destination = field(63, 56)


READ_ONLY = RedirectionEntry.pending.mask | RedirectionEntry.remote_irr.mask
WRITABLE = 0xFF00_0000_0001_FFFF & ~READ_ONLY
