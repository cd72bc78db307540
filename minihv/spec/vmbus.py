"""The control protocol of VMBus: versions, message types, the layout of every message, connection ids.

Stands for: what a guest and its parent say to each other before a ring is open.
Spec: the structures and names are those of Hyper-V's own protocol as open-source guests write them down;
    TLFS, "Inter-Partition Communication", for the messages that carry it.
Simplified: no messages of VMBus 6.0; types 18 to 20 and 23 have a number and no layout.
Next: ``minihv.vmbus.messages``
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import overload
from uuid import UUID

from minihv.spec.bits import Layout, Member, raw, u8, u16, u32, u64

VMBUS_SINT = 2
"""The synthetic interrupt source that messages and events of VMBus arrive at in a child."""

VMBUS_MESSAGE_TYPE = 1
"""The type of a SynIC message whose payload is a message of VMBus."""

MESSAGE_BYTES = 240
"""What a SynIC message carries at most."""

CONNECTION_BEFORE_5_0 = 1
CONNECTION_FROM_5_0 = 4
"""Where a guest posts its messages; from 5.0 on VersionResponse names the connection to go on with."""

CHANNEL_CONNECTIONS = 0x2000
"""Connection id of a channel's events: this number and the relid."""

MAX_RELID = 2047
"""Channels are numbered from 1; their event flags are those of one SINT, of which flag 0 is nobody's."""

NO_INTERRUPTS = 0xFFFF_FFFF
"""As the target VP of a channel: the guest polls."""

USER_BYTES = 120
"""What an offer and an OpenChannel carry for the device: its own business."""


class Version(IntEnum):
    """``major << 16 | minor``; the names of Windows releases that brought them are in the comments."""

    V0_13 = 0x0000_000D  # Windows Server 2008
    V1_1 = 0x0001_0001  # 2008 R2
    V2_4 = 0x0002_0004  # 2012
    V3_0 = 0x0003_0000  # 2012 R2
    V4_0 = 0x0004_0000
    V4_1 = 0x0004_0001
    V5_0 = 0x0005_0000
    V5_1 = 0x0005_0001
    V5_2 = 0x0005_0002
    V5_3 = 0x0005_0003
    V6_0 = 0x0006_0000


def version_words(number: int) -> str:
    """``5.3`` for 0x00050003."""
    return f"{number >> 16}.{number & 0xFFFF}"


class MessageType(IntEnum):
    """The first word of a message."""

    OFFER_CHANNEL = 1
    RESCIND_CHANNEL_OFFER = 2
    REQUEST_OFFERS = 3
    ALL_OFFERS_DELIVERED = 4
    OPEN_CHANNEL = 5
    OPEN_CHANNEL_RESULT = 6
    CLOSE_CHANNEL = 7
    GPADL_HEADER = 8
    GPADL_BODY = 9
    GPADL_CREATED = 10
    GPADL_TEARDOWN = 11
    GPADL_TORNDOWN = 12
    REL_ID_RELEASED = 13
    INITIATE_CONTACT = 14
    VERSION_RESPONSE = 15
    UNLOAD = 16
    UNLOAD_RESPONSE = 17
    OPEN_RESERVED_CHANNEL = 18
    CLOSE_RESERVED_CHANNEL = 19
    CLOSE_RESERVED_RESPONSE = 20
    TL_CONNECT_REQUEST = 21
    MODIFY_CHANNEL = 22
    TL_CONNECT_RESULT = 23
    MODIFY_CHANNEL_RESPONSE = 24


class OfferFlags(IntFlag):
    """What an offer says of its channel."""

    ENUMERATE_DEVICE_INTERFACE = 0x0001
    TRANSFER_PAGES = 0x0002
    GPADLS = 0x0004
    NAMED_PIPE_MODE = 0x0010
    LOOPBACK = 0x0100
    PARENT_OFFER = 0x0200
    REQUEST_MONITORED_NOTIFICATION = 0x0400
    SOCKET_PROVIDER = 0x2000


class PipeMode(IntEnum):
    """The first word of the user-defined bytes when ``NAMED_PIPE_MODE`` is set."""

    BYTE = 0
    MESSAGE = 4


class ConnectionState(IntEnum):
    """Why VersionResponse says what it says."""

    SUCCESSFUL = 0
    LOW_RESOURCES = 1
    FAILED = 2


