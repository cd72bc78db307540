"""Structures of a virtual hard disk file: the footer, the header of dynamic disks, the locators of a parent.

Spec: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0: "Hard Disk Footer Format",
    "Dynamic Disk Header Format", "Block Allocation Table and Data Blocks". All numbers are big-endian.
Next: ``minihv.storage.disk``
"""

from enum import IntEnum

from minihv.spec.bits import Layout, be16, be32, be64, raw, u8

SECTOR_BYTES = 512
FOOTER_BYTES, HEADER_BYTES = 512, 1024
FOOTER_COOKIE, HEADER_COOKIE = b"conectix", b"cxsparse"
FEATURES = 0x0000_0002
"""Bit 1 is reserved, and always set."""
FILE_VERSION = HEADER_VERSION = 0x0001_0000
NO_OFFSET = (1 << 64) - 1
"""Of a fixed disk's header, and of whatever would follow the header."""
UNALLOCATED = 0xFFFF_FFFF
"""In the block allocation table: no block."""
CREATOR, CREATOR_HOST = b"win ", b"Wi2k"
"""Whoever reads an image by another creator goes by its geometry, which may be a smaller disk."""
CREATOR_VERSION = 0x0006_0001
EPOCH = 946_684_800
"""2000-01-01 00:00 UTC, from which times count seconds, in seconds since 1970."""
BLOCK_BYTES = 2 << 20
MOST_BYTES = 2040 << 30
"""The largest dynamic disk: what 32-bit sector numbers reach, less room for tables and bitmaps."""
LOCATORS = 8


class DiskType(IntEnum):
    """Spec: "Disk Type"."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


class Footer(Layout, byte_count=FOOTER_BYTES):
    """The last sector of every image, and the first of those that grow."""

    cookie = raw(0x000, 8)
    features = be32(0x008)
    file_version = be32(0x00C)
    data_offset = be64(0x010)
    timestamp = be32(0x018)
    creator = raw(0x01C, 4)
    creator_version = be32(0x020)
    creator_host = raw(0x024, 4)
    original_bytes = be64(0x028)
    current_bytes = be64(0x030)
    cylinders = be16(0x038)
    heads = u8(0x03A)
    sectors_per_track = u8(0x03B)
    disk_type = be32(0x03C)
    checksum = be32(0x040)
    unique_id = raw(0x044, 16)
    saved_state = u8(0x054)


class Header(Layout, byte_count=HEADER_BYTES):
    """What follows the first footer of an image that grows."""

    cookie = raw(0x000, 8)
    data_offset = be64(0x008)
    table_offset = be64(0x010)
    header_version = be32(0x018)
    most_entries = be32(0x01C)
    block_bytes = be32(0x020)
    checksum = be32(0x024)
    parent_unique_id = raw(0x028, 16)
    parent_timestamp = be32(0x038)
    parent_name = raw(0x040, 512)
    locators = raw(0x240, 24 * LOCATORS)


class Locator(Layout, byte_count=24):
    """Where the parent is, for one platform; the name itself lies elsewhere in the file."""

    platform = raw(0x00, 4)
    space = be32(0x04)
    length = be32(0x08)
    offset = be64(0x10)


RELATIVE, ABSOLUTE = b"W2ru", b"W2ku"
"""Platforms of a locator: a path in UTF-16, little-endian, from the child's folder on or from the root."""


def checksum(layout: Layout, place: int) -> int:
    """Ones' complement of the sum of all bytes but the four of the checksum at ``place``."""
    data = bytes(layout)
    return ~(sum(data) - sum(data[place : place + 4])) & 0xFFFF_FFFF
