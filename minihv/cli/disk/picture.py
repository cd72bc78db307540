"""The blocks of an image as a picture: a sign for each, or for so many of them.

Next: ``minihv.cli.top``
"""

import msgspec

from minihv.cli.output import signs_for
from minihv.storage.vhd_growing import GrowingVhd

SIGNS, PLAIN_SIGNS = "·░█", ".o#"
"""No block; some of the blocks, or some of a block's sectors; all."""
WIDTH, MOST_LINES = 64, 32


class Extent(msgspec.Struct):
    """Blocks that follow each other on the disk and in the file."""

    first_block: int
    blocks: int
    place: int
    """Of the data of the first one, in bytes."""


class BlockPicture(msgspec.Struct):
    """The blocks of an image."""

    file: str
    block_bytes: int
    blocks: int
    used: int
    sectors_used: int
    """How many sectors the blocks hold that are there: over a parent fewer than they could."""
    extents: list[Extent]
    fill: list[float]
    """For each sign of the picture, which part of its sectors is there."""
    blocks_for_sign: int


def picture_of(disk: GrowingVhd) -> BlockPicture:
    """What lies where."""
    places, count = disk.table.places, len(disk.table.places)
    for_sign = max(1, -(-count // (WIDTH * MOST_LINES)))
    held = [0] * -(-count // for_sign)
    extents: list[Extent] = []
    for block in disk.table.allocated.tolist():
        held[block // for_sign] += sectors_in(disk, block)
        place, last = int(places[block]), extents[-1] if extents else None
        if last is not None and last.first_block + last.blocks == block and follows(disk, last, place):
            last.blocks += 1
        else:
            extents.append(Extent(block, 1, place))
    fill = [
        sectors / (min(for_sign, count - at * for_sign) * disk.block_sectors)
        for at, sectors in enumerate(held)
    ]
    return BlockPicture(
        file=str(disk.path),
        block_bytes=disk.header.block_bytes,
        blocks=count,
        used=len(disk.table.allocated),
        sectors_used=sum(held),
        extents=extents,
        fill=fill,
        blocks_for_sign=for_sign,
    )


def sectors_in(disk: GrowingVhd, block: int) -> int:
    """Sectors of an allocated block that are there."""
    bitmap = disk.bitmap_of(block)
    if bitmap is None:
        return 0
    return sum(run for _, run, present in bitmap.runs(0, disk.block_sectors) if present)


def follows(disk: GrowingVhd, last: Extent, place: int) -> bool:
    """Whether a block at ``place`` lies right behind an extent, but for its bitmap and what aligns it."""
    end = last.place + last.blocks * disk.header.block_bytes
    return 0 <= place - end <= last.blocks * 2 * max(disk.table.bitmap_bytes, 4096)


def text(drawn: BlockPicture, *, plain: bool, encoding: str) -> str:
    """The picture in signs, and what they mean."""
    signs = signs_for(SIGNS, PLAIN_SIGNS, plain=plain, encoding=encoding)
    row = "".join(signs[0] if part == 0 else signs[2] if part >= 1 else signs[1] for part in drawn.fill)
    lines = [row[at : at + WIDTH] for at in range(0, len(row), WIDTH)]
    each = drawn.blocks_for_sign * drawn.block_bytes >> 10
    share = drawn.sectors_used * 512 >> 20
    return "\n".join(
        (
            f"{drawn.file}: {drawn.used:,} of {drawn.blocks:,} blocks, {share:,} MiB in them",
            f"one sign for {each:,} KiB: {signs[0]} nothing, {signs[1]} some, {signs[2]} all",
            *lines,
        )
    )
