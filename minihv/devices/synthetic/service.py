"""A service behind one channel: opened, signalled, ticked and closed. Nothing that a guest sends harms it.

Stands for: a virtualisation service provider, in ring 0 of the parent.
Spec: the packets are those of ``minihv.spec.vmbus_ring``.
Simplified: none known.
Next: ``minihv.devices.synthetic.framing``
"""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from minihv.spec.vmbus_ring import PacketKind

BATCH = 32
"""So many packets are taken from a ring at once."""
MOST_DROPPED_IN_A_ROW = 64
"""After so many the guest is not believed to mean well."""
SECOND = 10_000_000
"""In units of 100 ns."""
RETRY_100NS = SECOND // 100
"""So long after a full ring it is tried again, should the guest not signal."""


class Range(Protocol):
    """Bytes of the guest's memory that a packet names."""

    @property
    def byte_count(self) -> int:
        """How many."""


class Packet(Protocol):
    """What a ring held, copied out of the reach of the guest."""

    @property
    def kind(self) -> int:
        """The type in its descriptor."""

    @property
    def flags(self) -> int:
        """Bit 0: a completion is requested."""

    @property
    def transaction_id(self) -> int:
        """To be given back in the completion, bit by bit."""

    @property
    def payload(self) -> bytes:
        """Padded to a multiple of 8 bytes by the ring."""

    @property
    def ranges(self) -> Sequence[Range]:
        """What it names of the guest's memory; none for most kinds."""


class Channel(Protocol):
    """An open channel, seen from the service."""

    def receive(self, limit: int) -> Sequence[Packet]:
        """The next packets of the guest, at most ``limit``; none when the ring is empty."""

    def send(self, kind: int, payload: bytes, transaction_id: int = 0, flags: int = 0) -> bool:
        """Puts a packet into the ring; false when it has no room, and then nothing was done."""

    def complete(self, transaction_id: int, payload: bytes) -> bool:
        """Puts the completion of a packet into the ring; false as with ``send``."""

    def read_ranges(self, packet: Any, /) -> bytes | None:
        """The bytes of the guest's memory that a packet names; None when they are not all RAM."""

    def write_ranges(self, packet: Any, data: Any, /) -> int | None:
        """Writes ``data`` to where a packet says; how many bytes, or None as above."""

    def rescind(self, reason: str) -> None:
        """Takes the channel away from the guest, for good."""


