"""What a SCSI disk says of itself: INQUIRY, its pages of vital product data, capacity and mode pages.

Stands for: the virtual disk that Hyper-V shows behind its SCSI controllers.
Spec: INCITS, "SPC-4", "INQUIRY command", "Vital product data parameters" and "Mode parameters"; "SBC-3",
    "READ CAPACITY (16) command".
Simplified: no mode page can be changed.
Next: ``minihv.devices.synthetic.scsi_disk``
"""

from collections.abc import Callable

from minihv.spec.scsi import (
    COMMAND_QUEUE,
    PROVISIONED,
    SPC_4,
    THIN,
    UNMAPPED_READS_ZEROS,
    BlockCharacteristics,
    BlockLimits,
    Capacity10,
    Capacity16,
    InquiryData,
    ModeDevice,
    ModeHeader6,
    ModeHeader10,
    ModePage,
    PeripheralDevice,
    Provisioning,
    VitalPage,
)
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk

VENDOR, PRODUCT, REVISION = b"Msft    ", b"Virtual Disk    ", b"1.0 "
"""Drivers know the disks of Hyper-V by these letters."""
MOST_BLOCKS = (1 << 20) // SECTOR_BYTES
"""Of one command that reads, writes or verifies: 1 MiB."""
MOST_SAME_BLOCKS = (16 << 20) // SECTOR_BYTES
MOST_UNMAP_BLOCKS, MOST_UNMAP_DESCRIPTORS = (1 << 30) // SECTOR_BYTES, 64
MOST_10 = 0xFFFF_FFFF
SOLID, CURRENT, CHANGEABLE, SAVED = 1, 0, 1, 3
"""A disk that does not turn; and which values of a mode page are asked for."""


def inquiry(peripheral: int = PeripheralDevice.DISK) -> bytes:
    """The standard answer to INQUIRY, of a disk or of nobody."""
    return bytes(
        InquiryData.build(
            peripheral=peripheral,
            version=SPC_4,
            response_format=2,
            additional_length=InquiryData.byte_count - 5,
            flags=COMMAND_QUEUE,
            vendor=VENDOR,
            product=PRODUCT,
            revision=REVISION,
        )
    )


def vital_page(page: int, disk: Disk, serial: str) -> bytes | None:
    """A page of vital product data with its header; None: there is no such page."""
    found = VITAL_PAGES.get(page)
    if found is None:
        return None
    body = found(disk, serial)
    return bytes([PeripheralDevice.DISK, page, *len(body).to_bytes(2, "big")]) + body


def supported_pages(_disk: Disk, _serial: str) -> bytes:
    """The list of the pages."""
    return bytes(VITAL_PAGES)


def serial_number(_disk: Disk, serial: str) -> bytes:
    """Letters that no other disk of the machine has."""
    return serial.encode("ascii")


def identification(_disk: Disk, serial: str) -> bytes:
    """One designator: the vendor, and letters that are the vendor's business."""
    designator = VENDOR + serial.encode("ascii")
    return bytes([0x02, 0x01, 0x00, len(designator)]) + designator  # ASCII, of the disk, by its vendor


def block_limits(disk: Disk, _serial: str) -> bytes:
    """How much a command may move, and what is best moved at once."""
    granularity = disk.physical_sector_bytes // SECTOR_BYTES
    return bytes(
        BlockLimits.build(
            transfer_granularity=granularity,
            most_transfer_blocks=MOST_BLOCKS,
            most_unmap_blocks=MOST_UNMAP_BLOCKS,
            most_unmap_descriptors=MOST_UNMAP_DESCRIPTORS,
            unmap_granularity=granularity,
            most_write_same_blocks=MOST_SAME_BLOCKS,
        )
    )


def block_characteristics(_disk: Disk, _serial: str) -> bytes:
    """It does not turn."""
    return bytes(BlockCharacteristics.build(rotation_rate=SOLID))


def provisioning(_disk: Disk, _serial: str) -> bytes:
    """Blocks that are of no use need not be kept, and read as zeros."""
    return bytes([0, Provisioning.UNMAP | Provisioning.WRITE_SAME_16 | Provisioning.READS_ZEROS, THIN, 0])


VITAL_PAGES: dict[int, Callable[[Disk, str], bytes]] = {
    VitalPage.SUPPORTED_PAGES: supported_pages,
    VitalPage.SERIAL_NUMBER: serial_number,
    VitalPage.DEVICE_IDENTIFICATION: identification,
    VitalPage.BLOCK_LIMITS: block_limits,
    VitalPage.BLOCK_CHARACTERISTICS: block_characteristics,
    VitalPage.LOGICAL_BLOCK_PROVISIONING: provisioning,
}


def capacity_10(disk: Disk) -> bytes:
    """READ CAPACITY(10): a disk that is too large for it says so by all ones."""
    last = min(disk.sector_count - 1, MOST_10)
    return bytes(Capacity10.build(last_block=last, block_bytes=SECTOR_BYTES))


def capacity_16(disk: Disk) -> bytes:
    """READ CAPACITY(16)."""
    return bytes(
        Capacity16.build(
            last_block=disk.sector_count - 1,
            block_bytes=SECTOR_BYTES,
            physical_exponent=(disk.physical_sector_bytes // SECTOR_BYTES).bit_length() - 1,
            provisioning=PROVISIONED | UNMAPPED_READS_ZEROS,
        )
    )


MODE_PAGES = {
    ModePage.CACHING: bytes([0x04]).ljust(18, b"\0"),  # bit 2: what is written is cached until a flush
    ModePage.CONTROL: bytes([0x00, 0x10]).ljust(10, b"\0"),  # bits 7:4: commands may overtake each other
}
"""Their bodies, without the two bytes in front of each."""


def mode_pages(disk: Disk, page: int, which: int, *, wide: bool) -> bytes | None:
    """The answer to MODE SENSE, with the header of its long form if ``wide``; None: there is no such page.

    ``which`` says whether values are asked for, or which bits of them could be changed.
    """
    chosen = list(MODE_PAGES) if page == ModePage.ALL else [one for one in MODE_PAGES if one == page]
    if not chosen or which == SAVED:
        return None
    data = b"".join(
        bytes([one, len(body)]) + (bytes(len(body)) if which == CHANGEABLE else body)
        for one, body in ((one, MODE_PAGES[one]) for one in chosen)
    )
    device = ModeDevice.FUA | (ModeDevice.WRITE_PROTECTED if disk.read_only else 0)
    if wide:
        return bytes(ModeHeader10.build(length=len(data) + 6, device=device)) + data
    return bytes(ModeHeader6.build(length=len(data) + 3, device=device)) + data
