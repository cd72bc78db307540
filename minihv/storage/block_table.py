"""The block allocation table of a VHD in memory: which block lies where, and what is not yet in the file.

Stands for: the table behind the header, and the list of free places that the format does not have.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Block Allocation Table".
Next: ``minihv.storage.vhd_growing``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minihv.spec.vhd import FOOTER_BYTES, SECTOR_BYTES, UNALLOCATED
from minihv.storage.block_map import NOWHERE, Places, empty_places
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile


@dataclass(frozen=True, slots=True)
class TableFault:
    """An entry of the table that leads to a place which cannot be."""

    block: int
    place: int
    why: str

    def __str__(self) -> str:
        return f"block {self.block} at {self.place:#x} {self.why}"


DATA_ALIGNMENT = 4096
"""Where the data of a new block begins in the file, so that pages of the host are not cut."""


class BlockTable:
    """The table of ``block_count`` blocks at ``table_place``.

    ``places`` says where the data of each block begins, in bytes; below 0, nowhere. The bitmap of a block, of
    ``bitmap_bytes``, lies in front of its data. ``reserved`` has the begins and ends of what is no block:
    footer, header, table, names. ``end`` is the first byte behind everything.
    """

    def __init__(  # noqa: PLR0913 - a table, and the two parts of what it describes
        self,
        file: HostFile,
        table_place: int,
        block_count: int,
        bitmap_bytes: int,
        data_bytes: int,
        reserved: Sequence[tuple[int, int]],
    ) -> None:
        self.file, self.table_place = file, table_place
        self.bitmap_bytes, self.data_bytes = bitmap_bytes, data_bytes
        self.places: Places = empty_places(block_count)
        self.reserved = sorted(reserved)
        self.end = max(end for _, end in reserved)
        self._changed: set[int] = set()
        self._free: list[int] = []
        self._released: list[int] = []

    def load(self) -> Outcome:
        """Reads the table, as it is: ``faults`` says what cannot be."""
        entries = np.empty(len(self.places), dtype=">u4")
        done = self.file.read(self.table_place, entries.view(np.uint8).data)
        if done is Outcome.DONE:
            used = entries != UNALLOCATED
            self.places[:] = NOWHERE
            self.places[used] = entries[used].astype(np.int64) * SECTOR_BYTES + self.bitmap_bytes
            if used.any():
                self.end = max(self.end, int(self.places.max()) + self.data_bytes)
        return done

    def spans(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What the file is used for, in order: begins, ends, and whose: a block's number, or below 0."""
        blocks = self.allocated
        starts = np.concatenate(
            ([first for first, _ in self.reserved], self.places[blocks] - self.bitmap_bytes)
        )
        ends = np.concatenate(([end for _, end in self.reserved], self.places[blocks] + self.data_bytes))
        owners = np.concatenate((np.full(len(self.reserved), NOWHERE), blocks))
        order = np.argsort(starts, kind="stable")
        return starts[order], ends[order], owners[order]

    def faults(self) -> Iterator[TableFault]:
        """The blocks whose places cannot be: outside the file, over the tables, over another block."""
        starts, ends, owners = self.spans()
        file_bytes = self.file.byte_count
        for at in np.flatnonzero((ends > file_bytes) & (owners >= 0)).tolist():
            why = f"ends behind the file, which has {file_bytes:#x} bytes"
            yield TableFault(int(owners[at]), int(starts[at]), why)
        reach = np.maximum.accumulate(ends)
        for at in np.flatnonzero(starts[1:] < reach[:-1]).tolist():
            below, block = at, at + 1
            if owners[block] < 0:
                below, block = block, below
            if owners[block] >= 0:
                over = "the tables" if owners[below] < 0 else f"block {owners[below]}"
                yield TableFault(int(owners[block]), int(starts[block]), f"lies over {over}")

    def leaked_bytes(self) -> int:
        """Bytes between what the file is used for and its last footer, but for what aligns blocks."""
        starts, ends, _ = self.spans()
        begins = np.append(starts[1:], self.file.byte_count - FOOTER_BYTES)
        gaps = begins - np.maximum.accumulate(ends)
        return int(gaps[gaps >= DATA_ALIGNMENT].sum())

    @property
    def is_changed(self) -> bool:
        """Whether the file does not have the table as it is."""
        return bool(self._changed)

    @property
    def allocated(self) -> npt.NDArray[np.int64]:
        """The numbers of the blocks that lie somewhere."""
        return np.flatnonzero(self.places >= 0)

    def bitmap_place(self, block: int) -> int:
        """Where the bitmap of an allocated block lies."""
        return int(self.places[block]) - self.bitmap_bytes

    def allocate(self, block: int) -> int:
        """A place for the data of ``block``; what is there is not looked at."""
        if self._free:
            place = self._free.pop()
        else:
            place = self._aligned(self.end)
            self.end = place + self.data_bytes
        self.places[block] = place
        self._changed.add(block)
        return place

    def _aligned(self, end: int) -> int:
        """Where data may begin whose bitmap lies at ``end`` or shortly behind."""
        return -(-(end + self.bitmap_bytes) // DATA_ALIGNMENT) * DATA_ALIGNMENT

    def give_back(self, block: int) -> None:
        """The place of ``block`` could not be used: it is free again."""
        self._free.append(int(self.places[block]))
        self.places[block] = NOWHERE

    def release(self, block: int) -> None:
        """``block`` lies nowhere any more; its place is of use once the file says so too."""
        self._released.append(int(self.places[block]))
        self.places[block] = NOWHERE
        self._changed.add(block)

    def find_free(self) -> None:
        """Whatever the file has between its blocks is of use, and what is behind the last one is not its any
        more.

        Only while the table in the file is this one: else it may lead to what is given away.
        """
        starts, ends, _ = self.spans()
        self.end, self._free = int(ends.max()), []
        self._released.clear()
        for begin, end in zip(np.maximum.accumulate(ends).tolist(), starts[1:].tolist(), strict=False):
            place = self._aligned(begin)
            while place + self.data_bytes <= end:
                self._free.append(place)
                place = self._aligned(place + self.data_bytes)
        self._free.reverse()  # the nearest is taken first

    def write(self) -> Outcome:
        """Brings what has changed into the file, sector by sector."""
        per_sector = SECTOR_BYTES // 4
        entries = np.full(-(-len(self.places) // per_sector) * per_sector, UNALLOCATED, dtype=">u4")
        for sector in sorted({block // per_sector for block in self._changed}):
            part = self.places[sector * per_sector : (sector + 1) * per_sector]
            found = part >= 0
            piece = entries[sector * per_sector :][: len(part)]
            piece[found] = (part[found] - self.bitmap_bytes) // SECTOR_BYTES
            done = self.file.write(self.table_place + sector * SECTOR_BYTES, piece.tobytes())
            if done is not Outcome.DONE:
                return done
        self._changed.clear()
        return Outcome.DONE
