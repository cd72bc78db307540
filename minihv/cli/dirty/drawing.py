"""Draws a dirty map: time goes down, guest physical memory goes to the right, as far as it was touched.

Next: ``minihv.cli.dirty.command``
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray

from minihv.cli.dirty.dirty_map import DirtyMap, DirtyReport, Interval, IntervalReport
from minihv.paging.dirty import PageBitmap
from minihv.terms import PAGE_BYTES

MOST_COLUMNS = 40
SIGNS, PLAIN_SIGNS = " ·░▒▓█|", " .-+*#|"
"""Not touched, touched only, written: a quarter, half, three quarters, all of it; and memory left out."""
NUMBERS = {"blocks": 13, "written": 9, "first": 8, "touched": 9}
CELL_WIDTH, ROW_HEIGHT, GAP_WIDTH, LEFT, TOP = 15, 13, 10, 92, 84
COLOUR = "#b5179e"


@dataclass(frozen=True, slots=True)
class Columns:
    """Stretches of ``pages_each`` pages, by their numbers: all that were touched, and no others."""

    pages_each: int
    numbers: NDArray[np.int64]

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """Columns beside which their neighbours in memory stand."""
        return np.split(self.numbers, np.flatnonzero(np.diff(self.numbers) > 1) + 1)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The first and the last GPA of each group."""
        size = self.pages_each * PAGE_BYTES
        return [
            (int(group[0]) * size, (int(group[-1]) + 1) * size - 1) for group in self.groups if len(group)
        ]

    def counts(self, pages: PageBitmap) -> list[int]:
        """How many of ``pages`` lie in each column."""
        at = np.searchsorted(self.numbers, np.array(pages.gpns(), dtype=np.int64) // self.pages_each)
        return [int(count) for count in np.bincount(at, minlength=len(self.numbers))]


def columns_of(drawn: DirtyMap, most: int = MOST_COLUMNS) -> Columns:
    """At most ``most`` columns, the gaps between them counted, of as few pages each as that allows."""
    everything = drawn.touched
    everything.join(drawn.written)
    gpns, pages_each = np.array(everything.gpns(), dtype=np.int64), 1
    while True:
        columns = Columns(pages_each, np.unique(gpns // pages_each))
        if len(columns.numbers) + len(columns.groups) - 1 <= most:
            return columns
        pages_each *= 2


def title(drawn: DirtyMap) -> str:
    """What is to be seen, in a line."""
    return f"{drawn.guest}: pages written in each {drawn.every:,} blocks"


def text(drawn: DirtyMap, signs: str = SIGNS) -> str:
    """The map as lines of text."""
    report, columns = drawn.report(), columns_of(drawn)
    lines = [f"{title(drawn)}, one sign for each {size_of(columns)}", "", header()]
    for numbers, interval in zip(report.intervals, drawn.intervals, strict=True):
        lines.append(f"{cells(numbers)}  {row_of(columns, interval, signs)}".rstrip())
    lines += ["", *legend(columns, signs), summary(report)]
    return "\n".join(lines)


def header() -> str:
    """The names of the numbers."""
    return "".join(f"{name:>{width}}" for name, width in NUMBERS.items())


def cells(numbers: IntervalReport) -> str:
    """The numbers of an interval."""
    return "".join(f"{getattr(numbers, name):>{width},}" for name, width in NUMBERS.items())


def size_of(columns: Columns) -> str:
    """How much memory a column is."""
    kib = columns.pages_each * PAGE_BYTES >> 10
    return f"{kib} KiB" if kib < 1024 else f"{kib >> 10} MiB"


def row_of(columns: Columns, interval: Interval, signs: str) -> str:
    """A sign for each column, in groups."""
    written, touched = columns.counts(interval.written), columns.counts(interval.touched)
    row = "".join(signs[shade(w, t, columns.pages_each)] for w, t in zip(written, touched, strict=True))
    parts, at = [], 0
    for group in columns.groups:
        parts.append(row[at : at + len(group)])
        at += len(group)
    return signs[-1].join(parts)


def shade(written: int, touched: int, pages_each: int) -> int:
    """Which sign a column gets: 0 untouched, 1 touched only, 2 to 5 by the share that was written."""
    if not written:
        return 1 if touched else 0
    return 2 + (4 * written - 1) // pages_each


def legend(columns: Columns, signs: str) -> Iterator[str]:
    """Which memory the columns are, and what the signs say."""
    ranges = f" {signs[-1]} ".join(f"{first:#x}-{last:#x}" for first, last in columns.ranges)
    yield from wrap(f"GPAs: {ranges}", 100, subsequent_indent="      ", break_long_words=False)
    yield (
        f"signs: {signs[1]} touched only; {signs[2]} {signs[3]} {signs[4]} {signs[5]} a quarter, half, "
        "three quarters, all of it written"
    )


def summary(report: DirtyReport) -> str:
    """All of it in a line."""
    return (
        f"{report.written:,} pages written and {report.touched:,} touched in {report.blocks:,} blocks; "
        f"{report.stopped} ({report.why})"
    )


def svg(drawn: DirtyMap) -> str:
    """The map as a drawing, whose cells say their numbers where a pointer rests on them."""
    report, columns = drawn.report(), columns_of(drawn)
    lefts, right = positions(columns)
    drawing = [*axis(columns, lefts), f'<text x="{right + 8}" y="{TOP - 6}">written / touched</text>']
    for row, (numbers, interval) in enumerate(zip(report.intervals, drawn.intervals, strict=True)):
        y = TOP + row * ROW_HEIGHT
        drawing.append(f'<text x="{LEFT - 8}" y="{y + 10}" text-anchor="end">{numbers.blocks:,}</text>')
        drawing += boxes(columns, interval, lefts, y)
        drawing.append(f'<text x="{right + 8}" y="{y + 10}">{numbers.written:,} / {numbers.touched:,}</text>')
    width, height = right + 130, TOP + ROW_HEIGHT * len(drawn.intervals) + 4
    words = escape(f"{title(drawn)}; {summary(report)}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="{words}" font-family="monospace" font-size="10" fill="currentColor">'
        f"{''.join(drawing)}</svg>\n"
    )


def positions(columns: Columns) -> tuple[list[int], int]:
    """Where each column begins, and where the last one ends."""
    lefts, x = [], LEFT
    for group in columns.groups:
        lefts += [x + CELL_WIDTH * index for index in range(len(group))]
        x += CELL_WIDTH * len(group) + GAP_WIDTH
    return lefts, x - GAP_WIDTH


def axis(columns: Columns, lefts: list[int]) -> Iterator[str]:
    """The GPA at which each group begins, slanted, so that narrow ones have room."""
    yield f'<text x="{LEFT - 8}" y="{TOP - 6}" text-anchor="end">blocks</text>'
    at = 0
    for group, (first, _) in zip(columns.groups, columns.ranges, strict=False):
        x = lefts[at] + 6
        yield f'<text x="{x}" y="{TOP - 6}" transform="rotate(-50 {x} {TOP - 6})">{first:#x}</text>'
        at += len(group)


def boxes(columns: Columns, interval: Interval, lefts: list[int], y: int) -> Iterator[str]:
    """The columns that were touched in an interval."""
    written, touched = columns.counts(interval.written), columns.counts(interval.touched)
    size = columns.pages_each * PAGE_BYTES
    for number, x, wrote, touches in zip(columns.numbers, lefts, written, touched, strict=True):
        if not wrote and not touches:
            continue
        share = wrote / columns.pages_each
        colour = (
            f'fill="{COLOUR}" fill-opacity="{0.25 + 0.75 * share:.2f}"' if wrote else 'fill-opacity="0.12"'
        )
        says = f"GPA {int(number) * size:#x}: {wrote} written, {touches} touched, of {columns.pages_each}"
        yield (
            f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 1}" height="{ROW_HEIGHT - 1}" {colour}>'
            f"<title>{says}</title></rect>"
        )
