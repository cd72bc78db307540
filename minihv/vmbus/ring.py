"""The ring: one sender, one receiver, a queue of packets in memory that both can write to.

Stands for: one direction of a VMBus channel; the ends are a VSP's and a VSC's.
Spec: Linux, "drivers/hv/ring_buffer.c"; the layouts are in ``minihv.spec.vmbus_ring``.
Simplified: the monitor page's counters of interrupts are not kept.
Twin: ``native/core/src/ring_read.c`` and ``ring_write.c``, held equal by ``tests/twins/test_ring.py``;
    memory orders are there, since Python has none.
First reading: ``RingWriter.write`` and ``RingReader.read``.
Next: ``minihv.vmbus.native``
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minihv.spec.vmbus_ring import RingControl, RingFeatures
from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import (
    DESCRIPTOR,
    DESCRIPTOR_BYTES,
    LONGEST_PACKET,
    TRAILER_BYTES,
    UNIT,
    Packet,
    Reason,
    descriptor_fault,
    packet_of,
)
from minihv.vmbus.pages import RingPages

WORD = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Ok:
    """Done; of a wait: there is room."""


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing to read."""


@dataclass(frozen=True, slots=True)
class Full:
    """No room yet for ``needed`` bytes."""

    needed: int


@dataclass(frozen=True, slots=True)
class Small:
    """The reader's buffer must hold ``needed`` bytes."""

    needed: int


