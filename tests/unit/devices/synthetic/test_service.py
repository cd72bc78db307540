"""What all services share: full rings, floods, and channels that come and go."""

import pytest
from synthetic_guests import FakeChannel, FakePacket, opened, send

from minihv.devices.synthetic.service import (
    BATCH,
    MOST_DROPPED_IN_A_ROW,
    RETRY_100NS,
    Packet,
    Refusal,
    Service,
)

GOOD, BAD = FakePacket(b"good"), FakePacket(b"bad")


class Repeat(Service):
    name = "repeat"

    def _take(self, packet: Packet) -> Refusal | None:
        if packet.payload == b"bad":
            return Refusal.BODY
        self._send(packet.payload, packet.kind, packet.transaction_id)
        return None


def test_packet_is_answered() -> None:
    service = Repeat()
    channel = opened(service)
    send(service, channel, GOOD)
    assert channel.read().payload.rstrip(b"\0") == b"good"
    assert (service.received_packets, service.sent_packets) == (1, 1)


def test_all_of_a_ring_is_read_at_one_signal() -> None:
    service = Repeat()
    channel = opened(service)
    send(service, channel, *[GOOD] * (3 * BATCH + 1))
    assert len(channel.to_guest) == 3 * BATCH + 1


def test_guest_that_does_not_read_is_not_read_from() -> None:
    service = Repeat()
    channel = opened(service, room=1)
    send(service, channel, *[GOOD] * 1000)
    assert len(channel.to_host) == 1000 - BATCH
    assert len(service._outbox) == BATCH - 1


def test_answers_that_waited_come_in_order_when_there_is_room() -> None:
    service = Repeat()
    channel = opened(service, room=1)
    send(service, channel, *(FakePacket(bytes([n]), transaction_id=n) for n in range(100)))
    found = []
    while channel.to_guest:
        found.append(channel.read().transaction_id)
        service.signalled(channel)
    assert found == list(range(100))


def test_full_ring_is_tried_again_without_a_signal() -> None:
    service = Repeat()
    channel = opened(service, room=1)
    send(service, channel, GOOD, GOOD)
    channel.to_guest.clear()
    assert service.due_100ns == RETRY_100NS
    service.tick(RETRY_100NS)
    assert len(channel.to_guest) == 1
    assert service.due_100ns is None


def test_kind_that_no_service_takes_is_dropped() -> None:
    service = Repeat()
    send(service, opened(service), FakePacket(b"", kind=9))
    assert service.dropped == {Refusal.KIND: 1}


def test_flood_of_bad_packets_costs_the_channel() -> None:
    service = Repeat()
    channel = opened(service)
    send(service, channel, *[BAD] * (2 * MOST_DROPPED_IN_A_ROW))
    assert channel.rescinded == [service.closed_because]
    assert service.closed_because == (
        "64 packets in a row broke the protocol of the repeat channel, the last of them because "
        "its body cannot be."
    )
    assert service.dropped == {Refusal.BODY: MOST_DROPPED_IN_A_ROW}
    assert service.channel is None


def test_good_packet_makes_up_for_bad_ones() -> None:
    service = Repeat()
    channel = opened(service)
    for _ in range(3):
        send(service, channel, *[BAD] * (MOST_DROPPED_IN_A_ROW - 1), GOOD)
    assert channel.rescinded == []


def test_signal_for_another_channel_is_ignored() -> None:
    service = Repeat()
    opened(service)
    other = FakeChannel()
    send(service, other, GOOD)
    assert len(other.to_host) == 1


def test_closed_service_does_nothing() -> None:
    service = Repeat()
    channel = opened(service, room=0)
    send(service, channel, GOOD)
    service.closed()
    service.closed()
    service.tick(10 * RETRY_100NS)
    assert service.due_100ns is None
    assert not service._send_now(b"late")


def test_ring_may_break_while_it_is_written() -> None:
    service = Repeat()
    channel = opened(service)
    channel.breaks = service
    send(service, channel, GOOD, GOOD)
    assert (service.channel, len(service._outbox)) == (None, 0)


def test_reopened_service_has_forgotten() -> None:
    service = Repeat()
    channel = opened(service)
    send(service, channel, *[BAD] * MOST_DROPPED_IN_A_ROW)
    again = opened(service)
    send(service, again, *[BAD] * (MOST_DROPPED_IN_A_ROW - 1), GOOD)
    assert (service.closed_because, len(again.to_guest)) == ("", 1)


def test_time_does_not_run_backwards() -> None:
    service = Repeat()
    service.tick(5)
    service.tick(3)
    assert service.now_100ns == 5


def test_service_must_say_what_a_packet_means() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?_take'?"):
        Service()  # type: ignore[abstract]
