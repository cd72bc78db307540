"""The other side of a synthetic device: a channel without a ring, and guests that answer as drivers do."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from minihv.devices.synthetic.framing import version_list
from minihv.devices.synthetic.service import Service
from minihv.spec.integration import IcFlags, IcHeader, MessageType, Negotiate, PipeHeader, Version
from minihv.spec.vmbus_ring import PacketKind
from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import Range

IC_BODY = PipeHeader.byte_count + IcHeader.byte_count


@dataclass(frozen=True)
class FakePacket:
    payload: bytes
    kind: int = PacketKind.IN_BAND
    flags: int = 0
    transaction_id: int = 0
    ranges: tuple[Range, ...] = ()


@dataclass
class FakeChannel:
    """A channel with room for so many packets to the guest; ``to_guest`` is what it has not read."""

    room: int = 1000
    to_host: deque[FakePacket] = field(default_factory=deque)
    to_guest: deque[FakePacket] = field(default_factory=deque)
    rescinded: list[str] = field(default_factory=list)
    memory: bytearray = field(default_factory=bytearray)
    """What packets name ranges of."""
    breaks: Service | None = None
    """Whose next attempt to send finds that the ring is corrupt."""

    def receive(self, limit: int) -> Sequence[FakePacket]:
        return [self.to_host.popleft() for _ in range(min(limit, len(self.to_host)))]

    def send(self, kind: int, payload: bytes, transaction_id: int = 0, flags: int = 0) -> bool:
        if self.breaks is not None:
            self.breaks.closed()
            return False
        if len(self.to_guest) >= self.room:
            return False
        self.to_guest.append(FakePacket(padded(payload), kind, flags, transaction_id))
        return True

    def complete(self, transaction_id: int, payload: bytes) -> bool:
        return self.send(PacketKind.COMPLETION, payload, transaction_id)

    def read_ranges(self, packet: FakePacket, /) -> bytes | None:
        found = self._places(packet)
        return None if found is None else b"".join(bytes(self.memory[part]) for part in found)

    def write_ranges(self, packet: FakePacket, data: bytes, /) -> int | None:
        found, done = self._places(packet), 0
        if found is None:
            return None
        for part in found:
            piece = data[done : done + part.stop - part.start]
            self.memory[part.start : part.start + len(piece)] = piece
            done += len(piece)
        return done

    def _places(self, packet: FakePacket) -> list[slice] | None:
        """Where the bytes of a packet lie, page by page."""
        found, size = list[slice](), len(self.memory) // PAGE_BYTES
        for part in packet.ranges:
            if any(pfn >= size for pfn in part.pfns):
                return None
            offset, left = part.byte_offset, part.byte_count
            for pfn in part.pfns:
                count = min(left, PAGE_BYTES - offset)
                found.append(slice(pfn * PAGE_BYTES + offset, pfn * PAGE_BYTES + offset + count))
                offset, left = 0, left - count
        return found

    def rescind(self, reason: str) -> None:
        self.rescinded.append(reason)

    def read(self) -> FakePacket:
        """The guest takes the next packet."""
        return self.to_guest.popleft()


def padded(payload: bytes) -> bytes:
    """As a ring gives it back: a multiple of 8 bytes."""
    return payload.ljust(-(-len(payload) // 8) * 8, b"\0")


def opened(service: Service, room: int = 1000) -> FakeChannel:
    """A channel that a guest has just opened on ``service``."""
    channel = FakeChannel(room)
    service.opened(channel)
    return channel


def send(service: Service, channel: FakeChannel, *packets: FakePacket) -> None:
    """The guest sends packets, and a signal."""
    channel.to_host.extend(packets)
    service.signalled(channel)


def body_of(packet: FakePacket) -> bytes:
    """The body of a question."""
    length = IcHeader(bytearray(packet.payload), PipeHeader.byte_count).body_bytes
    return packet.payload[IC_BODY : IC_BODY + length]


def answer_to(asked: FakePacket, body: bytes | None = None, status: int = 0) -> FakePacket:
    """The packet that a driver of Linux makes of a question: the same bytes, some of them written over."""
    answer = bytearray(asked.payload)
    header = IcHeader(answer, PipeHeader.byte_count)
    header.flags = IcFlags.TRANSACTION | IcFlags.RESPONSE
    header.status = status
    if body is not None:
        header.body_bytes = len(body)
        answer[IC_BODY:] = body.ljust(len(asked.payload) - IC_BODY, b"\0")
        PipeHeader(answer).length = max(PipeHeader(answer).length, IcHeader.byte_count + len(body))
    return FakePacket(padded(bytes(answer)))


def offered_versions(asked: FakePacket) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Frameworks and messages that a negotiation offers."""
    body = bytearray(body_of(asked))
    counts = Negotiate(body)
    both = [
        Version(body, Negotiate.byte_count + 4 * n)
        for n in range(counts.framework_count + counts.message_count)
    ]
    pairs = [(one.major, one.minor) for one in both]
    return pairs[: counts.framework_count], pairs[counts.framework_count :]


def agree(service: Service, channel: FakeChannel, newest: tuple[int, int] = (9, 9)) -> None:
    """The guest chooses the newest versions that are offered, none above ``newest``."""
    asked = channel.read()
    assert IcHeader(bytearray(asked.payload), PipeHeader.byte_count).message_type == MessageType.NEGOTIATE
    frameworks, messages = offered_versions(asked)
    chosen = [max(messages, key=lambda version: (version <= newest, version))]
    send(service, channel, answer_to(asked, version_list([max(frameworks)], chosen)))


def ready(service: Service, newest: tuple[int, int] = (9, 9), room: int = 1000) -> FakeChannel:
    """A channel on which versions have been agreed on."""
    channel = opened(service, room)
    agree(service, channel, newest)
    return channel


def answer_all(
    service: Service, channel: FakeChannel, answer: Callable[[FakePacket], FakePacket | None]
) -> int:
    """The guest answers every question until there is none. How many there were."""
    count = 0
    while channel.to_guest:
        reply = answer(channel.read())
        count += 1
        if reply is not None:
            send(service, channel, reply)
    return count
