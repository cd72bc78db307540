"""The C core's part of this floor: sectors in blocks, and holes in files.

Stands for: the seam between Python and ``native/core``.
Twin: ``minihv.storage.block_map``.
"""

import errno
from typing import Any

from minihv._core import ffi, lib
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.block_map import Flags, Places
from minihv.storage.disk import Outcome, Sectors

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Blocks:
    """A ``struct mhv_blocks`` over arrays that its owner goes on changing."""

    def __init__(
        self, descriptor: int, sector_count: int, block_sectors: int, places: Places, whole: Flags
    ) -> None:
        self._kept = places, whole
        self.handle = ffi.new(
            "struct mhv_blocks *",
            {
                "descriptor": descriptor,
                "block_sectors": block_sectors,
                "sector_count": sector_count,
                "places": ffi.from_buffer("int64_t[]", places),
                "whole": ffi.from_buffer("uint8_t[]", whole),
            },
        )

    def read(self, sector: int, into: memoryview) -> tuple[int, Outcome]:
        """Sectors that were read, or a failure of the file."""
        count = len(into) // SECTOR_BYTES
        return checked(lib.mhv_blocks_read(self.handle, sector, ffi.from_buffer(into), count))

    def write(self, sector: int, data: memoryview) -> tuple[int, Outcome]:
        """Sectors that were written, or a failure of the file."""
        count = len(data) // SECTOR_BYTES
        return checked(lib.mhv_blocks_write(self.handle, sector, ffi.from_buffer(data), count))

    def read_each(self, sectors: Sectors, into: Any, count: int) -> int:
        """Requests of ``count`` sectors each that were done whole, up to the first that was not."""
        places = ffi.from_buffer("uint64_t[]", sectors)
        return int(lib.mhv_blocks_read_each(self.handle, places, len(sectors), ffi.from_buffer(into), count))

    def write_each(self, sectors: Sectors, data: Any, count: int) -> int:
        """The same for writing."""
        places = ffi.from_buffer("uint64_t[]", sectors)
        return int(lib.mhv_blocks_write_each(self.handle, places, len(sectors), ffi.from_buffer(data), count))


def raw_read_each(descriptor: int, sectors: Sectors, into: Any, count: int) -> int:
    """As ``Blocks.read_each`` of a file that is the disk itself."""
    places = ffi.from_buffer("uint64_t[]", sectors)
    return int(lib.mhv_raw_read_each(descriptor, places, len(sectors), ffi.from_buffer(into), count))


def raw_write_each(descriptor: int, sectors: Sectors, data: Any, count: int) -> int:
    """As ``Blocks.write_each`` of a file that is the disk itself."""
    places = ffi.from_buffer("uint64_t[]", sectors)
    return int(lib.mhv_raw_write_each(descriptor, places, len(sectors), ffi.from_buffer(data), count))


def checked(count: int) -> tuple[int, Outcome]:
    """``count``, or what errno says."""
    return (count, Outcome.DONE) if count >= 0 else (0, outcome_of(ffi.errno))


def outcome_of(number: int) -> Outcome:
    """A failure of the host, an errno, as the disk above says it."""
    return Outcome.NO_SPACE if number in NO_SPACE else Outcome.MEDIUM_ERROR


def punch_hole(descriptor: int, at: int, byte_count: int) -> bool:
    """Whether so many bytes of the file have become a hole."""
    return bool(lib.mhv_punch_hole(descriptor, at, byte_count))
