"""The contract of a disk: sectors, and what becomes of a request.

Stands for: a hard disk, as the controller in front of it knows it.
Spec: INCITS ATA8-ACS, "READ SECTORS", "FLUSH CACHE", "DATA SET MANAGEMENT"; SCSI SBC-3, "UNMAP": the
    commands that need these operations.
Next: ``minihv.storage.host_file``
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from minihv.spec.vhd import SECTOR_BYTES

Sectors = npt.NDArray[np.uint64]
"""Numbers of sectors, where requests begin."""


class Outcome(Enum):
    """What became of a request. A disk fails by value: a guest gets a status, and nobody an exception."""

    DONE = "done"
    OUT_OF_RANGE = "beyond the end of the disk"
    READ_ONLY = "the disk is read-only"
    NO_SPACE = "there is no space left where the disk is kept"
    MEDIUM_ERROR = "the file behind the disk cannot be read or written"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Cylinders, heads and sectors of a track: how disks were addressed before sectors had numbers."""

    cylinders: int
    heads: int
    sectors_per_track: int

    @property
    def sector_count(self) -> int:
        """Sectors that can be addressed so."""
        return self.cylinders * self.heads * self.sectors_per_track


MOST_ADDRESSED = 65535 * 16 * 255
"""Sectors, by the largest geometry: about 127 GiB, which once was the largest disk that IDE could have."""
LARGE, MIDDLE = 65535 * 16 * 63, 17
"""Where tracks of 255 sectors begin, and the sectors of the first track that is tried below."""


def geometry_of(sector_count: int) -> Geometry:
    """The geometry of a disk, never of more sectors than it has.

    Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Appendix: CHS Calculation".
    """
    sectors = min(sector_count, MOST_ADDRESSED)
    if sectors >= LARGE:
        return Geometry(sectors // 255 // 16, 16, 255)
    track = MIDDLE
    both = sectors // track
    heads = max((both + 1023) // 1024, 4)
    if both >= heads * 1024 or heads > 16:
        track, heads = 31, 16
        both = sectors // track
    if both >= heads * 1024:
        track, heads = 63, 16
        both = sectors // track
    return Geometry(both // heads, heads, track)


class Disk(ABC):
    """``sector_count`` sectors of 512 bytes. Buffers hold whole sectors; offsets are numbers of sectors."""

    sector_count: int
    read_only: bool = False
    why_read_only: str = ""
    """If somebody wanted to write and may not, a sentence that says why."""
    physical_sector_bytes: int = SECTOR_BYTES
    """What is written at once below: a hint to whoever chooses sizes."""

    @property
    def byte_count(self) -> int:
        """The size of the disk."""
        return self.sector_count * SECTOR_BYTES

    @property
    def geometry(self) -> Geometry:
        """Its cylinders, heads and sectors."""
        return geometry_of(self.sector_count)

    def read(self, sector: int, into: Any) -> Outcome:
        """Fills ``into`` from ``sector`` on."""
        buffer = memoryview(into).cast("B")
        if not self.reaches(sector, len(buffer)):
            return Outcome.OUT_OF_RANGE
        return self._read(sector, buffer)

    def write(self, sector: int, data: Any, *, fua: bool = False) -> Outcome:
        """Writes ``data`` from ``sector`` on; with ``fua`` it is where a flush would bring it."""
        buffer = memoryview(data).cast("B")
        if not self.reaches(sector, len(buffer)):
            return Outcome.OUT_OF_RANGE
        if self.read_only:
            return Outcome.READ_ONLY
        done = self._write(sector, buffer)
        return self.flush() if fua and done is Outcome.DONE else done

    def read_each(self, sectors: Sectors, into: Any, count: int) -> Outcome:
        """Requests of ``count`` sectors each, whose buffers lie side by side in ``into``, one after the
        other.
        """
        return self._each(self.read, sectors, into, count)

    def write_each(self, sectors: Sectors, data: Any, count: int) -> Outcome:
        """The same for writing."""
        return self._each(self.write, sectors, data, count)

    @staticmethod
    def _each(one: Callable[[int, Any], Outcome], sectors: Sectors, buffer: Any, count: int) -> Outcome:
        whole, size = memoryview(buffer).cast("B"), count * SECTOR_BYTES
        for number, sector in enumerate(sectors.tolist()):
            outcome = one(sector, whole[number * size : (number + 1) * size])
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    def trim(self, sector: int, count: int) -> Outcome:
        """``count`` sectors are of no use any more: they read as zeros, and what kept them may be free."""
        if not self.reaches(sector, count * SECTOR_BYTES):
            return Outcome.OUT_OF_RANGE
        return Outcome.READ_ONLY if self.read_only else self._trim(sector, count)

    def next_data(self, sector: int) -> int:
        """The next sector, from ``sector`` on, that may hold something else than zeros; at most the end."""
        return sector

    def reaches(self, sector: int, byte_count: int) -> bool:
        """Whether so many bytes from ``sector`` on lie on the disk, and are whole sectors."""
        count, rest = divmod(byte_count, SECTOR_BYTES)
        return rest == 0 and 0 <= sector <= self.sector_count - count

    @abstractmethod
    def _read(self, sector: int, into: memoryview) -> Outcome: ...

    @abstractmethod
    def _write(self, sector: int, data: memoryview) -> Outcome: ...

    @abstractmethod
    def _trim(self, sector: int, count: int) -> Outcome: ...

    @abstractmethod
    def flush(self) -> Outcome:
        """What was written so far outlives this process and this machine."""

    @abstractmethod
    def close(self) -> None:
        """Flushes, and lets the file go. The disk is of no use afterwards."""

    def __enter__(self) -> "Disk":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