class ChannelStatus(IntEnum):
    """The status of GpadlCreated, OpenChannelResult and ModifyChannelResponse; guests look for 0 only.

    Spec: [MS-ERREF], "NTSTATUS Values".
    """

    SUCCESS = 0
    UNSUCCESSFUL = 0xC000_0001
    INVALID_PARAMETER = 0xC000_000D
    INSUFFICIENT_RESOURCES = 0xC000_009A
    INVALID_DEVICE_STATE = 0xC000_0184
    NOT_FOUND = 0xC000_0225


class Guid(UUID):
    """A GUID; its bytes are in the order of Windows, the first three groups little-endian."""

    def __bytes__(self) -> bytes:
        """The 16 bytes as a message has them."""
        return self.bytes_le


class GuidMember(Member):
    """Sixteen bytes that are a GUID."""

    @overload  # type: ignore[override]
    def __get__(self, value: None, owner: type) -> "GuidMember": ...
    @overload
    def __get__(self, value: Layout, owner: type) -> Guid: ...
    def __get__(self, value: Layout | None, owner: type) -> "GuidMember | Guid":
        """The GUID."""
        return self if value is None else Guid(bytes_le=bytes(self._bytes(value)))

    def __set__(self, value: Layout, guid: UUID) -> None:  # type: ignore[override]
        """Writes the GUID, mixed-endian."""
        self._bytes(value)[:] = guid.bytes_le


def guid(offset: int) -> GuidMember:
    """A GUID at ``offset``."""
    return GuidMember(offset, 16)


class MessageHeader(Layout, byte_count=8):
    """How every message begins, and all of RequestOffers, AllOffersDelivered, Unload and UnloadResponse."""

    type = u32(0)
    zero = u32(4)


class OfferChannel(Layout, byte_count=196):
    """A device: what it is, and how its channel is named and signalled."""

    type = u32(0)
    interface = guid(8)
    instance = guid(24)
    flags = u16(56)
    mmio_megabytes = u16(58)
    user_defined = raw(60, USER_BYTES)
    sub_channel = u16(180)
    mmio_megabytes_optional = u16(182)
    relid = u32(184)
    monitor_id = u8(188)
    monitor_allocated = u8(189)
    dedicated_interrupt = u16(190)
    connection_id = u32(192)


class RescindChannelOffer(Layout, byte_count=12):
    """The device is gone."""

    type = u32(0)
    relid = u32(8)


class OpenChannel(Layout, byte_count=148):
    """The guest has made a GPADL of both rings and begins to talk."""

    type = u32(0)
    relid = u32(8)
    open_id = u32(12)
    gpadl = u32(16)
    target_vp = u32(20)
    page_offset = u32(24)
    user_defined = raw(28, USER_BYTES)


class OpenChannelResult(Layout, byte_count=20):
    """Whether the channel is open."""

    type = u32(0)
    relid = u32(8)
    open_id = u32(12)
    status = u32(16)


class CloseChannel(Layout, byte_count=12):
    """The guest has stopped to talk. There is no answer."""

    type = u32(0)
    relid = u32(8)


class GpadlHeader(Layout, byte_count=20):
    """The begin of a GPADL; as many qwords of its ranges as fit follow."""

    type = u32(0)
    relid = u32(8)
    gpadl = u32(12)
    range_bytes = u16(16)
    range_count = u16(18)


class GpadlBody(Layout, byte_count=16):
    """More of a GPADL; up to 28 qwords follow. Guests leave the number 0."""

    type = u32(0)
    number = u32(8)
    gpadl = u32(12)


class GpadlCreated(Layout, byte_count=20):
    """Whether the host may now use the pages."""

    type = u32(0)
    relid = u32(8)
    gpadl = u32(12)
    status = u32(16)


class GpadlTeardown(Layout, byte_count=16):
    """The guest wants its pages back."""

    type = u32(0)
    relid = u32(8)
    gpadl = u32(12)


class GpadlTorndown(Layout, byte_count=12):
    """The host uses the pages no more."""

    type = u32(0)
    gpadl = u32(8)


class RelIdReleased(Layout, byte_count=12):
    """The guest has forgotten a rescinded channel; its number may be used again."""

    type = u32(0)
    relid = u32(8)


