"""The C ring answers as the Python one, whatever the peer does, and leaves the same image."""

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minihv.spec.vmbus_ring import PacketKind
from minihv.terms import PAGE_BYTES
from minihv.testing import Shares
from minihv.vmbus import native, ring
from minihv.vmbus.packets import DESCRIPTOR, LONGEST_PACKET, Packet, Range, Reason
from minihv.vmbus.pages import RingPages

FLOORS = {
    "write: Ok": 0.1,
    "write: Full": 0.01,
    "write: TooLong": 0.001,
    "write: Corrupt": 0.0002,
    "read: Packet": 0.02,
    "read: with ranges": 0.005,
    "read: Empty": 0.01,
    "read: Small": 0.002,
    "read: Corrupt": 0.01,
    "read_batch: list": 0.01,
    "read_batch: Corrupt": 0.005,
    "commit_write: True": 0.01,
    "commit_write: False": 0.01,
    "commit_read: True": 0.001,
    "commit_read: False": 0.01,
    "await_room: Ok": 0.01,
    "await_room: Full": 0.002,
    "unmask: True": 0.01,
    "unmask: False": 0.005,
} | {f"reason: {reason.name}": 0.0002 for reason in Reason}


class Twins:
    """Two rings alike, one with ends of the reference, one with ends in C."""

    def __init__(self, random: Random, shares: Shares) -> None:
        self.random, self.shares = random, shares
        data_pages = random.choice((1, 1, 1, 2, 3))
        addresses = [PAGE_BYTES * n for n in range(data_pages + 2)]
        if random.random() < 0.5:
            random.shuffle(addresses)
        self.addresses = addresses[: data_pages + 1]
        self.memories = [bytearray(PAGE_BYTES * len(addresses)) for _ in range(2)]
        self.begin()

    def begin(self) -> None:
        """A new ring with new ends: after a corrupt one there is nothing more to see."""
        python, c = (RingPages(memory, self.addresses) for memory in self.memories)
        ring.clear(python)
        native.clear(c)
        self.size = python.data_bytes
        self.writers = ring.RingWriter(python), native.NativeWriter(c)
        self.readers = ring.RingReader(python), native.NativeReader(c)

    def packet(self) -> Packet:
        random = self.random
        kind = random.choice((6, 6, 6, 11, 9, 7, 8))
        longest = random.choice((0, 16, 200, 900, 2000, 5000))
        payload = random.randbytes(random.randint(0, longest))
        ranges = (
            tuple(self.range(kind) for _ in range(random.choice((0, 1, 1, 1, 1, 2, 2, 3))))
            if kind in (7, 9)
            else ()
        )
        page_set_id = random.getrandbits(32) if kind in (7, 8, 9) else 0
        return Packet(kind, payload, random.getrandbits(64), random.randint(0, 1), ranges, page_set_id)

    def range(self, kind: int) -> Range:
        offset = self.random.choice((0, 8, 4095, 4096, 100))
        byte_count = self.random.choice((0, 1, 4096, 9000))
        pfns = -(-(offset + byte_count) // PAGE_BYTES) if kind == PacketKind.GPA_DIRECT else 0
        return Range(byte_count, offset, tuple(self.random.getrandbits(64) for _ in range(pfns)))

    def both(self, name: str, *calls: Callable[[], Any]) -> Any:
        """Calls both, which agree, and counts the answer."""
        python, c = (call() for call in calls)
        assert python == c, f"{name}: {python} in Python, {c} in C"
        word = str(python) if isinstance(python, bool) else type(python).__name__
        self.shares.add(f"{name}: {word}")
        if isinstance(python, ring.Corrupt):
            self.shares.add(f"reason: {python.reason.name}")
        if isinstance(python, Packet) and python.ranges:
            self.shares.add(f"{name}: with ranges")
        return python

    def write(self) -> None:
        packet = self.packet()
        result = self.both("write", *(lambda w=w: w.write(packet) for w in self.writers))
        if isinstance(result, ring.Full) and self.random.random() < 0.5:
            self.commit_write()
            self.both("await_room", *(lambda w=w: w.await_room(result.needed) for w in self.writers))

    def read(self) -> None:
        limit = self.random.choice((LONGEST_PACKET, LONGEST_PACKET, LONGEST_PACKET, 100))
        self.both("read", *(lambda r=r: r.read(limit) for r in self.readers))

    def read_batch(self) -> None:
        limit = self.random.choice((LONGEST_PACKET, 2))
        self.both("read_batch", *(lambda r=r: r.read_batch(limit) for r in self.readers))

    def commit_write(self) -> None:
        if self.random.random() < 0.2:
            for writer in self.writers:
                writer.publish_write()
        else:
            self.both("commit_write", *(w.commit_write for w in self.writers))

    def commit_read(self) -> None:
        if self.random.random() < 0.2:
            for reader in self.readers:
                reader.publish_read()
        else:
            self.both("commit_read", *(r.commit_read for r in self.readers))

    def sleep(self) -> None:
        if self.random.random() < 0.3:
            for reader in self.readers:
                reader.mask()
        else:
            self.both("unmask", *(r.unmask for r in self.readers))

    def await_room(self) -> None:
        needed = self.random.choice((24, 1000, self.size - 8))
        self.both("await_room", *(lambda w=w: w.await_room(needed) for w in self.writers))

    def lie(self) -> None:
        """The peer changes a word of the control page, or the begin of a packet."""
        random = self.random
        if random.random() < 0.4:
            offset = random.choice((0, 0, 4, 4, 8, 12, 64))
            at = self.writers[0].position
            values = (0, 4, 8, self.size, self.size - 8, at + 8, at + 24, random.getrandbits(32), at)
            self.poke(self.addresses[0] + offset, random.choice(values).to_bytes(4, "little"))
            {0: self.read, 4: self.write}.get(offset, self.commit_write)()
        else:
            reader = self.readers[0]
            page, within = divmod(reader.position, PAGE_BYTES)
            near = random.choice((0, 0, 0, 0, 16, 24))
            self.poke(self.addresses[1 + page] + min(within + near, PAGE_BYTES - 24), self.descriptor())

    def descriptor(self) -> bytes:
        random = self.random
        kind = random.choice((6, 6, 7, 9, 9, 9, 0, 14))
        offset8 = random.choice((2, 3, 3, 4, 5, 1))
        length8 = random.choice((2, 3, 4, 5, 6, 0xFFFF))
        return DESCRIPTOR.pack(kind, offset8, length8, random.choice((0, 1, 0, 1, 2)), random.getrandbits(64))

    def poke(self, address: int, data: bytes) -> None:
        for memory in self.memories:
            memory[address : address + len(data)] = data

    def compare(self) -> None:
        assert self.memories[0] == self.memories[1]
        for python, c in ((self.writers[0], self.writers[1]), (self.readers[0], self.readers[1])):
            for name in ("position", "published", "undecided", "peer", "reason"):
                assert getattr(python, name) == getattr(c, name), name


STEPS = {
    Twins.write: 5, Twins.commit_write: 3, Twins.read: 3, Twins.read_batch: 2, Twins.commit_read: 3,
    Twins.sleep: 1, Twins.await_room: 0.5,
}  # fmt: skip


def test_native_ring_answers_as_the_reference() -> None:
    shares = Shares()

    @given(st.integers(0, 1 << 32))
    def ends_agree(seed: int) -> None:
        random = Random(seed)
        twins = Twins(random, shares)
        lies = random.choice((0, 0.3, 1.5, 3))
        steps = {**STEPS, Twins.lie: lies}
        for step in random.choices(list(steps), list(steps.values()), k=150):
            step(twins)
            twins.compare()
            if twins.writers[0].reason or (twins.readers[0].reason and random.random() < 0.3):
                twins.begin()

    ends_agree()
    shares.assert_floors(FLOORS)
