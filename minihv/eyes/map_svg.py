"""A map of addresses as a drawing: an axis for each space, and a band for each range from one to the next.

Simplified: the axes are not to scale: a range that is twice as long is one step higher.
Next: ``minihv.eyes.map_json``
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from minihv.eyes import svg
from minihv.eyes.address_map import SPACES
from minihv.eyes.lines import counted, size_text, wrapped
from minihv.eyes.map_text import rights_text
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.eyes.address_map import AddressMap, MappedRange, StageMap

MARGIN, TOP, SIDE, AXIS, BETWEEN = 16, 62, 262, 12, 236
LEAST, STEP, GAP = 16.0, 3.5, 14.0
"""Heights: of the smallest page, of each doubling, and of what is not mapped."""
MOST_BANDS = 24
"""Of each stage; there are more words than can be read in what has more."""


def map_svg(picture: "AddressMap") -> str:
    """The whole drawing."""
    drawn = [stage.ranges[:MOST_BANDS] for stage in picture.stages]
    axes = axes_of(drawn)
    width = 2 * MARGIN + 2 * SIDE + len(axes) * AXIS + len(drawn) * BETWEEN
    below = TOP + max((axis.height for axis in axes), default=0.0) + 30
    said = sentences(picture)
    if any("page skipped" in axis.kinds for axis in axes):
        said.append("Where an axis is dotted, the tables lead to it and nothing is there.")
    lines = [line for sentence in said for line in wrapped(sentence, int((width - 2 * MARGIN) / 7.25))]
    parts = [
        svg.text(MARGIN, 24, picture.title or "A map of addresses", "title"),
        *bands(picture.stages, drawn, axes),
        *labels(picture.stages, drawn, axes),
        *(svg.text(MARGIN, below + 18 * number, line) for number, line in enumerate(lines)),
    ]
    title = picture.title or "A map of addresses"
    return svg.document((width, below + 18 * len(lines)), title, " ".join(said), parts)


class Axis:
    """The addresses of one space from top to bottom, as far as something leads there.

    What is in ``solid`` is there; the rest of ``stretches`` is led to and is not.
    """

    def __init__(
        self, x: float, solid: Sequence[tuple[int, int]], stretches: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.x = x
        every = [*solid, *stretches]
        self.edges = sorted({edge for stretch in every for edge in stretch})
        self.kinds = [kind_of(low, high, solid, every) for low, high in pairwise(self.edges)]
        self.places = [float(TOP)]
        for (low, high), kind in zip(pairwise(self.edges), self.kinds, strict=True):
            doublings = max(0, ((high - low) // PAGE_BYTES).bit_length() - 1)
            self.places.append(self.places[-1] + (LEAST + STEP * doublings if kind else GAP))

    @property
    def height(self) -> float:
        """From the first address to the last."""
        return self.places[-1] - TOP

    def y(self, address: int) -> float:
        """How far down ``address``, one of the edges or between two, lies."""
        at = max(0, min(bisect_right(self.edges, address) - 1, len(self.edges) - 2))
        low, high = self.edges[at], self.edges[at + 1]
        return self.places[at] + (self.places[at + 1] - self.places[at]) * (address - low) / (high - low)

    def stretch(self, begin: int, end: int) -> tuple[float, float]:
        """Top and bottom of a range."""
        return self.y(begin), self.y(end)

    def boxes(self) -> Iterator[tuple[float, float, str]]:
        """Top, height and kind of each run of addresses that something leads to."""
        begun, before = float(TOP), ""
        for place, kind in zip(self.places, [*self.kinds, ""], strict=True):
            if kind != before:
                if before:
                    yield begun, place - begun, before
                begun, before = place, kind


def kind_of(low: int, high: int, solid: Iterable[tuple[int, int]], every: Iterable[tuple[int, int]]) -> str:
    """How the addresses between two edges are drawn; not at all if nothing leads there."""
    if any(begin <= low and high <= end for begin, end in solid):
        return "page"
    return "page skipped" if any(begin <= low and high <= end for begin, end in every) else ""


def axes_of(drawn: Sequence[Sequence["MappedRange"]]) -> list[Axis]:
    """An axis for the space that each stage begins in, and one for the space that the last leads to."""
    axes = []
    for number in range(len(drawn) + 1):
        sources = drawn[number] if number < len(drawn) else ()
        targets = drawn[number - 1] if number else ()
        begun = [(one.begin, one.end) for one in sources]
        led_to = [(one.target, one.target + one.byte_count) for one in targets]
        solid = begun if number < len(drawn) else led_to
        axes.append(Axis(MARGIN + SIDE + number * (AXIS + BETWEEN), solid, led_to))
    return axes


def bands(
    stages: Sequence["StageMap"], drawn: Sequence[Sequence["MappedRange"]], axes: Sequence[Axis]
) -> Iterator[str]:
    """The axes, and a band for each range."""
    for stage, ranges, (left, right) in zip(stages, drawn, pairwise(axes), strict=True):
        for one in ranges:
            source = (left.x + AXIS, *left.stretch(one.begin, one.end))
            target = (right.x, *right.stretch(one.target, one.target + one.byte_count))
            yield svg.ribbon(source, target, stage.stage.value, tip_of(stage, one))
    for axis in axes:
        for top, height, kind in axis.boxes():
            yield svg.box(axis.x, top, (AXIS, height), kind, "" if kind == "page" else "nothing is there")


def tip_of(stage: "StageMap", one: "MappedRange") -> str:
    """A range in words."""
    source, target = SPACES[stage.stage]
    pages = f"{counted(one.page_count, 'page')} of {size_text(one.page_bytes)}"
    return f"{source} {one.begin:#x} to {target} {one.target:#x}: {pages}, {rights_text(one)}"


def labels(
    stages: Sequence["StageMap"], drawn: Sequence[Sequence["MappedRange"]], axes: Sequence[Axis]
) -> Iterator[str]:
    """The names of the spaces, and what begins where."""
    if not stages:
        return
    spaces = [SPACES[stages[0].stage][0], *(SPACES[stage.stage][1] for stage in stages)]
    for axis, space in zip(axes, spaces, strict=True):
        yield svg.text(axis.x + AXIS / 2, TOP - 12, space, "strong middle")
    first, last = axes[0], axes[-1]
    for one in drawn[0]:
        words = f"{one.begin:#x}, {size_text(one.byte_count)}, {rights_text(one)}"
        yield svg.text(first.x - 8, first.y(one.begin) + 11, words, "small end")
    for axis, ranges in zip(axes[1:-1], drawn[1:], strict=True):
        for one in ranges:
            words = f"{one.begin:#x}, {size_text(one.byte_count)}, {rights_text(one)}"
            yield svg.text(axis.x + AXIS + 8, axis.y(one.begin) + 11, words, "small")
    for one in drawn[-1]:
        words = f"{one.target:#x}" + (f", {one.what}" if one.what else "")
        yield svg.text(last.x + AXIS + 8, last.y(one.target) + 11, words, "small")


def sentences(picture: "AddressMap") -> list[str]:
    """What each stage maps, and what the drawing leaves out."""
    said = []
    for stage in picture.stages:
        source, target = SPACES[stage.stage]
        mapped = size_text(sum(one.byte_count for one in stage.ranges))
        words = f"{source} to {target}: {mapped} in {counted(len(stage.ranges), 'range')}."
        if len(stage.ranges) > MOST_BANDS:
            words += f" The drawing has the first {MOST_BANDS} of them."
        said.append(words)
        if stage.left_out:
            said.append(stage.left_out)
    return said
