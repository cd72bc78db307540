"""Numbers of CD and DVD drives: commands, sense data, profiles and features.

Spec: INCITS, "SCSI Multimedia Commands - 5 (MMC-5)" and "SCSI Primary Commands - 3 (SPC-3)", by the names of
    the commands; "ATA/ATAPI-7 Volume 2", "PACKET command".
Next: ``minihv.devices.emulated.cd_drive``
"""

from enum import IntEnum

BLOCK_BYTES = 2048
CDB_BYTES = 12
"""Of a command packet."""
MOST_CD_BLOCKS = 80 * 60 * 75
"""Of a disc of 80 minutes; what is larger is a DVD."""
LEAD_OUT = 0xAA
"""The number of the track behind the last."""
DATA_TRACK = 0x14
"""In a table of contents: the number of the track says where it is, and data may not be copied as audio."""
MSF_OFFSET = 150
"""Blocks before block 0, as minutes, seconds and frames count: two seconds."""


class Command(IntEnum):
    """Operation codes: the first byte of a packet."""

    TEST_UNIT_READY = 0x00
    REQUEST_SENSE = 0x03
    FORMAT_UNIT = 0x04
    INQUIRY = 0x12
    START_STOP_UNIT = 0x1B
    PREVENT_ALLOW = 0x1E
    READ_CAPACITY = 0x25
    READ_10 = 0x28
    WRITE_10 = 0x2A
    WRITE_AND_VERIFY = 0x2E
    READ_TOC = 0x43
    GET_CONFIGURATION = 0x46
    GET_EVENT_STATUS = 0x4A
    MODE_SENSE_10 = 0x5A
    BLANK = 0xA1
    READ_12 = 0xA8
    WRITE_12 = 0xAA


class SenseKey(IntEnum):
    """What kind of trouble there is."""

    NO_SENSE = 0x0
    NOT_READY = 0x2
    MEDIUM_ERROR = 0x3
    ILLEGAL_REQUEST = 0x5
    UNIT_ATTENTION = 0x6
    DATA_PROTECT = 0x7


class Additional(IntEnum):
    """Additional sense: the code in bits 15:8, its qualifier in bits 7:0."""

    NONE = 0x0000
    UNRECOVERED_READ_ERROR = 0x1100
    INVALID_COMMAND = 0x2000
    LBA_OUT_OF_RANGE = 0x2100
    INVALID_FIELD = 0x2400
    WRITE_PROTECTED = 0x2700
    MEDIUM_CHANGED = 0x2800
    RESET_OCCURRED = 0x2900
    TRAY_OPEN = 0x3A02
    REMOVAL_PREVENTED = 0x5302


class Profile(IntEnum):
    """What kind of disc is there."""

    NONE = 0x0000
    CD_ROM = 0x0008
    DVD_ROM = 0x0010


class Feature(IntEnum):
    """What a drive can do, as GET CONFIGURATION lists it."""

    PROFILES = 0x0000
    CORE = 0x0001
    REMOVABLE_MEDIUM = 0x0003
    RANDOM_READABLE = 0x0010
    CD_READ = 0x001E
    DVD_READ = 0x001F


class MediaEvent(IntEnum):
    """What has become of the medium."""

    NONE = 0
    NEW = 2
    REMOVED = 3


MEDIA_CLASS = 4
"""The class of media events in GET EVENT STATUS NOTIFICATION."""
EVERY_PAGE, RECOVERY_PAGE, CAPABILITIES_PAGE = 0x3F, 0x01, 0x2A
