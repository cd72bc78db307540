"""A guest's end of VMBus for tests: sends messages to a server, and sorts what the server wants done."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Any, ClassVar
from uuid import UUID

from minihv.spec.bits import Layout
from minihv.spec.vmbus import MESSAGES, InitiateContact5, MessageHeader, MessageType, Version
from minihv.terms import PAGE_BYTES
from minihv.vmbus.actions import ConnectEvent, DisconnectEvent, Post, SignalChannel, Trace
from minihv.vmbus.channel import OpenChannel
from minihv.vmbus.ends import NATIVE, Ends
from minihv.vmbus.guest_memory import FlatMemory
from minihv.vmbus.messages import encode
from minihv.vmbus.offers import Offer
from minihv.vmbus.ring import RingReader, RingWriter, clear
from minihv.vmbus.rules import Rule
from minihv.vmbus.server import VmbusServer

INTERFACE, INSTANCE = UUID(int=0x1111), UUID(int=0x2222)
FIRST_PFNS = 26
BODY_PFNS = 28


@dataclass
class Device:
    """A device that remembers what happened to it, and does nothing by itself."""

    events: list[str] = field(default_factory=list)
    channel: OpenChannel | None = None

    def opened(self, channel: OpenChannel) -> None:
        self.events.append("opened")
        self.channel = channel

    def signalled(self, channel: OpenChannel) -> None:
        assert channel is self.channel
        self.events.append("signalled")

    def closed(self) -> None:
        self.events.append("closed")
        self.channel = None

    @property
    def open(self) -> OpenChannel:
        """The channel, which is open."""
        assert self.channel is not None
        return self.channel


def offer(number: int = 0) -> Offer:
    """An offer that differs from those of other numbers."""
    return Offer(INTERFACE, UUID(int=INSTANCE.int + number))


def one_range(gpns: Sequence[int], byte_offset: int = 0, byte_count: int | None = None) -> bytes:
    """A range as a guest sends it."""
    length = len(gpns) * PAGE_BYTES if byte_count is None else byte_count
    return pack(f"<II{len(gpns)}Q", length, byte_offset, *gpns)


def contact(version: int, target_vp: int = 0, sint: int = 2, vtl: int = 0) -> bytes:
    """InitiateContact as a guest of ``version`` sends it."""
    members: dict[str, Any] = {"type": MessageType.INITIATE_CONTACT, "version": version}
    return bytes(InitiateContact5.build(**members, target_vp=target_vp, sint=sint, vtl=vtl))


def read_host_message(payload: bytes) -> tuple[MessageType, Any]:
    """The type and the layout of what a host says; it has exactly its size."""
    kind = MESSAGES[MessageType(MessageHeader(payload).type)]
    layout: type[Layout] | None = kind.layout
    assert not kind.from_guest and layout is not None
    assert len(payload) == layout.byte_count, kind.words
    return kind.number, layout(payload)


class Client:
    """Sends what it is told to, and sorts what comes back."""

    ends: ClassVar[Ends] = NATIVE
    """Those of the host."""

    def __init__(self, pages: int = 64, vp_count: int = 1) -> None:
        self.memory = FlatMemory(pages)
        self.server = VmbusServer(self.memory, vp_count, self.ends)
        self.inbox: deque[tuple[int, MessageType, Any]] = deque()
        """VP, type and layout of each message."""
        self.signals: list[SignalChannel] = []
        self.traces: list[Trace] = []
        self.events: list[ConnectEvent | DisconnectEvent] = []

    # The wire.

    def post(self, payload: bytes) -> None:
        """Sends bytes, whatever they are, and takes what comes back."""
        self.server.message(payload)
        self.take()

    def send(self, kind: MessageType, data: bytes = b"", **members: Any) -> None:
        """Sends a message."""
        self.post(encode(kind, **members) + data)

    def take(self) -> None:
        """Does what the server wants done."""
        while self.server.actions:
            match action := self.server.actions.popleft():
                case Post():
                    self.inbox.append((action.vp, *read_host_message(action.payload)))
                case SignalChannel():
                    self.signals.append(action)
                case Trace():
                    self.traces.append(action)
                case ConnectEvent() | DisconnectEvent():
                    self.events.append(action)

    def answer(self, kind: MessageType) -> Any:
        """The next message, which is of that type."""
        _, found, body = self.inbox.popleft()
        assert found is kind, f"{found.name} instead of {kind.name}"
        return body

    def rule(self) -> Rule:
        """The one rule that was broken since the last time; nothing else was said about it."""
        (trace,) = self.traces
        self.traces.clear()
        return trace.rule

    def refusal(self) -> str:
        """The one sentence that was traced since the last time."""
        (trace,) = self.traces
        self.traces.clear()
        return trace.text

    # What an honest guest does.

    def contact(self, version: int = Version.V5_3, target_vp: int = 0) -> Any:
        """Asks for a version; the answer."""
        self.post(contact(version, target_vp))
        return self.answer(MessageType.VERSION_RESPONSE)

    def request_offers(self) -> list[Any]:
        """Asks for offers; those that came before the end of the list."""
        self.send(MessageType.REQUEST_OFFERS)
        found = []
        while self.inbox[0][1] is MessageType.OFFER_CHANNEL:
            found.append(self.answer(MessageType.OFFER_CHANNEL))
        self.answer(MessageType.ALL_OFFERS_DELIVERED)
        return found

    def connect(self, version: int = Version.V5_3) -> list[Any]:
        """Agrees on a version and asks for offers."""
        assert self.contact(version).supported == 1
        return self.request_offers()

    def send_gpadl(self, relid: int, gpadl: int, data: bytes, range_count: int = 1) -> None:
        """Sends a GPADL, in as many messages as it takes."""
        first = 8 * (1 + FIRST_PFNS)
        members = {"relid": relid, "gpadl": gpadl, "range_bytes": len(data), "range_count": range_count}
        self.send(MessageType.GPADL_HEADER, data[:first], **members)
        for at in range(first, len(data), 8 * BODY_PFNS):
            self.send(MessageType.GPADL_BODY, data[at : at + 8 * BODY_PFNS], gpadl=gpadl)

    def grant(self, relid: int, gpadl: int, gpns: Sequence[int]) -> int:
        """Makes a GPADL of whole pages; the status."""
        self.send_gpadl(relid, gpadl, one_range(gpns))
        body = self.answer(MessageType.GPADL_CREATED)
        assert (body.relid, body.gpadl) == (relid, gpadl)
        return int(body.status)

    def open(self, relid: int, gpadl: int, page_offset: int, target_vp: int = 0, open_id: int = 7) -> int:
        """Opens a channel; the status."""
        members: dict[str, Any] = {"relid": relid, "open_id": open_id, "gpadl": gpadl}
        self.send(MessageType.OPEN_CHANNEL, page_offset=page_offset, target_vp=target_vp, **members)
        body = self.answer(MessageType.OPEN_CHANNEL_RESULT)
        assert (body.relid, body.open_id) == (relid, open_id)
        return int(body.status)

    def close(self, relid: int) -> None:
        self.send(MessageType.CLOSE_CHANNEL, relid=relid)

    def tear_down(self, relid: int, gpadl: int) -> None:
        """Takes a GPADL back, and sees it taken."""
        self.send(MessageType.GPADL_TEARDOWN, relid=relid, gpadl=gpadl)
        assert self.answer(MessageType.GPADL_TORNDOWN).gpadl == gpadl

    def release(self, relid: int) -> None:
        self.send(MessageType.REL_ID_RELEASED, relid=relid)

    def rings(self, gpns: Sequence[int], page_offset: int) -> tuple[RingWriter, RingReader]:
        """The guest's ends of two new rings: the one it writes, and the one it reads."""
        mine, hosts = self.memory.ring(gpns[:page_offset]), self.memory.ring(gpns[page_offset:])
        clear(mine)
        clear(hosts)
        return RingWriter(mine), RingReader(hosts)


@dataclass
class Opened:
    """A client with one open channel, and both ends of it."""

    client: Client
    device: Device
    relid: int
    writer: RingWriter
    reader: RingReader

    def signal(self) -> None:
        """The guest signals the channel."""
        self.client.server.signal(self.relid)
        self.client.take()


def opened(ring_pages: int = 2, target_vp: int = 0, device: Device | None = None) -> Opened:
    """A connection with one open channel, each ring of so many pages, one of them for control."""
    client, device = Client(), device or Device()
    relid = client.server.offer(offer(), device)
    client.connect()
    gpns = range(2, 2 + 2 * ring_pages)
    assert client.grant(relid, 0xE1E10, gpns) == 0
    writer, reader = client.rings(gpns, ring_pages)
    assert client.open(relid, 0xE1E10, ring_pages, target_vp) == 0
    client.signals.clear()
    return Opened(client, device, relid, writer, reader)
