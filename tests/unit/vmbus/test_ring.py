"""The ring, by the words of its protocol. Both ends are the reference's; tests/twins has those in C."""

import struct
from dataclasses import dataclass

import pytest

from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import DESCRIPTOR, Packet, Reason
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Empty, Full, Ok, RingReader, RingWriter, Small, TooLong, clear

IN, OUT, MASK, PENDING, FEATURES = 0, 4, 8, 12, 64


@dataclass
class Ring:
    """A ring of one page of data with both of its ends."""

    memory: bytearray
    writer: RingWriter
    reader: RingReader

    def word(self, offset: int) -> int:
        return int.from_bytes(self.memory[offset : offset + 4], "little")

    def lie(self, offset: int, value: int) -> None:
        self.memory[offset : offset + 4] = value.to_bytes(4, "little")

    def send(self, count: int, payload_bytes: int = 8) -> bool:
        for number in range(count):
            assert self.writer.write(Packet(6, bytes(payload_bytes), number)) == Ok()
        return self.writer.commit_write()

    def fill(self) -> Full:
        """Packets of 1000 bytes until there is no room."""
        while isinstance(result := self.writer.write(Packet(6, bytes(976))), Ok):
            pass
        assert isinstance(result, Full)
        self.writer.commit_write()
        return result


@pytest.fixture
def ring() -> Ring:
    memory = bytearray(2 * PAGE_BYTES)
    pages = RingPages.of(memory)
    clear(pages)
    return Ring(memory, RingWriter(pages), RingReader(pages))


def test_nothing_is_seen_before_a_commit(ring: Ring) -> None:
    assert ring.writer.write(Packet(6, b"12345678", 5)) == Ok()
    assert ring.reader.read() == Empty()
    ring.writer.commit_write()
    assert ring.reader.read() == Packet(6, b"12345678", 5)
    assert ring.reader.read() == Empty()


def test_packet_lies_in_the_ring_as_linux_has_it(ring: Ring) -> None:
    ring.send(1)
    ring.writer.write(Packet(11, b"12345", 0x1122334455667788, 1))
    ring.writer.commit_write()
    data = bytes(ring.memory[PAGE_BYTES + 32 :])
    assert data[:16] == struct.pack("<HHHHQ", 11, 2, 3, 1, 0x1122334455667788)
    assert data[16:32] == b"12345\0\0\0" + struct.pack("<II", 0, 32)
    assert ring.word(IN) == 64


def test_packet_goes_around_the_end_of_the_data(ring: Ring) -> None:
    for number in range(20):
        packet = Packet(6, bytes([number]) * 400, number)
        ring.writer.write(packet)
        ring.writer.commit_write()
        assert ring.reader.read() == packet
        ring.reader.commit_read()


def test_room_is_given_back_by_the_commit_only(ring: Ring) -> None:
    assert ring.fill() == Full(1000)
    assert isinstance(ring.reader.read(), Packet)
    assert ring.writer.write(Packet(6, bytes(976))) == Full(1000)
    ring.reader.commit_read()
    assert ring.writer.write(Packet(6, bytes(976))) == Ok()


def test_ring_is_never_filled_completely(ring: Ring) -> None:
    assert ring.writer.write(Packet(6, bytes(PAGE_BYTES - 24))) == TooLong(PAGE_BYTES)
    assert ring.writer.write(Packet(6, bytes(PAGE_BYTES - 32))) == Ok()
    assert ring.writer.write(Packet(6, b"")) == Full(24)


def test_packet_longer_than_its_length_can_say_is_refused() -> None:
    writer = RingWriter(RingPages.of(bytearray(256 * PAGE_BYTES)))
    assert writer.write(Packet(6, bytes(0xFFFF * 8 - 16))) == Ok()
    assert writer.write(Packet(6, bytes(0xFFFF * 8 - 15))) == TooLong(0x10000 * 8 + 8)


def test_small_buffer_leaves_the_packet_there(ring: Ring) -> None:
    ring.send(1, 64)
    assert ring.reader.read(79) == Small(80)
    assert ring.reader.read(80) == Packet(6, bytes(64))


