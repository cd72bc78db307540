"""An open channel as a device has it: packets out of one ring and into the other, and few signals.

Stands for: the library that VSPs are written against.
Spec: ``minihv.spec.vmbus_ring``; how a ring is read and written is in ``minihv.vmbus.ring``.
Simplified: nothing of a guest runs while a device does, so signals need not be masked meanwhile.
Next: ``minihv.vmbus.server``
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from minihv.spec.vmbus import NO_INTERRUPTS
from minihv.spec.vmbus import OpenChannel as OpenRequest
from minihv.spec.vmbus_ring import PacketKind, RingControl, RingFeatures
from minihv.terms import PAGE_BYTES, PAGE_SHIFT
from minihv.vmbus.ends import Ends
from minihv.vmbus.gpadl import Gpadl
from minihv.vmbus.guest_memory import GuestMemory
from minihv.vmbus.limits import MAX_QUEUED_BYTES, MAX_QUEUED_PACKETS, MAX_TRANSFER_BYTES
from minihv.vmbus.packets import Packet
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Full, Ok, TooLong
from minihv.vmbus.rules import Refused, Rule, refused


class ChannelUser(Protocol):
    """The device behind a channel. It is called between two instructions of the guest, and never raises."""

    def opened(self, channel: "OpenChannel") -> None:
        """The guest has opened the channel; the device may send at once."""

    def signalled(self, channel: "OpenChannel") -> None:
        """The guest has written something, or has made room."""

    def closed(self) -> None:
        """The channel is closed, by whomever, and does nothing any more.

        When the ring turns out to be corrupt this comes from within a call that the device makes.
        """


class ChannelHost(Protocol):
    """What a channel asks of the server that opened it."""

    def signal_guest(self, relid: int, vp: int) -> None:
        """The guest is to be signalled."""

    def note(self, relid: int, problem: Refused) -> None:
        """The guest broke a rule, and the device will answer."""

    def give_up(self, relid: int, problem: Refused) -> None:
        """The guest broke a rule, and the channel ends."""


@dataclass(slots=True)
class ChannelCounters:
    """What has passed since the channel was opened; bytes are those of payloads."""

    received_packets: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    signals_received: int = 0
    signals_sent: int = 0
    signals_suppressed: int = 0
    """Commits after which the guest needed none: it was awake, or wanted none."""


@dataclass(frozen=True, slots=True)
class RingFill:
    """How full a ring is, by what its control page says now."""

    used_bytes: int
    ring_bytes: int


class OpenChannel:
    """A channel from OpenChannel until either side closes it; then every call does nothing and says so.

    Packets that do not fit are queued, and follow when the guest signals that it has made room.
    """

    def __init__(
        self, host: ChannelHost, memory: GuestMemory, ends: Ends, request: OpenRequest, gpadl: Gpadl
    ) -> None:
        self.relid = request.relid
        self.target_vp = request.target_vp
        self.user_defined = request.user_defined
        """What the guest tells the device."""
        self.gpadl = gpadl
        self.is_open = True
        self.counters = ChannelCounters()
        self._host = host
        self._memory = memory
        gpns, split = gpadl.ranges[0].gpns, request.page_offset
        self._from_guest, self._to_guest = memory.ring(gpns[:split]), memory.ring(gpns[split:])
        self._reader, self._writer = ends.reader(self._from_guest), ends.writer(self._to_guest)
        self._queue: deque[Packet] = deque()
        self._queued_bytes = 0
        self._batches = 0

    # What a device calls.

    def receive(self, limit: int = 64) -> list[Packet]:
        """The guest's next packets, at most ``limit``; empty when there is none, or the channel is closed."""
        if not self.is_open:
            return []
        found = self._reader.read_batch(limit)
        if isinstance(found, Corrupt):
            self._give_up(Rule.RING_CORRUPT, reason=reason_words(found))
        if not isinstance(found, list):
            return []
        self.counters.received_packets += len(found)
        self.counters.received_bytes += sum(len(packet.payload) for packet in found)
        if self._reader.commit_read():
            self._signal()
        return found

    def send(self, kind: int, payload: bytes, transaction_id: int = 0, flags: int = 0) -> bool:
        """Sends a packet, now or when there is room; false when too many wait, and nothing was done."""
        return self.put(Packet(kind, payload, transaction_id, flags))

    def complete(self, transaction_id: int, payload: bytes = b"") -> bool:
        """Answers the packet of that transaction id, as ``send`` does."""
        return self.send(PacketKind.COMPLETION, payload, transaction_id)

    def put(self, packet: Packet) -> bool:
        """Sends a packet of any kind, as ``send`` does."""
        size = len(packet.payload)
        waits = bool(self._queue)
        if not self.is_open or (waits and not self._has_room(size)):
            return False
        self._queue.append(packet)
        self._queued_bytes += size
        if not waits:
            self.flush()
        return self.is_open

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is sent inside is published at the end, with one signal at most."""
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            self._commit()

    def read_ranges(self, packet: Packet) -> bytes | None:
        """The bytes of the guest's memory that a GPA-direct packet names; none when they are not all RAM."""
        if self._ranges_problem(packet):
            return None
        return b"".join(self._memory.read(gpa, count) for gpa, count in pieces(packet))

    def write_ranges(self, packet: Packet, data: bytes) -> int | None:
        """Writes to the guest's memory where the packet says, as far as it goes; how many bytes, as above."""
        if self._ranges_problem(packet):
            return None
        done = 0
        for gpa, count in pieces(packet):
            part = data[done : done + count]
            if part:
                self._memory.write(gpa, part)
            done += len(part)
        return done

    def rescind(self, reason: str) -> None:
        """Takes the channel away from a guest that breaks the rules of the device."""
        if self.is_open:
            self._give_up(Rule.DEVICE, reason=reason)

    @property
    def queued(self) -> int:
        """Packets that wait for room."""
        return len(self._queue)

    @property
    def fill(self) -> tuple[RingFill, RingFill]:
        """How full the rings are: from the guest, and to the guest."""
        return ring_fill(self._from_guest), ring_fill(self._to_guest)

    @property
    def controls(self) -> tuple[RingControl, RingControl]:
        """What the control pages say now: of the ring from the guest, and to the guest."""
        return ring_control(self._from_guest), ring_control(self._to_guest)

    # What the server calls.

    def begin(self, user: ChannelUser) -> None:
        """Both rings are there, and the device begins."""
        self._to_guest.write(
            RingControl.features.offset, int(RingFeatures.PENDING_SEND_SIZE).to_bytes(4, "little")
        )
        with self.batch():
            user.opened(self)

    def signalled(self, user: ChannelUser) -> None:
        """The guest has signalled: what waits for room goes first, then the device has its turn."""
        self.counters.signals_received += 1
        with self.batch():
            self.flush()
            if self.is_open:
                user.signalled(self)

    def end(self) -> None:
        """Nothing of the guest's memory is touched from now on."""
        self.is_open = False
        self._queue.clear()
        self._queued_bytes = 0

    # How it is done.

    def flush(self) -> None:
        """Writes what waits, as far as there is room."""
        while self._queue and self.is_open:
            packet = self._queue[0]
            outcome = self._writer.write(packet)
            if isinstance(outcome, Full):
                self._publish()
                if isinstance(self._writer.await_room(outcome.needed), Full):
                    return
            elif isinstance(outcome, Ok):
                self._count_sent(self._queue.popleft())
            elif isinstance(outcome, TooLong):
                self._give_up(Rule.RING_SMALL, needed=outcome.needed)
            else:
                self._give_up(Rule.RING_CORRUPT, reason=reason_words(outcome))
        self._commit()

    def _count_sent(self, packet: Packet) -> None:
        self._queued_bytes -= len(packet.payload)
        self.counters.sent_packets += 1
        self.counters.sent_bytes += len(packet.payload)

    def _commit(self) -> None:
        if self.is_open and not self._batches:
            self._publish()

    def _publish(self) -> None:
        """The guest may see what was written, and is signalled if it has to be."""
        if self._writer.position == self._writer.published:
            return
        if self._writer.commit_write():
            self._signal()
        else:
            self.counters.signals_suppressed += 1

    def _signal(self) -> None:
        if self.target_vp != NO_INTERRUPTS:
            self.counters.signals_sent += 1
            self._host.signal_guest(self.relid, self.target_vp)

    def _has_room(self, size: int) -> bool:
        return len(self._queue) < MAX_QUEUED_PACKETS and self._queued_bytes + size <= MAX_QUEUED_BYTES

    def _give_up(self, rule: Rule, **found: object) -> None:
        self._host.give_up(self.relid, refused(rule, relid=self.relid, **found))

    def _ranges_problem(self, packet: Packet) -> bool:
        """Whether the packet's ranges cannot be used, for which the guest is noted."""
        problem = None
        total = sum(part.byte_count for part in packet.ranges)
        outside = [pfn for part in packet.ranges for pfn in part.pfns if not self._memory.is_ram(pfn)]
        if total > MAX_TRANSFER_BYTES:
            problem = refused(Rule.TRANSFER, limit=MAX_TRANSFER_BYTES, found=total)
        elif outside:
            problem = refused(Rule.TRANSFER_RAM, gpn=outside[0])
        if problem and self.is_open:
            self._host.note(self.relid, problem)
        return problem is not None or not self.is_open


def reason_words(corrupt: Corrupt) -> str:
    """Why a ring is corrupt, in words."""
    return corrupt.reason.name.lower().replace("_", " ")


def pieces(packet: Packet) -> Iterator[tuple[int, int]]:
    """GPA and number of bytes of what a packet's ranges name, page by page."""
    for part in packet.ranges:
        offset, left = part.byte_offset, part.byte_count
        for pfn in part.pfns:
            count = min(left, PAGE_BYTES - offset)
            yield (pfn << PAGE_SHIFT) + offset, count
            offset, left = 0, left - count


def ring_control(pages: RingPages) -> RingControl:
    """A copy of the control page."""
    return RingControl(
        bytearray(pages.read(0, RingControl.features.offset)).ljust(RingControl.byte_count, b"\0")
    )


def ring_fill(pages: RingPages) -> RingFill:
    """What the indices say; nothing, where they cannot be."""
    control, size = ring_control(pages), pages.data_bytes
    into, out = control.write_index, control.read_index
    return RingFill((into - out) % size if max(into, out) < size else 0, size)
