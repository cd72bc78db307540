"""The picture of a walk as a drawing: the first stage goes down, the second from left to right.

Spec: the figure "Nested Paging" of AMD APM vol. 2, with what was really read in it.
First reading: ``walk_svg``.
Next: ``minihv.eyes.walk_json``
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minihv.eyes import svg
from minihv.eyes.lines import size_text, wrapped
from minihv.eyes.walk_text import access_words, count_words, verdict
from minihv.paging.access import StageName
from minihv.paging.formats import NESTED, X86_64

if TYPE_CHECKING:
    from minihv.eyes.walk_picture import Row, SeenEntry, WalkPicture

MARGIN, LABEL_WIDTH, CELL_WIDTH, GAP = 16, 164, 142, 22
CELL_HEIGHT, ROW_HEIGHT = 68, 104
FIELDS_Y, GRID_Y = 62, 146
LETTER, SMALL_LETTER = 7.25, 6.35
WHOSE = {StageName.GUEST: "guest", StageName.SECOND: "second level", StageName.SHADOW: "shadow"}


def walk_svg(picture: "WalkPicture") -> str:
    """The whole drawing."""
    plan = Plan(picture)
    parts = [
        svg.text(MARGIN, 28, f"GVA {picture.gva:#x}", "title"),
        svg.text(MARGIN, 47, f"{access_words(picture)}", "faint"),
        *plan.fields(),
        *plan.grid(),
        *plan.words(),
    ]
    title = picture.title or f"The walk of GVA {picture.gva:#x}"
    said = f"{verdict(picture)} References {count_words(picture)}."
    if picture.reason is not None:
        said += f" {picture.reason.sentence}"
    return svg.document(plan.size, title, said, parts)


class Plan:
    """Where everything lies in the drawing of one picture."""

    def __init__(self, picture: "WalkPicture") -> None:
        self.picture = picture
        self.nested = picture.second is not None
        self.first_levels = X86_64[picture.first.levels].levels
        self.columns = NESTED[picture.second.levels].levels if picture.second else self.first_levels
        self.row_count = len(picture.rows) if self.nested else min(1, len(picture.rows))
        cells = len(self.columns) + 1
        self.width = 2 * MARGIN + LABEL_WIDTH + cells * (CELL_WIDTH + GAP) - GAP
        self.words_y = GRID_Y + self.row_count * ROW_HEIGHT + 14
        self.sentences = self._sentences()
        self.blamed = picture.reason.blamed if picture.reason else ()

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of all."""
        return self.width, self.words_y + 18 * len(self.sentences) + 8

    def fields(self) -> Iterator[str]:
        """The GVA as the walk takes it apart: an index for each level, and the offset."""
        used = [row.level for row in self.picture.rows if row.level is not None]
        if not used:
            return
        x, last = float(MARGIN + LABEL_WIDTH), used[-1]
        yield svg.text(MARGIN, FIELDS_Y + 26, "the GVA says:", "faint")
        for level in used:
            index = self.picture.gva >> level.shift & 0x1FF
            high = level.shift + 8
            yield from self._field(x, CELL_WIDTH, f"bits {high}:{level.shift}", f"{level.name} {index}")
            x += CELL_WIDTH
        offset = self.picture.gva & last.page_bytes - 1
        width = self.width - MARGIN - x
        yield from self._field(x, width, f"bits {last.shift - 1}:0", f"offset {offset:#x}")

    def _field(self, x: float, width: float, bits: str, words: str) -> Iterator[str]:
        yield svg.box(x, FIELDS_Y, (width, 40), "page")
        yield svg.text(x + width / 2, FIELDS_Y + 16, bits, "small faint middle")
        yield svg.text(x + width / 2, FIELDS_Y + 32, words, "strong middle")

    def grid(self) -> Iterator[str]:
        """Rows of references; or one row, where there is one stage."""
        if self.nested:
            yield from self._heads()
            for number, row in enumerate(self.picture.rows):
                yield from self._nested_row(number, row)
        elif self.picture.rows:
            yield from self._single_row()

    def _heads(self) -> Iterator[str]:
        """What the columns are."""
        first, last, y = self._x(0), self._x(len(self.columns)), GRID_Y - 14
        yield svg.text(MARGIN, y, "to translate", "small faint")
        yield svg.text(first, y, "the second level, from GPA to SPA", "small faint")
        yield svg.text(last, y, "then the guest's entry", "small faint")
        bottom = GRID_Y + (self.row_count - 1) * ROW_HEIGHT + CELL_HEIGHT
        yield svg.line([(last - GAP / 2 - 3, y - 10), (last - GAP / 2 - 3, bottom)], "line skipped")

    def _x(self, column: int) -> float:
        return MARGIN + LABEL_WIDTH + column * (CELL_WIDTH + GAP)

    def _nested_row(self, number: int, row: "Row") -> Iterator[str]:
        y = GRID_Y + number * ROW_HEIGHT
        middle = y + CELL_HEIGHT / 2
        yield from self._label(number, row, y)
        at = self._x(0) - GAP
        for column, entry in enumerate(row.second):
            yield svg.arrow([(at, middle), (self._x(column), middle)])
            yield from self._cell(self._x(column), y, entry)
            at = self._x(column) + CELL_WIDTH
        last = self._x(len(self.columns))
        if row.first is not None:
            yield from self._passage(at, last, middle, row.second)
            yield from self._cell(last, y, row.first)
            if number + 1 < self.row_count:
                yield from self._way_back(last, y)
        elif row.spa is not None:
            yield from self._passage(at, last, middle, row.second)
            yield from self._end(last, y, "the byte", f"SPA {row.spa:#x}")

    def _passage(self, at: float, to: float, y: float, entries: "tuple[SeenEntry, ...]") -> Iterator[str]:
        """From the last entry of the second stage to what it found, past levels that a large page spares."""
        spared = len(entries) < len(self.columns)
        yield svg.arrow([(at, y), (to, y)], "line skipped" if spared else "line")
        if spared and entries:
            words = f"a page of {size_text(entries[-1].level.page_bytes)}"
            yield svg.text((at + to) / 2, y - 6, words, "small faint middle")

    def _way_back(self, x: float, y: float) -> Iterator[str]:
        """From a guest's entry to the GPA that it names, a row further down."""
        bottom, next_y = y + CELL_HEIGHT, y + ROW_HEIGHT
        between, label = bottom + 13, MARGIN + 30
        points = [(x + CELL_WIDTH / 2, bottom), (x + CELL_WIDTH / 2, between), (label, between)]
        yield svg.arrow([*points, (label, next_y + 8)])

    def _label(self, number: int, row: "Row", y: float) -> Iterator[str]:
        if row.level is not None:
            name = f"{'CR3: ' if number == 0 else ''}the {row.level.name} entry"
        else:
            name = "the byte"
        yield svg.text(MARGIN, y + 26, f"GPA {row.gpa:#x}", "strong")
        yield svg.text(MARGIN, y + 43, name, "small faint")

    def _single_row(self) -> Iterator[str]:
        y, at = GRID_Y, float(MARGIN + LABEL_WIDTH - GAP)
        middle = y + CELL_HEIGHT / 2
        yield svg.text(MARGIN, y + 26, f"{self.picture.first.root:#x}", "strong")
        yield svg.text(MARGIN, y + 43, "the root", "small faint")
        for column, row in enumerate(self.picture.rows):
            if row.first is not None:
                yield svg.arrow([(at, middle), (self._x(column), middle)])
                yield from self._cell(self._x(column), y, row.first)
                at = self._x(column) + CELL_WIDTH
        end = self.picture.spa if self.picture.stage is StageName.SHADOW else self.picture.gpa
        if end is not None:
            space = "SPA" if self.picture.stage is StageName.SHADOW else "GPA"
            yield svg.arrow([(at, middle), (self._x(len(self.columns)), middle)])
            yield from self._end(self._x(len(self.columns)), y, "the byte", f"{space} {end:#x}")

    def _cell(self, x: float, y: float, entry: "SeenEntry") -> Iterator[str]:
        kind = "refused" if entry.is_refused else entry.stage.value
        tip = f"reference {entry.number}: {WHOSE[entry.stage]} {entry.level.name}, entry {entry.index}"
        yield svg.box(x, y, (CELL_WIDTH, CELL_HEIGHT), kind, f"{tip}, at {entry.place:#x}")
        name = f"{entry.level.name} {entry.index}"
        yield svg.text(x + 9, y + 17, str(entry.number), "strong")
        yield svg.text(x + CELL_WIDTH - 9, y + 17, f"refused: {name}" if entry.is_refused else name, "end")
        yield svg.text(x + 9, y + 33, f"at {entry.place:#x}", "small faint")
        yield svg.text(x + 9, y + 47, f"{entry.entry:016x}", "small")
        yield svg.text(x + 9, y + 61, self._flags(entry), "small")
        if entry.number in self.blamed:
            yield svg.box(x - 3, y + 4, (6, CELL_HEIGHT - 8), "bar", "it withholds the right")

    def _flags(self, entry: "SeenEntry") -> str:
        spaced = " ".join(entry.flags) or "no flag is set"
        return spaced if len(spaced) * SMALL_LETTER <= CELL_WIDTH - 14 else ",".join(entry.flags)

    def _end(self, x: float, y: float, name: str, words: str) -> Iterator[str]:
        yield svg.box(x, y, (CELL_WIDTH, CELL_HEIGHT), "page")
        yield svg.text(x + CELL_WIDTH / 2, y + 30, words, "strong middle")
        yield svg.text(x + CELL_WIDTH / 2, y + 48, name, "small faint middle")

    def words(self) -> Iterator[str]:
        """How it ended, and why."""
        for number, sentence in enumerate(self.sentences):
            yield svg.text(MARGIN, self.words_y + 18 * number, sentence, "strong" if number == 0 else "")

    def _sentences(self) -> list[str]:
        room = int((self.width - 2 * MARGIN) / LETTER)
        said = [verdict(self.picture)]
        if self.picture.reason is not None:
            said.append(self.picture.reason.sentence)
        if self.picture.error_code is not None:
            bits = ", ".join(f"{one.name} {int(one.value)}" for one in self.picture.error_bits)
            said.append(f"Error code {self.picture.error_code:#x}: {bits}.")
        said.append(f"References {count_words(self.picture)}.")
        return [line for sentence in said for line in wrapped(sentence, room)]
