"""The ring of VMBus: its control page, its packets, and the headers that say where other bytes lie.

Stands for: the pages that a guest shares with its parent, one ring for each direction.
Spec: Linux, "include/linux/hyperv.h" (``struct hv_ring_buffer``, ``struct vmpacket_descriptor``).
Twin: ``native/core/include/minihv/ring.h``, held equal by ``tests/layouts/test_vmbus_ring.py``.
Next: ``minihv.vmbus.ring``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Layout, u8, u16, u32, u64


class RingFeatures(IntFlag):
    """What the sender of a ring says of itself."""

    PENDING_SEND_SIZE = 1 << 0
    """It writes ``pending_send_size`` when it waits for room, and wants a signal then."""


class RingControl(Layout, byte_count=0x1000):
    """The first page of a ring; data begins behind it. Indices are offsets into the data.

    The sender writes ``write_index``, ``pending_send_size`` and ``features``, the receiver the other two.
    """

    write_index = u32(0x000)
    read_index = u32(0x004)
    interrupt_mask = u32(0x008)
    pending_send_size = u32(0x00C)
    features = u32(0x040)
    guest_to_host_interrupts = u64(0xFF8)


class PacketKind(IntEnum):
    """What a packet is."""

    SYNCHRONIZE = 1
    ADD_PAGE_SET = 2
    REMOVE_PAGE_SET = 3
    ESTABLISH_GPADL = 4
    TEARDOWN_GPADL = 5
    IN_BAND = 6
    """All of it is in the ring."""
    TRANSFER_PAGES = 7
    """Its data lies in a buffer that both sides know: the header has ranges of it."""
    GPADL = 8
    GPA_DIRECT = 9
    """Its data lies in the guest's memory: the header has ranges of pages."""
    CANCEL = 10
    COMPLETION = 11
    """The answer to the packet of the same transaction id."""
    ADDITIONAL_DATA = 12
    ADDITIONAL_GPA_DIRECT = 13


class PacketFlags(IntFlag):
    """Flags of a descriptor."""

    COMPLETION_REQUESTED = 1 << 0


class PacketDescriptor(Layout, byte_count=0x10):
    """The begin of a packet. Offset and length count units of 8 bytes from here, without the trailer."""

    kind = u16(0x00)
    payload_offset8 = u16(0x02)
    length8 = u16(0x04)
    flags = u16(0x06)
    transaction_id = u64(0x08)


class TransferPagesHeader(Layout, byte_count=0x18):
    """What a packet of kind TRANSFER_PAGES begins with; ``range_count`` entries ``TransferRange`` follow."""

    kind = u16(0x00)
    payload_offset8 = u16(0x02)
    length8 = u16(0x04)
    flags = u16(0x06)
    transaction_id = u64(0x08)
    page_set_id = u16(0x10)
    sender_owns_set = u8(0x12)
    range_count = u32(0x14)


class TransferRange(Layout, byte_count=0x08):
    """Bytes of the buffer that a page set stands for."""

    byte_count_of_range = u32(0x00)
    byte_offset = u32(0x04)


class GpaDirectHeader(Layout, byte_count=0x18):
    """What a packet of kind GPA_DIRECT begins with; ``range_count`` entries ``GpaRange`` follow."""

    kind = u16(0x00)
    payload_offset8 = u16(0x02)
    length8 = u16(0x04)
    flags = u16(0x06)
    transaction_id = u64(0x08)
    range_count = u32(0x14)


class GpaRange(Layout, byte_count=0x08):
    """The begin of a range of guest memory; as many numbers of pages follow as it touches, 8 bytes each."""

    byte_count_of_range = u32(0x00)
    byte_offset = u32(0x04)


class PacketTrailer(Layout, byte_count=0x08):
    """The last 8 bytes of a packet: where it began."""

    begin_index = u32(0x04)
