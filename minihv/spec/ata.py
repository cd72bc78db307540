"""Numbers of ATA: the registers of a channel, the bits of status and error, the commands.

Spec: INCITS, "ATA/ATAPI Command Set (ATA8-ACS)": "Command set"; "ATA/ATAPI-7 Volume 2", "Registers".
Next: ``minihv.devices.emulated.port_bus``
"""

from enum import IntEnum, IntFlag

PRIMARY, SECONDARY = (0x1F0, 0x3F6), (0x170, 0x376)
"""The first port of the command block, and the port of the control block, of each channel."""
COMMAND_PORTS = 8


class Register(IntEnum):
    """Ports of the command block, from its first on; some are another register when they are written."""

    DATA = 0
    ERROR = 1
    FEATURES = 1
    COUNT = 2
    LBA_LOW = 3
    LBA_MID = 4
    LBA_HIGH = 5
    DEVICE = 6
    STATUS = 7
    COMMAND = 7


class Status(IntFlag):
    """The status register."""

    ERR = 1 << 0
    DRQ = 1 << 3
    DSC = 1 << 4
    """A bit of old: the seek is complete."""
    DF = 1 << 5
    DRDY = 1 << 6
    BSY = 1 << 7


class Error(IntFlag):
    """The error register, valid while ERR is set."""

    ABRT = 1 << 2
    IDNF = 1 << 4
    UNC = 1 << 6


class Device(IntFlag):
    """The device register; bits 3:0 are those of a short LBA, or the head."""

    DEV = 1 << 4
    LBA = 1 << 6


class Control(IntFlag):
    """The device control register."""

    NIEN = 1 << 1
    """No interrupts."""
    SRST = 1 << 2
    HOB = 1 << 7
    """Reads show what was written before the last time."""


class Command(IntEnum):
    """The commands of disks and CD drives that are known here."""

    DEVICE_RESET = 0x08
    RECALIBRATE = 0x10
    READ_SECTORS = 0x20
    READ_SECTORS_EXT = 0x24
    READ_DMA_EXT = 0x25
    READ_MULTIPLE_EXT = 0x29
    WRITE_SECTORS = 0x30
    WRITE_SECTORS_EXT = 0x34
    WRITE_DMA_EXT = 0x35
    WRITE_MULTIPLE_EXT = 0x39
    READ_VERIFY = 0x40
    READ_VERIFY_EXT = 0x42
    DIAGNOSE = 0x90
    INITIALIZE_PARAMETERS = 0x91
    PACKET = 0xA0
    IDENTIFY_PACKET = 0xA1
    READ_MULTIPLE = 0xC4
    WRITE_MULTIPLE = 0xC5
    SET_MULTIPLE = 0xC6
    READ_DMA = 0xC8
    WRITE_DMA = 0xCA
    STANDBY_NOW = 0xE0
    IDLE_NOW = 0xE1
    STANDBY = 0xE2
    IDLE = 0xE3
    CHECK_POWER = 0xE5
    FLUSH = 0xE7
    FLUSH_EXT = 0xEA
    IDENTIFY = 0xEC
    SET_FEATURES = 0xEF


class PacketFeature(IntFlag):
    """The features register of PACKET."""

    DMA = 1 << 0
    OVERLAP = 1 << 1


class Reason(IntFlag):
    """The count register while a packet is carried out; both bits: it is done."""

    COMMAND = 1 << 0
    """The packet itself is wanted."""
    TO_HOST = 1 << 1


PACKET_SIGNATURE = (0x14, 0xEB)
"""In the middle and the high byte of the address, where a device takes packets; zeros are a disk."""
SET_TRANSFER_MODE = 0x03
"""Of SET FEATURES."""
DIAGNOSED = 0x01
"""In the error register behind a reset: the device passed."""
ACTIVE = 0xFF
"""In the count register behind CHECK POWER MODE."""
MOST_LBA28, MOST_LBA48 = (1 << 28) - 1, (1 << 48) - 1
