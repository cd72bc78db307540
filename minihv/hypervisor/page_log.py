"""Logs of pages: which pages of a partition were written, or touched, since each reader last asked.

Stands for: ring -1's dirty log, and its access tracking.
Spec: AMD APM vol. 2, "Nested Paging", "Accessed (A) Bit" and "Dirty (D) Bit".
Simplified: no page-modification log: every leaf is looked at. Marks are taken between two runs only, as one
    thread executes all VPs. What is reported was written or touched, or is a frame of the guest's page tables
    by which something was reached (to walk a table counts as writing to it), or was about to be written
    by an instruction that then faulted. A page is reported also when it holds the same bytes as before.
First reading: ``PageLog.harvest``.
Next: ``minihv.hypervisor.gpa_space``
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from minihv.errors import ConfigurationError, InternalError
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.processor import Core, PagingMode, Processor
from minihv.paging import dirty, native
from minihv.paging.access import Paging
from minihv.paging.dirty import PageBitmap
from minihv.paging.formats import NESTED
from minihv.paging.tables import FramePool, PageTables, TableError, TableStatus
from minihv.spec.x86_paging import DIRTY
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT

if TYPE_CHECKING:
    from minihv.hypervisor.gpa_space import GpaSpace

NOT_MERGED = TableStatus.NOT_UNIFORM, TableStatus.NOT_MAPPED
"""What becomes of a region in which an overlay lies, or pages were mapped anew."""

Change = Callable[[PageTables | native.PageTables], None]


class SmallPages:
    """Keeps the RAM of a partition in pages of 4 KiB while a log needs it so: a mark is for a whole leaf.

    Both logs of a partition share it. What was split is merged when the last reader has gone; a large page
    in which an overlay lies by then stays split.
    """

    def __init__(self, space: "GpaSpace", memory: SystemMemory, processor: Processor | None) -> None:
        self.memory, self.processor = memory, processor
        self._space = space
        self._users = 0
        self._split: list[int] = []

    @property
    def are_held(self) -> bool:
        """Whether a log is being read, so that no large page may be formed."""
        return self._users > 0

    @property
    def is_native(self) -> bool:
        """Whether the C twins do the work."""
        return self.processor is None or self.processor.core is Core.NATIVE

    def hold(self) -> None:
        """One more user; with the first, large pages are split.

        Raises:
            ConfigurationError: there are too few frames for the tables; then nothing has changed.
        """
        if self._users == 0:
            self._split_all()
        self._users += 1

    def drop(self) -> None:
        """One user less; with the last, pages are merged."""
        self._users -= 1
        if self._users == 0:
            self._merge_all()

    def _split_all(self) -> None:
        large = [gpa for gpa in range(0, self._space.ram_bytes, LARGE_PAGE_BYTES) if self._is_large(gpa)]
        frames = self.memory.frames
        if frames.free_count < len(large):
            raise ConfigurationError(
                f"A log of pages needs a table for every 2 MiB of RAM, which are {len(large)} frames, and "
                f"the machine has {frames.free_count} left: give the machine more memory, or its partitions "
                "less."
            )

        def split(tables: PageTables | native.PageTables) -> None:
            for gpa in large:
                tables.split(gpa)

        self._change([frames.allocate(HYPERVISOR) for _ in large], split)
        self._split = large

    def _merge_all(self) -> None:
        def merge(tables: PageTables | native.PageTables) -> None:
            for gpa in self._split:
                try:
                    tables.merge(gpa)
                except TableError as refusal:
                    if refusal.status not in NOT_MERGED:
                        raise

        self._change([], merge)
        self._split = []

    def _change(self, pool: list[int], change: Change) -> None:
        """Changes the tables with frames of ``pool``; those that are left over afterwards are free."""
        root, form, begin = self._space.root, NESTED[4], len(pool)
        if self.is_native:
            tables = native.PageTables(self.memory, form, pool, root)
            change(tables)
            left = tables.frames
        else:
            frames = FramePool(pool)
            change(PageTables(self.memory, form, frames.allocate, frames.free, root))
            left = frames.frames
        self._space.table_frames += begin
        for frame in left:
            self._space.give_frame(frame)
        self._space.changed = True

    def _is_large(self, gpa: int) -> bool:
        leaf = self._space.find(gpa)
        return leaf is not None and leaf.page_bytes == LARGE_PAGE_BYTES


class LogReader:
    """One who asks a log. Its pages are its own: what others take, it still gets.

    ``close`` it, or use it as a context manager.
    """

    def __init__(self, log: "PageLog", page_count: int) -> None:
        self._log: PageLog | None = log
        self._pages = PageBitmap(0, page_count)

    def take(self) -> PageBitmap:
        """The pages that were marked since the last ``take``, or since this reader came."""
        if self._log is None:
            raise InternalError(
                "A reader takes from a log until it is closed or the partition is removed, and this one is "
                "closed: open another."
            )
        self._log.harvest()
        taken, self._pages = self._pages, PageBitmap(0, self._pages.page_count)
        return taken

    def join(self, pages: PageBitmap) -> None:
        """``pages`` too were marked; the log calls this."""
        self._extend(pages.page_count)
        self._pages.join(pages)

    def note(self, gpn: int, count: int = 1) -> None:
        """So were these."""
        self._extend(gpn + count)
        for page in range(gpn, gpn + count):
            self._pages.add(page)

    def _extend(self, page_count: int) -> None:
        """The partition has got more pages since."""
        if page_count > self._pages.page_count:
            shorter, self._pages = self._pages, PageBitmap(0, page_count)
            self._pages.bits[: len(shorter.bits)] = shorter.bits

    def close(self) -> None:
        """Leaves the log; what was not taken is forgotten."""
        if self._log is not None:
            log, self._log = self._log, None
            log.leave(self)

    def end(self) -> None:
        """The log goes; its reader is closed."""
        self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PageLog:
    """The pages whose leaf has ``mark`` (A or D), told to any number of readers."""

    def __init__(self, space: "GpaSpace", small_pages: SmallPages, mark: int) -> None:
        self._space, self._small_pages, self._mark = space, small_pages, mark
        self._readers: list[LogReader] = []

    @property
    def reader_count(self) -> int:
        """How many read it now; the log costs nothing while nobody does."""
        return len(self._readers)

    def reader(self) -> LogReader:
        """A reader that will hear of every page that is marked from now on.

        Raises:
            ConfigurationError: the engine's own MMU walks, which sets no marks; or there are too few frames
                for smaller pages. Then nothing has changed.
        """
        self._check_walks_are_ours()
        self._check_nothing_runs()
        if self._readers:
            self.harvest()
        else:
            self._small_pages.hold()
            self._take_marks()  # nobody asked for those that are there
        reader = LogReader(self, self._page_count)
        self._readers.append(reader)
        return reader

    def harvest(self) -> None:
        """Takes all marks from the leaves, and tells every reader.

        Between the two nobody writes, as no VP runs; before one does, the processor is flushed, and so has
        to set the mark anew. What the host writes meanwhile sets it at once.
        """
        self._check_nothing_runs()
        found = self._take_marks()
        for reader in self._readers:
            reader.join(found)

    def note(self, gpa: int) -> None:
        """The page of ``gpa`` was marked, and its leaf does not say so."""
        for reader in self._readers:
            reader.note(gpa >> PAGE_SHIFT)

    def note_pages(self, gpn: int, count: int) -> None:
        """The pages from ``gpn`` on are others than they were."""
        for reader in self._readers:
            reader.note(gpn, count)

    def leave(self, reader: LogReader) -> None:
        """``reader`` hears no more. With the last one of all logs, large pages come back."""
        self._check_nothing_runs()
        self._readers.remove(reader)
        if not self._readers:
            self._small_pages.drop()

    def end(self) -> None:
        """Closes every reader: the partition is about to go."""
        for reader in self._readers:
            reader.end()
        self._readers.clear()

    @property
    def _page_count(self) -> int:
        return self._space.ram_bytes // PAGE_BYTES

    def _take_marks(self) -> PageBitmap:
        harvest = native.harvest if self._small_pages.is_native else dirty.harvest
        found = harvest(self._small_pages.memory, Paging(self._space.root), 0, self._page_count, self._mark)
        if self._mark == DIRTY:  # also when nothing was found: when a miss happens must not depend on it
            self._space.rights_taken = True
        else:
            self._space.changed = True
        return found

    def _check_walks_are_ours(self) -> None:
        processor = self._small_pages.processor
        if processor is not None and processor.paging is PagingMode.HARDWARE:
            raise ConfigurationError(
                "A log of pages reads the marks that minihv's walk leaves in second-level tables, and with "
                "paging mode hardware the engine walks, which leaves none: choose slat."
            )

    def _check_nothing_runs(self) -> None:
        processor = self._small_pages.processor
        if processor is not None and processor.is_executing:
            raise InternalError(
                "A log of pages is read between two runs of the processor, and a VP is being executed: "
                "read it when the run has come back."
            )
