"""Packets as values, and what a receiver demands of the bytes that it makes them from.

Stands for: what VSPs and VSCs say to each other.
Spec: Linux, "include/linux/hyperv.h" (``struct vmpacket_descriptor`` and the structures after it).
Simplified: a packet of kind GPADL keeps its header in ``page_set_id``, since nobody sends one.
Twin: the checks are in ``native/core/src/ring_read.c``, held equal by ``tests/twins/test_ring.py``.
Next: ``minihv.vmbus.ring``
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from minihv.spec.vmbus_ring import (
    GpaDirectHeader,
    GpaRange,
    PacketDescriptor,
    PacketFlags,
    PacketKind,
    PacketTrailer,
)
from minihv.terms import PAGE_BYTES

UNIT = 8
DESCRIPTOR_BYTES = PacketDescriptor.byte_count
TRAILER_BYTES = PacketTrailer.byte_count
RANGES_AT = GpaDirectHeader.byte_count
LONGEST_PACKET = 0xFFFF * UNIT
WITH_RANGES = (PacketKind.TRANSFER_PAGES, PacketKind.GPA_DIRECT)
EXTENDED = (*WITH_RANGES, PacketKind.GPADL)
KNOWN_FLAGS = int(PacketFlags.COMPLETION_REQUESTED)
DESCRIPTOR = struct.Struct("<HHHHQ")
RANGE = struct.Struct("<II")


class Reason(IntEnum):
    """Why a ring is corrupt; the numbers are those of the C twin."""

    INDEX_MISALIGNED = 1
    """The peer's index is no multiple of 8."""
    INDEX_OUTSIDE = 2
    """It lies behind the data."""
    INDEX_JUMPED = 3
    """It went back, or past this end's index."""
    CUT_OFF = 4
    """What is there is no whole descriptor."""
    KIND = 5
    """No kind of packet."""
    FLAGS = 6
    """Flags that nobody defined."""
    PAYLOAD_OFFSET = 7
    """The payload begins inside the header."""
    LENGTH = 8
    """The packet ends before its payload."""
    OVERRUN = 9
    """It ends behind what is there."""
    RANGE_COUNT = 10
    """No ranges."""
    RANGE_OVERRUN = 11
    """Ranges that reach into the payload."""
    RANGE_OFFSET = 12
    """A range does not begin in its first page."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes that a packet does not carry: from ``byte_offset`` of the first of the pages ``pfns``."""

    byte_count: int
    byte_offset: int
    pfns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. ``payload`` of a packet that was read is a multiple of 8 bytes long, padded with zeros."""

    kind: int
    payload: bytes
    transaction_id: int = 0
    flags: int = 0
    ranges: tuple[Range, ...] = ()
    page_set_id: int = 0

    @property
    def wants_completion(self) -> bool:
        """Whether the sender waits for an answer with the same transaction id."""
        return bool(self.flags & PacketFlags.COMPLETION_REQUESTED)

    def extension(self) -> bytes:
        """The header behind the descriptor."""
        if self.kind not in EXTENDED:
            return b""
        made = bytearray(struct.pack("<II", self.page_set_id, len(self.ranges)))
        for each in self.ranges:
            made += RANGE.pack(each.byte_count, each.byte_offset)
            made += struct.pack(f"<{len(each.pfns)}Q", *each.pfns)
        return bytes(made)


def descriptor_fault(descriptor: bytes, available: int) -> Reason | None:
    """What is wrong with a descriptor behind whose begin ``available`` bytes were published."""
    kind, offset8, length8, flags, _ = DESCRIPTOR.unpack(descriptor)
    if not PacketKind.SYNCHRONIZE <= kind <= PacketKind.ADDITIONAL_GPA_DIRECT:
        return Reason.KIND
    if flags & ~KNOWN_FLAGS:
        return Reason.FLAGS
    if offset8 * UNIT < (RANGES_AT if kind in EXTENDED else DESCRIPTOR_BYTES):
        return Reason.PAYLOAD_OFFSET
    if length8 < offset8:
        return Reason.LENGTH
    if length8 * UNIT + TRAILER_BYTES > available:
        return Reason.OVERRUN
    return None


def ranges_of(kind: int, header: bytes) -> tuple[Range, ...] | Reason:
    """The ranges in ``header``, which is all of a packet before its payload, or what is wrong with them."""
    if kind not in WITH_RANGES:
        return ()
    range_count = GpaDirectHeader(bytearray(header[:RANGES_AT])).range_count
    if not range_count:
        return Reason.RANGE_COUNT
    found, cursor = list[Range](), RANGES_AT
    for _ in range(range_count):
        if cursor + GpaRange.byte_count > len(header):
            return Reason.RANGE_OVERRUN
        byte_count, byte_offset = RANGE.unpack_from(header, cursor)
        cursor += GpaRange.byte_count
        pfns = tuple[int, ...]()
        if kind == PacketKind.GPA_DIRECT:
            if byte_offset >= PAGE_BYTES:
                return Reason.RANGE_OFFSET
            page_count = (byte_offset + byte_count + PAGE_BYTES - 1) // PAGE_BYTES
            if cursor + 8 * page_count > len(header):
                return Reason.RANGE_OVERRUN
            pfns = struct.unpack_from(f"<{page_count}Q", header, cursor)
            cursor += 8 * page_count
        found.append(Range(byte_count, byte_offset, pfns))
    return tuple(found)


def packet_of(packet: bytes) -> Packet | Reason:
    """The packet that begins with a faultless descriptor, from a private copy without the trailer."""
    kind, offset8, _, flags, transaction_id = DESCRIPTOR.unpack_from(packet)
    ranges = ranges_of(kind, packet[: offset8 * UNIT])
    if isinstance(ranges, Reason):
        return ranges
    page_set_id = 0
    if kind in EXTENDED:
        (page_set_id,) = struct.unpack_from("<I", packet, DESCRIPTOR_BYTES)
    return Packet(kind, packet[offset8 * UNIT :], transaction_id, flags, ranges, page_set_id)
