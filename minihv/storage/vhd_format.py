"""What the footer and the header of a VHD say, held against what they may say.

Stands for: the part of a VHD parser that trusts nothing.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0.
Next: ``minihv.storage.vhd_growing``
"""

import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from minihv.errors import ConfigurationError
from minihv.spec.vhd import (
    CREATOR,
    CREATOR_HOST,
    CREATOR_VERSION,
    EPOCH,
    FEATURES,
    FILE_VERSION,
    FOOTER_BYTES,
    FOOTER_COOKIE,
    HEADER_BYTES,
    HEADER_COOKIE,
    HEADER_VERSION,
    LOCATORS,
    MOST_BYTES,
    NO_OFFSET,
    SECTOR_BYTES,
    DiskType,
    Footer,
    Header,
    Locator,
    checksum,
)
from minihv.storage.disk import Outcome, geometry_of
from minihv.storage.host_file import HostFile

FOOTER_SUM, HEADER_SUM = Footer.checksum.offset, Header.checksum.offset
LEAST_BLOCK, MOST_BLOCK = 4096, 1 << 28
"""Bytes of a block that are believed; 2 MiB is what everybody writes."""


MOST_NAME_BYTES = 65536
"""Of the path of a parent; longer ones are not believed."""


class ImageError(ConfigurationError):
    """A file is no image of a disk, or a damaged one."""


def footer_at(file: HostFile, place: int) -> Footer | None:
    """The footer at ``place``, if there is a sound one."""
    data = bytearray(FOOTER_BYTES)
    if place < 0 or file.read(place, data) is not Outcome.DONE:
        return None
    footer = Footer(data)
    sound = footer.cookie == FOOTER_COOKIE and footer.checksum == checksum(footer, FOOTER_SUM)
    return footer if sound else None


@dataclass(frozen=True, slots=True)
class Footers:
    """Both copies; a fixed image has only the last, and an image that is being written only the first."""

    first: Footer | None
    last: Footer | None
    last_place: int

    @property
    def best(self) -> Footer | None:
        """The one to believe: the copy in front is the older habit, the one behind the rule."""
        return self.last or self.first


def footers_of(file: HostFile) -> Footers:
    """The footers of an image. Old images end one byte early: their last one is 511 bytes long."""
    size = file.byte_count
    place = (size - 1) // SECTOR_BYTES * SECTOR_BYTES if size else 0
    return Footers(footer_at(file, 0), footer_at(file, size - FOOTER_BYTES), place)


def disk_type_of(footer: Footer, path: Path) -> DiskType:
    """The type of the image, whose size is believed from here on.

    Raises:
        ImageError: the footer says what no disk is.
    """
    if footer.disk_type not in DiskType.__members__.values():
        raise ImageError(
            f"A VHD is of type 2 (fixed), 3 (dynamic) or 4 (differencing), and {path} says "
            f"{footer.disk_type}: it was made by something else, or is damaged."
        )
    if footer.file_version >> 16 != FILE_VERSION >> 16:
        raise ImageError(
            f"A VHD is of version 1, and {path} says {footer.file_version >> 16}: convert it with what made "
            "it."
        )
    kind = DiskType(footer.disk_type)
    check_size(footer.current_bytes, path, fixed=kind is DiskType.FIXED)
    return kind


def check_size(byte_count: int, path: Path, *, fixed: bool = False) -> None:
    """Refuses sizes that no VHD has.

    Raises:
        ImageError: it is no multiple of 512, none at all, or too large.
    """
    if byte_count <= 0 or byte_count % SECTOR_BYTES:
        raise ImageError(
            f"A disk has one sector of 512 bytes or more, and nothing else, and {path} would have "
            f"{byte_count} bytes: choose a multiple of 512."
        )
    if not fixed and byte_count > MOST_BYTES:
        raise ImageError(
            "A VHD that grows has at most 2040 GiB, since it counts sectors in 32 bits and needs some for "
            f"its tables, and {path} would have {byte_count} bytes: make it smaller, or keep the disk as a "
            "raw image."
        )


