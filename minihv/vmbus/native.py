"""The ring in C, behind the methods of the reference, and its calls for many packets at once.

Stands for: ``native/core/include/minihv/ring.h`` and ``bell.h``.
Simplified: none known.
Twin: ``minihv.vmbus.ring``; held equal by ``tests/twins/test_ring.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minihv._core import ffi, lib
from minihv.errors import InternalError
from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import LONGEST_PACKET, WITH_RANGES, Packet, Reason, packet_of
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Empty, Full, Ok, Small, TooLong

PACKET = np.dtype(
    [
        ("transaction_id", "<u8"),
        ("offset", "<u4"),
        ("payload_offset", "<u4"),
        ("payload_bytes", "<u4"),
        ("range_count", "<u4"),
        ("kind", "<u2"),
        ("flags", "<u2"),
        ("padding", "<u4"),
    ]
)
"""``struct mhv_ring_packet``."""
BATCH_BYTES = 1 << 16
CONTROL_BYTES = 0x44


def outcome(result: Any) -> Ok | Empty | Full | Small | TooLong | Corrupt:
    """A ``struct mhv_ring_result`` as a value."""
    match result.outcome:
        case lib.MHV_RING_OK:
            return Ok()
        case lib.MHV_RING_EMPTY:
            return Empty()
        case lib.MHV_RING_FULL:
            return Full(result.detail)
        case lib.MHV_RING_SMALL:
            return Small(result.detail)
        case lib.MHV_RING_TOO_LONG:
            return TooLong(result.detail)
        case lib.MHV_RING_CORRUPT:
            return Corrupt(Reason(result.detail))
    raise InternalError(f"An operation of the C ring ended in outcome {result.outcome}, which is none.")


class Bell:
    """``struct mhv_bell`` in the first 8 bytes of ``memory``, which begin as zeros and may be shared."""

    def __init__(self, memory: Any) -> None:
        self._memory = ffi.from_buffer("uint8_t[8]", memory, require_writable=True)
        self.handle = ffi.cast("struct mhv_bell *", self._memory)

    def ring(self) -> None:
        """Wakes who waits for it: after a commit that says that the peer must be signalled."""
        lib.mhv_bell_ring(self.handle)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: so many looks at the ring first, then asleep."""

    spins: int = 2000
    timeout_ns: int | None = None

    def to_c(self) -> Any:
        """``struct mhv_patience``."""
        return ffi.new("struct mhv_patience *", [self.spins, self.timeout_ns or 0])[0]


class NativeEnd:
    """``struct mhv_ring`` over ``pages``."""

    def __init__(self, pages: RingPages, position: int = 0, peer: int = 0) -> None:
        self.pages = pages
        self._memory = ffi.from_buffer("uint8_t[]", pages.view, require_writable=True)
        places = [self._memory + address for address in pages.addresses]
        self._pages = ffi.new("uint8_t *[]", places[1:])
        self._ring = ffi.new("struct mhv_ring *")
        data, scattered = (places[1], ffi.NULL) if pages.is_flat else (ffi.NULL, self._pages)
        control = ffi.cast("struct mhv_ring_control *", places[0])
        status = lib.mhv_ring_attach(self._ring, control, data, scattered, pages.data_bytes)
        if status != lib.MHV_OK:
            raise InternalError(f"The C ring refused {pages.data_bytes:#x} bytes of data: status {status}.")
        lib.mhv_ring_resume(self._ring, position, peer)

    @property
    def position(self) -> int:
        """Where this end goes on."""
        return int(self._ring.position)

    @property
    def peer(self) -> int:
        """The peer's index as it was last loaded and believed."""
        return int(self._ring.peer)

    @property
    def published(self) -> int:
        """What the peer may know of ``position``."""
        return int(self._ring.published)

    @property
    def undecided(self) -> int:
        """Bytes that were published since signalling was last decided on, at most all of the ring."""
        return int(self._ring.undecided)

    @property
    def reason(self) -> Reason | None:
        """Why this end does nothing more."""
        return Reason(self._ring.reason) if self._ring.reason else None


