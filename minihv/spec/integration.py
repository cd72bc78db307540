"""Integration components: frames, versions and bodies of heartbeat, shutdown, time and key-value exchange.

Stands for: the interface of the utility channels that a Hyper-V parent offers to every child.
Spec: no document of Microsoft's; as the Hyper-V drivers of Linux (``hv_util``, ``hv_kvp``) read and write it.
Simplified: no VSS, no file copy, no IP addresses by key-value exchange; shutdown ends at 3.0.
Next: ``minihv.spec.own_channels``
"""

from enum import Enum, IntEnum, IntFlag
from uuid import UUID

from minihv.spec.bits import Layout, part, raw, u8, u16, u32, u64


class Interface(Enum):
    """Interface types of the synthetic devices of Hyper-V."""

    SCSI = UUID("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f")
    IDE_ACCELERATOR = UUID("32412632-86cb-44a2-9b5c-50d1417354f5")
    NETWORK = UUID("f8615163-df3e-46c5-913f-f2d2f965ed0e")
    SHUTDOWN = UUID("0e0b6031-5213-4934-818b-38d90ced39db")
    TIME_SYNC = UUID("9527e630-d0ae-497b-adce-e80ab0175caf")
    HEARTBEAT = UUID("57164f39-9115-4e78-ab55-382f3bd5422d")
    KVP = UUID("a9a0f4e7-5a45-4d96-b827-8a841e8c03e6")
    VSS = UUID("35fa2e29-ea23-4236-96ae-3a6ebacba440")
    DYNAMIC_MEMORY = UUID("525074dc-8985-46e2-8057-a307dc18a502")
    VIDEO = UUID("da0a7802-e377-4aac-8e77-0558eb1073f8")
    KEYBOARD = UUID("f912ad6d-2b17-48ea-bd65-f927a61c7684")
    MOUSE = UUID("cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a")


class Instance(Enum):
    """Instances that are the same on every host."""

    SHUTDOWN = UUID("b6650ff7-33bc-4840-8048-e0676786f393")
    TIME_SYNC = UUID("2dd1ce17-079e-403c-b352-a1921ee207ee")
    HEARTBEAT = UUID("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0")
    KVP = UUID("242ff919-07db-4180-9c2e-b86cb68c8c55")


PIPE_DATA = 1
"""The one type of a frame in a message pipe."""
MOST_FRAME_BYTES = 13312
"""No message of these services is longer."""


class PipeHeader(Layout, byte_count=8):
    """Begins every packet of a message pipe: the exact length, since a ring knows it to 8 bytes only."""

    type = u32(0)
    length = u32(4)


class IcHeader(Layout, byte_count=20):
    """Follows the pipe header: which versions, what kind of message, and whose answer it is."""

    framework_major = u16(0)
    framework_minor = u16(2)
    message_type = u16(4)
    message_major = u16(6)
    message_minor = u16(8)
    body_bytes = u16(10)
    status = u32(12)
    transaction_id = u8(16)
    flags = u8(17)


class MessageType(IntEnum):
    """What the body is."""

    NEGOTIATE = 0
    HEARTBEAT = 1
    KVP = 2
    SHUTDOWN = 3
    TIME_SYNC = 4
    VSS = 5


class IcFlags(IntFlag):
    """Who speaks. A question of the parent is 3, an answer of the child 5."""

    TRANSACTION = 1 << 0
    REQUEST = 1 << 1
    RESPONSE = 1 << 2


class IcStatus(IntEnum):
    """Statuses of an answer; they are HRESULTs of Windows."""

    OK = 0x0000_0000
    FAIL = 0x8000_4005
    NO_MORE_ITEMS = 0x8007_0103
    """Of an enumeration: that was all. Of a get: there is no such key."""


class Negotiate(Layout, byte_count=8):
    """Then come so many framework versions, and so many of the message, each a major and a minor ``u16``."""

    framework_count = u16(0)
    message_count = u16(2)


class Version(Layout, byte_count=4):
    """A version in the list of a negotiation."""

    major = u16(0)
    minor = u16(2)


class HeartbeatBody(Layout, byte_count=40):
    """The guest adds one to the number and, if it knows, says how its applications are."""

    sequence = u64(0)
    application_state = u32(8)


class ApplicationState(IntEnum):
    """How the applications of a guest are, by its own account."""

    UNKNOWN = 0
    HEALTHY = 1
    CRITICAL = 2
    STOPPED = 3


class ShutdownFlags(IntFlag):
    """What a shutdown asks for."""

    FORCE = 1 << 0
    RESTART = 1 << 1


class ShutdownBody(Layout, byte_count=2060):
    """``text`` is UTF-16 with a zero at the end."""

    reason = u32(0)
    timeout_seconds = u32(4)
    flags = u32(8)
    text = raw(12, 2048)


class TimeFlags(IntFlag):
    """What a guest does with a time."""

    SYNC = 1 << 0
    """Set the clock now."""
    SAMPLE = 1 << 1
    """Compare, and correct slowly."""


class TimeBody(Layout, byte_count=25):
    """Versions 1.0 and 3.0: times in units of 100 ns since 1601-01-01 UTC."""

    parent_time = u64(0)
    child_time = u64(8)
    round_trip = u64(16)
    flags = u8(24)


class TimeReferenceBody(Layout, byte_count=22):
    """Version 4.0: the parent's time, and what the child's reference counter showed at that moment."""

    parent_time = u64(0)
    reference_time = u64(8)
    flags = u8(16)
    leap = u8(17)
    stratum = u8(18)


UNIX_EPOCH = 116_444_736_000_000_000
"""1970-01-01 UTC in units of 100 ns since 1601-01-01 UTC."""


class KvpOperation(IntEnum):
    """What is asked of a pool."""

    GET = 0
    SET = 1
    DELETE = 2
    ENUMERATE = 3


class KvpPool(IntEnum):
    """Whose pairs they are."""

    EXTERNAL = 0
    """The host writes, the guest reads."""
    GUEST = 1
    """Programs of the guest write."""
    AUTO = 2
    """Facts that the guest's driver gathers, such as the version of its system."""
    AUTO_EXTERNAL = 3
    """Facts about the host."""
    AUTO_INTERNAL = 4


class KvpType(IntEnum):
    """How a value is written; the numbers are those of the Windows registry."""

    STRING = 1
    U32 = 4
    U64 = 8


KVP_KEY_BYTES = 512
KVP_VALUE_BYTES = 2048


class KvpHeader(Layout, byte_count=4):
    """Begins every body of the exchange."""

    operation = u8(0)
    pool = u8(1)


class KvpRecord(Layout, byte_count=2572):
    """A pair. Sizes are in bytes; those of text, UTF-16, count the zero at the end."""

    type = u32(0)
    key_bytes = u32(4)
    value_bytes = u32(8)
    key = raw(12, KVP_KEY_BYTES)
    value = raw(524, KVP_VALUE_BYTES)


class KvpExchange(Layout, byte_count=2576):
    """Get and set."""

    header = part(0, KvpHeader)
    record = part(4, KvpRecord)


class KvpEnumerate(Layout, byte_count=2580):
    """Enumerate: the parent counts ``index`` up until the child says that there are no more items."""

    header = part(0, KvpHeader)
    index = u32(4)
    record = part(8, KvpRecord)


class KvpDelete(Layout, byte_count=520):
    """Delete."""

    header = part(0, KvpHeader)
    key_bytes = u32(4)
    key = raw(8, KVP_KEY_BYTES)
