"""The GPA space of a partition: second-level tables, RAM behind them, overlays in front.

Stands for: ring -1's part of second level address translation.
Spec: AMD APM vol. 2, "Nested Paging"; TLFS, "GPA Overlay Pages".
Simplified: a partition's RAM is one run of frames, given at creation.
"""

from dataclasses import dataclass

from minihv.errors import AccessError, InternalError
from minihv.hypervisor.page_log import PageLog, SmallPages
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.processor import Processor
from minihv.paging.formats import NESTED
from minihv.paging.tables import PageTables, TableLeaf
from minihv.spec.x86_paging import ACCESSED, DIRTY, USER, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, Gpa, Spa

READ_EXECUTE = USER
READ_WRITE_EXECUTE = USER | WRITABLE


@dataclass(frozen=True, slots=True)
class Overlay:
    """A page of the hypervisor's that hides the guest's at the same GPA."""

    gpa: Gpa
    spa: Spa
    what: str


class GpaSpace:
    """What lies where in the guest physical memory of partition ``owner``.

    ``changed`` says that second-level tables were changed, or marks were taken from them, since the
    translations of ``processor`` were made; whoever lets it go on flushes them first.
    """

    def __init__(self, memory: SystemMemory, owner: int, processor: Processor | None = None) -> None:
        self._memory = memory
        self._owner = owner
        self.table_frames = 0
        """Frames of second-level tables; ``most_table_frames`` is how many there were at most."""
        self.most_table_frames = 0
        self._tables = PageTables(memory, NESTED[4], self._take_frame, self._give_frame)
        self._ram_spa = Spa(0)
        self.ram_bytes = 0
        self._overlays: dict[Gpa, Overlay] = {}
        self.changed = True
        self.rights_taken = False
        """D was taken from leaves, and nothing else was changed: no translation may allow to write."""
        small_pages = SmallPages(self, memory, processor)
        self.dirty_log = PageLog(self, small_pages, DIRTY)
        """The pages of RAM that were written, by whomever, since each reader last asked."""
        self.access_log = PageLog(self, small_pages, ACCESSED)
        """The pages of RAM that a guest touched: its working set."""

    @property
    def root(self) -> Spa:
        """SPA of the top second-level table: nCR3."""
        return Spa(self._tables.root)

    def add_ram(self, byte_count: int) -> None:
        """Gives the partition ``byte_count`` bytes of RAM at GPA 0, zeroed, read-write-execute.

        A multiple of 2 MiB is mapped by pages of 2 MiB, any other size by pages of 4 KiB.
        """
        if self.ram_bytes:
            raise InternalError("A partition's RAM is given once, and this partition has it already.")
        pages = byte_count // PAGE_BYTES
        largest = LARGE_PAGE_BYTES if byte_count % LARGE_PAGE_BYTES == 0 else PAGE_BYTES
        align = largest // PAGE_BYTES
        self._ram_spa = self._memory.allocate_zeroed(self._owner, pages, align=align)
        self.ram_bytes = byte_count
        self._tables.map_range(0, self._ram_spa, byte_count, READ_WRITE_EXECUTE, largest=largest)
        self.changed = True

    def spa_of(self, gpa: int) -> Spa | None:
        """Where the RAM at ``gpa`` lies, overlays aside; ``None`` where there is none."""
        return Spa(self._ram_spa + gpa) if 0 <= gpa < self.ram_bytes else None

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """All overlays, in the order in which they were laid."""
        return tuple(self._overlays.values())

    def find(self, gpa: int) -> TableLeaf | None:
        """The second-level leaf for ``gpa``, if something is mapped there."""
        return self._tables.find(gpa)

    def overlay_at(self, gpa: int) -> Overlay | None:
        """The overlay that hides the page of ``gpa``, if one does."""
        return self._overlays.get(Gpa(gpa & -PAGE_BYTES))

    def is_backed(self, gpa: int, byte_count: int) -> bool:
        """Whether all of the range is RAM of the partition that no overlay hides."""
        if gpa < 0 or gpa + byte_count > self.ram_bytes:
            return False
        first = gpa & -PAGE_BYTES
        return not any(page in self._overlays for page in range(first, gpa + byte_count, PAGE_BYTES))

    def lay_over(self, gpa: Gpa, spa: Spa, what: str) -> None:
        """Shows the hypervisor's frame at ``spa`` in place of the guest's page, readable and executable."""
        self.lift(gpa)
        if gpa < self.ram_bytes:
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
        backing = self.spa_of(gpa)
        if backing is not None:
            self._tables.map(gpa, backing, PAGE_BYTES, READ_WRITE_EXECUTE)
        self.changed = True

    def read(self, gpa: int, byte_count: int) -> bytes:
        """Bytes of the partition's RAM, as a device reads them.

        Raises:
            AccessError: not all of it is RAM.
        """
        return self._memory.read(self._range(gpa, byte_count), byte_count)

    def write(self, gpa: int, data: bytes) -> None:
        """Writes to the partition's RAM as a device does, and marks the pages dirty.

        Raises:
            AccessError: not all of it is RAM.
        """
        self._memory.write(self._range(gpa, len(data)), data)
        for page in range(gpa & -PAGE_BYTES, gpa + len(data), PAGE_BYTES):
            leaf = self._tables.find(page)
            if Gpa(page) in self._overlays:
                self.dirty_log.note(page)  # it has no leaf while it is hidden
            elif leaf is not None and not leaf.entry & DIRTY:
                self._memory.write_u64(leaf.entry_pa, leaf.entry | DIRTY)

    def release(self) -> None:
        """Gives every frame back: the tables', and the RAM's. No log has a reader any more."""
        self.dirty_log.end()
        self.access_log.end()
        for gpa in list(self._overlays):
            self.lift(gpa)
        self._tables.unmap(0, self.ram_bytes)
        self._memory.frames.free(HYPERVISOR, self._tables.root)
        self._memory.frames.free_all(self._owner)

    def _take_frame(self) -> Spa:
        spa = self._memory.frames.allocate(HYPERVISOR)
        self.table_frames += 1
        self.most_table_frames = max(self.most_table_frames, self.table_frames)
        return spa

    def _give_frame(self, spa: int) -> None:
        self._memory.frames.free(HYPERVISOR, spa)
        self.table_frames -= 1

    def _keep_marks(self, page: TableLeaf) -> None:
        """What the leaf of a page tells is in the logs, before the leaf goes."""
        for mark, log in ((DIRTY, self.dirty_log), (ACCESSED, self.access_log)):
            if page.entry & mark:
                log.note(page.va)

    def _range(self, gpa: int, byte_count: int) -> Spa:
        if gpa < 0 or gpa + byte_count > self.ram_bytes:
            raise AccessError(
                f"Partition {self._owner} has RAM below GPA {self.ram_bytes:#x}, and {byte_count} bytes at "
                f"GPA {gpa:#x} do not lie in it: check the address, or give the partition more memory."
            )
        return Spa(self._ram_spa + gpa)
