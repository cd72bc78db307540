"""A VHD that grows as it is written: dynamic, or differencing over a parent.

Stands for: a virtual hard disk whose blocks come into being when somebody writes to them.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Dynamic Hard Disk Image", "Differencing
    Hard Disk Image", "Data Blocks".
First reading: ``_move``, ``_read_block``, ``_write_block`` and ``flush``.
Next: ``minihv.storage.opening``

An image survives whatever kills its writer, because of an order. Data comes into new places; only ``flush``
makes the bitmaps and the table say so, and not before the data is on the host's disk. What was flushed is
there; what was not may be lost, and its place with it, until somebody opens the image to write: then the
file is cut behind the last block that the table knows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minihv.spec.vhd import FOOTER_BYTES, SECTOR_BYTES, Footer, Header
from minihv.storage.block_table import BlockTable
from minihv.storage.disk import Disk, Geometry, Outcome, Sectors
from minihv.storage.host_file import HostFile
from minihv.storage.sector_bitmap import SectorBitmap
from minihv.storage.vhd_format import ImageError, footer_at, locators_of

Simply = Callable[[int, memoryview], tuple[int, Outcome]]
Slowly = Callable[[int, memoryview], Outcome]
UNKNOWN, WHOLE, PARTIAL = 0, 1, 2
"""What is known of a block's bitmap."""
GROWS_BY = 16
"""Blocks by which the file is made longer at once."""