@dataclass(frozen=True, slots=True)
class TooLong:
    """A packet of ``needed`` bytes fits no ring of this size, or no ring."""

    needed: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The peer broke the rules: this end does nothing more."""

    reason: Reason


def clear(pages: RingPages) -> None:
    """Makes the control page of a new ring, before anybody has attached to it."""
    fresh = RingControl.build(features=RingFeatures.PENDING_SEND_SIZE)
    pages.write(0, bytes(fresh)[: RingControl.guest_to_host_interrupts.offset])


class RingEnd:
    """What both ends keep to themselves.

    ``position`` is where this end goes on, ``published`` what the peer may know of it, ``undecided`` how many
    bytes, at most all of the ring, it learned of since signalling was last decided on, and ``peer`` the
    peer's index as it was last loaded and believed.
    """

    def __init__(self, pages: RingPages, position: int = 0, peer: int = 0) -> None:
        self.pages = pages
        self.byte_count = pages.data_bytes
        self.position = self.published = position
        self.undecided = 0
        self.peer = peer
        self.reason: Reason | None = None

    def distance(self, begin: int, end: int) -> int:
        """How far it is from ``begin`` on to ``end``, around the ring."""
        return end - begin if end >= begin else end + self.byte_count - begin

    def ahead(self, index: int, step: int) -> int:
        """The index ``step`` bytes behind ``index``."""
        return (index + step) % self.byte_count

    def note_published(self) -> None:
        """What is about to be published counts as undecided on; once around is all that there is to know."""
        total = self.undecided + self.distance(self.published, self.position)
        self.undecided = min(total, self.byte_count)
        self.published = self.position

    def load(self, offset: int) -> int:
        """A word of the control page."""
        return int.from_bytes(self.pages.read(offset, 4), "little")

    def store(self, offset: int, value: int) -> None:
        """A word of the control page."""
        self.pages.write(offset, value.to_bytes(4, "little"))

    def index_fault(self, index: int) -> Reason | None:
        """What is wrong with an index of the peer by itself."""
        if index % UNIT:
            return Reason.INDEX_MISALIGNED
        return Reason.INDEX_OUTSIDE if index >= self.byte_count else None

    def corrupt(self, reason: Reason) -> Corrupt:
        """This end has nothing more to do with its peer."""
        self.reason = reason
        return Corrupt(reason)


class RingWriter(RingEnd):
    """The sending end."""

    pending = 0

    @property
    def free_bytes(self) -> int:
        """Bytes free by the receiver's index as it was last loaded."""
        return self.byte_count - self.distance(self.peer, self.position)

    def write(self, packet: Packet) -> Ok | Full | TooLong | Corrupt:
        """Puts ``packet`` behind the last. Nobody sees it before ``commit_write``."""
        # 1. How long it will be.
        extension = packet.extension()
        length = DESCRIPTOR_BYTES + len(extension) + len(packet.payload)
        padded = length + -length % UNIT
        needed = padded + TRAILER_BYTES
        if length > LONGEST_PACKET or needed >= self.byte_count:
            return TooLong(needed)

        # 2. Room for it.
        room = self.make_room(needed)
        if not isinstance(room, Ok):
            return room

        # 3. The bytes.
        header = DESCRIPTOR_BYTES + len(extension)
        words = (packet.kind, header // UNIT, padded // UNIT, packet.flags, packet.transaction_id)
        payload = packet.payload + bytes(padded - length)
        trailer = bytes(4) + self.position.to_bytes(4, "little")
        self.put(DESCRIPTOR.pack(*words) + extension + payload + trailer)
        return Ok()

    def write_batch(self, packets: Sequence[Packet]) -> tuple[int, Ok | Full | TooLong | Corrupt]:
        """Writes until one does not fit. How many did, and Ok if one did or there was none."""
        result: Ok | Full | TooLong | Corrupt = Ok()
        for number, packet in enumerate(packets):
            result = self.write(packet)
            if not isinstance(result, Ok):
                return number, Ok() if number else result
        return len(packets), result

    def put(self, data: bytes) -> None:
        """Copies to the ring, around its end if need be."""
        first = min(len(data), self.byte_count - self.position)
        self.pages.write(PAGE_BYTES + self.position, data[:first])
        self.pages.write(PAGE_BYTES, data[first:])
        self.position = self.ahead(self.position, len(data))

    def make_room(self, needed: int) -> Ok | Full | Corrupt:
        """Whether ``needed`` bytes and one more are free: a ring that is full would look empty."""
        if self.reason is None and needed >= self.free_bytes:
            self.refresh()
        if self.reason is not None:
            return Corrupt(self.reason)
        return Ok() if needed < self.free_bytes else Full(needed)

    def refresh(self) -> None:
        """Loads the receiver's index, believed if it lies between where it was and what was published."""
        out = self.load(RingControl.read_index.offset)
        fault = self.index_fault(out)
        if fault is None and self.distance(self.peer, out) > self.distance(self.peer, self.published):
            fault = Reason.INDEX_JUMPED
        if fault is None:
            self.peer = out
        else:
            self.corrupt(fault)

    def publish_write(self) -> None:
        """The receiver may see what was written."""
        if self.published != self.position:
            self.note_published()
            self.store(RingControl.write_index.offset, self.position)

    def commit_write(self) -> bool:
        """Publishes, and says whether the receiver must be signalled.

        It must when it had read everything before, for then it may sleep, and has not masked signals.
        """
        before, last = self.undecided, self.published
        self.publish_write()
        if not self.undecided:
            return False
        self.undecided = 0
        if self.pending:
            self.ask(0)
        if self.load(RingControl.interrupt_mask.offset):
            return False
        out = self.load(RingControl.read_index.offset)
        return before >= self.byte_count or self.distance(out, last) & WORD <= before

    def await_room(self, needed: int) -> Ok | Full | Corrupt:
        """After ``Full`` and a commit: ``Ok`` when there is room by now, else the receiver will signal."""
        self.ask(needed)
        if self.reason is None:
            self.refresh()
        if self.reason is None and needed >= self.free_bytes:
            return Full(needed)
        self.ask(0)
        return Ok() if self.reason is None else Corrupt(self.reason)

    def ask(self, needed: int) -> None:
        """Lets the receiver signal when more than ``needed`` bytes are free; never, when it is 0."""
        self.pending = needed
        self.store(RingControl.pending_send_size.offset, needed)


class RingReader(RingEnd):
    """The receiving end."""

    def read(self, capacity: int = LONGEST_PACKET) -> Packet | Empty | Small | Corrupt:
        """The next packet, of at most ``capacity`` bytes. Its room stays taken until ``commit_read``."""
        # 1. What was published and not yet read.
        available = self.find_bytes()
        if not isinstance(available, int):
            return available

        # 2. A private copy of the descriptor is judged, and nothing but the copy is used.
        if available < DESCRIPTOR_BYTES:
            return self.corrupt(Reason.CUT_OFF)
        descriptor = self.get(self.position, DESCRIPTOR_BYTES)
        fault = descriptor_fault(descriptor, available)
        if fault is not None:
            return self.corrupt(fault)
        length = DESCRIPTOR.unpack(descriptor)[2] * UNIT
        if length > capacity:
            return Small(length)

        # 3. So is a copy of the rest.
        rest = self.get(self.ahead(self.position, DESCRIPTOR_BYTES), length - DESCRIPTOR_BYTES)
        packet = packet_of(descriptor + rest)
        if isinstance(packet, Reason):
            return self.corrupt(packet)
        self.position = self.ahead(self.position, length + TRAILER_BYTES)
        return packet

    def read_batch(self, limit: int = LONGEST_PACKET) -> list[Packet] | Empty | Corrupt:
        """At most ``limit`` of the packets that were published when it began, at least one."""
        found = list[Packet]()
        while len(found) < limit and not (found and self.position == self.peer):
            packet = self.read()
            if not isinstance(packet, Packet):
                assert not isinstance(packet, Small)
                return found or packet
            found.append(packet)
        return found

    def find_bytes(self) -> int | Empty | Corrupt:
        """How many bytes may be read."""
        if self.reason is None and self.position == self.peer:
            self.refresh()
        if self.reason is not None:
            return Corrupt(self.reason)
        return self.distance(self.position, self.peer) or Empty()

    def refresh(self) -> None:
        """Loads the sender's index, and believes it if it did not go back."""
        into = self.load(RingControl.write_index.offset)
        fault = self.index_fault(into)
        if fault is None and self.distance(self.published, into) < self.distance(self.published, self.peer):
            fault = Reason.INDEX_JUMPED
        if fault is None:
            self.peer = into
        else:
            self.corrupt(fault)

    def get(self, index: int, byte_count: int) -> bytes:
        """A copy of bytes of the ring, around its end if need be."""
        first = min(byte_count, self.byte_count - index)
        return self.pages.read(PAGE_BYTES + index, first) + self.pages.read(PAGE_BYTES, byte_count - first)

    def publish_read(self) -> None:
        """The sender may use the room of what was read."""
        if self.published != self.position:
            self.note_published()
            self.store(RingControl.read_index.offset, self.position)

    def commit_read(self) -> bool:
        """Publishes, and says whether the sender must be signalled.

        It must when it waits for room, and there is enough now and was not before.
        """
        self.publish_read()
        freed = self.undecided
        if not freed:
            return False
        self.undecided = 0
        if not self.load(RingControl.features.offset) & RingFeatures.PENDING_SEND_SIZE:
            return False
        pending = self.load(RingControl.pending_send_size.offset) & -UNIT
        if not pending:
            return False
        into = self.load(RingControl.write_index.offset)
        free_now = self.byte_count - self.distance(self.published, into) & WORD
        return max(0, free_now - freed) <= pending < free_now

    def mask(self) -> None:
        """Wants no signals: it is reading anyway."""
        self.store(RingControl.interrupt_mask.offset, 1)

    def unmask(self) -> bool:
        """Wants signals again. Whether there is something to read, for which there may be none."""
        self.store(RingControl.interrupt_mask.offset, 0)
        if self.reason is None:
            self.refresh()
        return self.reason is not None or self.position != self.peer
