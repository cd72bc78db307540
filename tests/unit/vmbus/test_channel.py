import pytest
from vmbus_client import Client, Device, Opened, opened

from minihv.spec.vmbus import MessageType
from minihv.spec.vmbus_ring import PacketKind, RingControl
from minihv.vmbus.actions import SignalChannel
from minihv.vmbus.channel import OpenChannel, RingFill
from minihv.vmbus.ends import NATIVE, REFERENCE
from minihv.vmbus.limits import MAX_QUEUED_BYTES, MAX_QUEUED_PACKETS, MAX_TRANSFER_BYTES
from minihv.vmbus.packets import Packet, Range
from minihv.vmbus.ring import Empty, Full, Ok
from minihv.vmbus.rules import Rule

IN_BAND = PacketKind.IN_BAND
BIG = bytes(1000)
"""Four of these fit into a ring of one page and a control page, less what they are wrapped in: three."""


@pytest.fixture(params=[NATIVE, REFERENCE], ids=["native", "reference"], autouse=True)
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is run on both ends."""
    monkeypatch.setattr(Client, "ends", request.param)


def send_from_guest(found: Opened, *payloads: bytes) -> bool:
    """The guest puts packets into its ring; whether it has to signal."""
    for number, payload in enumerate(payloads):
        assert found.writer.write(Packet(IN_BAND, payload, number)) == Ok()
    return found.writer.commit_write()


def received_by_guest(found: Opened) -> list[Packet]:
    """What is in the guest's other ring, which is empty then."""
    packets = []
    while isinstance(packet := found.reader.read(), Packet):
        packets.append(packet)
    assert packet == Empty()
    return packets


# Receiving.


def test_a_device_receives_what_the_guest_has_sent() -> None:
    found = opened()
    assert send_from_guest(found, b"packet 0", b"packet 1")
    assert found.device.open.receive() == [Packet(IN_BAND, b"packet 0", 0), Packet(IN_BAND, b"packet 1", 1)]
    assert found.device.open.receive() == []
    counters = found.device.open.counters
    assert (counters.received_packets, counters.received_bytes) == (2, 16)