class GrowingVhd(Disk):
    """The image in ``file``, over ``parent`` if it is a differencing one.

    Raises:
        ImageError: its table cannot be read.
    """

    def __init__(self, file: HostFile, footer: Footer, header: Header, parent: Disk | None = None) -> None:
        self.file, self.footer, self.header, self.parent = file, footer, header, parent
        self.read_only = not file.writable
        self.sector_count = footer.current_bytes // SECTOR_BYTES
        self.block_sectors = header.block_bytes // SECTOR_BYTES
        block_count = -(-self.sector_count // self.block_sectors)
        bitmap_bytes = -(-self.block_sectors // 8 // SECTOR_BYTES) * SECTOR_BYTES
        self.table = BlockTable(
            file,
            header.table_offset,
            block_count,
            max(bitmap_bytes, SECTOR_BYTES),
            header.block_bytes,
            reserved_in(footer, header),
        )
        self._whole = np.zeros(block_count, dtype=np.uint8)
        self._bitmaps: dict[int, SectorBitmap] = {}
        self._changed_bitmaps: set[int] = set()
        if self.table.load() is not Outcome.DONE:
            raise ImageError(f"The table of {file.path} cannot be read: the file or its disk is damaged.")
        self._file_bytes = file.byte_count
        fault = next(self.table.faults(), None)
        if fault is not None:
            self.forbid_writing(f"its table is damaged ({fault})")
        self._blocks = file.blocks(self.sector_count, self.block_sectors, self.table.places, self._whole)
        if not self.read_only:
            self._cut_leak()

    @property
    def path(self) -> Path:
        """The file of the image."""
        return self.file.path

    @property
    def geometry(self) -> Geometry:
        """As the footer has it."""
        return Geometry(self.footer.cylinders, self.footer.heads, self.footer.sectors_per_track)

    def forbid_writing(self, why: str) -> None:
        """The image may be read and not written; ``why`` is part of a sentence."""
        self.read_only = True
        self.why_read_only = self.why_read_only or why

    # Reading.

    def _read(self, sector: int, into: memoryview) -> Outcome:
        return self._move(sector, into, self._blocks.read, self._read_block)

    def _move(self, sector: int, buffer: memoryview, simply: Simply, slowly: Slowly) -> Outcome:
        """Goes on ``simply`` as far as that comes, and ``slowly`` over one block where it does not."""
        while len(buffer):
            count, outcome = simply(sector, buffer)
            if outcome is Outcome.DONE and count == 0:
                count = min(len(buffer) // SECTOR_BYTES, self._rest_of_block(sector))
                outcome = slowly(sector, buffer[: count * SECTOR_BYTES])
            if outcome is not Outcome.DONE:
                return outcome
            sector, buffer = sector + count, buffer[count * SECTOR_BYTES :]
        return Outcome.DONE

    def read_each(self, sectors: Sectors, into: Any, count: int) -> Outcome:
        """In C, up to a request that meets a hole or another image."""
        done = self._blocks.read_each(sectors, into, count)
        return super().read_each(sectors[done:], memoryview(into)[done * count * SECTOR_BYTES :], count)

    def write_each(self, sectors: Sectors, data: Any, count: int) -> Outcome:
        """In C, up to a request that needs a block."""
        done = 0 if self.read_only else self._blocks.write_each(sectors, data, count)
        return super().write_each(sectors[done:], memoryview(data)[done * count * SECTOR_BYTES :], count)

    def _rest_of_block(self, sector: int) -> int:
        return self.block_sectors - sector % self.block_sectors

    def _read_block(self, sector: int, into: memoryview) -> Outcome:
        """Sectors of one block, of which some may be the parent's, or zeros."""
        block, within = divmod(sector, self.block_sectors)
        count = len(into) // SECTOR_BYTES
        if self.table.places[block] < 0:
            return self._read_below(sector, into)
        bitmap = self.bitmap_of(block)
        if bitmap is None:
            return Outcome.MEDIUM_ERROR
        for first, run, present in bitmap.runs(within, count):
            at = (first - within) * SECTOR_BYTES
            piece = into[at : at + run * SECTOR_BYTES]
            place = int(self.table.places[block]) + first * SECTOR_BYTES
            below = sector + first - within
            outcome = self.file.read(place, piece) if present else self._read_below(below, piece)
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    def _read_below(self, sector: int, into: memoryview) -> Outcome:
        """What the image does not have: the parent's sectors as far as it reaches, then zeros."""
        count = 0
        if self.parent is not None:
            count = max(0, min(len(into) // SECTOR_BYTES, self.parent.sector_count - sector))
            outcome = self.parent.read(sector, into[: count * SECTOR_BYTES]) if count else Outcome.DONE
            if outcome is not Outcome.DONE:
                return outcome
        rest = len(into) - count * SECTOR_BYTES
        into[count * SECTOR_BYTES :] = bytes(rest)
        return Outcome.DONE

    def next_data(self, sector: int) -> int:
        """Blocks that lie nowhere are zeros, as far as the parent has nothing there either."""
        block = sector // self.block_sectors
        later = np.flatnonzero(self.table.places[block:] >= 0)
        own = (block + int(later[0])) * self.block_sectors if len(later) else self.sector_count
        if self.parent is not None and sector < self.parent.sector_count:
            own = min(own, self.parent.next_data(sector))
        return min(max(own, sector), self.sector_count)

    def bitmap_of(self, block: int) -> SectorBitmap | None:
        """Which sectors of an allocated block are in it; None: that cannot be read."""
        held = self._bitmaps.get(block)
        if held is not None:
            return held
        if self._whole[block] == WHOLE:
            return SectorBitmap(self.block_sectors, b"\xff" * self.table.bitmap_bytes)
        data = bytearray(self.table.bitmap_bytes)
        if self.file.read(self.table.bitmap_place(block), data) is not Outcome.DONE:
            return None
        bitmap = SectorBitmap(self.block_sectors, bytes(data))
        self._whole[block] = WHOLE if bitmap.is_whole else PARTIAL
        if not bitmap.is_whole:
            self._bitmaps[block] = bitmap
        return bitmap

    # Writing.

    def _write(self, sector: int, data: memoryview) -> Outcome:
        return self._move(sector, data, self._blocks.write, self._write_block)

    def _write_block(self, sector: int, data: memoryview) -> Outcome:
        """Sectors of one block that is new, or lacks some."""
        block, within = divmod(sector, self.block_sectors)
        if self.table.places[block] < 0:
            outcome = self._allocate(block)
            if outcome is not Outcome.DONE:
                return outcome
        bitmap = self.bitmap_of(block)
        if bitmap is None:
            return Outcome.MEDIUM_ERROR
        place = int(self.table.places[block]) + within * SECTOR_BYTES
        outcome = self.file.write(place, data)
        if outcome is Outcome.DONE and bitmap.mark(within, len(data) // SECTOR_BYTES):
            self._changed_bitmaps.add(block)
            self._bitmaps[block] = bitmap
        if bitmap.is_whole:
            self._whole[block] = WHOLE
        return outcome

    def _allocate(self, block: int) -> Outcome:
        """A place for ``block``, all zeros. Over a parent none of its sectors is there yet, else all are."""
        before = self.table.end
        place = self.table.allocate(block)
        outcome = Outcome.DONE
        if self.table.end > self._file_bytes:
            outcome = self._grow(self.table.end + (GROWS_BY - 1) * self.table.data_bytes)
        if outcome is Outcome.DONE and self.table.end == before:  # something else lay there
            outcome = self.file.zero(place, self.table.data_bytes)
        filler = b"\0" if self.parent is not None else b"\xff"
        bitmap = filler * self.table.bitmap_bytes
        if outcome is Outcome.DONE:
            outcome = self.file.write(place - len(bitmap), bitmap)
        if outcome is not Outcome.DONE:
            self.table.give_back(block)
            return outcome
        self._whole[block] = PARTIAL if self.parent is not None else WHOLE
        if self.parent is not None:
            self._bitmaps[block] = SectorBitmap(self.block_sectors, bitmap)
        return Outcome.DONE

    def _grow(self, byte_count: int) -> Outcome:
        outcome = self.file.resize(byte_count)
        if outcome is Outcome.DONE:
            self._file_bytes = byte_count
        return outcome

    def _trim(self, sector: int, count: int) -> Outcome:
        """Whole blocks lie nowhere any more if zeros are below them; everything else is written as zeros."""
        while count:
            part = min(count, self._rest_of_block(sector))
            block = sector // self.block_sectors
            whole = part == self.block_sectors or (
                sector % self.block_sectors == 0 and sector + part == self.sector_count
            )
            if self.parent is None and (whole or self.table.places[block] < 0):
                self._release(block)
            else:
                outcome = self._write(sector, memoryview(bytes(part * SECTOR_BYTES)))
                if outcome is not Outcome.DONE:
                    return outcome
            sector, count = sector + part, count - part
        return Outcome.DONE

    def _release(self, block: int) -> None:
        if self.table.places[block] >= 0:
            self.table.release(block)
            self._whole[block] = UNKNOWN
            self._bitmaps.pop(block, None)
            self._changed_bitmaps.discard(block)

    # What outlives the writer.

    @property
    def is_changed(self) -> bool:
        """Whether the file lacks something that was written, beyond data in places that it knows."""
        return self.table.is_changed or bool(self._changed_bitmaps)

    def flush(self) -> Outcome:
        """Data first, then the bitmaps and the table that lead to it, then the footer behind it all."""
        if self.read_only:
            return Outcome.DONE
        outcome = self.file.flush()
        if not self.is_changed or outcome is not Outcome.DONE:
            return outcome
        for step in (self._write_bitmaps, self.table.write, self._write_last_footer, self.file.flush):
            outcome = step()
            if outcome is not Outcome.DONE:
                return outcome
        end = self.table.end
        self.table.find_free()
        return Outcome.DONE if self.table.end == end else self._write_last_footer()

    def _write_bitmaps(self) -> Outcome:
        for block in sorted(self._changed_bitmaps):
            outcome = self.file.write(self.table.bitmap_place(block), bytes(self._bitmaps[block]))
            if outcome is not Outcome.DONE:
                return outcome
            if self._whole[block] == WHOLE:
                del self._bitmaps[block]
            self._changed_bitmaps.discard(block)
        return Outcome.DONE

    def _write_last_footer(self) -> Outcome:
        """The file ends with the footer, right behind the last block."""
        outcome = self.file.write(self.table.end, bytes(self.footer))
        return self._grow(self.table.end + FOOTER_BYTES) if outcome is Outcome.DONE else outcome

    def _cut_leak(self) -> None:
        """What a writer left behind that did not come to flush; a file that cannot be cut stays longer."""
        self.table.find_free()
        proper = self.table.end + FOOTER_BYTES
        if self._file_bytes != proper or footer_at(self.file, self.table.end) is None:
            self._write_last_footer()

    def close(self) -> None:
        """Flushes, and lets the files of the whole chain go."""
        self.flush()
        self.file.close()
        if self.parent is not None:
            self.parent.close()


def reserved_in(footer: Footer, header: Header) -> list[tuple[int, int]]:
    """Where footer, header, table and the names of the parent lie: begins and ends."""
    table = header.table_offset, header.table_offset + sectors_of(4 * header.most_entries)
    names = [(name.offset, name.offset + sectors_of(name.length)) for name in locators_of(header)]
    first = footer.data_offset
    return [(0, FOOTER_BYTES), (first, first + Header.byte_count), table, *names]


def sectors_of(byte_count: int) -> int:
    """``byte_count`` up to whole sectors."""
    return -(-byte_count // SECTOR_BYTES) * SECTOR_BYTES
