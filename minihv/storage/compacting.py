"""An image that has grown becomes as small as what it holds.

Stands for: Optimize-VHD.
Spec: none.
Next: ``minihv.storage.resizing``

The small image is made beside the large one and takes its name at the end: whatever happens before, the
large one is there as it was.
"""

import os
from pathlib import Path

from minihv.spec.vhd import FOOTER_BYTES, HEADER_BYTES, SECTOR_BYTES, Header
from minihv.storage.block_table import BlockTable
from minihv.storage.copying import is_zero
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.making import Told, flush_folder, must, write_tables
from minihv.storage.parent_names import ParentName, put_names
from minihv.storage.vhd_format import ImageError, locators_of, signed_header
from minihv.storage.vhd_growing import GrowingVhd, reserved_in


def compact(disk: GrowingVhd, told: Told) -> int:
    """Leaves out what says nothing: blocks of zeros, or without any sector over a parent. The new size in
    bytes.

    The file behind ``disk`` is another one afterwards: close it.

    Raises:
        ImageError: the image is read-only, or a block cannot be read.
    """
    path = disk.path
    if disk.read_only:
        raise ImageError(
            f"{path} cannot be compacted, since {disk.why_read_only or 'it was opened to be read'}."
        )
    must(disk.flush(), path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.small")
    file = HostFile(aside, writable=True, create=True)
    try:
        size = write_small(disk, file, told)
        os.fchmod(file.descriptor, path.stat().st_mode & 0o7777)
        aside.replace(path)
        flush_folder(path.resolve().parent)
    finally:
        file.close()
        aside.unlink(missing_ok=True)
    return size


def write_small(disk: GrowingVhd, file: HostFile, told: Told) -> int:
    """The image of ``disk`` in ``file``, with its blocks in their order. The size of the file."""
    header, place = Header(bytearray(bytes(disk.header))), FOOTER_BYTES + HEADER_BYTES
    names = names_of(disk, place)
    if names:
        put_names(header, names, Path(header.parent_name.decode("utf-16-be").split("\0")[0]))
        for name in names:
            must(file.write(name.locator.offset, name.data), disk.path)
        place = names[-1].locator.offset + len(names[-1].data)
    header.table_offset = place
    write_tables(file, disk.footer, signed_header(header))
    old = disk.table
    new = BlockTable(
        file, place, len(old.places), old.bitmap_bytes, old.data_bytes, reserved_in(disk.footer, header)
    )
    blocks = old.allocated.tolist()
    span = memoryview(bytearray(old.bitmap_bytes + old.data_bytes))
    for number, block in enumerate(blocks, start=1):
        must_read_block(disk, block, span)
        if says_something(disk, span):
            must(file.write(new.allocate(block) - old.bitmap_bytes, span), disk.path)
        told(number * old.data_bytes, len(blocks) * old.data_bytes)
    must(file.resize(new.end + FOOTER_BYTES), disk.path)
    must(file.write(new.end, bytes(disk.footer)), disk.path)
    must(file.flush(), disk.path)
    must(new.write(), disk.path)
    must(file.flush(), disk.path)
    return file.byte_count


def names_of(disk: GrowingVhd, place: int) -> list[ParentName]:
    """The names of the parent, moved to ``place`` and behind it."""
    names = []
    for locator in locators_of(disk.header):
        data = bytearray(-(-locator.length // SECTOR_BYTES) * SECTOR_BYTES)
        must(disk.file.read(locator.offset, memoryview(data)[: locator.length]), disk.path)
        locator.offset = place
        names.append(ParentName(locator, bytes(data)))
        place += len(data)
    return names


def must_read_block(disk: GrowingVhd, block: int, span: memoryview) -> None:
    """The bitmap and the data of an allocated block."""
    if disk.file.read(disk.table.bitmap_place(block), span) is not Outcome.DONE:
        raise ImageError(
            f"Block {block} of {disk.path} cannot be read: check the image before it is compacted."
        )


def says_something(disk: GrowingVhd, span: memoryview) -> bool:
    """Whether a block is needed: over a parent if it has any sector, else if it is not all zeros."""
    bitmap, data = span[: disk.table.bitmap_bytes], span[disk.table.bitmap_bytes :]
    return not is_zero(bitmap) if disk.parent is not None else not is_zero(data)
