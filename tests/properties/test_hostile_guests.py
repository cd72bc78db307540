"""Whatever a guest sends, and whenever: no service raises, none keeps more than its bounds, all can go on."""

from collections.abc import Callable
from operator import length_hint
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from synthetic_guests import FakeChannel, FakePacket, answer_to, padded, ready

from minihv.devices.synthetic.console import Console
from minihv.devices.synthetic.echo import Echo
from minihv.devices.synthetic.framing import pipe_frame
from minihv.devices.synthetic.heartbeat import Heartbeat
from minihv.devices.synthetic.integration import IntegrationService, Phase
from minihv.devices.synthetic.kvp import MOST_PAIRS, MOST_WAITING, Kvp
from minihv.devices.synthetic.service import BATCH, SECOND, Service
from minihv.devices.synthetic.shutdown import Shutdown
from minihv.devices.synthetic.time_sync import TimeSync
from minihv.spec.integration import IcHeader, PipeHeader
from minihv.spec.own_channels import EchoHeader, EchoOrder

SERVICES: list[Callable[[], Service]] = [Heartbeat, Shutdown, TimeSync, Kvp, Echo, lambda: Console(bytes)]
NAMES = ["heartbeat", "shutdown", "time sync", "kvp", "echo", "console"]

few = st.integers(0, 6)
short = st.binary(max_size=48)
headers = st.builds(
    lambda rest, body_bytes, kind, number, flags: (
        bytes(IcHeader.build(message_type=kind, body_bytes=body_bytes, transaction_id=number, flags=flags))
        + rest
    ),
    short,
    st.integers(0, 64),
    few,
    st.integers(0, 8),
    st.sampled_from([5, 5, 3, 7, 0]),
)
orders = st.builds(
    lambda count, size: bytes(EchoOrder.build(packet_count=count, body_bytes=size)),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 17),
)
echoes = st.builds(
    lambda operation, body: bytes(EchoHeader.build(operation=operation, length=len(body))) + body,
    few,
    st.one_of(short, orders),
)
payloads = st.one_of(short, short.map(pipe_frame), headers.map(pipe_frame), headers, echoes).map(padded)
packets = st.builds(
    FakePacket,
    payloads,
    kind=st.sampled_from([6, 6, 6, 11, 9, 0, 0xFFFF]),
    flags=st.integers(0, 1),
    transaction_id=st.integers(0, (1 << 64) - 1),
)
mutations = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(packets, max_size=4)),
        st.tuples(st.just("answer"), st.tuples(mutations, st.sampled_from([0, 0, 0x80070103, 1]))),
        st.tuples(st.just("flood"), st.tuples(packets, st.integers(1, 200))),
        st.tuples(st.just("tick"), st.integers(0, 70 * SECOND)),
        st.tuples(st.just("room"), st.integers(0, 5)),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("host"), st.none()),
        st.tuples(st.just("broken"), st.none()),
    ),
    max_size=30,
)


class Guest:
    """A guest without manners, in front of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.channel = FakeChannel(room=3)
        service.opened(self.channel)

    def send(self, sent: list[FakePacket]) -> None:
        self.channel.to_host.extend(sent)
        self.service.signalled(self.channel)

    def flood(self, what: tuple[FakePacket, int]) -> None:
        self.send([what[0]] * what[1])

    def answer(self, how: tuple[list[tuple[int, int]], int]) -> None:
        """Answers the oldest question, with some bytes changed."""
        if not self.channel.to_guest:
            return
        asked = self.channel.read()
        if len(asked.payload) < PipeHeader.byte_count + IcHeader.byte_count:
            return
        reply = bytearray(answer_to(asked, status=how[1]).payload)
        for offset, value in how[0]:
            reply[offset % len(reply)] = value
        self.send([FakePacket(bytes(reply))])

    def tick(self, duration: int) -> None:
        self.service.tick(self.service.now_100ns + duration)

    def room(self, count: int) -> None:
        """Reads all there is, and lets so many packets in from now on."""
        self.channel.to_guest.clear()
        self.channel.room = count
        self.service.signalled(self.channel)

    def reopen(self, _: None) -> None:
        self.channel = FakeChannel(self.channel.room)
        self.service.opened(self.channel)

    def broken(self, _: None) -> None:
        """The guest's ring is found to be corrupt when the service next writes to it."""
        self.channel.breaks = self.service

    def host(self, _: None) -> None:
        """The host wants something meanwhile."""
        match self.service:
            case Kvp():
                self.service.set("key", "value")
                self.service.enumerate()
            case Shutdown():
                self.service.request("now")
            case Console():
                self.service.write(bytes(3000))
            case TimeSync():
                self.service.synchronise()


def kept(service: Service) -> int:
    """Items in all collections that a service has."""
    return sum(
        length_hint(value) for value in vars(service).values() if not isinstance(value, str | bytearray)
    )


@pytest.mark.parametrize("make", SERVICES, ids=NAMES)
def test_no_guest_harms_a_service(make: Callable[[], Service]) -> None:
    @given(steps)
    def property_of(script: list[tuple[str, Any]]) -> None:
        guest = Guest(make())
        for step, what in script:
            getattr(guest, step)(what)
            due = guest.service.due_100ns
            assert due is None or due >= 0
            assert kept(guest.service) <= 2 * BATCH + 256 + MOST_PAIRS + MOST_WAITING
        event(f"dropped: {bool(guest.service.dropped)}, rescinded: {bool(guest.channel.rescinded)}")
        if isinstance(guest.service, IntegrationService):
            ready(guest.service)
            assert guest.service.phase is Phase.READY

    property_of()
