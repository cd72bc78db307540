"""One disk becomes another: all of its sectors, but not its zeros.

Stands for: Convert-VHD.
Spec: none.
Next: ``minihv.storage.compacting``
"""

from pathlib import Path

import numpy as np

from minihv.errors import ConfigurationError
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk
from minihv.storage.making import Told, must, new_file, write_fixed, write_growing
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_format import check_size

PIECE_SECTORS = 4096
"""2 MiB: a block of an image, in the usual size."""
TARGETS = ("raw", "fixed", "dynamic")


def convert(source: Disk, path: Path, kind: str, told: Told) -> None:
    """A new image at ``path``, of ``kind`` "raw", "fixed" or "dynamic", with the sectors of ``source``.

    It is there whole or not at all. ``told`` hears of bytes.

    Raises:
        ConfigurationError: there is no such kind, the disk is too large for it, or a sector cannot be read.
    """
    if kind not in TARGETS:
        raise ConfigurationError(
            f"A disk is converted to raw, fixed or dynamic, not to {kind!r}: choose one."
        )
    if kind != "raw":
        check_size(source.byte_count, path, fixed=kind == "fixed")
    with new_file(path) as file:
        if kind == "raw":
            must(file.resize(source.byte_count), path)
            copy(source, RawDisk(file), path, told)
        else:
            make = write_fixed if kind == "fixed" else write_growing
            copy(source, make(file, source.byte_count), path, told)


def copy(source: Disk, target: Disk, path: Path, told: Told) -> None:
    """Writes into ``target``, which is all zeros, whatever ``source`` has besides."""
    buffer, sector = memoryview(bytearray(PIECE_SECTORS * SECTOR_BYTES)), 0
    while (sector := source.next_data(sector)) < source.sector_count:
        count = min(PIECE_SECTORS - sector % PIECE_SECTORS, source.sector_count - sector)
        piece = buffer[: count * SECTOR_BYTES]
        must_read(source, sector, piece)
        if not is_zero(piece):
            must(target.write(sector, piece), path)
        sector += count
        told(sector * SECTOR_BYTES, source.byte_count)
    must(target.flush(), path)


def must_read(disk: Disk, sector: int, into: memoryview) -> None:
    """Fills ``into``.

    Raises:
        ConfigurationError: it cannot be read.
    """
    outcome = disk.read(sector, into)
    if outcome.name != "DONE":
        raise ConfigurationError(
            f"Sectors {sector} to {sector + len(into) // SECTOR_BYTES - 1} cannot be read: {outcome.value}; "
            "check the image, and the disk that it lies on."
        )


def is_zero(piece: memoryview) -> bool:
    """Whether there is nothing but zeros."""
    return not np.frombuffer(piece, dtype=np.uint64).any()