def read_header(file: HostFile, footer: Footer) -> Header:
    """The header of an image that grows.

    Raises:
        ImageError: it is not there, or cannot be right.
    """
    data, path = bytearray(HEADER_BYTES), file.path
    if footer.data_offset % SECTOR_BYTES or file.read(footer.data_offset, data) is not Outcome.DONE:
        raise ImageError(
            f"The header of a VHD lies in the file at a multiple of 512, and {path} says "
            f"{footer.data_offset:#x}: the file was cut off or is damaged."
        )
    header = Header(data)
    if header.cookie != HEADER_COOKIE or header.checksum != checksum(header, HEADER_SUM):
        raise ImageError(
            f"The header of a VHD begins with 'cxsparse' and has a sum, and at {footer.data_offset:#x} of "
            f"{path} that does not hold: the file is damaged."
        )
    if header.header_version >> 16 != HEADER_VERSION >> 16:
        raise ImageError(
            f"The header of a VHD is of version 1, and that of {path} of {header.header_version >> 16}: "
            "convert the image with what made it."
        )
    check_blocks(file, footer, header)
    return header


def locators_of(header: Header) -> list[Locator]:
    """The locators that are in use."""
    packed = bytearray(header.locators)
    every = [Locator(packed, at) for at in range(0, LOCATORS * Locator.byte_count, Locator.byte_count)]
    return [one for one in every if any(one.platform) and one.length <= MOST_NAME_BYTES]


def check_blocks(file: HostFile, footer: Footer, header: Header) -> None:
    """Refuses tables that cannot describe the disk, or that do not lie in the file."""
    block, entries, path = header.block_bytes, header.most_entries, file.path
    if not LEAST_BLOCK <= block <= MOST_BLOCK or block & (block - 1):
        raise ImageError(
            f"A block of a VHD has 4 KiB to 256 MiB, a power of two, and those of {path} {block} bytes: "
            "the header is damaged."
        )
    needed = -(-footer.current_bytes // block)
    if entries < needed:
        raise ImageError(
            f"The table of a VHD has an entry for each block, {needed} for {footer.current_bytes} bytes, and "
            f"that of {path} has {entries}: the header is damaged."
        )
    end = header.table_offset + 4 * entries
    if header.table_offset % SECTOR_BYTES or end > file.byte_count:
        raise ImageError(
            f"The table of a VHD lies in the file at a multiple of 512, and that of {path} at "
            f"{header.table_offset:#x} up to {end:#x} of {file.byte_count:#x}: the file was cut off or is "
            "damaged."
        )


def new_footer(byte_count: int, kind: DiskType, *, unique_id: bytes | None = None) -> Footer:
    """The footer of a new image. ``byte_count`` is exact: readers go by it because of the creator."""
    geometry = geometry_of(byte_count // SECTOR_BYTES)
    footer = Footer.build(
        cookie=FOOTER_COOKIE,
        features=FEATURES,
        file_version=FILE_VERSION,
        data_offset=NO_OFFSET if kind is DiskType.FIXED else FOOTER_BYTES,
        timestamp=vhd_time(time.time()),
        creator=CREATOR,
        creator_version=CREATOR_VERSION,
        creator_host=CREATOR_HOST,
        original_bytes=byte_count,
        current_bytes=byte_count,
        cylinders=geometry.cylinders,
        heads=geometry.heads,
        sectors_per_track=geometry.sectors_per_track,
        disk_type=kind,
        unique_id=unique_id or uuid4().bytes,
    )
    return signed(footer)


def signed(footer: Footer) -> Footer:
    """``footer`` with the sum that belongs to it."""
    footer.checksum = checksum(footer, FOOTER_SUM)
    return footer


def signed_header(header: Header) -> Header:
    """``header`` with the sum that belongs to it."""
    header.checksum = checksum(header, HEADER_SUM)
    return header


def vhd_time(seconds: float) -> int:
    """Seconds since 1970 as an image has them, since 2000."""
    return max(0, min(int(seconds) - EPOCH, 0xFFFF_FFFF))
