"""SCSI as disks speak it, and drives of discs too: commands, status, sense data, and what commands return.

Spec: INCITS, "SCSI Primary Commands - 4 (SPC-4)" and "SCSI Block Commands - 3 (SBC-3)", by the names of the
    commands and pages.
Simplified: what devices without reservations need.
Next: ``minihv.devices.synthetic.scsi_disk``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Layout, be16, be32, be64, raw, u8


class Command(IntEnum):
    """Operation codes: the first byte of a command descriptor block."""

    TEST_UNIT_READY = 0x00
    REQUEST_SENSE = 0x03
    READ_6 = 0x08
    WRITE_6 = 0x0A
    INQUIRY = 0x12
    MODE_SENSE_6 = 0x1A
    START_STOP_UNIT = 0x1B
    READ_CAPACITY_10 = 0x25
    READ_10 = 0x28
    WRITE_10 = 0x2A
    VERIFY_10 = 0x2F
    SYNCHRONIZE_CACHE_10 = 0x35
    WRITE_SAME_10 = 0x41
    UNMAP = 0x42
    MODE_SENSE_10 = 0x5A
    READ_16 = 0x88
    WRITE_16 = 0x8A
    VERIFY_16 = 0x8F
    SYNCHRONIZE_CACHE_16 = 0x91
    WRITE_SAME_16 = 0x93
    SERVICE_ACTION_IN_16 = 0x9E
    REPORT_LUNS = 0xA0
    READ_12 = 0xA8
    WRITE_12 = 0xAA


class ServiceAction(IntEnum):
    """What SERVICE ACTION IN is asked for, in bits 4:0 of its second byte."""

    READ_CAPACITY_16 = 0x10


CDB_BYTES = (6, 10, 10, 0, 16, 12, 0, 0)
"""Of a command, by bits 7:5 of its operation code; 0 where that is somebody else's business."""


class ScsiStatus(IntEnum):
    """How a command ended."""

    GOOD = 0x00
    CHECK_CONDITION = 0x02


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
    WRITE_ERROR = 0x0C00
    UNRECOVERED_READ_ERROR = 0x1100
    INVALID_COMMAND_OPERATION_CODE = 0x2000
    LBA_OUT_OF_RANGE = 0x2100
    INVALID_FIELD_IN_CDB = 0x2400
    INVALID_FIELD_IN_PARAMETER_LIST = 0x2600
    WRITE_PROTECTED = 0x2700
    SPACE_ALLOCATION_FAILED = 0x2707
    MEDIUM_CHANGED = 0x2800
    RESET_OCCURRED = 0x2900
    TRAY_OPEN = 0x3A02
    REPORTED_LUNS_CHANGED = 0x3F0E
    REMOVAL_PREVENTED = 0x5302


class FixedSense(Layout, byte_count=18):
    """Sense data in the fixed format."""

    response_code = u8(0)
    key = u8(2)
    information = be32(3)
    additional_length = u8(7)
    additional = be16(12)


CURRENT_ERROR, VALID = 0x70, 0x80
"""The response code of an error of this command; beside it, whether ``information`` says where it was met."""


class PeripheralDevice(IntEnum):
    """The first byte of INQUIRY: what is there."""

    DISK = 0x00
    DISC = 0x05
    """A CD or DVD drive."""
    NOBODY = 0x7F
    """Nothing is at this number, and nothing could be."""


class InquiryData(Layout, byte_count=36):
    """The standard answer to INQUIRY."""

    peripheral = u8(0)
    removable = u8(1)
    version = u8(2)
    response_format = u8(3)
    additional_length = u8(4)
    flags = u8(7)
    vendor = raw(8, 8)
    product = raw(16, 16)
    revision = raw(32, 4)


SPC_3, SPC_4 = 0x05, 0x06
"""The version of SPC that is kept."""
REMOVABLE, COMMAND_QUEUE = 0x80, 0x02
"""The medium can be taken out; many commands may be on their way."""


class VitalPage(IntEnum):
    """Pages of vital product data."""

    SUPPORTED_PAGES = 0x00
    SERIAL_NUMBER = 0x80
    DEVICE_IDENTIFICATION = 0x83
    BLOCK_LIMITS = 0xB0
    BLOCK_CHARACTERISTICS = 0xB1
    LOGICAL_BLOCK_PROVISIONING = 0xB2


class BlockLimits(Layout, byte_count=60):
    """Page ``BLOCK_LIMITS`` behind its header of four bytes."""

    transfer_granularity = be16(2)
    most_transfer_blocks = be32(4)
    most_unmap_blocks = be32(16)
    most_unmap_descriptors = be32(20)
    unmap_granularity = be32(24)
    most_write_same_blocks = be64(32)


class BlockCharacteristics(Layout, byte_count=60):
    """Page ``BLOCK_CHARACTERISTICS`` behind its header: how fast it turns, 1 for one that does not."""

    rotation_rate = be16(0)


class Provisioning(IntFlag):
    """The second byte of page ``LOGICAL_BLOCK_PROVISIONING`` behind its header."""

    READS_ZEROS = 1 << 2
    WRITE_SAME_16 = 1 << 6
    UNMAP = 1 << 7


THIN = 0x02
"""The third byte of that page: blocks need not be kept anywhere until they are written."""


class Capacity10(Layout, byte_count=8):
    """The answer to READ CAPACITY(10)."""

    last_block = be32(0)
    block_bytes = be32(4)


class Capacity16(Layout, byte_count=32):
    """The answer to READ CAPACITY(16)."""

    last_block = be64(0)
    block_bytes = be32(8)
    physical_exponent = u8(13)
    """2 to this power is the number of logical blocks in a physical one."""
    provisioning = u8(14)


PROVISIONED, UNMAPPED_READS_ZEROS = 0x80, 0x40


class ModePage(IntEnum):
    """Pages of MODE SENSE."""

    CACHING = 0x08
    CONTROL = 0x0A
    ALL = 0x3F


class ModeHeader6(Layout, byte_count=4):
    """Begins the answer to MODE SENSE(6)."""

    length = u8(0)
    device = u8(2)


class ModeHeader10(Layout, byte_count=8):
    """Begins the answer to MODE SENSE(10)."""

    length = be16(0)
    device = u8(3)


class ModeDevice(IntFlag):
    """What the header of a mode page says of a disk."""

    FUA = 1 << 4
    WRITE_PROTECTED = 1 << 7


class UnmapList(Layout, byte_count=8):
    """Begins what UNMAP brings."""

    length = be16(0)
    descriptor_bytes = be16(2)


class UnmapDescriptor(Layout, byte_count=16):
    """Blocks that are of no use any more."""

    block = be64(0)
    count = be32(8)
