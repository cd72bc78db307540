"""What a disk says of itself, byte by byte where drivers look."""

import pytest
from scsi_guests import MemoryDisk

from minihv.devices.synthetic.scsi_pages import (
    MOST_BLOCKS,
    VITAL_PAGES,
    capacity_10,
    capacity_16,
    inquiry,
    mode_pages,
    vital_page,
)
from minihv.spec.scsi import PeripheralDevice, VitalPage


def test_inquiry_is_that_of_a_disk_of_hyper_v() -> None:
    data = inquiry()
    assert (data[0], data[1], data[3] & 0xF, data[4]) == (0, 0, 2, 31)
    assert data[8:36] == b"Msft    Virtual Disk    1.0 "


def test_inquiry_of_nobody_says_so() -> None:
    assert inquiry(PeripheralDevice.NOBODY)[0] == 0x7F


@pytest.mark.parametrize("page", VITAL_PAGES)
def test_page_has_a_header_with_its_number_and_its_length(page: int) -> None:
    data = vital_page(page, MemoryDisk(), "SERIAL7")
    assert data is not None
    assert (data[0], data[1], int.from_bytes(data[2:4], "big")) == (0, page, len(data) - 4)


def test_first_page_lists_all_in_order() -> None:
    assert vital_page(0, MemoryDisk(), "") == bytes([0, 0, 0, 6, 0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2])


def test_disk_is_known_by_its_serial_number() -> None:
    assert (vital_page(VitalPage.SERIAL_NUMBER, MemoryDisk(), "SERIAL7") or b"")[4:] == b"SERIAL7"
    designator = vital_page(VitalPage.DEVICE_IDENTIFICATION, MemoryDisk(), "SERIAL7") or b""
    assert designator[4:] == bytes([0x02, 0x01, 0x00, 15]) + b"Msft    SERIAL7"


def test_limits_and_provisioning_are_told() -> None:
    limits = vital_page(VitalPage.BLOCK_LIMITS, MemoryDisk(), "") or b""
    assert len(limits) == 64 and int.from_bytes(limits[8:12], "big") == MOST_BLOCKS == 2048
    assert (vital_page(VitalPage.LOGICAL_BLOCK_PROVISIONING, MemoryDisk(), "") or b"")[4:8] == bytes(
        [0, 0xC4, 2, 0]
    )
    assert (vital_page(VitalPage.BLOCK_CHARACTERISTICS, MemoryDisk(), "") or b"")[4:6] == b"\0\1"


def test_page_that_is_not_there_is_none() -> None:
    assert vital_page(0x85, MemoryDisk(), "") is None


def test_capacity_is_the_last_block_and_the_size_of_each() -> None:
    disk = MemoryDisk(64)
    assert capacity_10(disk) == bytes([0, 0, 0, 63, 0, 0, 2, 0])
    assert capacity_16(disk)[:16] == bytes([0] * 7 + [63, 0, 0, 2, 0, 0, 0, 0xC0, 0])


def test_disk_that_is_too_large_for_ten_bytes_says_so_by_all_ones() -> None:
    disk = MemoryDisk()
    disk.sector_count = (1 << 32) + 5
    assert capacity_10(disk)[:4] == b"\xff" * 4
    assert int.from_bytes(capacity_16(disk)[:8], "big") == (1 << 32) + 4


def test_physical_sectors_are_a_power_of_logical_ones() -> None:
    disk = MemoryDisk()
    disk.physical_sector_bytes = 4096
    assert capacity_16(disk)[13] == 3


@pytest.mark.parametrize(("wide", "header"), [(False, 4), (True, 8)])
def test_mode_pages_follow_their_header(wide: bool, header: int) -> None:
    data = mode_pages(MemoryDisk(), 0x3F, 0, wide=wide)
    assert data is not None
    length = int.from_bytes(data[:2], "big") + 2 if wide else data[0] + 1
    assert length == len(data)
    assert data[header : header + 3] == bytes([0x08, 18, 0x04])  # caching, with the cache on
    assert data[header + 20 : header + 22] == bytes([0x0A, 10])
    assert data[3 if wide else 2] == 0x10


def test_write_protection_is_told() -> None:
    assert (mode_pages(MemoryDisk(read_only=True), 0x08, 0, wide=False) or b"")[2] == 0x90


def test_nothing_can_be_changed_or_saved() -> None:
    changeable = mode_pages(MemoryDisk(), 0x08, 1, wide=False)
    assert changeable is not None and not any(changeable[6:])
    assert mode_pages(MemoryDisk(), 0x08, 3, wide=False) is None
    assert mode_pages(MemoryDisk(), 0x1C, 0, wide=False) is None
