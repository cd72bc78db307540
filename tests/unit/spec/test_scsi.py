"""Numbers and layouts of SCSI, against the tables of the standards."""

import pytest

from minihv.spec import scsi
from minihv.spec.bits import Layout
from minihv.spec.scsi import CDB_BYTES, Additional, Command, SenseKey

# SBC-3 and SPC-4, the tables of operation codes.
COMMANDS = """
TEST_UNIT_READY 00  REQUEST_SENSE 03  READ_6 08  WRITE_6 0A  INQUIRY 12  MODE_SENSE_6 1A  START_STOP_UNIT 1B
READ_CAPACITY_10 25  READ_10 28  WRITE_10 2A  VERIFY_10 2F  SYNCHRONIZE_CACHE_10 35  WRITE_SAME_10 41
UNMAP 42  MODE_SENSE_10 5A  READ_16 88  WRITE_16 8A  VERIFY_16 8F  SYNCHRONIZE_CACHE_16 91
WRITE_SAME_16 93  SERVICE_ACTION_IN_16 9E  REPORT_LUNS A0  READ_12 A8  WRITE_12 AA
"""
LAYOUTS = {
    # SPC-4, "Fixed format sense data".
    "FixedSense": (18, {"response_code": 0, "key": 2, "information": 3, "additional": 12}),
    # SPC-4, "Standard INQUIRY data".
    "InquiryData": (36, {"version": 2, "additional_length": 4, "vendor": 8, "product": 16, "revision": 32}),
    # SBC-3, "READ CAPACITY (10)" and "(16) parameter data".
    "Capacity10": (8, {"last_block": 0, "block_bytes": 4}),
    "Capacity16": (32, {"last_block": 0, "block_bytes": 8, "physical_exponent": 13, "provisioning": 14}),
    # SBC-3, "Block Limits VPD page", behind its header of 4 bytes.
    "BlockLimits": (
        60,
        {"most_transfer_blocks": 4, "most_unmap_blocks": 16, "most_unmap_descriptors": 20,
         "unmap_granularity": 24, "most_write_same_blocks": 32},
    ),
    # SBC-3, "UNMAP parameter list" and its descriptors.
    "UnmapList": (8, {"length": 0, "descriptor_bytes": 2}),
    "UnmapDescriptor": (16, {"block": 0, "count": 8}),
    # SPC-4, "Mode parameter header formats".
    "ModeHeader6": (4, {"length": 0, "device": 2}),
    "ModeHeader10": (8, {"length": 0, "device": 3}),
}  # fmt: skip


def test_commands_have_the_codes_of_the_standards() -> None:
    words = COMMANDS.split()
    assert {one.name: one.value for one in Command} == {
        name: int(code, 16) for name, code in zip(words[::2], words[1::2], strict=True)
    }


@pytest.mark.parametrize(("name", "expected"), LAYOUTS.items())
def test_members_are_where_the_standards_have_them(name: str, expected: tuple[int, dict[str, int]]) -> None:
    layout: type[Layout] = getattr(scsi, name)
    members = layout.members()
    assert (layout.byte_count, {one: members[one].offset for one in expected[1]}) == expected


def test_length_of_a_command_is_in_its_first_three_bits() -> None:
    lengths = {one.name: CDB_BYTES[one >> 5] for one in Command}
    assert all(lengths[name] == int(name.rpartition("_")[2]) for name in lengths if name[-1].isdigit())
    assert (lengths["UNMAP"], lengths["REPORT_LUNS"], lengths["INQUIRY"]) == (10, 12, 6)


def test_sense_has_the_codes_of_the_standard() -> None:
    assert (SenseKey.NOT_READY, SenseKey.MEDIUM_ERROR, SenseKey.ILLEGAL_REQUEST) == (2, 3, 5)
    assert (SenseKey.UNIT_ATTENTION, SenseKey.DATA_PROTECT) == (6, 7)
    assert (Additional.LBA_OUT_OF_RANGE, Additional.INVALID_COMMAND_OPERATION_CODE) == (0x2100, 0x2000)
    assert (Additional.REPORTED_LUNS_CHANGED, Additional.SPACE_ALLOCATION_FAILED) == (0x3F0E, 0x2707)
    assert (Additional.TRAY_OPEN, Additional.REMOVAL_PREVENTED) == (0x3A02, 0x5302)
