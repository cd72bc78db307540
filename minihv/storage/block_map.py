"""Where the blocks of a disk lie in its file, and which of them are there whole.

Stands for: nothing in the hardware; the way from a sector to its place in an image.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Block Allocation Table and Data Blocks".
Twin: ``native/core/src/blocks.c``, held equal by ``tests/twins/test_blocks.py``.
Next: ``minihv.storage.vhd_growing``
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Outcome, Sectors

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]
NOWHERE = -1


class Bytes(Protocol):
    """A file: bytes at places."""

    def read(self, at: int, into: Any, /) -> Outcome:
        """Fills ``into`` from ``at`` on."""

    def write(self, at: int, data: Any, /) -> Outcome:
        """Writes ``data`` from ``at`` on."""


class BlockMap:
    """``places``: of each block's first sector, in bytes, or below 0; ``whole``: 1 when no sector is
    missing.
    """

    def __init__(
        self, file: Bytes, sector_count: int, block_sectors: int, places: Places, whole: Flags
    ) -> None:
        self.file, self.sector_count, self.block_sectors = file, sector_count, block_sectors
        self.places, self.whole = places, whole

    def read(self, sector: int, into: memoryview) -> tuple[int, Outcome]:
        """Fills ``into`` up to the first sector that is not simply there. How many sectors were read."""
        return self._move(sector, into, writes=False)

    def write(self, sector: int, data: memoryview) -> tuple[int, Outcome]:
        """Writes ``data`` up to the first sector that is not simply there. How many sectors were written."""
        return self._move(sector, data, writes=True)

    def read_each(self, sectors: Sectors, into: Any, count: int) -> int:
        """Requests of ``count`` sectors each, side by side in ``into``; how many were done before one
        that was not.
        """
        return self._move_each(sectors, into, count, writes=False)

    def write_each(self, sectors: Sectors, data: Any, count: int) -> int:
        """The same for writing."""
        return self._move_each(sectors, data, count, writes=True)

    def _move_each(self, sectors: Sectors, buffer: Any, count: int, *, writes: bool) -> int:
        whole, size = memoryview(buffer).cast("B"), count * SECTOR_BYTES
        for number, sector in enumerate(sectors.tolist()):
            piece = whole[number * size : (number + 1) * size]
            if self._move(sector, piece, writes=writes) != (count, Outcome.DONE):
                return number
        return len(sectors)

    def _move(self, sector: int, buffer: memoryview, *, writes: bool) -> tuple[int, Outcome]:
        count, done = len(buffer) // SECTOR_BYTES, 0
        if sector + count > self.sector_count:
            return 0, Outcome.DONE
        while done < count:
            block, within = divmod(sector + done, self.block_sectors)
            part = min(count - done, self.block_sectors - within)
            if self.places[block] < 0 or self.whole[block] != 1:
                break
            place = int(self.places[block]) + within * SECTOR_BYTES
            piece = buffer[done * SECTOR_BYTES : (done + part) * SECTOR_BYTES]
            outcome = self.file.write(place, piece) if writes else self.file.read(place, piece)
            if outcome is not Outcome.DONE:
                return 0, outcome
            done += part
        return done, Outcome.DONE


def empty_places(block_count: int) -> Places:
    """No block lies anywhere."""
    return np.full(block_count, NOWHERE, dtype=np.int64)
