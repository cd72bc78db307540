"""What the verbs of ``minihv disk`` do.

Next: ``minihv.cli.disk.picture``
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from minihv.cli.disk.picture import BlockPicture, picture_of, text
from minihv.cli.output import Progress, is_plain, print_json, print_table
from minihv.cli.run import parse_size
from minihv.errors import ConfigurationError
from minihv.spec.vhd import DiskType
from minihv.storage import checking
from minihv.storage.compacting import compact
from minihv.storage.copying import convert
from minihv.storage.disk import Disk
from minihv.storage.making import make_differencing, make_dynamic, make_fixed
from minihv.storage.merging import merge
from minihv.storage.opening import open_disk
from minihv.storage.raw import RawDisk
from minihv.storage.resizing import resize
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_format import ImageError
from minihv.storage.vhd_growing import GrowingVhd

DAMAGED = 1
"""The status of a check that found harm."""


class ImageInfo(msgspec.Struct, kw_only=True):
    """One image of a chain."""

    file: str
    kind: str
    disk_bytes: int
    file_bytes: int
    cylinders: int
    heads: int
    sectors_per_track: int
    block_bytes: int | None = None
    blocks: int | None = None
    blocks_used: int | None = None
    unique_id: str | None = None
    read_only_because: str = ""


@contextmanager
def told(plain: bool) -> Iterator[Callable[[int, int], None]]:
    """A line that says how far long work has come, as long as it lasts."""
    progress = Progress(plain=plain)
    try:
        yield lambda done, of: progress.tell(f"{done >> 20:,} of {of >> 20:,} MiB")
    finally:
        progress.clear()


def make(path: Path, kind: str, size: str | None, parent: Path | None) -> None:
    """``minihv disk new``."""
    if kind not in {one.name.lower() for one in DiskType}:
        raise ConfigurationError(f"A new image is fixed, dynamic or differencing, not {kind!r}: choose one.")
    if kind == "differencing":
        if parent is None or size is not None:
            raise ConfigurationError(
                "A differencing image has a parent, and its size: give --parent, and leave --size out."
            )
        make_differencing(path, parent)
        return
    if size is None or parent is not None:
        raise ConfigurationError(
            f"A {kind} image has a size and no parent: give --size, and leave --parent out."
        )
    (make_fixed if kind == "fixed" else make_dynamic)(path, parse_size(size))


def tell_of(path: Path, format: str | None, *, as_json: bool, plain: bool) -> None:
    """``minihv disk info``."""
    with open_disk(path, kind=format) as disk:
        chain = [info_of(one) for one in chain_of(disk)]
    if as_json:
        print_json(chain)
        return
    for one in chain:
        values = msgspec.structs.asdict(one)
        rows = [[name.replace("_", " "), value] for name, value in values.items() if value not in (None, "")]
        cells = [[name, shown(value)] for name, value in rows[1:]]
        print_table(rows[0][1], ("", ""), cells, plain=is_plain(plain))


def shown(value: Any) -> str:
    """A number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def chain_of(disk: Disk) -> Iterator[RawDisk | GrowingVhd]:
    """The image, its parent, and so on."""
    below: Disk | None = disk
    while isinstance(below, RawDisk | GrowingVhd):
        yield below
        below = below.parent if isinstance(below, GrowingVhd) else None


def info_of(disk: RawDisk | GrowingVhd) -> ImageInfo:
    """What there is to say of one image."""
    geometry = disk.geometry
    told = ImageInfo(
        file=str(disk.file.path),
        kind="raw",
        disk_bytes=disk.byte_count,
        file_bytes=disk.file.byte_count,
        cylinders=geometry.cylinders,
        heads=geometry.heads,
        sectors_per_track=geometry.sectors_per_track,
        read_only_because=disk.why_read_only,
    )
    if isinstance(disk, FixedVhd | GrowingVhd):
        told.kind = DiskType(disk.footer.disk_type).name.lower()
        told.unique_id = disk.footer.unique_id.hex()
    if isinstance(disk, GrowingVhd):
        told.block_bytes = disk.header.block_bytes
        told.blocks, told.blocks_used = len(disk.table.places), len(disk.table.allocated)
    return told


def check_image(path: Path, *, repairs: bool, as_json: bool) -> int:
    """``minihv disk check``; the status."""
    found = checking.check(path)
    if repairs:
        checking.repair(path)
        done, found = found, checking.check(path)
        for one in done:
            if one.repair and one not in found and not as_json:
                print(f"{one.what} Repaired: {one.repair}.")
    if as_json:
        print_json([{"what": one.what, "is_damage": one.is_damage, "repair": one.repair} for one in found])
    else:
        for one in found:
            print(f"{one.what}{f' --repair {one.repair}.' if one.repair else ''}")
        if not found:
            print(f"{path}: nothing is wrong.")
    return DAMAGED if any(one.is_damage for one in found) else 0


def convert_image(path: Path, target: Path, kind: str, format: str | None, *, plain: bool) -> None:
    """``minihv disk convert``."""
    with open_disk(path, kind=format) as disk, told(plain) as tell:
        convert(disk, target, kind, tell)


def resize_image(path: Path, size: str, format: str | None) -> None:
    """``minihv disk resize``."""
    with open_disk(path, writable=True, kind=format) as disk:
        resize(disk, parse_size(size))


def growing(disk: Disk, path: Path, what: str) -> GrowingVhd:
    """``disk``, if it has blocks."""
    if not isinstance(disk, GrowingVhd):
        raise ImageError(f"{what} is for images that grow, dynamic or differencing, and {path} is none.")
    return disk


def compact_image(path: Path, *, plain: bool) -> None:
    """``minihv disk compact``."""
    with open_disk(path, writable=True, kind="vhd") as disk, told(plain) as tell:
        image = growing(disk, path, "Compacting")
        before = image.file.byte_count
        after = compact(image, tell)
    print(f"{path}: {before:,} bytes before, {after:,} now.")


def merge_image(path: Path, *, keep: bool, plain: bool) -> None:
    """``minihv disk merge``."""
    with told(plain) as tell:
        parent = merge(path, tell, keep=keep)
    print(f"{path} is merged into {parent}{'' if keep else ', and removed'}.")


def draw(path: Path, *, as_json: bool, plain: bool) -> None:
    """``minihv disk map``."""
    with open_disk(path, kind="vhd") as disk:
        drawn: BlockPicture = picture_of(growing(disk, path, "The map"))
    if as_json:
        print_json(drawn)
    else:
        print(text(drawn, plain=is_plain(plain), encoding=sys.stdout.encoding))
