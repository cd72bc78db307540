"""What a receiver demands of the bytes of a packet."""

import struct

import pytest

from minihv.spec.vmbus_ring import PacketKind
from minihv.vmbus.packets import (
    DESCRIPTOR,
    Packet,
    Range,
    Reason,
    descriptor_fault,
    packet_of,
    ranges_of,
)


def descriptor(kind: int = 6, offset8: int = 2, length8: int = 3, flags: int = 0) -> bytes:
    return DESCRIPTOR.pack(kind, offset8, length8, flags, 7)


@pytest.mark.parametrize(
    ("found", "available", "reason"),
    [
        (descriptor(), 32, None),
        (descriptor(), 24, Reason.OVERRUN),
        (descriptor(kind=0), 32, Reason.KIND),
        (descriptor(kind=14), 32, Reason.KIND),
        (descriptor(flags=2), 32, Reason.FLAGS),
        (descriptor(offset8=1), 32, Reason.PAYLOAD_OFFSET),
        (descriptor(kind=7), 32, Reason.PAYLOAD_OFFSET),
        (descriptor(kind=8), 32, Reason.PAYLOAD_OFFSET),
        (descriptor(kind=9, offset8=3), 32, None),
        (descriptor(length8=1), 32, Reason.LENGTH),
        (descriptor(length8=0xFFFF), 32, Reason.OVERRUN),
    ],
)
def test_descriptor_is_judged_by_its_own_words(found: bytes, available: int, reason: Reason | None) -> None:
    assert descriptor_fault(found, available) is reason


def gpa_direct(*words: bytes, range_count: int = 1) -> bytes:
    header = DESCRIPTOR.pack(9, 0, 0, 0, 0) + struct.pack("<II", 0, range_count)
    return header + b"".join(words)


def test_range_has_a_page_number_for_each_page_it_touches() -> None:
    header = gpa_direct(struct.pack("<IIQQ", 4096, 4, 0x11, 0x12))
    assert ranges_of(9, header) == (Range(4096, 4, (0x11, 0x12)),)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (gpa_direct(range_count=0), Reason.RANGE_COUNT),
        (gpa_direct(range_count=1), Reason.RANGE_OVERRUN),
        (gpa_direct(struct.pack("<II", 0xFFFFFFFF, 0)), Reason.RANGE_OVERRUN),
        (gpa_direct(struct.pack("<IIQ", 4096, 1, 5)), Reason.RANGE_OVERRUN),
        (gpa_direct(struct.pack("<IIQ", 8, 4096, 5)), Reason.RANGE_OFFSET),
        (gpa_direct(struct.pack("<IIQ", 8, 0, 5), range_count=0xFFFFFFFF), Reason.RANGE_OVERRUN),
    ],
)
def test_ranges_that_cannot_be_have_a_reason(header: bytes, reason: Reason) -> None:
    assert ranges_of(9, header) is reason


@pytest.mark.parametrize(
    "packet",
    [
        Packet(PacketKind.IN_BAND, b"12345678", 5, 1),
        Packet(PacketKind.COMPLETION, b"", 1 << 63),
        Packet(PacketKind.GPA_DIRECT, b"scsi cdb", 1, 1, (Range(512, 0, (9,)), Range(8192, 1, (1, 2, 3)))),
        Packet(PacketKind.TRANSFER_PAGES, b"", 1, 1, (Range(1 << 20, 70000),), 0xCAFE),
        Packet(PacketKind.GPADL, b"", 1, 0, (), 0x12345),
    ],
)
def test_packet_comes_back_from_its_bytes(packet: Packet) -> None:
    header = 16 + len(packet.extension())
    length = header + len(packet.payload)
    words = DESCRIPTOR.pack(packet.kind, header // 8, length // 8, packet.flags, packet.transaction_id)
    assert packet_of(words + packet.extension() + packet.payload) == packet


def test_packet_with_impossible_ranges_is_its_reason() -> None:
    assert packet_of(DESCRIPTOR.pack(9, 3, 3, 0, 0) + bytes(8)) is Reason.RANGE_COUNT


def test_sender_that_waits_says_so_in_a_flag() -> None:
    assert Packet(6, b"", flags=1).wants_completion and not Packet(6, b"").wants_completion
