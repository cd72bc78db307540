"""The ring of VMBus: Python, the compiler, and the tables of the fact sheet say the same."""

import pytest
from layout_tables import (
    compiler_flags,
    compiler_numbers,
    compiler_offsets,
    python_numbers,
    python_offsets,
    quoted,
)

from minihv.spec.bits import Layout
from minihv.spec.vmbus_ring import (
    GpaDirectHeader,
    GpaRange,
    PacketDescriptor,
    PacketFlags,
    PacketKind,
    PacketTrailer,
    RingControl,
    RingFeatures,
    TransferPagesHeader,
    TransferRange,
)
from minihv.vmbus.packets import Reason

# Linux, "include/linux/hyperv.h": struct hv_ring_buffer and the counter behind it.
CONTROL = """
write_index 0x00+4
read_index 0x04+4
interrupt_mask 0x08+4
pending_send_size 0x0C+4
features 0x40+4
guest_to_host_interrupts 0xFF8+8
"""
# The same: struct vmpacket_descriptor.
DESCRIPTOR = """
kind 0x00+2
payload_offset8 0x02+2
length8 0x04+2
flags 0x06+2
transaction_id 0x08+8
"""
TRANSFER_PAGES = f"""{DESCRIPTOR.strip()}
page_set_id 0x10+2
sender_owns_set 0x12+1
range_count 0x14+4
"""
GPA_DIRECT = f"""{DESCRIPTOR.strip()}
range_count 0x14+4
"""
RANGE = """
byte_count_of_range 0x00+4
byte_offset 0x04+4
"""
TRAILER = """
begin_index 0x04+4
"""
KINDS = {
    "SYNCHRONIZE": 1, "ADD_PAGE_SET": 2, "REMOVE_PAGE_SET": 3, "ESTABLISH_GPADL": 4, "TEARDOWN_GPADL": 5,
    "IN_BAND": 6, "TRANSFER_PAGES": 7, "GPADL": 8, "GPA_DIRECT": 9, "CANCEL": 10, "COMPLETION": 11,
    "ADDITIONAL_DATA": 12, "ADDITIONAL_GPA_DIRECT": 13,
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "struct", "standard"),
    [
        (RingControl, "mhv_ring_control", CONTROL),
        (PacketDescriptor, "mhv_packet_descriptor", DESCRIPTOR),
        (TransferPagesHeader, "mhv_transfer_pages_header", TRANSFER_PAGES),
        (TransferRange, "mhv_transfer_range", RANGE),
        (GpaDirectHeader, "mhv_gpa_direct_header", GPA_DIRECT),
        (GpaRange, "mhv_gpa_range", RANGE),
        (PacketTrailer, "mhv_packet_trailer", TRAILER),
    ],
)
def test_members_are_where_linux_has_them(layout: type[Layout], struct: str, standard: str) -> None:
    assert python_offsets(layout) == quoted(standard)
    assert compiler_offsets(struct) == quoted(standard)


def test_kinds_of_packets_are_those_of_linux() -> None:
    assert python_numbers(PacketKind) == KINDS
    assert compiler_numbers(PacketKind) == KINDS


def test_flags_are_the_same_in_both_languages() -> None:
    assert compiler_flags(PacketFlags) == python_numbers(PacketFlags) == {"COMPLETION_REQUESTED": 1}
    assert compiler_flags(RingFeatures) == python_numbers(RingFeatures) == {"PENDING_SEND_SIZE": 1}


def test_reasons_are_the_same_in_both_languages() -> None:
    assert compiler_numbers(Reason, "RING_REASON") == python_numbers(Reason)
