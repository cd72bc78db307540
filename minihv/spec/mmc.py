"""Numbers of CD and DVD drives alone: commands, profiles and features. Those of all SCSI are in ``scsi``.

Spec: INCITS, "SCSI Multimedia Commands - 5 (MMC-5)", by the names of the commands; "ATA/ATAPI-7 Volume 2",
    "PACKET command".
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


class DiscCommand(IntEnum):
    """Operation codes of drives of discs, beside those of ``minihv.spec.scsi``."""

    FORMAT_UNIT = 0x04
    PREVENT_ALLOW = 0x1E
    WRITE_AND_VERIFY = 0x2E
    READ_TOC = 0x43
    GET_CONFIGURATION = 0x46
    GET_EVENT_STATUS = 0x4A
    BLANK = 0xA1


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
RECOVERY_PAGE, CAPABILITIES_PAGE = 0x01, 0x2A
"""Pages of MODE SENSE."""
