"""What the layouts of the ring come to."""

from minihv.spec.vmbus_ring import GpaDirectHeader, PacketDescriptor, RingControl, TransferPagesHeader
from minihv.terms import PAGE_BYTES


def test_control_page_is_a_page() -> None:
    assert RingControl.byte_count == PAGE_BYTES


def test_each_header_begins_as_a_descriptor_does() -> None:
    words = bytes(range(1, 17))
    plain = PacketDescriptor(bytearray(words))
    for kind in (TransferPagesHeader, GpaDirectHeader):
        header = kind(bytearray(words + bytes(8)))
        assert {name: getattr(header, name) for name in plain.members()} == {
            name: getattr(plain, name) for name in plain.members()
        }


def test_ranges_of_both_kinds_are_counted_at_the_same_place() -> None:
    assert TransferPagesHeader.range_count.offset == GpaDirectHeader.range_count.offset == 0x14
