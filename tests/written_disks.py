"""What guests that try a disk leave on it: four sectors near its beginning, and four at its end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from images import content

from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.storage.making import make_differencing, make_dynamic, make_fixed

DISK_BYTES = 1 << 20
MODES = [PagingMode.SLAT, PagingMode.SHADOW, PagingMode.HARDWARE]
KINDS = ["fixed", "differencing"]
"""Of images, besides the dynamic one that all others are."""
Place = tuple[int, int, int]
"""The first sector, how many there are, and what a disk's number is added to for their seed."""
ENDS: Sequence[Place] = ((8, 4, 1), (2044, 4, 11))


def words_behind(seed: int) -> Iterator[int]:
    """As ``pattern_fill`` of the guests' library has them."""
    while True:
        seed = (seed * 1664525 + 1013904223) & 0xFFFF_FFFF
        yield seed


def expected_sectors(seed: int, sector_count: int) -> bytes:
    """What the guest writes: a sequence that begins behind ``seed``."""
    words = words_behind(seed)
    return b"".join(next(words).to_bytes(4, "little") for _ in range(128 * sector_count))


def has_written(path: Path, number: int = 0, places: Sequence[Place] = ENDS) -> bool:
    """Whether the guest did so, to its disk ``number``."""
    found = content(path)
    return all(
        found[at * 512 : (at + count) * 512] == expected_sectors(number + seed, count)
        for at, count, seed in places
    )


def make_image(path: Path, kind: str) -> Path:
    """An empty disk: an image of that kind, and one below it if it needs one."""
    if kind == "fixed":
        make_fixed(path, DISK_BYTES)
    elif kind == "dynamic":
        make_dynamic(path, DISK_BYTES)
    else:
        make_dynamic(path.with_suffix(".below.vhd"), DISK_BYTES)
        make_differencing(path, path.with_suffix(".below.vhd"))
    return path


def empty_disks(folder: Path, count: int, controller: str = "ide") -> list[DiskOption]:
    """So many empty disks behind such a controller."""
    options = [DiskOption(folder / f"{controller}-{number}.vhd", controller) for number in range(count)]
    for option in options:
        make_image(option.path, "dynamic")
    return options
