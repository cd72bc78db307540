"""A differencing image goes into its parent.

Stands for: Merge-VHD.
Spec: none.
Next: ``minihv.storage.checking``

What the child holds is written to the parent, again from the beginning if it was interrupted: the child
keeps all of it until the parent has been flushed, so a chain read in between is the same disk.
"""

from pathlib import Path

from minihv.spec.vhd import SECTOR_BYTES, DiskType, Header
from minihv.storage.copying import must_read
from minihv.storage.disk import Disk
from minihv.storage.host_file import HostFile
from minihv.storage.making import Told, must
from minihv.storage.opening import open_disk
from minihv.storage.parent_names import candidates
from minihv.storage.vhd_format import ImageError, disk_type_of, footers_of, read_header
from minihv.storage.vhd_growing import GrowingVhd


def merge(path: Path, told: Told, *, keep: bool = False) -> Path:
    """Writes the differencing image at ``path`` into its parent, and removes it unless ``keep``. The
    parent's file.

    Raises:
        ImageError: it is no differencing image, its parent is not there, or the parent is smaller.
    """
    file = HostFile(path, writable=False)
    try:
        footer = footers_of(file).best
        if footer is None or disk_type_of(footer, path) is not DiskType.DIFFERENCING:
            raise ImageError(
                f"A differencing VHD is merged into its parent, and {path} is none: nothing is to do."
            )
        header = read_header(file, footer)
        found = parent_of(file, header)
        child = GrowingVhd(file, footer, header)
        with open_disk(found, writable=True, kind="vhd") as parent:
            refuse_unwritable(parent, child, found)
            write_down(child, parent, found, told)
    finally:
        file.close()
    if not keep:
        path.unlink()
    return found


def parent_of(file: HostFile, header: Header) -> Path:
    """The file of the parent, by its id."""
    for path in candidates(file, header):
        if path.is_file():
            reader = HostFile(path, writable=False)
            found = footers_of(reader).best
            reader.close()
            if found is not None and found.unique_id == header.parent_unique_id:
                return path
    raise ImageError(
        f"A differencing VHD is merged into its parent, and that of {file.path} is not there: put it beside "
        "its child."
    )


def refuse_unwritable(parent: Disk, child: GrowingVhd, path: Path) -> None:
    """Refuses a parent that cannot take all of the child."""
    if parent.read_only:
        raise ImageError(f"{path} cannot be merged into, since {parent.why_read_only}: repair it first.")
    if parent.sector_count < child.sector_count:
        raise ImageError(
            f"A parent takes all sectors of its child, {child.sector_count}, and {path} has "
            f"{parent.sector_count}: resize the parent first."
        )


def write_down(child: GrowingVhd, parent: Disk, path: Path, told: Told) -> None:
    """Every sector that the child has is written to the parent."""
    blocks = child.table.allocated.tolist()
    buffer = memoryview(bytearray(child.header.block_bytes))
    for number, block in enumerate(blocks, start=1):
        bitmap = child.bitmap_of(block)
        if bitmap is None:
            raise ImageError(
                f"Block {block} of {child.path} cannot be read: check the image before it is merged."
            )
        first = block * child.block_sectors
        count = min(child.block_sectors, child.sector_count - first)
        for begin, run, present in bitmap.runs(0, count):
            if present:
                piece = buffer[: run * SECTOR_BYTES]
                must_read(child, first + begin, piece)
                must(parent.write(first + begin, piece), path)
        told(number * len(buffer), len(blocks) * len(buffer))
    must(parent.flush(), path)
