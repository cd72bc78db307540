"""The dirty map of a run: for each interval of virtual time the pages that were written, and those touched.

Next: ``minihv.cli.dirty.drawing``
"""

from dataclasses import dataclass, field
from html import escape

import msgspec

from minihv.paging.dirty import PageBitmap
from minihv.terms import PAGE_BYTES

Run = tuple[int, int]
"""Pages that follow each other: the number of the first, and how many."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What was marked until ``end``, in blocks since the run began, and after the interval before."""

    end: int
    written: PageBitmap
    touched: PageBitmap

    def with_next(self, later: "Interval") -> "Interval":
        """This interval and the one behind it as one."""
        written, touched = (PageBitmap(0, self.written.page_count) for _ in range(2))
        for one in (self, later):
            written.join(one.written)
            touched.join(one.touched)
        return Interval(later.end, written, touched)


class IntervalReport(msgspec.Struct, kw_only=True):
    """An interval in numbers. ``first`` counts the pages that no interval before has written."""

    blocks: int
    written: int
    first: int
    touched: int
    written_pages: list[Run]
    touched_pages: list[Run]


class DirtyReport(msgspec.Struct, kw_only=True):
    """A dirty map in numbers. ``written`` and ``touched`` count each page once."""

    guest: str
    memory_bytes: int
    every: int
    blocks: int
    stopped: str
    why: str
    written: int
    touched: int
    intervals: list[IntervalReport]


@dataclass(slots=True)
class DirtyMap:
    """What ``minihv dirty`` shows; a notebook draws it. ``every`` is the length of an interval in blocks."""

    guest: str
    memory_bytes: int
    every: int
    stopped: str = ""
    why: str = ""
    intervals: list[Interval] = field(default_factory=list)

    def empty(self) -> PageBitmap:
        """No page of the guest's memory."""
        return PageBitmap(0, self.memory_bytes // PAGE_BYTES)

    @property
    def written(self) -> PageBitmap:
        """Every page that was written at all."""
        found = self.empty()
        for interval in self.intervals:
            found.join(interval.written)
        return found

    @property
    def touched(self) -> PageBitmap:
        """Every page that was touched at all."""
        found = self.empty()
        for interval in self.intervals:
            found.join(interval.touched)
        return found

    def report(self) -> DirtyReport:
        """All of it in numbers, as ``--json`` prints it."""
        seen, intervals = self.empty(), []
        for interval in self.intervals:
            before = seen.count
            seen.join(interval.written)
            intervals.append(
                IntervalReport(
                    blocks=interval.end,
                    written=interval.written.count,
                    first=seen.count - before,
                    touched=interval.touched.count,
                    written_pages=list(interval.written.runs()),
                    touched_pages=list(interval.touched.runs()),
                )
            )
        return DirtyReport(
            guest=self.guest,
            memory_bytes=self.memory_bytes,
            every=self.every,
            blocks=self.intervals[-1].end if self.intervals else 0,
            stopped=self.stopped,
            why=self.why,
            written=seen.count,
            touched=self.touched.count,
            intervals=intervals,
        )

    def __str__(self) -> str:
        from minihv.cli.dirty.drawing import text

        return text(self)

    def _repr_svg_(self) -> str:
        from minihv.cli.dirty.drawing import svg

        return svg(self)

    def _repr_html_(self) -> str:
        from minihv.cli.dirty.drawing import title

        return f"<figure>{self._repr_svg_()}<figcaption>{escape(title(self))}</figcaption></figure>"
