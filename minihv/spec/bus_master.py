"""Bus-master IDE: eight registers for each channel, and the table of memory regions.

Spec: Intel, "Programming Interface for Bus Master IDE Controller", "Physical Region Descriptor" and "Bus
    Master IDE Register Descriptions".
Next: ``minihv.devices.emulated.bus_master``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Bits, field, flag

PORTS = 8
"""Of one channel."""
ENTRY_BYTES = 8
REGION_BYTES = 0x1_0000
"""Neither a region nor the table crosses a multiple of this."""


class Register(IntEnum):
    """Offsets of registers; the table pointer has four bytes."""

    COMMAND = 0
    STATUS = 2
    TABLE = 4


class Command(IntFlag):
    """The command register."""

    START = 1 << 0
    TO_MEMORY = 1 << 3
    """The device is read: the controller writes to memory."""


class Status(IntFlag):
    """The status register."""

    ACTIVE = 1 << 0
    ERROR = 1 << 1
    """Memory could not be reached; written as 1 it is cleared."""
    INTERRUPT = 1 << 2
    """The interrupt line has risen; written as 1 it is cleared."""
    DEVICE_0 = 1 << 5
    """A note of software: the device is set up for DMA."""
    DEVICE_1 = 1 << 6


class RegionEntry(Bits, width=64):
    """An entry of the table: a region of memory."""

    end_of_table = flag(63)
    half_count = field(47, 33)
    """Bytes of the region, halved; 0 stands for 64 KiB."""
    half_base = field(31, 1)
    """Where it begins, halved."""