def test_batch_is_what_was_published(ring: Ring) -> None:
    ring.send(3)
    found = ring.reader.read_batch()
    assert isinstance(found, list) and [packet.transaction_id for packet in found] == [0, 1, 2]
    assert ring.reader.read_batch() == Empty()


def test_batch_is_written_as_far_as_it_fits(ring: Ring) -> None:
    assert ring.writer.write_batch([Packet(6, bytes(976))] * 6) == (4, Ok())
    assert ring.writer.write_batch([Packet(6, bytes(976))]) == (0, Full(1000))
    assert ring.writer.write_batch([]) == (0, Ok())


class TestSignals:
    def test_first_packet_wakes_the_receiver(self, ring: Ring) -> None:
        assert ring.send(1)

    def test_second_packet_does_not(self, ring: Ring) -> None:
        ring.send(1)
        assert not ring.send(1)

    def test_batch_wakes_once(self, ring: Ring) -> None:
        assert ring.send(3)
        assert not ring.writer.commit_write()

    def test_masked_receiver_sleeps_on(self, ring: Ring) -> None:
        ring.reader.mask()
        assert not ring.send(1)

    def test_unmask_tells_what_came_meanwhile(self, ring: Ring) -> None:
        ring.reader.mask()
        ring.send(1)
        assert ring.reader.unmask()
        assert isinstance(ring.reader.read(), Packet)
        assert not ring.reader.unmask()

    def test_commit_decides_for_what_was_published_before(self, ring: Ring) -> None:
        ring.writer.write(Packet(6, b""))
        ring.writer.publish_write()
        ring.reader.read()
        ring.reader.commit_read()
        assert not ring.reader.unmask()  # it sleeps between the two packets
        ring.writer.write(Packet(6, b""))
        assert ring.writer.commit_write()

    def test_commit_decides_for_more_than_a_round_of_what_was_published(self, ring: Ring) -> None:
        for _ in range(3):
            ring.writer.write(Packet(6, bytes(1000)))
            ring.writer.publish_write()
            ring.reader.read()
            ring.reader.commit_read()
        assert not ring.reader.unmask()  # it sleeps at 3072 of 4096
        ring.writer.write(Packet(6, bytes(2000)))
        ring.writer.publish_write()
        ring.writer.write(Packet(6, b""))
        assert ring.writer.commit_write()

    def test_commit_that_comes_a_whole_round_later_decides(self, ring: Ring) -> None:
        packets = ring.writer.byte_count // 1024
        for _ in range(packets):
            ring.writer.write(Packet(6, bytes(1000)))
            ring.writer.publish_write()
            ring.reader.read()
            ring.reader.publish_read()
        assert ring.writer.published == 0
        assert not ring.reader.unmask()
        assert ring.writer.commit_write()

    def test_room_given_back_over_a_whole_round_wakes_a_sender_that_waits(self, ring: Ring) -> None:
        for _ in range(ring.writer.byte_count // 1024):
            ring.writer.write(Packet(6, bytes(1000)))
            ring.writer.publish_write()
            ring.reader.read()
            ring.reader.publish_read()
        ring.writer.await_room(ring.fill().needed)
        ring.reader.read()
        assert ring.reader.commit_read()

    def test_room_that_is_waited_for_wakes_the_sender_once(self, ring: Ring) -> None:
        needed = ring.fill().needed
        assert ring.writer.await_room(needed) == Full(1000)
        assert ring.word(PENDING) == 1000
        ring.reader.read()
        assert ring.reader.commit_read()
        ring.reader.read()
        assert not ring.reader.commit_read()

    def test_room_that_is_there_is_not_waited_for(self, ring: Ring) -> None:
        needed = ring.fill().needed
        ring.reader.read()
        ring.reader.commit_read()
        assert ring.writer.await_room(needed) == Ok()
        assert ring.word(PENDING) == 0

    def test_commit_takes_the_wish_back(self, ring: Ring) -> None:
        ring.writer.await_room(ring.fill().needed)
        ring.reader.read()
        ring.reader.commit_read()
        ring.send(1)
        assert ring.word(PENDING) == 0

    def test_sender_without_the_feature_is_not_signalled(self, ring: Ring) -> None:
        ring.writer.await_room(ring.fill().needed)
        ring.lie(FEATURES, 0)
        ring.reader.read()
        assert not ring.reader.commit_read()

    def test_commit_of_nothing_is_nothing(self, ring: Ring) -> None:
        assert not ring.writer.commit_write() and not ring.reader.commit_read()

    @pytest.mark.parametrize("nonsense", [0xFFFFFFFF, PAGE_BYTES, 7])
    def test_wish_that_cannot_be_is_not_fulfilled(self, ring: Ring, nonsense: int) -> None:
        ring.fill()
        ring.lie(PENDING, nonsense)
        ring.reader.read()
        assert not ring.reader.commit_read()

    def test_sender_that_waits_for_all_of_the_ring_is_woken_when_it_is_empty(self, ring: Ring) -> None:
        ring.send(1)
        ring.lie(PENDING, PAGE_BYTES - 1)
        ring.reader.read()
        assert ring.reader.commit_read()


class TestLies:
    @pytest.mark.parametrize(
        ("index", "reason"),
        [
            (4, Reason.INDEX_MISALIGNED),
            (PAGE_BYTES, Reason.INDEX_OUTSIDE),
            (0xFFFFFFF8, Reason.INDEX_OUTSIDE),
            (8, Reason.CUT_OFF),
        ],
    )
    def test_index_of_the_sender_is_not_believed(self, ring: Ring, index: int, reason: Reason) -> None:
        ring.lie(IN, index)
        assert ring.reader.read() == Corrupt(reason)

    def test_sender_that_goes_back_is_corrupt(self, ring: Ring) -> None:
        ring.send(2)
        ring.reader.read()
        ring.lie(IN, 0)
        ring.reader.read()
        assert ring.reader.read() == Corrupt(Reason.INDEX_JUMPED)

    @pytest.mark.parametrize(
        ("index", "reason"),
        [
            (4, Reason.INDEX_MISALIGNED),
            (PAGE_BYTES, Reason.INDEX_OUTSIDE),
            (PAGE_BYTES - 8, Reason.INDEX_JUMPED),
        ],
    )
    def test_index_of_the_receiver_is_not_believed(self, ring: Ring, index: int, reason: Reason) -> None:
        ring.send(1)
        ring.lie(OUT, index)
        assert ring.writer.write(Packet(6, bytes(PAGE_BYTES - 32))) == Corrupt(reason)
        assert ring.writer.await_room(8) == Corrupt(reason)

    def test_corrupt_ring_stays_corrupt(self, ring: Ring) -> None:
        ring.lie(IN, 4)
        ring.reader.read()
        ring.lie(IN, 0)
        assert ring.reader.read() == Corrupt(Reason.INDEX_MISALIGNED)
        assert ring.reader.read_batch() == Corrupt(Reason.INDEX_MISALIGNED)
        assert ring.reader.unmask()

    def test_descriptor_is_judged(self, ring: Ring) -> None:
        ring.send(1)
        ring.memory[PAGE_BYTES : PAGE_BYTES + 16] = DESCRIPTOR.pack(6, 2, 4, 0, 0)
        assert ring.reader.read() == Corrupt(Reason.OVERRUN)

    def test_ranges_are_judged(self, ring: Ring) -> None:
        ring.send(1)
        ring.memory[PAGE_BYTES : PAGE_BYTES + 16] = DESCRIPTOR.pack(9, 3, 3, 0, 0)
        assert ring.reader.read() == Corrupt(Reason.RANGE_COUNT)

    def test_packets_before_the_corrupt_one_are_read(self, ring: Ring) -> None:
        ring.send(2)
        ring.memory[PAGE_BYTES + 32] = 0
        assert ring.reader.read_batch() == [Packet(6, bytes(8), 0)]
        assert ring.reader.read_batch() == Corrupt(Reason.KIND)

    def test_own_index_is_not_read_back(self, ring: Ring) -> None:
        ring.send(1)
        ring.reader.read()
        ring.reader.commit_read()
        ring.lie(OUT, 0)
        assert ring.reader.read() == Empty()
