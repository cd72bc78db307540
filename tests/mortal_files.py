"""Files that fail, or whose machine loses power: what had not been flushed is there in part, or not at
all.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.block_map import BlockMap, Flags, Places
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile


@dataclass
class Operation:
    """A write of ``data`` at ``at``, or a new size."""

    at: int
    data: bytes | None = None


class MortalFile(HostFile):
    """A file that remembers what has been flushed, and which operations came afterwards."""

    def __init__(self, path: Path, *, writable: bool, create: bool = False) -> None:
        super().__init__(path, writable=writable, create=create)
        self.durable = path.read_bytes()
        self.pending: list[Operation] = []

    def blocks(self, sector_count: int, block_sectors: int, places: Places, whole: Flags) -> BlockMap:
        """Sectors by way of this file, so that it sees each write."""
        return BlockMap(self, sector_count, block_sectors, places, whole)

    def write(self, at: int, data: Any) -> Outcome:
        self.pending.append(Operation(at, bytes(data)))
        return super().write(at, data)

    def zero(self, at: int, byte_count: int) -> Outcome:
        return self.write(at, bytes(byte_count))

    def resize(self, byte_count: int) -> Outcome:
        self.pending.append(Operation(byte_count))
        return super().resize(byte_count)

    def flush(self) -> Outcome:
        self.durable = self.path.read_bytes()
        self.pending.clear()
        return super().flush()

    def after_power_loss(self, random: Random) -> bytes:
        """The file as it may be found: of what was not flushed, any sectors in their order, or none."""
        left, share = bytearray(self.durable), random.choice((0.0, 0.2, 0.5, 0.9, 1.0))
        for one in self.pending:
            if one.data is None:
                if random.random() < share:
                    del left[one.at :]
                    left += bytes(one.at - len(left))
                continue
            for start in range(0, len(one.data), SECTOR_BYTES):
                if random.random() < share:
                    put(left, one.at + start, one.data[start : start + SECTOR_BYTES])
        return bytes(left)


def put(content: bytearray, at: int, data: bytes) -> None:
    """Writes into ``content``, which grows as a file does."""
    content += bytes(max(0, at + len(data) - len(content)))
    content[at : at + len(data)] = data


class FailingFile(HostFile):
    """A file whose operations fail from the n-th on, or only the n-th; ``count`` counts them."""

    outcome = Outcome.NO_SPACE

    def __init__(self, path: Path, *, fails: int, for_ever: bool = True, writable: bool = True) -> None:
        super().__init__(path, writable=writable)
        self.fails, self.for_ever, self.count = fails, for_ever, 0

    def blocks(self, sector_count: int, block_sectors: int, places: Places, whole: Flags) -> BlockMap:
        """Sectors by way of this file, so that it sees each write."""
        return BlockMap(self, sector_count, block_sectors, places, whole)

    def _next(self) -> bool:
        self.count += 1
        return self.count == self.fails or (self.for_ever and self.count > self.fails)

    def write(self, at: int, data: Any) -> Outcome:
        return self.outcome if self._next() else super().write(at, data)

    def zero(self, at: int, byte_count: int) -> Outcome:
        return self.outcome if self._next() else super().zero(at, byte_count)

    def resize(self, byte_count: int) -> Outcome:
        return self.outcome if self._next() else super().resize(byte_count)

    def flush(self) -> Outcome:
        return self.outcome if self._next() else super().flush()


@dataclass
class ModelDisk:
    """What a disk holds, by a plain array: now, when it was flushed, and what may be there after a crash."""

    sector_count: int
    now: bytearray = field(init=False)
    flushed: bytearray = field(init=False)
    since: dict[int, set[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = bytearray(self.sector_count * SECTOR_BYTES)
        self.flushed = bytearray(self.now)

    def write(self, sector: int, data: bytes) -> None:
        self.now[sector * SECTOR_BYTES : sector * SECTOR_BYTES + len(data)] = data
        for at in range(len(data) // SECTOR_BYTES):
            piece = data[at * SECTOR_BYTES : (at + 1) * SECTOR_BYTES]
            self.since.setdefault(sector + at, set()).add(piece)

    def flush(self) -> None:
        self.flushed[:] = self.now
        self.since.clear()

    def survived(self, found: bytes) -> list[int]:
        """Takes what a crash left. The sectors that hold what they cannot."""
        wrong = []
        for sector in range(self.sector_count):
            span = slice(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)
            if found[span] != self.flushed[span] and found[span] not in self.since.get(sector, ()):
                wrong.append(sector)
        self.now[:] = found
        self.flush()
        return wrong
