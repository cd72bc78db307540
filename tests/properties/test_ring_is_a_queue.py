"""A ring is a queue: what goes in comes out, in order, and nobody sleeps while there is work. Any ends do."""

from collections import Counter, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from minihv.terms import PAGE_BYTES
from minihv.testing import Shares
from minihv.vmbus.ends import NATIVE, REFERENCE
from minihv.vmbus.packets import Packet
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Empty, Full, Ok, TooLong, clear

FRAME_BYTES = 24
"""Descriptor and trailer."""
SIZES = st.one_of(st.integers(0, 64), st.integers(0, 1200), st.sampled_from([0, 8, 4064, 4072, 9000]))
SENDS = precondition(lambda self: not self.sender_sleeps)
RECEIVES = precondition(lambda self: not self.receiver_sleeps)


def bytes_of(packet: Packet) -> int:
    """What a packet takes in the ring."""
    return FRAME_BYTES + len(packet.payload) + -len(packet.payload) % 8


class Queue(RuleBasedStateMachine):
    """Both ends, and three queues: written, to be read, and read but with its room not given back."""

    shares: Shares

    @initialize(
        data_pages=st.integers(1, 3),
        sender=st.sampled_from([NATIVE, REFERENCE]),
        receiver=st.sampled_from([NATIVE, REFERENCE]),
        shuffled=st.randoms(use_true_random=False),
    )
    def begin(self, data_pages: int, sender: object, receiver: object, shuffled: object) -> None:
        addresses = [PAGE_BYTES * number for number in range(data_pages + 1)]
        shuffled.shuffle(addresses)  # type: ignore[attr-defined]
        pages = RingPages(bytearray(PAGE_BYTES * len(addresses)), addresses)
        clear(pages)
        self.writer, self.reader = sender.writer(pages), receiver.reader(pages)  # type: ignore[attr-defined]
        self.size = pages.data_bytes
        self.written: deque[Packet] = deque()
        self.readable: deque[Packet] = deque()
        self.held: deque[Packet] = deque()
        self.sender_sleeps = self.receiver_sleeps = False
        self.wanted, self.number = 0, 0
        self.happened: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """What is free, by all that is true."""
        return self.size - sum(map(bytes_of, (*self.written, *self.readable, *self.held)))

    # The sender.

    @SENDS
    @rule(size=SIZES, often=st.sampled_from([1, 1, 5]))
    def write(self, size: int, often: int) -> None:
        for _ in range(often):
            self.number += 1
            packet = Packet(6, self.number.to_bytes(8, "little")[:size].ljust(size, b"\x5a"), self.number, 1)
            found, needed = self.writer.write(packet), bytes_of(packet)
            if needed >= self.size:
                assert found == TooLong(needed)
            elif needed < self.free:
                assert found == Ok()
                self.written.append(packet)
            else:
                assert found == Full(needed)
                self.happened["full"] += 1

    @SENDS
    @rule()
    def commit_write(self) -> None:
        self.publish()
        if self.writer.commit_write():
            self.happened["the receiver woke"] += self.receiver_sleeps
            self.receiver_sleeps = False
        assert not (self.receiver_sleeps and self.readable), "the receiver sleeps, and there is something"

    @SENDS
    @rule(size=SIZES, often=st.integers(1, 9))
    def send(self, size: int, often: int) -> None:
        self.write(size, often)
        self.commit_write()

    @SENDS
    @rule()
    def publish_write(self) -> None:
        self.writer.publish_write()
        self.publish()

    def publish(self) -> None:
        self.readable += self.written
        self.written.clear()

    @SENDS
    @rule(size=SIZES)
    def wait_for_room(self, size: int) -> None:
        """As a sender does that was told Full."""
        needed = bytes_of(Packet(6, bytes(size)))
        if needed >= self.size:
            return
        self.commit_write()
        found = self.writer.await_room(needed)
        assert found == (Ok() if needed < self.free else Full(needed))
        self.sender_sleeps, self.wanted = isinstance(found, Full), needed

    @SENDS
    @rule(size=st.integers(200, 1200))
    def fill_and_wait(self, size: int) -> None:
        """As a sender does that has more than there is room for."""
        needed = bytes_of(Packet(6, bytes(size)))
        while needed < self.free:
            self.write(size, 1)
        self.wait_for_room(size)

    # The receiver.

    @RECEIVES
    @rule()
    def read(self) -> None:
        found = self.reader.read()
        if not self.readable:
            assert found == Empty()
        else:
            self.take([found])

    @RECEIVES
    @rule(limit=st.integers(1, 8))
    def read_batch(self, limit: int) -> None:
        found = self.reader.read_batch(limit)
        if not self.readable:
            assert found == Empty()
        else:
            assert isinstance(found, list) and 1 <= len(found) <= limit
            self.take(found)

    def take(self, found: list[object]) -> None:
        for packet in found:
            sent = self.readable.popleft()
            padded = sent.payload + bytes(-len(sent.payload) % 8)
            assert packet == Packet(sent.kind, padded, sent.transaction_id, sent.flags)
            self.held.append(sent)
            self.happened["read"] += 1

    @RECEIVES
    @rule()
    def commit_read(self) -> None:
        self.held.clear()
        if self.reader.commit_read():
            self.happened["the sender woke"] += self.sender_sleeps
            self.sender_sleeps = False
        assert not (self.sender_sleeps and self.wanted < self.free), "the sender sleeps, and there is room"

    @RECEIVES
    @rule()
    def publish_read(self) -> None:
        self.reader.publish_read()
        self.held.clear()

    @RECEIVES
    @rule(twice=st.booleans())
    def sleep(self, twice: bool) -> None:
        """As a receiver does that found nothing; sometimes it masks signals meanwhile."""
        if twice:
            self.reader.mask()
        self.commit_read()
        there_is = self.reader.unmask()
        assert there_is == bool(self.readable)
        self.receiver_sleeps = not there_is

    @RECEIVES
    @rule()
    def read_all_and_sleep(self) -> None:
        while self.readable:
            self.read()
        self.sleep(twice=False)

    @invariant()
    def somebody_can_go_on(self) -> None:
        assert not (self.sender_sleeps and self.receiver_sleeps), "both sleep, and nobody will wake them"

    def teardown(self) -> None:
        for name in ("full", "read", "the receiver woke", "the sender woke"):
            if self.happened[name]:
                self.shares.add(name)
        self.shares.add("run")


def test_ring_is_a_queue_and_wakes_whoever_waits() -> None:
    Queue.shares = Shares()
    run_state_machine_as_test(Queue, settings=settings(stateful_step_count=80))
    Queue.shares.assert_floors(
        {"full": 0.05, "read": 0.08, "the receiver woke": 0.02, "the sender woke": 0.005}
    )