class NativeWriter(NativeEnd):
    """The sending end."""

    def __init__(self, pages: RingPages, position: int = 0, peer: int = 0) -> None:
        super().__init__(pages, position, peer)
        self._head = ffi.new("struct mhv_ring_head *")
        self._parts = ffi.new("struct mhv_ring_part[2]")
        self._count = ffi.new("uint32_t *")

    def write(self, packet: Packet) -> Ok | Full | TooLong | Corrupt:
        """As ``RingWriter.write``."""
        extension = packet.extension()
        head, parts = self._head, self._parts
        head.kind, head.flags, head.transaction_id = packet.kind, packet.flags, packet.transaction_id
        head.extension_bytes = len(extension)
        first, second = ffi.from_buffer(extension), ffi.from_buffer(packet.payload)
        parts[0].bytes, parts[0].byte_count = first, len(extension)
        parts[1].bytes, parts[1].byte_count = second, len(packet.payload)
        return self._noted(lib.mhv_ring_write(self._ring, head, parts, 2), self.position)

    def write_batch(self, packets: Sequence[Packet]) -> tuple[int, Ok | Full | TooLong | Corrupt]:
        """As ``RingWriter.write_batch``."""
        result: Ok | Full | TooLong | Corrupt = Ok()
        for number, packet in enumerate(packets):
            result = self.write(packet)
            if not isinstance(result, Ok):
                return number, Ok() if number else result
        return len(packets), result

    def write_payloads(
        self,
        payloads: Any,
        offsets: NDArray[np.uint32],
        kind: int,
        transaction_ids: NDArray[np.uint64] | None = None,
        flags: int = 0,
    ) -> tuple[int, Ok | Full | TooLong | Corrupt]:
        """One packet of ``kind`` for each payload; number n is ``payloads[offsets[n]:offsets[n + 1]]``.

        ``offsets`` ascend, and end within ``payloads``, a buffer. The result is that of ``write_batch``.
        """
        data = ffi.from_buffer("uint8_t[]", payloads)
        ids = ffi.NULL if transaction_ids is None else ffi.from_buffer("uint64_t[]", transaction_ids)
        batch = ffi.new("struct mhv_ring_batch *")
        batch.bytes, batch.offsets = data, ffi.from_buffer("uint32_t[]", offsets)
        batch.transaction_ids, batch.count = ids, len(offsets) - 1
        head = self._head
        head.kind, head.flags, head.transaction_id, head.extension_bytes = kind, flags, 0, 0
        before = self.position
        result = lib.mhv_ring_write_batch(self._ring, head, batch, self._count)
        return int(self._count[0]), self._noted(result, before)

    def publish_write(self) -> None:
        """As ``RingWriter.publish_write``."""
        lib.mhv_ring_publish_write(self._ring)
        self.pages.note(0, CONTROL_BYTES)

    def commit_write(self) -> bool:
        """As ``RingWriter.commit_write``."""
        signal = bool(lib.mhv_ring_commit_write(self._ring))
        self.pages.note(0, CONTROL_BYTES)
        return signal

    def await_room(self, needed: int) -> Ok | Full | Corrupt:
        """As ``RingWriter.await_room``."""
        result = outcome(lib.mhv_ring_await_room(self._ring, needed))
        self.pages.note(0, CONTROL_BYTES)
        assert isinstance(result, Ok | Full | Corrupt)
        return result

    def wait_room(self, needed: int, bell: Bell, patience: Patience) -> Ok | Full | Corrupt:
        """Waits for room after ``Full`` and a commit; ``Full`` again when the time is over."""
        result = outcome(lib.mhv_ring_wait_room(self._ring, bell.handle, needed, patience.to_c()))
        self.pages.note(0, CONTROL_BYTES)
        assert isinstance(result, Ok | Full | Corrupt)
        return result

    def _noted(self, result: Any, before: int) -> Ok | Full | TooLong | Corrupt:
        if self.pages.written is not None and self.position != before:
            end = self.position if self.position > before else self.pages.data_bytes
            self.pages.note(PAGE_BYTES + before, end - before)
            self.pages.note(PAGE_BYTES, 0 if self.position > before else self.position)
        made = outcome(result)
        assert isinstance(made, Ok | Full | TooLong | Corrupt)
        return made


