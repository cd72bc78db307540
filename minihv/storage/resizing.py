"""A disk gets another size.

Stands for: Resize-VHD.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Current Size", "Max Table Entries".
Next: ``minihv.storage.merging``

A table that is too short is written once more behind everything, and the header is led to it: no block
moves, and between any two writes the image is the old one or the new one.
"""

import numpy as np

from minihv.spec.vhd import FOOTER_BYTES, SECTOR_BYTES, UNALLOCATED, Footer, Header
from minihv.storage.copying import PIECE_SECTORS, is_zero, must_read
from minihv.storage.disk import Disk, geometry_of
from minihv.storage.making import must
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_format import ImageError, check_size, signed, signed_header
from minihv.storage.vhd_growing import GrowingVhd


def resize(disk: Disk, byte_count: int) -> None:
    """``disk`` has ``byte_count`` bytes from now on; close it, and open it again to use it.

    Raises:
        ImageError: it is read-only, no disk has that size, or something would be cut off.
    """
    if not isinstance(disk, RawDisk | GrowingVhd):
        raise ImageError("A disk of the host has the size that it has: only images can be resized.")
    path = disk.file.path
    if disk.read_only:
        raise ImageError(
            f"{path} cannot be resized, since {disk.why_read_only or 'it was opened to be read'}."
        )
    check_size(byte_count, path, fixed=isinstance(disk, RawDisk))
    refuse_to_cut(disk, byte_count // SECTOR_BYTES)
    must(disk.flush(), path)
    if isinstance(disk, GrowingVhd):
        resize_growing(disk, byte_count)
    elif isinstance(disk, FixedVhd):
        resize_fixed(disk, byte_count)
    else:
        must(disk.file.resize(byte_count), path)
        must(disk.file.flush(), path)


def refuse_to_cut(disk: RawDisk | GrowingVhd, sector_count: int) -> None:
    """Refuses a size behind which something lies that is not zero."""
    buffer, sector = memoryview(bytearray(PIECE_SECTORS * SECTOR_BYTES)), sector_count
    while sector < disk.sector_count and (sector := disk.next_data(sector)) < disk.sector_count:
        count = min(PIECE_SECTORS, disk.sector_count - sector)
        piece = buffer[: count * SECTOR_BYTES]
        must_read(disk, sector, piece)
        if not is_zero(piece):
            raise ImageError(
                f"A disk is cut only where it is empty, and {disk.file.path} holds something at sector "
                f"{sector} or shortly behind, beyond {sector_count}: shrink the file system in it first."
            )
        sector += count


def resize_fixed(disk: FixedVhd, byte_count: int) -> None:
    """The footer moves; where the disk shrinks it is written first, and the file is cut behind it."""
    footer, path = resized(disk.footer, byte_count), disk.file.path
    must(disk.file.write(byte_count, bytes(footer)), path)
    if byte_count > disk.byte_count:
        must(disk.file.zero(disk.byte_count, FOOTER_BYTES), path)
    must(disk.file.resize(byte_count + FOOTER_BYTES), path)
    must(disk.file.flush(), path)


def resize_growing(disk: GrowingVhd, byte_count: int) -> None:
    """First a table that is long enough, then the header, then the size."""
    path, file, block_bytes = disk.path, disk.file, disk.header.block_bytes
    needed = -(-byte_count // block_bytes)
    footer, end = resized(disk.footer, byte_count), disk.table.end
    if needed > disk.header.most_entries:
        header = Header(bytearray(bytes(disk.header)))
        header.table_offset, header.most_entries = -(-end // SECTOR_BYTES) * SECTOR_BYTES, needed
        entries = np.full(-(-needed // 128) * 128, UNALLOCATED, dtype=">u4")
        used = disk.table.allocated
        entries[used] = (disk.table.places[used] - disk.table.bitmap_bytes) // SECTOR_BYTES
        must(file.write(header.table_offset, entries.tobytes()), path)
        end = header.table_offset + 4 * len(entries)
        must(file.write(end, bytes(disk.footer)), path)
        must(file.flush(), path)
        must(file.write(disk.footer.data_offset, bytes(signed_header(header))), path)
        must(file.flush(), path)
    must(file.write(0, bytes(footer)), path)
    must(file.write(end, bytes(footer)), path)
    must(file.resize(end + FOOTER_BYTES), path)
    must(file.flush(), path)
    disk.read_only = True  # what is in memory is the disk as it was


def resized(footer: Footer, byte_count: int) -> Footer:
    """``footer`` of a disk of ``byte_count`` bytes."""
    new, geometry = Footer(bytearray(bytes(footer))), geometry_of(byte_count // SECTOR_BYTES)
    new.current_bytes = byte_count
    new.cylinders, new.heads = geometry.cylinders, geometry.heads
    new.sectors_per_track = geometry.sectors_per_track
    return signed(new)
