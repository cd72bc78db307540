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

from minihv.spec.vmbus import MESSAGE_BYTES, MessageHeader, MessageType, Version
from minihv.vmbus.actions import Action, Post
from minihv.vmbus.channel import OpenChannel
from minihv.vmbus.gpadl import Gpadl
from minihv.vmbus.guest_memory import FlatMemory
from minihv.vmbus.limits import MAX_ACTIONS, MAX_GPADLS, MAX_GRANTED_PAGES, MAX_HALF_RECEIVED_BYTES
from minihv.vmbus.messages import decode, encode
from minihv.vmbus.offers import Offer
from minihv.vmbus.server import VmbusServer

RAM_PAGES, VPS, DEVICES = 64, 2, 2
MESSAGE, SIGNAL, WRITE, RESCIND = range(4)  # the rest of a letter's first byte does not count
KNOWN = get_args(Action)


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
    memory = FlatMemory(RAM_PAGES)
    server = VmbusServer(memory, VPS)
    for number in range(DEVICES):
        server.offer(Offer(UUID(int=1), UUID(int=number)), Repeater())
    wanted: list[str] = []
    for kind, content in letters(data):
        happen(server, memory, kind, content)
        wanted += take_all(server)
        check(server)
    server.reset()
    assert greeted(server), "an honest guest is not heard after a hostile one"
    return wanted


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


def greeted(server: VmbusServer) -> bool:
    """Whether first contact and the offers work."""
    server.message(encode(MessageType.INITIATE_CONTACT, version=Version.V4_0))
    server.message(encode(MessageType.REQUEST_OFFERS))
    posts = [action for action in server.actions if isinstance(action, Post)]
    types = [MessageType(MessageHeader(post.payload).type) for post in posts]
    return types[0] is MessageType.VERSION_RESPONSE and types[-1] is MessageType.ALL_OFFERS_DELIVERED


if __name__ == "__main__":
    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()
