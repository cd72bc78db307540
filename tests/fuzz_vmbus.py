"""A fuzz target: a VMBus server hears whatever bytes say, and afterwards serves an honest guest.

Run as a program it is driven by atheris, which watches which branches were taken:

    python tests/fuzz_vmbus.py CORPUS -max_total_time=60

The input is a list of letters: a byte for what happens, a byte of length, and so many bytes. Everything that
the server wants done is taken from it in between, as the parent does.
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import get_args
from uuid import UUID

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["minihv.vmbus"]):
        import_module("minihv.vmbus.server")

from vmbus_client import Client

from minihv.spec.vmbus import MESSAGE_BYTES, MessageHeader, MessageType
from minihv.spec.vmbus_ring import PacketKind
from minihv.vmbus.actions import Action, Post
from minihv.vmbus.channel import OpenChannel
from minihv.vmbus.gpadl import Gpadl
from minihv.vmbus.guest_memory import FlatMemory
from minihv.vmbus.limits import MAX_ACTIONS, MAX_GPADLS, MAX_GRANTED_PAGES, MAX_HALF_RECEIVED_BYTES
from minihv.vmbus.messages import decode
from minihv.vmbus.offers import Offer
from minihv.vmbus.packets import Packet
from minihv.vmbus.server import VmbusServer

RAM_PAGES, VPS, DEVICES = 64, 2, 2
MESSAGE, SIGNAL, WRITE, RESCIND = range(4)  # the rest of a letter's first byte does not count
KNOWN = get_args(Action)
GPADL, GPNS = 0xE1E10, range(2, 6)
"""Of the honest guest's rings."""


class Repeater:
    """A device that reads all there is, and sends it back."""

    def opened(self, channel: OpenChannel) -> None:
        """Nothing is said first."""

    def signalled(self, channel: OpenChannel) -> None:
        for packet in channel.receive():
            channel.read_ranges(packet)
            channel.complete(packet.transaction_id, packet.payload)

    def closed(self) -> None:
        """The next guest opens it anew."""


def letters(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What happens, and with which bytes."""
    at = 0
    while at + 2 <= len(data):
        kind, length = data[at] % 4, data[at + 1]
        yield kind, data[at + 2 : at + 2 + length]
        at += 2 + length


def run_one(data: bytes) -> list[str]:
    """Has a server hear ``data``, and checks what must be true of it; the types of what it wanted done."""
    client = Client(RAM_PAGES, VPS)
    server = client.server
    for number in range(DEVICES):
        server.offer(device(number), Repeater())
    wanted: list[str] = []
    for kind, content in letters(data):
        happen(server, client.memory, kind, content)
        wanted += take_all(server)
        check(server)
    server.reset()
    take_all(server)
    check_empty(server)
    serve(client)
    return wanted


def device(number: int) -> Offer:
    """What a device is offered as."""
    return Offer(UUID(int=1), UUID(int=number))


def happen(server: VmbusServer, memory: FlatMemory, kind: int, content: bytes) -> None:
    """One letter."""
    number = int.from_bytes(content[:2], "little")
    if kind == MESSAGE:
        decode(content[:MESSAGE_BYTES])
        server.message(content)
    elif kind == SIGNAL:
        server.signal(number)
    elif kind == WRITE:
        at = number * 8 % len(memory.buffer)
        part = content[2 : 2 + len(memory.buffer) - at]
        memory.buffer[at : at + len(part)] = part
    elif number in {channel.relid for channel in server.channels}:
        server.rescind(number)


def take_all(server: VmbusServer) -> list[str]:
    """Takes what the server wants done; all of it is of a known type and fits into a message."""
    names = []
    assert len(server.actions) <= MAX_ACTIONS
    while server.actions:
        action = server.actions.popleft()
        assert isinstance(action, KNOWN)
        if isinstance(action, Post):
            assert len(action.payload) <= MESSAGE_BYTES and 0 <= action.vp < VPS
            MessageType(MessageHeader(action.payload).type)
        names.append(type(action).__name__)
    return names


def check(server: VmbusServer) -> None:
    """The tables of a guest stay within what one guest may cost."""
    table = server.gpadls
    assert 0 <= table.granted_pages <= MAX_GRANTED_PAGES
    assert 0 <= table.half_received_bytes <= MAX_HALF_RECEIVED_BYTES
    assert len(table) <= MAX_GPADLS
    ids = [(number, one.relid) for one in server.channels for number in table.of_channel(one.relid)]
    whole = [found for found in (table.find(*each) for each in ids) if isinstance(found, Gpadl)]
    assert sum(gpadl.page_count for gpadl in whole) == table.granted_pages
    assert all(0 <= gpn < RAM_PAGES for gpadl in whole for part in gpadl.ranges for gpn in part.gpns)


def check_empty(server: VmbusServer) -> None:
    """After a reset nothing is left of a guest, and what the host took back is not offered."""
    table = server.gpadls
    assert (len(table), table.granted_pages, table.half_received_bytes) == (0, 0, 0)
    assert server.agreement is None and not server.offers_requested
    assert not any(channel.open or channel.is_told or channel.is_rescinded for channel in server.channels)


def serve(client: Client) -> None:
    """An honest guest hears every offer, opens a channel that is new, and has its packet answered."""
    relid = client.server.offer(device(DEVICES), Repeater())
    assert {offer.relid for offer in client.connect()} == {
        channel.relid for channel in client.server.channels
    }
    assert client.grant(relid, GPADL, GPNS) == 0
    writer, reader = client.rings(GPNS, len(GPNS) // 2)
    assert client.open(relid, GPADL, len(GPNS) // 2) == 0
    writer.write(Packet(PacketKind.IN_BAND, b"are you?", transaction_id=4711))
    writer.commit_write()
    client.server.signal(relid)
    assert reader.read() == Packet(PacketKind.COMPLETION, b"are you?", transaction_id=4711)
    client.take()
    assert client.signals[-1].relid == relid and client.traces == []


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
