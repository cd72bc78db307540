"""A raw disk: byte n of the disk is byte n of the file.

Stands for: a disk without a format around it: an image of one, or (``minihv.storage.physical``) one itself.
Spec: none.
Next: ``minihv.storage.vhd_format``
"""

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk, Outcome
from minihv.storage.host_file import HostFile


class RawDisk(Disk):
    """The whole of ``file``; bytes behind its last whole sector are not part of the disk."""

    def __init__(self, file: HostFile, *, start: int = 0, sector_count: int | None = None) -> None:
        self.file, self._start = file, start
        self.read_only = not file.writable
        self.sector_count = file.byte_count // SECTOR_BYTES if sector_count is None else sector_count

    def _read(self, sector: int, into: memoryview) -> Outcome:
        return self.file.read(self._start + sector * SECTOR_BYTES, into)

    def _write(self, sector: int, data: memoryview) -> Outcome:
        return self.file.write(self._start + sector * SECTOR_BYTES, data)

    def _trim(self, sector: int, count: int) -> Outcome:
        return self.file.zero(self._start + sector * SECTOR_BYTES, count * SECTOR_BYTES)

    def next_data(self, sector: int) -> int:
        """Holes of the file are zeros."""
        at = self._start + sector * SECTOR_BYTES
        return min(max(sector, (self.file.next_data(at) - self._start) // SECTOR_BYTES), self.sector_count)

    def flush(self) -> Outcome:
        """All that was written is in the file for good."""
        return Outcome.DONE if self.read_only else self.file.flush()

    def close(self) -> None:
        """Flushes, and lets the file go."""
        self.flush()
        self.file.close()
