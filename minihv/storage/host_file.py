"""A file of the host, in which a disk is kept: bytes at places, locks, and failures as values.

Stands for: the platters.
Spec: POSIX, "pread", "pwrite", "fdatasync", "flock".
Next: ``minihv.storage.raw``
"""

import errno
import os
from pathlib import Path
from typing import Any

from minihv.errors import ConfigurationError
from minihv.storage.block_map import BlockMap, Flags, Places
from minihv.storage.disk import Outcome
from minihv.storage.native import Blocks, outcome_of, punch_hole

try:
    import fcntl
except ImportError:  # a system without advisory locks
    fcntl = None  # type: ignore[assignment]

ZEROS = bytes(1 << 20)


class HostFile:
    """The file at ``path``, for one writer or for many readers. An ``exclusive`` device is not the host's.

    Raises:
        ConfigurationError: it cannot be opened, or somebody else uses it.
    """

    def __init__(self, path: Path, *, writable: bool, create: bool = False, exclusive: bool = False) -> None:
        flags = (os.O_RDWR if writable else os.O_RDONLY) | (os.O_CREAT if create else 0)
        flags |= os.O_EXCL if create or exclusive else 0
        try:
            self.descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0) | os.O_CLOEXEC, 0o666)
        except OSError as reason:
            raise ConfigurationError(
                f"A disk is kept in a file that can be {'written' if writable else 'read'}, and {path} "
                f"cannot ({reason.strerror}): choose another one, or change its permissions."
            ) from reason
        self.path, self.writable = path, writable
        try:
            self._lock()
        except BaseException:
            os.close(self.descriptor)
            raise

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_EX if self.writable else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as reason:
            raise ConfigurationError(
                f"A disk has one writer or any number of readers, and {self.path} is in use by another "
                "process or disk: detach it there first."
            ) from reason

    @property
    def byte_count(self) -> int:
        """The size of the file, or of the device."""
        return os.lseek(self.descriptor, 0, os.SEEK_END)

    def read(self, at: int, into: Any) -> Outcome:
        """Fills ``into`` with the bytes from ``at`` on. A file that ends before is damaged."""
        view = memoryview(into)
        try:
            while len(view):
                count = os.preadv(self.descriptor, (view,), at)
                if count == 0:
                    return Outcome.MEDIUM_ERROR
                view, at = view[count:], at + count
        except (OSError, OverflowError):  # also of a place that no file reaches
            return Outcome.MEDIUM_ERROR
        return Outcome.DONE

    def write(self, at: int, data: Any) -> Outcome:
        """Writes ``data`` from ``at`` on; the file grows as it must."""
        view = memoryview(data)
        try:
            while len(view):
                count = os.pwrite(self.descriptor, view, at)
                view, at = view[count:], at + count
        except OSError as reason:
            return outcome_of(reason.errno or 0)
        except OverflowError:
            return Outcome.NO_SPACE
        return Outcome.DONE

    def next_data(self, at: int) -> int:
        """The next byte, from ``at`` on, that does not lie in a hole; the end, if there is none."""
        try:
            return os.lseek(self.descriptor, at, os.SEEK_DATA)
        except OSError as reason:
            return self.byte_count if reason.errno == errno.ENXIO else at
        except AttributeError:  # a system that does not tell
            return at

    def zero(self, at: int, byte_count: int) -> Outcome:
        """So many bytes from ``at`` on read as zeros, and take no space if the file system can do that."""
        if punch_hole(self.descriptor, at, byte_count):
            return Outcome.DONE
        for done in range(0, byte_count, len(ZEROS)):
            outcome = self.write(at + done, ZEROS[: byte_count - done])
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    def resize(self, byte_count: int) -> Outcome:
        """Cuts the file, or makes it longer by a hole."""
        try:
            os.ftruncate(self.descriptor, byte_count)
        except OSError as reason:
            return outcome_of(reason.errno or 0)
        return Outcome.DONE

    def blocks(
        self, sector_count: int, block_sectors: int, places: Places, whole: Flags
    ) -> "Blocks | BlockMap":
        """The sectors of a disk whose blocks lie in the file at ``places``."""
        if os.environ.get("MINIHV_CORE") == "reference":
            return BlockMap(self, sector_count, block_sectors, places, whole)
        return Blocks(self.descriptor, sector_count, block_sectors, places, whole)

    def flush(self) -> Outcome:
        """What was written is on the disk that the file lies on."""
        try:
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self.descriptor)
        except OSError as reason:
            return outcome_of(reason.errno or 0)
        return Outcome.DONE

    def close(self) -> None:
        """Lets the file go, and its lock with it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
