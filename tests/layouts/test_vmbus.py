"""The messages of VMBus lie as open-source guests lay them out, and have exactly their size."""

from uuid import UUID

import pytest
from layout_tables import python_numbers, python_offsets, quoted

from minihv.spec import vmbus
from minihv.spec.bits import Layout
from minihv.spec.vmbus import MESSAGES, Guid, MessageType, Version

# Linux, include/linux/hyperv.h: struct vmbus_channel_offer_channel and the like, packed.
OFFER_CHANNEL = """
type 0x00+4
interface 0x08+16
instance 0x18+16
flags 0x38+2
mmio_megabytes 0x3a+2
user_defined 0x3c+120
sub_channel 0xb4+2
mmio_megabytes_optional 0xb6+2
relid 0xb8+4
monitor_id 0xbc+1
monitor_allocated 0xbd+1
dedicated_interrupt 0xbe+2
connection_id 0xc0+4
"""
OPEN_CHANNEL = """
type 0x00+4
relid 0x08+4
open_id 0x0c+4
gpadl 0x10+4
target_vp 0x14+4
page_offset 0x18+4
user_defined 0x1c+120
"""
OPEN_CHANNEL_RESULT = """
type 0x00+4
relid 0x08+4
open_id 0x0c+4
status 0x10+4
"""
GPADL_HEADER = """
type 0x00+4
relid 0x08+4
gpadl 0x0c+4
range_bytes 0x10+2
range_count 0x12+2
"""
GPADL_BODY = """
type 0x00+4
number 0x08+4
gpadl 0x0c+4
"""
GPADL_CREATED = """
type 0x00+4
relid 0x08+4
gpadl 0x0c+4
status 0x10+4
"""
GPADL_TEARDOWN = """
type 0x00+4
relid 0x08+4
gpadl 0x0c+4
"""
GPADL_TORNDOWN = """
type 0x00+4
gpadl 0x08+4
"""
OF_ONE_RELID = """
type 0x00+4
relid 0x08+4
"""
INITIATE_CONTACT = """
type 0x00+4
version 0x08+4
target_vp 0x0c+4
interrupt_page 0x10+8
parent_to_child_monitor 0x18+8
child_to_parent_monitor 0x20+8
"""
INITIATE_CONTACT_5 = """
type 0x00+4
version 0x08+4
target_vp 0x0c+4
sint 0x10+1
vtl 0x11+1
feature_flags 0x14+4
parent_to_child_monitor 0x18+8
child_to_parent_monitor 0x20+8
"""
VERSION_RESPONSE = """
type 0x00+4
supported 0x08+1
state 0x09+1
connection_id 0x0c+4
"""
TL_CONNECT_REQUEST = """
type 0x00+4
endpoint 0x08+16
service 0x18+16
"""
MODIFY_CHANNEL = """
type 0x00+4
relid 0x08+4
target_vp 0x0c+4
"""
MODIFY_CHANNEL_RESPONSE = """
type 0x00+4
relid 0x08+4
status 0x0c+4
"""
GPA_RANGE = """
range_bytes 0x00+4
byte_offset 0x04+4
"""
# Bytes of each message, header included.
SIZES = {
    1: 196, 2: 12, 3: 8, 4: 8, 5: 148, 6: 20, 7: 12, 8: 20, 9: 16, 10: 20, 11: 16, 12: 12, 13: 12, 14: 40,
    15: 16, 16: 8, 17: 8, 21: 40, 22: 16, 24: 16,
}  # fmt: skip
VERSIONS = {
    "V0_13": 0xD, "V1_1": 0x10001, "V2_4": 0x20004, "V3_0": 0x30000, "V4_0": 0x40000, "V4_1": 0x40001,
    "V5_0": 0x50000, "V5_1": 0x50001, "V5_2": 0x50002, "V5_3": 0x50003, "V6_0": 0x60000,
}  # fmt: skip
FROM_GUESTS = {3, 5, 7, 8, 9, 11, 13, 14, 16, 18, 19, 21, 22}


@pytest.mark.parametrize(
    ("layout", "standard"),
    [
        (vmbus.OfferChannel, OFFER_CHANNEL),
        (vmbus.OpenChannel, OPEN_CHANNEL),
        (vmbus.OpenChannelResult, OPEN_CHANNEL_RESULT),
        (vmbus.GpadlHeader, GPADL_HEADER),
        (vmbus.GpadlBody, GPADL_BODY),
        (vmbus.GpadlCreated, GPADL_CREATED),
        (vmbus.GpadlTeardown, GPADL_TEARDOWN),
        (vmbus.GpadlTorndown, GPADL_TORNDOWN),
        (vmbus.RescindChannelOffer, OF_ONE_RELID),
        (vmbus.CloseChannel, OF_ONE_RELID),
        (vmbus.RelIdReleased, OF_ONE_RELID),
        (vmbus.InitiateContact, INITIATE_CONTACT),
        (vmbus.InitiateContact5, INITIATE_CONTACT_5),
        (vmbus.VersionResponse, VERSION_RESPONSE),
        (vmbus.TlConnectRequest, TL_CONNECT_REQUEST),
        (vmbus.ModifyChannel, MODIFY_CHANNEL),
        (vmbus.ModifyChannelResponse, MODIFY_CHANNEL_RESPONSE),
        (vmbus.GpadlRange, GPA_RANGE),
    ],
)
def test_messages_lie_as_guests_lay_them_out(layout: type[Layout], standard: str) -> None:
    assert python_offsets(layout) == quoted(standard)


def test_every_message_has_exactly_its_size() -> None:
    assert {int(kind.number): kind.layout.byte_count for kind in MESSAGES.values() if kind.layout} == SIZES


def test_every_type_has_its_direction() -> None:
    assert {int(kind.number) for kind in MESSAGES.values() if kind.from_guest} == FROM_GUESTS
    assert set(MESSAGES) == set(MessageType)


def test_versions_are_major_and_minor() -> None:
    assert python_numbers(Version) == VERSIONS


def test_first_three_groups_of_a_guid_are_little_endian() -> None:
    interface = UUID("ba6163d9-04a1-4d29-b605-72e2ffb1dc7f")  # SCSI, as Linux writes its bytes down
    offer = vmbus.OfferChannel.build(interface=interface)
    assert bytes(offer)[8:24] == bytes.fromhex("d96361baa104294db60572e2ffb1dc7f")
    assert offer.interface == interface and isinstance(offer.interface, Guid)