class InitiateContact(Layout, byte_count=40):
    """Begins a connection of one version, as it is laid out before 5.0."""

    type = u32(0)
    version = u32(8)
    target_vp = u32(12)
    interrupt_page = u64(16)
    parent_to_child_monitor = u64(24)
    child_to_parent_monitor = u64(32)


class InitiateContact5(Layout, byte_count=40):
    """The same from 5.0 on: no interrupt page, but where the host's messages go."""

    type = u32(0)
    version = u32(8)
    target_vp = u32(12)
    sint = u8(16)
    vtl = u8(17)
    feature_flags = u32(20)
    parent_to_child_monitor = u64(24)
    child_to_parent_monitor = u64(32)


class VersionResponse(Layout, byte_count=16):
    """Whether the version is spoken; from 5.0 on also the connection id for all further messages."""

    type = u32(0)
    supported = u8(8)
    state = u8(9)
    connection_id = u32(12)


class TlConnectRequest(Layout, byte_count=40):
    """A guest wants to connect a socket to a service of the host."""

    type = u32(0)
    endpoint = guid(8)
    service = guid(24)


class ModifyChannel(Layout, byte_count=16):
    """The events of an open channel go to another VP from now on."""

    type = u32(0)
    relid = u32(8)
    target_vp = u32(12)


class ModifyChannelResponse(Layout, byte_count=16):
    """Whether they do."""

    type = u32(0)
    relid = u32(8)
    status = u32(12)


class GpadlRange(Layout, byte_count=8):
    """The begin of a range in a GPADL; one qword follows for each page: its number."""

    range_bytes = u32(0)
    byte_offset = u32(4)


@dataclass(frozen=True, slots=True)
class MessageKind:
    """What is known of the messages of one type."""

    number: MessageType
    from_guest: bool
    layout: type[Layout] | None
    since: Version = Version.V0_13
    """The first version that has it."""
    carries_qwords: bool = False
    """Whether qwords follow the layout."""

    @property
    def words(self) -> str:
        """``GpadlHeader`` for ``GPADL_HEADER``."""
        return "".join(word.capitalize() for word in self.number.name.split("_"))


MESSAGES = {
    kind.number: kind
    for kind in (
        MessageKind(MessageType.OFFER_CHANNEL, False, OfferChannel),
        MessageKind(MessageType.RESCIND_CHANNEL_OFFER, False, RescindChannelOffer),
        MessageKind(MessageType.REQUEST_OFFERS, True, MessageHeader),
        MessageKind(MessageType.ALL_OFFERS_DELIVERED, False, MessageHeader),
        MessageKind(MessageType.OPEN_CHANNEL, True, OpenChannel),
        MessageKind(MessageType.OPEN_CHANNEL_RESULT, False, OpenChannelResult),
        MessageKind(MessageType.CLOSE_CHANNEL, True, CloseChannel),
        MessageKind(MessageType.GPADL_HEADER, True, GpadlHeader, carries_qwords=True),
        MessageKind(MessageType.GPADL_BODY, True, GpadlBody, carries_qwords=True),
        MessageKind(MessageType.GPADL_CREATED, False, GpadlCreated),
        MessageKind(MessageType.GPADL_TEARDOWN, True, GpadlTeardown),
        MessageKind(MessageType.GPADL_TORNDOWN, False, GpadlTorndown),
        MessageKind(MessageType.REL_ID_RELEASED, True, RelIdReleased),
        MessageKind(MessageType.INITIATE_CONTACT, True, InitiateContact),
        MessageKind(MessageType.VERSION_RESPONSE, False, VersionResponse),
        MessageKind(MessageType.UNLOAD, True, MessageHeader),
        MessageKind(MessageType.UNLOAD_RESPONSE, False, MessageHeader, Version.V1_1),
        MessageKind(MessageType.OPEN_RESERVED_CHANNEL, True, None),
        MessageKind(MessageType.CLOSE_RESERVED_CHANNEL, True, None),
        MessageKind(MessageType.CLOSE_RESERVED_RESPONSE, False, None),
        MessageKind(MessageType.TL_CONNECT_REQUEST, True, TlConnectRequest, Version.V4_0),
        MessageKind(MessageType.MODIFY_CHANNEL, True, ModifyChannel, Version.V4_1),
        MessageKind(MessageType.TL_CONNECT_RESULT, False, None, Version.V4_0),
        MessageKind(MessageType.MODIFY_CHANNEL_RESPONSE, False, ModifyChannelResponse, Version.V5_3),
    )
}