class NativeReader(NativeEnd):
    """The receiving end."""

    def __init__(self, pages: RingPages, position: int = 0, peer: int = 0) -> None:
        super().__init__(pages, position, peer)
        self.buffer = bytearray(BATCH_BYTES)
        """Where packets are after ``read_packets``."""
        self.packets: NDArray[Any] = np.zeros(BATCH_BYTES // 24 + 1, dtype=PACKET)
        self._snapshot = ffi.new("struct mhv_ring_snapshot *")
        self._packet = ffi.new("struct mhv_ring_packet *")
        self._snapshot.packets = ffi.cast("struct mhv_ring_packet *", ffi.from_buffer(self.packets))
        self._grow(BATCH_BYTES)

    def _grow(self, capacity: int) -> None:
        if capacity > len(self.buffer):
            self.buffer = bytearray(capacity)
        self._bytes = ffi.from_buffer("uint8_t[]", self.buffer, require_writable=True)
        self._snapshot.bytes, self._snapshot.capacity = self._bytes, len(self.buffer)

    def read(self, capacity: int = LONGEST_PACKET) -> Packet | Empty | Small | Corrupt:
        """As ``RingReader.read``."""
        limit = min(capacity, len(self.buffer))
        result = lib.mhv_ring_read(self._ring, self._bytes, limit, self._packet)
        if result.outcome == lib.MHV_RING_SMALL and result.detail <= capacity:
            self._grow(result.detail)
            return self.read(capacity)
        if result.outcome != lib.MHV_RING_OK:
            refusal = outcome(result)
            assert isinstance(refusal, Empty | Small | Corrupt)
            return refusal
        return self._packet_at(self._packet)

    def _packet_at(self, found: Any) -> Packet:
        """The packet that ``found`` describes, as a value."""
        begin, end = int(found.payload_offset), int(found.payload_offset + found.payload_bytes)
        if found.kind in WITH_RANGES or found.kind == lib.MHV_PACKET_KIND_GPADL:
            packet = packet_of(bytes(self.buffer[int(found.offset) : end]))
            if isinstance(packet, Reason):
                raise InternalError(f"The C ring let a packet pass that is corrupt: {packet.name}.")
            return packet
        payload = bytes(self.buffer[begin:end])
        return Packet(int(found.kind), payload, int(found.transaction_id), int(found.flags))

    def read_packets(self, limit: int = LONGEST_PACKET) -> NDArray[Any] | Empty | Corrupt:
        """Copies at most ``limit`` packets to ``buffer`` in one call: a row of ``PACKET`` for each.

        Rows and buffer are valid until the next call.
        """
        self._snapshot.packet_capacity = min(limit, len(self.packets))
        result = lib.mhv_ring_read_batch(self._ring, self._snapshot)
        if result.outcome == lib.MHV_RING_SMALL:
            self._grow(result.detail)
            return self.read_packets(limit)
        if result.outcome != lib.MHV_RING_OK:
            refusal = outcome(result)
            assert isinstance(refusal, Empty | Corrupt)
            return refusal
        return self.packets[: self._snapshot.count]

    def read_batch(self, limit: int = LONGEST_PACKET) -> list[Packet] | Empty | Corrupt:
        """As ``RingReader.read_batch``; one snapshot at most, so it may end earlier."""
        rows = self.read_packets(limit)
        if isinstance(rows, Empty | Corrupt):
            return rows
        return [self._packet_at(self._snapshot.packets[n]) for n in range(len(rows))]

    def publish_read(self) -> None:
        """As ``RingReader.publish_read``."""
        lib.mhv_ring_publish_read(self._ring)
        self.pages.note(0, CONTROL_BYTES)

    def commit_read(self) -> bool:
        """As ``RingReader.commit_read``."""
        signal = bool(lib.mhv_ring_commit_read(self._ring))
        self.pages.note(0, CONTROL_BYTES)
        return signal

    def wait_packet(self, bell: Bell, patience: Patience) -> Ok | Empty | Corrupt:
        """Waits until a read finds something, after a commit; ``Empty`` when the time is over."""
        result = outcome(lib.mhv_ring_wait_packet(self._ring, bell.handle, patience.to_c()))
        self.pages.note(0, CONTROL_BYTES)
        assert isinstance(result, Ok | Empty | Corrupt)
        return result

    def mask(self) -> None:
        """As ``RingReader.mask``."""
        lib.mhv_ring_mask(self._ring)
        self.pages.note(0, CONTROL_BYTES)

    def unmask(self) -> bool:
        """As ``RingReader.unmask``."""
        more = bool(lib.mhv_ring_unmask(self._ring))
        self.pages.note(0, CONTROL_BYTES)
        return more


def clear(pages: RingPages) -> None:
    """As ``minihv.vmbus.ring.clear``."""
    memory = ffi.from_buffer("uint8_t[]", pages.view, require_writable=True)
    lib.mhv_ring_clear(ffi.cast("struct mhv_ring_control *", memory + pages.addresses[0]))
    pages.note(0, CONTROL_BYTES)


if ffi.sizeof("struct mhv_ring_packet") != PACKET.itemsize:
    raise InternalError("A packet of the C ring is not as long as its row in Python.")
