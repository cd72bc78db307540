"""The GPA space of a partition: a map of pages to frames, the tables made from it, overlays in front.

Stands for: ring -1's part of second level address translation.
Spec: AMD APM vol. 2, "Nested Paging"; TLFS, "Guest Physical Address Spaces" and "GPA Overlay Pages".
Simplified: a device may do to a page what its partition may. A page that two partitions see is marked as
    written in the one through which it was written.
First reading: ``map_pages``, ``lay_over``, ``read``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from minihv.errors import AccessError, ConfigurationError, InternalError
from minihv.hypervisor.gpa_map import (
    NOWHERE,
    READ,
    READ_WRITE_EXECUTE,
    VALID_RIGHTS,
    WRITE,
    Frames,
    GpaMap,
    runs,
)
from minihv.hypervisor.leaves import (
    FLAGS_OF_RIGHTS,
    REGION_PAGES,
    frames_needed,
    frames_to_unmap,
    free_tables,
    is_large_page,
    map_entry,
    merge,
    small_entries,
    write_small,
)
from minihv.hypervisor.page_log import PageLog, SmallPages
from minihv.hypervisor.pool import FrameSource, MachineFrames
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.processor import Processor
from minihv.paging import dirty, native
from minihv.paging.formats import NESTED
from minihv.paging.tables import PageTables, TableLeaf
from minihv.spec.x86_paging import ACCESSED, DIRTY, PRESENT, USER
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT, Gpa, Spa

READ_EXECUTE = USER
ADDRESS_BITS = 40
"""Width of a guest physical address: that of the emulated processor."""
LEVELS = 4
NO_TABLES = 1 << 51
"""For the address of the top table: no memory reaches so far."""
MOST_PAGES = 1 << ADDRESS_BITS - PAGE_SHIFT


@dataclass(frozen=True, slots=True)
class Overlay:
    """A page of the hypervisor's that hides the guest's at the same GPA."""

    gpa: Gpa
    spa: Spa
    what: str


class GpaSpace:
    """What lies where in the guest physical memory of partition ``owner``.

    ``changed`` says that second-level tables were changed, or marks were taken from them, since the
    translations of ``processor`` were made; whoever lets it go on flushes them first. Frames for tables come
    from ``frames``: the partition's memory pool, or ring -1's own.
    """

    def __init__(
        self,
        memory: SystemMemory,
        owner: int,
        processor: Processor | None = None,
        frames: FrameSource | None = None,
        *,
        begin: bool = True,
    ) -> None:
        self._memory = memory
        self._owner = owner
        self._frames = frames or MachineFrames(memory)
        self.table_frames = 0
        """Frames of second-level tables; ``most_table_frames`` is how many there were at most."""
        self.most_table_frames = 0
        self._tables = self._tables_at(NO_TABLES)
        self._map = GpaMap()
        self._overlays: dict[Gpa, Overlay] = {}
        self.changed = True
        self.rights_taken = False
        """D was taken from leaves, and nothing else was changed: no translation may allow to write."""
        self._small_pages = SmallPages(self, memory, processor)
        self.dirty_log = PageLog(self, self._small_pages, DIRTY)
        """The pages of RAM that were written, by whomever, since each reader last asked."""
        self.access_log = PageLog(self, self._small_pages, ACCESSED)
        """The pages of RAM that a guest touched: its working set."""
        self._mark_page = (
            partial(native.mark_page, native.c_ram(memory))
            if self._small_pages.is_native
            else partial(dirty.mark_page, memory)
        )
        if begin:
            self.begin()

    def begin(self) -> None:
        """Takes the frame of the top table: from now on there can be pages.

        Raises:
            ConfigurationError: there is none.
        """
        self._tables = self._tables_at(None)

    @property
    def root(self) -> Spa:
        """SPA of the top second-level table: nCR3."""
        return Spa(self._tables.root)

    @property
    def ram_bytes(self) -> int:
        """Where memory ends: behind the highest page that was ever mapped. There may be holes below."""
        return self._map.end * PAGE_BYTES

    def add_ram(self, byte_count: int) -> None:
        """Gives the partition ``byte_count`` bytes of RAM at GPA 0, zeroed, read-write-execute.

        A multiple of 2 MiB is mapped by pages of 2 MiB, any other size by pages of 4 KiB.
        """
        if self.ram_bytes:
            raise InternalError("A partition's RAM is given once, and this partition has it already.")
        pages = byte_count // PAGE_BYTES
        largest = LARGE_PAGE_BYTES if byte_count % LARGE_PAGE_BYTES == 0 else PAGE_BYTES
        align = largest // PAGE_BYTES
        spa = self._memory.allocate_zeroed(self._owner, pages, align=align)
        spns = np.arange(pages, dtype=np.uint32) + np.uint32(spa >> PAGE_SHIFT)
        self._map.put(0, spns, READ_WRITE_EXECUTE)
        flags = int(FLAGS_OF_RIGHTS[READ_WRITE_EXECUTE]) & ~PRESENT
        self._tables.map_range(0, spa, byte_count, flags, largest=largest)
        self.changed = True

    def map_pages(self, gpn: int, spns: Frames, rights: int) -> None:
        """Pages from ``gpn`` on lie in ``spns`` and may be used with ``rights``; what lay there does no more.

        All of them are below ``MOST_PAGES``, and ``rights`` are of ``VALID_RIGHTS``. Pages of 2 MiB are
        formed where frames, rights and overlays let them.

        Raises:
            ConfigurationError: there are too few frames for tables; then nothing has changed.
        """
        if rights not in VALID_RIGHTS or gpn + len(spns) > MOST_PAGES:
            raise InternalError(
                f"Pages are mapped R, RW, RX, RWX or not at all, and below 1 TiB: not with rights {rights} "
                f"up to page {gpn + len(spns):#x}."
            )
        self._prepare(gpn, len(spns), frames_needed(self._tables, gpn, len(spns)))
        self._share(spns, 1)
        self._map.put(gpn, spns, rights)
        self._show(gpn, len(spns))

    def unmap_pages(self, gpn: int, count: int, *, keep_tables: bool = False) -> None:
        """Nothing lies at the ``count`` pages from ``gpn`` on. With ``keep_tables`` tables may stay empty.

        Raises:
            ConfigurationError: there are too few frames to split large pages; then nothing has changed.
        """
        count = min(count, self._map.end - gpn)
        if count <= 0:
            return
        self._prepare(gpn, count, frames_to_unmap(self._tables, gpn, count))
        self._map.clear(gpn, count)
        self._show(gpn, count, keep_tables=keep_tables)

    def spa_of(self, gpa: int) -> Spa | None:
        """Where the memory at ``gpa`` lies, overlays aside; ``None`` where there is none."""
        spn = self._map.frame(gpa >> PAGE_SHIFT)
        return None if spn is None else Spa(spn << PAGE_SHIFT | gpa & PAGE_BYTES - 1)

    def spns(self, gpn: int, count: int, rights: int = READ) -> Frames | None:
        """The frames of ``count`` pages from ``gpn`` on, if all have ``rights``; overlays aside."""
        if not 0 <= gpn <= gpn + count <= self._map.end:
            return None
        frames, allowed = self._map.read(gpn, count)
        if not frames.all() or bool(np.any(allowed & rights != rights)):
            return None
        return frames - np.uint32(1)

    def frames_of(self, gpns: NDArray[np.uint64]) -> Frames:
        """For each page of a list the number of its frame plus one, or 0 where nothing is mapped."""
        return self._map.look_up(gpns)

    def rights_of(self, gpa: int) -> int | None:
        """What the guest may do with the page of ``gpa``, as ``MapFlags``; None where nothing is mapped."""
        gpn = gpa >> PAGE_SHIFT
        return None if self._map.frame(gpn) is None else self._map.rights(gpn)

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """All overlays, in the order in which they were laid."""
        return tuple(self._overlays.values())

    def find(self, gpa: int) -> TableLeaf | None:
        """The second-level leaf for ``gpa``, if something is mapped there."""
        if self._tables.root == NO_TABLES:
            return None
        return self._tables.find(gpa)

    def overlay_at(self, gpa: int) -> Overlay | None:
        """The overlay that hides the page of ``gpa``, if one does."""
        return self._overlays.get(Gpa(gpa & -PAGE_BYTES))

    def is_backed(self, gpa: int, byte_count: int, *, writable: bool = False) -> bool:
        """Whether all of the range is memory that the partition may read, or write, and no overlay hides."""
        if gpa < 0 or gpa + byte_count > self.ram_bytes or not self._may(gpa, byte_count, writable=writable):
            return False
        first = gpa & -PAGE_BYTES
        return not any(page in self._overlays for page in range(first, gpa + byte_count, PAGE_BYTES))

    def lay_over(self, gpa: Gpa, spa: Spa, what: str) -> None:
        """Shows the hypervisor's frame at ``spa`` in place of the guest's page, readable and executable."""
        self.lift(gpa)
        page = self._tables.find(gpa)
        if page is not None and page.page_bytes != PAGE_BYTES:
            self._tables.split(gpa)
        elif page is not None:
            self._keep_marks(page)
        self._tables.unmap(gpa, PAGE_BYTES)
        self._tables.map(gpa, spa, PAGE_BYTES, READ_EXECUTE)
        self._overlays[gpa] = Overlay(gpa, spa, what)
        self.changed = True

    def lift(self, gpa: Gpa) -> None:
        """Removes the overlay at ``gpa``, if there is one, and shows the guest's page again."""
        if self._overlays.pop(gpa, None) is None:
            return
        self._tables.unmap(gpa, PAGE_BYTES)
        entry = int(small_entries(*self._map.read(gpa >> PAGE_SHIFT, 1))[0])
        if entry:
            map_entry(self._tables, gpa, entry)
        self.changed = True

    def read(self, gpa: int, byte_count: int) -> bytes:
        """Bytes of the partition's memory, as a device reads them.

        Raises:
            AccessError: not all of it is memory that may be read.
        """
        self._check(gpa, byte_count, writable=False)
        return b"".join(self._memory.read(spa, size) for spa, size in self._extents(gpa, byte_count))

    def write(self, gpa: int, data: bytes) -> None:
        """Writes to the partition's memory as a device does, and marks the pages dirty.

        Raises:
            AccessError: not all of it is memory that may be written.
        """
        self._check(gpa, len(data), writable=True)
        done = 0
        for spa, size in self._extents(gpa, len(data)):
            self._memory.write(spa, data[done : done + size])
            done += size
        self.mark_written(gpa, len(data))

    def set_bit(self, gpa: int, bit: int) -> bool:
        """Sets ``bit`` (0 to 7) of the byte at ``gpa``, as ``write`` does; false when it was set already."""
        self._check(gpa, 1, writable=True)
        spa = (self._map.frame(gpa >> PAGE_SHIFT) or 0) << PAGE_SHIFT | gpa & PAGE_BYTES - 1
        held = self._memory.read(spa, 1)[0]
        if held >> bit & 1:
            return False
        self._memory.write(spa, bytes((held | 1 << bit,)))
        self.mark_written(gpa, 1)
        return True

    def mark_written(self, gpa: int, byte_count: int) -> None:
        """A device wrote to these bytes of the partition's memory in place: their pages are dirty."""
        for page in range(gpa & -PAGE_BYTES, gpa + byte_count, PAGE_BYTES):
            if page in self._overlays:
                self.dirty_log.note(page)  # it has no leaf while it is hidden
            else:
                self._mark_page(self._tables.root, LEVELS, page >> PAGE_SHIFT, DIRTY)

    def take_out(self, gpn: int) -> int:
        """Page ``gpn``, which is RAM of the partition's own, goes to ring -1; the number of its frame.

        Tables stay, so that ``put_back`` needs no frames.

        Raises:
            ConfigurationError: there is no frame to split a large page with; then nothing has changed.
        """
        spn = self._map.frame(gpn)
        if spn is None:
            raise InternalError(f"Only memory can be given away, and page {gpn:#x} is none: check it first.")
        self.unmap_pages(gpn, 1, keep_tables=True)
        self._memory.frames.give_to(spn, self._owner, HYPERVISOR)
        return spn

    def put_back(self, gpn: int, spn: int) -> None:
        """Page ``gpn`` is frame ``spn`` again, zeroed, and the partition's own."""
        self._memory.fill_zero(spn << PAGE_SHIFT, PAGE_BYTES)
        self._memory.frames.give_to(spn, HYPERVISOR, self._owner)
        self.map_pages(gpn, np.array([spn], dtype=np.uint32), READ_WRITE_EXECUTE)

    def release(self) -> None:
        """Gives every frame back: the tables', and the RAM's. No log has a reader any more."""
        self.dirty_log.end()
        self.access_log.end()
        self._overlays.clear()
        if self._tables.root == NO_TABLES:
            return
        self._share(self._map.all_frames(), -1)
        self._map = GpaMap()
        free_tables(self._memory, self._tables.root, 4, self.give_frame)
        self._tables = self._tables_at(NO_TABLES)
        self._memory.frames.free_all(self._owner)

    def give_frame(self, spa: int) -> None:
        """Takes back a frame that was a table of this space."""
        self._frames.give(spa)
        self.table_frames -= 1

    def _tables_at(self, root: int | None) -> PageTables:
        return PageTables(self._memory, NESTED[LEVELS], self._take_frame, self.give_frame, root)

    def _take_frame(self) -> Spa:
        spa = self._frames.take()
        self.table_frames += 1
        self.most_table_frames = max(self.most_table_frames, self.table_frames)
        return spa

    def _prepare(self, gpn: int, count: int, needed: int) -> None:
        """The pages are about to lie elsewhere: frames for tables are there, logs told, shares dropped."""
        if needed > self._frames.available:
            raise ConfigurationError(
                f"Tables for {count} pages at GPA {gpn * PAGE_BYTES:#x} take up to {needed} frames, and "
                f"{self._frames.available} are there: deposit more memory."
            )
        for log in (self.dirty_log, self.access_log):
            if log.reader_count:
                log.harvest()
        spns = self._map.read(gpn, count)[0]
        self._share(spns[spns != NOWHERE] - np.uint32(1), -1)

    def _show(self, gpn: int, count: int, *, keep_tables: bool = False) -> None:
        """Second-level tables say what the map says of ``count`` pages."""
        end = gpn + count
        while gpn < end:
            size = min(REGION_PAGES - gpn % REGION_PAGES, end - gpn)
            self._show_part(gpn, size, keep_tables=keep_tables)
            gpn += size
        self.dirty_log.note_pages(end - count, count)
        self.changed = True

    def _show_part(self, gpn: int, count: int, *, keep_tables: bool) -> None:
        """The same for pages of one region of 2 MiB."""
        entries = small_entries(*self._map.read(gpn, count))
        overlays = [overlay for overlay in self._overlays.values() if gpn <= overlay.gpa >> 12 < gpn + count]
        for overlay in overlays:
            entries[(overlay.gpa >> PAGE_SHIFT) - gpn] = overlay.spa | READ_EXECUTE | PRESENT
        write_small(self._memory, self._tables, gpn, entries)
        region = gpn & -REGION_PAGES
        if self._forms_large_page(region):
            merge(self._memory, self._tables, region)
        elif not keep_tables and not entries.any():
            self._tables.unmap(gpn << PAGE_SHIFT, PAGE_BYTES)  # which frees tables that are empty now

    def _forms_large_page(self, region: int) -> bool:
        begin, end = region << PAGE_SHIFT, region + REGION_PAGES << PAGE_SHIFT
        if self._small_pages.are_held or any(begin <= gpa < end for gpa in self._overlays):
            return False
        return is_large_page(*self._map.read(region, REGION_PAGES))

    def _share(self, spns: Frames, change: int) -> None:
        """Frames that are not this partition's own are mapped here so much more often."""
        frames = self._memory.frames
        frames.share(spns[frames.owners[spns] != self._owner], change)

    def _keep_marks(self, page: TableLeaf) -> None:
        """What the leaf of a page tells is in the logs, before the leaf goes."""
        for mark, log in ((DIRTY, self.dirty_log), (ACCESSED, self.access_log)):
            if page.entry & mark:
                log.note(page.va)

    def _extents(self, gpa: int, byte_count: int) -> Iterator[tuple[int, int]]:
        """The runs of system memory behind a range that was checked."""
        first, offset = gpa >> PAGE_SHIFT, gpa & PAGE_BYTES - 1
        if offset + byte_count <= PAGE_BYTES:
            yield (self._map.frame(first) or 0) << PAGE_SHIFT | offset, byte_count
            return
        count = (gpa + byte_count - 1 >> PAGE_SHIFT) - first + 1
        spns, _ = self._map.read(first, count)
        for begin, length in runs(spns):
            at = max(begin * PAGE_BYTES, offset)
            end = min((begin + length) * PAGE_BYTES, offset + byte_count)
            yield (int(spns[begin]) - 1 - begin) * PAGE_BYTES + at, end - at

    def _may(self, gpa: int, byte_count: int, *, writable: bool) -> bool:
        """Whether a device may use the range, which begins and ends below ``ram_bytes``."""
        needed = READ | WRITE if writable else READ
        first, last = gpa >> PAGE_SHIFT, gpa + max(byte_count, 1) - 1 >> PAGE_SHIFT
        if first == last:
            return byte_count == 0 or self._map.rights(first) & needed == needed
        return bool(np.all(self._map.read(first, last - first + 1)[1] & needed == needed))

    def _check(self, gpa: int, byte_count: int, *, writable: bool) -> None:
        if gpa < 0 or gpa + byte_count > self.ram_bytes:
            raise AccessError(
                f"Partition {self._owner} has RAM below GPA {self.ram_bytes:#x}, and {byte_count} bytes at "
                f"GPA {gpa:#x} do not lie in it: check the address, or give the partition more memory."
            )
        if not self._may(gpa, byte_count, writable=writable):
            raise AccessError(
                f"Partition {self._owner} may not {'write' if writable else 'read'} all of "
                f"{byte_count} bytes at GPA {gpa:#x}: map pages there that allow it."
            )
