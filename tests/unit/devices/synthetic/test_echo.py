"""Packets come back, are swallowed, or are made; always within the bounds of the ring."""

import pytest
from synthetic_guests import FakeChannel, FakePacket, opened, padded, send

from minihv.devices.synthetic.echo import MOST_SENT_IN_A_TURN, Echo
from minihv.devices.synthetic.service import RETRY_100NS, Refusal
from minihv.spec.own_channels import (
    MOST_SOURCE_BYTES,
    EchoHeader,
    EchoOperation,
    EchoOrder,
    EchoTotals,
)
from minihv.spec.vmbus_ring import PacketFlags, PacketKind


def packet(operation: int, body: bytes = b"", wants_completion: bool = True, number: int = 7) -> FakePacket:
    header = EchoHeader.build(operation=operation, length=len(body))
    flags = PacketFlags.COMPLETION_REQUESTED if wants_completion else 0
    return FakePacket(padded(bytes(header) + body), PacketKind.IN_BAND, flags, number)


def order(packet_count: int, body_bytes: int, wants_completion: bool = True) -> FakePacket:
    body = bytes(EchoOrder.build(packet_count=packet_count, body_bytes=body_bytes))
    return packet(EchoOperation.SOURCE, body, wants_completion)


def totals(found: FakePacket) -> tuple[int, int, int, int]:
    answer = EchoTotals(bytearray(found.payload))
    assert (answer.header.operation, answer.header.length) == (EchoOperation.TOTALS, 32)
    return answer.sunk_packets, answer.sunk_bytes, answer.sent_packets, answer.sent_bytes


def served(*packets: FakePacket, room: int = 100_000) -> tuple[Echo, FakeChannel]:
    service = Echo()
    channel = opened(service, room)
    send(service, channel, *packets)
    return service, channel


def test_echo_comes_back_as_a_completion() -> None:
    sent = packet(EchoOperation.ECHO, b"hello", number=1 << 63)
    service, channel = served(sent)
    assert channel.read() == FakePacket(sent.payload, PacketKind.COMPLETION, 0, 1 << 63)
    assert service.echoed_packets == 1


def test_echo_comes_back_in_band_when_no_completion_is_wanted() -> None:
    sent = packet(EchoOperation.ECHO, b"hello", wants_completion=False)
    _, channel = served(sent)
    assert channel.read() == FakePacket(sent.payload, PacketKind.IN_BAND, 0, 0)


def test_sink_counts_and_is_silent() -> None:
    _, channel = served(
        packet(EchoOperation.SINK, bytes(100), wants_completion=False),
        packet(EchoOperation.SINK, bytes(3)),
    )
    assert (totals(channel.read()), len(channel.to_guest)) == ((2, 103, 0, 0), 0)


def test_source_sends_what_was_ordered_and_then_the_totals() -> None:
    _, channel = served(order(3, 12))
    found = [channel.read() for _ in range(3)]
    assert [one.payload[:20] for one in found] == [
        bytes(EchoHeader.build(operation=EchoOperation.DATA, length=12)) + n.to_bytes(12, "little")
        for n in range(3)
    ]
    last = channel.read()
    assert (last.kind, last.transaction_id, totals(last)) == (PacketKind.COMPLETION, 7, (0, 0, 3, 36))


def test_source_without_a_completion_ends_in_silence() -> None:
    _, channel = served(order(2, 1, wants_completion=False))
    assert [one.kind for one in channel.to_guest] == [PacketKind.IN_BAND, PacketKind.IN_BAND]


def test_source_goes_on_when_there_is_room() -> None:
    service, channel = served(order(10, 8), room=3)
    seen = []
    while channel.to_guest:
        seen.append(channel.read().kind)
        service.signalled(channel)
    assert seen == [PacketKind.IN_BAND] * 10 + [PacketKind.COMPLETION]
    assert service.due_100ns is None


def test_endless_source_leaves_time_for_others() -> None:
    service, channel = served(order((1 << 64) - 1, 8))
    assert (len(channel.to_guest), service.due_100ns) == (MOST_SENT_IN_A_TURN, RETRY_100NS)
    service.tick(RETRY_100NS)
    assert len(channel.to_guest) == 2 * MOST_SENT_IN_A_TURN


def test_second_order_is_dropped_while_one_is_served() -> None:
    service, _ = served(order(10, 8), order(1, 8), room=3)
    assert service.dropped == {Refusal.BUSY: 1}


def test_totals_can_be_asked_for_during_an_order() -> None:
    _, channel = served(order(10_000, 8), packet(EchoOperation.TOTALS, wants_completion=False))
    answer = channel.to_guest[MOST_SENT_IN_A_TURN]
    assert (answer.kind, totals(answer)) == (
        PacketKind.IN_BAND,
        (0, 0, MOST_SENT_IN_A_TURN, 8 * MOST_SENT_IN_A_TURN),
    )


def test_reopened_channel_counts_from_zero() -> None:
    service, _ = served(packet(EchoOperation.SINK, b"x"), order(1 << 40, 8))
    channel = opened(service)
    send(service, channel, packet(EchoOperation.TOTALS))
    assert (totals(channel.read()), len(channel.to_guest)) == ((0, 0, 0, 0), 0)


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        (FakePacket(b"", PacketKind.COMPLETION), Refusal.UNASKED),
        (FakePacket(b"1234"), Refusal.SHORT),
        (FakePacket(bytes(EchoHeader.build(operation=1, length=1))), Refusal.LENGTH),
        (FakePacket(bytes(EchoHeader.build(operation=1)) + bytes(8)), Refusal.LENGTH),
        (packet(0), Refusal.OPERATION),
        (packet(EchoOperation.DATA), Refusal.OPERATION),
        (packet(EchoOperation.SOURCE, bytes(15)), Refusal.SHORT),
        (order(1, MOST_SOURCE_BYTES + 1), Refusal.BODY),
    ],
    ids=str,
)
def test_packet_that_breaks_the_protocol_is_dropped(sent: FakePacket, refusal: Refusal) -> None:
    service, channel = served(sent)
    assert (service.dropped, len(channel.to_guest)) == ({refusal: 1}, 0)