class Refusal(Enum):
    """Why a packet of the guest was dropped."""

    KIND = "it is of a kind that is not sent on this channel"
    SHORT = "it is shorter than its headers"
    PIPE_TYPE = "it is no frame of a message pipe"
    LENGTH = "it says that it is longer or shorter than it is"
    NOT_AN_ANSWER = "it is not marked as an answer"
    MESSAGE_TYPE = "it answers another kind of message"
    UNASKED = "nobody asked"
    BODY = "its body cannot be"
    OPERATION = "there is no such operation"
    BUSY = "the last order is not served yet"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A packet for which the ring had no room."""

    kind: int
    payload: bytes
    transaction_id: int
    flags: int


class Service(ABC):
    """What all services have in common; a subclass says what it is, and what a packet means.

    Who owns the service calls ``tick`` at ``due_100ns`` or later, and with the present time before any other
    call. All times are virtual, in units of 100 ns.
    """

    name: ClassVar[str]
    interface: UUID
    instance: UUID
    pipe_mode: ClassVar[bool] = True
    """Whether the offer says that this is a message pipe."""
    kinds: ClassVar[tuple[PacketKind, ...]] = (PacketKind.IN_BAND, PacketKind.COMPLETION)
    """Of packets that the guest may send."""
    sub_channel: int = 0
    """The number of a channel that a device has besides its first."""
    sub_channels: "tuple[Service, ...]" = ()
    """Those channels, for their owner to offer; ``offers_changed`` says that he has not looked yet."""
    offers_changed = False
    before: Callable[["Service"], None] | None = None
    """Called with the service when it has a packet, before it looks."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.now_100ns = 0
        self.dropped: Counter[Refusal] = Counter()
        self.received_packets = self.sent_packets = 0
        self.closed_because = ""
        """Why the service took the channel away; empty if it did not."""
        self._dropped_in_a_row = 0
        self._outbox: deque[Waiting] = deque()

    @property
    def due_100ns(self) -> int | None:
        """When ``tick`` has something to do; None while nothing depends on time."""
        retry = self._retry_at if self._is_behind else None
        times = [time for time in (self._timer(), retry) if time is not None]
        return min(times) if self.channel is not None and times else None

    def opened(self, channel: Channel) -> None:
        """The guest has opened the channel; what an earlier guest left is forgotten."""
        self.closed()
        self.channel = channel
        self.closed_because = ""
        self._dropped_in_a_row = 0
        self._outbox.clear()
        self._begin()

    def signalled(self, channel: Channel) -> None:
        """The guest says that its ring has packets, or that there is room again in ours."""
        if channel is not self.channel:
            return
        self._catch_up()
        while self.channel is channel and not self._is_behind and (packets := channel.receive(BATCH)):
            for packet in packets:
                if self.channel is channel:
                    self._receive(packet)

    def closed(self) -> None:
        """The channel is gone, whoever ended it."""
        if self.channel is not None:
            self.channel = None
            self._outbox.clear()
            self._end()

    def tick(self, now_100ns: int) -> None:
        """It is ``now_100ns``."""
        self.now_100ns = max(now_100ns, self.now_100ns)
        if self.channel is not None:
            if self._is_behind:
                self.signalled(self.channel)
            self._pass_time()

    # What a subclass may say.

    def _begin(self) -> None:  # noqa: B027 - a subclass may have nothing to do
        """The channel has just been opened."""

    def _end(self) -> None:  # noqa: B027
        """The channel is gone."""

    @abstractmethod
    def _take(self, packet: Packet) -> Refusal | None:
        """Does what a packet of one of ``kinds`` asks, or says why not."""

    def _timer(self) -> int | None:
        """When ``_pass_time`` has something to do."""
        return None

    def _pass_time(self) -> None:  # noqa: B027
        """``now_100ns`` has changed."""

    @property
    def _is_behind(self) -> bool:
        """Whether something waits for room, so that nothing more should be taken on."""
        return bool(self._outbox)

    def _catch_up(self) -> None:
        """Sends what waits for room, as far as there is some."""
        while self._outbox and self._put(self._outbox[0]):
            self._outbox.popleft()

    # What a subclass may do.

    @property
    def _retry_at(self) -> int:
        """When a full ring is tried again."""
        return self.now_100ns + RETRY_100NS

    def _send_now(self, payload: bytes) -> bool:
        """Sends an in-band packet; false when there is no room."""
        return self._put(Waiting(PacketKind.IN_BAND, payload, 0, 0))

    def _send(self, payload: bytes, kind: int = PacketKind.IN_BAND, transaction_id: int = 0) -> None:
        """Sends a packet now, or when there is room for it. The attempt may close the channel: do it last."""
        waiting = Waiting(kind, payload, transaction_id, 0)
        if (self._outbox or not self._put(waiting)) and self.channel is not None:
            self._outbox.append(waiting)

    def _put(self, packet: Waiting) -> bool:
        if self.channel is None:
            return False
        if packet.kind == PacketKind.COMPLETION:
            done = self.channel.complete(packet.transaction_id, packet.payload)
        else:
            done = self.channel.send(packet.kind, packet.payload, packet.transaction_id, packet.flags)
        self.sent_packets += done
        return done

    def _rescind(self, reason: str) -> None:
        """Takes the channel away from a guest that breaks the rules."""
        channel = self.channel
        self.closed()
        self.closed_because = reason
        if channel is not None:
            channel.rescind(reason)

    def _receive(self, packet: Packet) -> None:
        self.received_packets += 1
        if self.before is not None:
            self.before(self)
        refusal = self._take(packet) if packet.kind in self.kinds else Refusal.KIND
        if refusal is None:
            self._dropped_in_a_row = 0
            return
        self.dropped[refusal] += 1
        self._dropped_in_a_row += 1
        if self._dropped_in_a_row == MOST_DROPPED_IN_A_ROW:
            self._rescind(
                f"{self._dropped_in_a_row} packets in a row broke the protocol of the {self.name} channel, "
                f"the last of them because {refusal.value}."
            )