def test_a_device_receives_no_more_than_it_wants() -> None:
    found = opened()
    send_from_guest(found, *[b"a packet"] * 5)
    assert [len(found.device.open.receive(2)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_guest_that_waits_for_room_is_signalled_once_there_is_some() -> None:
    found = opened()
    send_from_guest(found, BIG, BIG, BIG)
    refusal = found.writer.write(Packet(IN_BAND, BIG))
    assert isinstance(refusal, Full) and isinstance(found.writer.await_room(refusal.needed), Full)
    found.device.open.receive(1)
    found.device.open.receive(1)
    found.client.take()
    assert found.client.signals == [SignalChannel(1, 0)]
    assert found.device.open.counters.signals_sent == 1


def test_a_corrupt_ring_ends_the_channel() -> None:
    found = opened()
    found.client.memory.write(2 << 12, (0x1004).to_bytes(4, "little"))
    assert found.device.open.receive() == []
    found.client.take()
    assert found.client.refusal() == (
        "A ring must be sound, and that of channel 0x1 is not: index misaligned."
    )
    assert found.client.answer(MessageType.RESCIND_CHANNEL_OFFER).relid == 1
    assert found.device.events == ["opened", "closed"]


def test_packets_before_the_corrupt_one_are_received() -> None:
    found = opened()
    send_from_guest(found, b"packet 0")
    found.writer.put(bytes(24))
    found.writer.publish_write()
    channel = found.device.open
    assert len(channel.receive()) == 1
    assert channel.is_open and channel.receive() == [] and not channel.is_open
    found.client.take()
    assert found.client.refusal() == "A ring must be sound, and that of channel 0x1 is not: kind."


# Sending.


def test_a_guest_receives_what_the_device_sends() -> None:
    found = opened()
    assert found.device.open.send(IN_BAND, b"to guest", 5, 1)
    assert found.device.open.complete(7, b"answer..")
    assert received_by_guest(found) == [
        Packet(IN_BAND, b"to guest", 5, 1),
        Packet(PacketKind.COMPLETION, b"answer..", 7),
    ]


def test_a_device_may_send_as_soon_as_the_channel_is_open() -> None:
    class Greeter(Device):
        def opened(self, channel: OpenChannel) -> None:
            super().opened(channel)
            assert channel.send(IN_BAND, b"hello   ")

    found = opened(device=Greeter())
    assert received_by_guest(found) == [Packet(IN_BAND, b"hello   ")]


def test_only_the_first_packet_of_a_full_ring_signals() -> None:
    found = opened()
    for _ in range(3):
        found.device.open.send(IN_BAND, b"to guest")
    found.client.take()
    assert found.client.signals == [SignalChannel(1, 0)]
    counters = found.device.open.counters
    assert (counters.signals_sent, counters.signals_suppressed) == (1, 2)


def test_a_batch_is_published_at_its_end() -> None:
    found = opened()
    with found.device.open.batch():
        for _ in range(3):
            found.device.open.send(IN_BAND, b"to guest")
        assert found.reader.read() == Empty()
    assert len(received_by_guest(found)) == 3
    assert found.device.open.counters.signals_suppressed == 0


def test_a_guest_that_masks_signals_gets_none() -> None:
    found = opened()
    found.reader.mask()
    found.device.open.send(IN_BAND, b"to guest")
    found.client.take()
    assert found.client.signals == []


def test_what_does_not_fit_follows_when_the_guest_has_made_room() -> None:
    found = opened()
    channel = found.device.open
    for number in range(6):
        assert channel.send(IN_BAND, BIG, number)
    assert channel.queued == 3
    assert [packet.transaction_id for packet in received_by_guest(found)] == [0, 1, 2]
    assert found.reader.commit_read()
    found.signal()
    assert channel.queued == 0
    assert [packet.transaction_id for packet in received_by_guest(found)] == [3, 4, 5]
    assert (channel.counters.sent_packets, channel.counters.sent_bytes) == (6, 6000)


def test_what_waits_stays_before_what_comes_later() -> None:
    found = opened()
    channel = found.device.open
    for _ in range(4):
        channel.send(IN_BAND, BIG)
    assert channel.send(IN_BAND, b"smaller.")
    assert channel.queued == 2


def test_only_so_many_packets_wait() -> None:
    found = opened()
    channel = found.device.open
    accepted = sum(channel.send(IN_BAND, BIG) for _ in range(MAX_QUEUED_PACKETS + 10))
    assert accepted == 3 + MAX_QUEUED_PACKETS == 3 + channel.queued


def test_only_so_many_bytes_wait() -> None:
    found = opened(ring_pages=30)
    channel = found.device.open
    large = bytes(100_000)
    accepted = sum(channel.send(IN_BAND, large) for _ in range(30))
    assert accepted == 1 + MAX_QUEUED_BYTES // len(large)


def test_a_ring_that_can_never_hold_a_packet_ends_the_channel() -> None:
    found = opened()
    channel = found.device.open
    assert not channel.send(IN_BAND, bytes(5000))
    assert not channel.is_open
    found.client.take()
    assert found.client.refusal() == (
        "A ring must hold what its device sends: packets of 5024 bytes, and that of 0x1 does not."
    )


def test_a_receiver_that_lies_about_its_index_ends_the_channel() -> None:
    found = opened()
    channel = found.device.open
    for _ in range(3):
        channel.send(IN_BAND, BIG)
    found.client.memory.write((4 << 12) + 4, (0xFF8).to_bytes(4, "little"))
    assert not channel.send(IN_BAND, BIG)
    found.client.take()
    assert found.client.refusal() == ("A ring must be sound, and that of channel 0x1 is not: index jumped.")


def test_the_host_says_that_it_waits_for_room_by_pending_send_size() -> None:
    found = opened()
    control = found.client.memory.read(4 << 12, 4096)
    assert RingControl(bytearray(control)).features == 1
    assert {4} <= found.client.memory.written


# Ranges.


def gpa_direct(*ranges: Range) -> Packet:
    """A packet that names memory."""
    return Packet(PacketKind.GPA_DIRECT, b"", ranges=ranges)


def test_ranges_are_read_and_written_where_they_lie() -> None:
    found = opened()
    packet = gpa_direct(Range(4, 0xFFE, (40, 42)), Range(2, 5, (41,)))
    assert found.device.open.write_ranges(packet, b"abcdef") == 6
    memory = found.client.memory
    assert memory.read(0x28FFE, 2) + memory.read(0x2A000, 2) + memory.read(0x29005, 2) == b"abcdef"
    assert found.device.open.read_ranges(packet) == b"abcdef"
    assert {40, 41, 42} <= memory.written


@pytest.mark.parametrize(("data", "written"), [(b"", 0), (b"ab", 2), (b"abcdefgh", 6)])
def test_no_more_is_written_than_there_is_room_for(data: bytes, written: int) -> None:
    found = opened()
    packet = gpa_direct(Range(6, 0, (40,)))
    assert found.device.open.write_ranges(packet, data) == written
    assert found.client.memory.read(40 << 12, 8) == data[:6].ljust(8, b"\0")


def test_ranges_that_are_not_ram_are_traced_and_not_touched() -> None:
    found = opened()
    packet = gpa_direct(Range(8192, 0, (40, 1 << 60)))
    assert found.device.open.write_ranges(packet, bytes(8192)) is None
    assert found.device.open.read_ranges(packet) is None
    found.client.take()
    texts = {trace.text for trace in found.client.traces}
    assert texts == {f"A packet names pages of RAM, and GPN {1 << 60:#x} is none."}
    assert 40 not in found.client.memory.written and found.device.open.is_open


def test_ranges_are_not_longer_than_one_transfer() -> None:
    found = opened()
    page_count = MAX_TRANSFER_BYTES // 4096 + 1
    packet = gpa_direct(Range(page_count << 12, 0, (40,) * page_count))
    assert found.device.open.read_ranges(packet) is None
    found.client.take()
    assert found.client.rule() is Rule.TRANSFER


# Ends.


def test_a_device_may_end_its_channel() -> None:
    found = opened()
    channel = found.device.open
    channel.rescind("it asked for a teapot.")
    channel.rescind("again.")
    found.client.take()
    assert found.client.refusal() == "The device of channel 0x1 ends it: it asked for a teapot."
    assert found.device.events == ["opened", "closed"]


def test_a_closed_channel_does_nothing() -> None:
    found = opened()
    channel = found.device.open
    for _ in range(4):
        channel.send(IN_BAND, BIG)
    found.client.close(1)
    before = bytes(found.client.memory.buffer)
    assert not channel.send(IN_BAND, b"to guest") and not channel.complete(1)
    assert channel.receive() == [] and channel.queued == 0
    assert channel.read_ranges(gpa_direct(Range(1, 0, (40,)))) is None
    assert channel.write_ranges(gpa_direct(Range(1, 0, (40,))), b"x") is None
    with channel.batch():
        channel.flush()
    assert bytes(found.client.memory.buffer) == before


def test_a_device_that_ends_its_channel_when_signalled_is_not_asked_again() -> None:
    class Offended(Device):
        def signalled(self, channel: OpenChannel) -> None:
            super().signalled(channel)
            channel.rescind("no reason.")

    found = opened(device=Offended())
    found.signal()
    found.signal()
    assert found.device.events == ["opened", "signalled", "closed"]


def test_a_ring_found_corrupt_while_sending_what_waited_spares_the_device() -> None:
    found = opened()
    for _ in range(4):
        found.device.open.send(IN_BAND, BIG)
    found.client.memory.write((4 << 12) + 4, (3).to_bytes(4, "little"))
    found.signal()
    assert found.device.events == ["opened", "closed"]


def test_fill_is_what_the_indices_say() -> None:
    found = opened()
    send_from_guest(found, b"packet 0")
    assert found.device.open.fill == (RingFill(32, 4096), RingFill(0, 4096))
    found.client.memory.write(2 << 12, (0xFFFF_FFFF).to_bytes(4, "little"))
    assert found.device.open.fill[0] == RingFill(0, 4096)
