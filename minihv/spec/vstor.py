"""The storage protocol of VMBus: what a guest and its storage service say to each other.

Stands for: the interface between a guest's storage driver and the storage VSP of its parent.
Spec: no document of Microsoft's; as the Hyper-V driver of Linux (``storvsc_drv.c``) reads and writes it.
Simplified: no Fibre Channel.
Twin: ``native/guests/lib/storage.c``, held equal by running it.
Next: ``minihv.spec.scsi``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Layout, raw, u8, u16, u32


class Operation(IntEnum):
    """What a packet is."""

    COMPLETE_IO = 1
    """The answer to any other."""
    REMOVE_DEVICE = 2
    EXECUTE_SRB = 3
    RESET_LUN = 4
    RESET_ADAPTER = 5
    RESET_BUS = 6
    BEGIN_INITIALIZATION = 7
    END_INITIALIZATION = 8
    QUERY_PROTOCOL_VERSION = 9
    QUERY_PROPERTIES = 10
    ENUMERATE_BUS = 11
    """The host says that disks have come or gone."""
    FIBRE_CHANNEL_DATA = 12
    CREATE_SUB_CHANNELS = 13


class NtStatus(IntEnum):
    """How the host answers."""

    SUCCESS = 0
    INVALID_PARAMETER = 0xC000_000D
    INVALID_DEVICE_REQUEST = 0xC000_0010
    REVISION_MISMATCH = 0xC000_0059
    INVALID_DEVICE_STATE = 0xC000_0184


class ProtocolVersion(IntEnum):
    """``major << 8 | minor``."""

    V4_2 = 0x0402  # Windows Server 2008 R2
    V5_1 = 0x0501  # 2012
    V6_0 = 0x0600  # 2012 R2
    V6_2 = 0x0602


class PropertyFlags(IntFlag):
    """What a controller can do."""

    MULTI_CHANNEL = 1 << 0


class SrbStatus(IntEnum):
    """What became of a request, for the driver."""

    SUCCESS = 0x01
    ABORTED = 0x02
    ERROR = 0x04
    INVALID_REQUEST = 0x06
    INVALID_LUN = 0x20


AUTOSENSE_VALID = 0x80
"""Beside an SRB status: the sense data is there."""


class Direction(IntEnum):
    """Where the data of a request goes."""

    WRITE = 0
    READ = 1
    NONE = 2


LEAST_PACKET_BYTES, PACKET_BYTES = 48, 64
"""Of a packet until 4.2, and from 5.1 on."""


class VstorPacket(Layout, byte_count=LEAST_PACKET_BYTES):
    """A packet, of which 16 bytes more are reserved from 5.1 on. The body depends on the operation."""

    operation = u32(0)
    flags = u32(4)
    status = u32(8)
    body = raw(12, 36)


class VersionBody(Layout, byte_count=4):
    """The version that a guest would like, and the revision of its driver."""

    version = u16(0)
    revision = u16(2)


class PropertiesBody(Layout, byte_count=24):
    """What a controller can do."""

    most_sub_channels = u16(4)
    flags = u32(8)
    most_transfer_bytes = u32(12)


class ScsiRequest(Layout, byte_count=36):
    """The body of ``EXECUTE_SRB`` and of its answer: a command there, sense data in its place back."""

    length = u16(0)
    srb_status = u8(2)
    scsi_status = u8(3)
    port = u8(4)
    path = u8(5)
    target = u8(6)
    lun = u8(7)
    cdb_bytes = u8(8)
    sense_bytes = u8(9)
    direction = u8(10)
    data_bytes = u32(12)
    cdb_or_sense = raw(16, 20)
