"""``.. bitlayout:: minihv.spec.module.Class`` draws a layout from the class that describes it.

The figure is made when the book is built, so it cannot disagree with the code. The bits of a register are
drawn, 32 a row, the high ones first, as the manuals do; what has no name is grey. Where pictures do not go,
the same is a list. The bytes of a structure are a table. ``.. bitlayouts::`` shows every layout of ``spec``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from types import ModuleType

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import minihv.spec
from minihv.spec.bits import Bits, Layout

ROW_BITS = 32
BIT_WIDTH = 30  # of the drawing's units; a letter of a name is about seven wide
LETTER_WIDTH = 7.2
NUMBERS_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class Span:
    """Bits ``high:low`` under one name; the name of reserved bits is empty."""

    name: str
    high: int
    low: int

    def __str__(self) -> str:
        """The span as a manual writes it."""
        bits = f"bit {self.low}" if self.high == self.low else f"bits {self.high}:{self.low}"
        return f"{bits}: {self.name or 'reserved'}"


def named_spans(layout: type[Bits]) -> list[Span]:
    """The fields of a register, from the high bits to the low ones."""
    found = [Span(name, field.high, field.low) for name, field in layout.fields().items()]
    return sorted(found, key=lambda span: -span.high)


def with_reserved(spans: list[Span], width: int) -> Iterator[Span]:
    """``spans`` with a nameless one wherever bits of ``width`` are left."""
    above = width
    for span in spans:
        if span.high < above - 1:
            yield Span("", above - 1, span.high + 1)
        yield span
        above = span.low
    if above:
        yield Span("", above - 1, 0)


def rows(spans: list[Span], width: int) -> list[list[Span]]:
    """``spans`` cut where a row ends."""
    cut: list[list[Span]] = []
    for top in range(width - 1, -1, -ROW_BITS):
        bottom = max(0, top - ROW_BITS + 1)
        inside = [span for span in spans if span.low <= top and span.high >= bottom]
        cut.append([Span(span.name, min(span.high, top), max(span.low, bottom)) for span in inside])
    return cut


def lies_flat(span: Span) -> bool:
    return len(span.name) * LETTER_WIDTH <= (span.high - span.low + 1) * BIT_WIDTH - 4


def draw_span(span: Span, top_bit: int, y: int, height: int) -> str:
    """One box with its name and the numbers of its outer bits."""
    x, width = (top_bit - span.high) * BIT_WIDTH, (span.high - span.low + 1) * BIT_WIDTH
    middle_x, middle_y = x + width / 2, y + NUMBERS_HEIGHT + height / 2
    kind = "named" if span.name else "reserved"
    box = f'<rect class="{kind}" x="{x}" y="{y + NUMBERS_HEIGHT}" width="{width}" height="{height}"/>'
    turned = "" if lies_flat(span) else f' transform="rotate(-90 {middle_x} {middle_y})"'
    name = f'<text x="{middle_x}" y="{middle_y + 4}"{turned}>{escape(span.name)}</text>' if span.name else ""
    ends = {span.high: x + BIT_WIDTH / 2, span.low: x + width - BIT_WIDTH / 2}
    numbers = "".join(f'<text x="{at}" y="{y + 11}" class="bit">{bit}</text>' for bit, at in ends.items())
    return box + name + numbers


def svg(title: str, spans: list[Span], width: int) -> str:
    """The drawing of a layout that is ``width`` bits wide."""
    drawn, y = [], 0
    for row in rows(spans, width):
        standing = [len(span.name) * LETTER_WIDTH + 10 for span in row if not lies_flat(span)]
        height = int(max([30, *standing]))
        drawn += [draw_span(span, row[0].high, y, height) for span in row]
        y += NUMBERS_HEIGHT + height + 6
    words = escape(f"{title}: " + "; ".join(map(str, spans)), quote=True)
    box = f"-1 -1 {min(width, ROW_BITS) * BIT_WIDTH + 2} {y}"
    figure = f'<svg viewBox="{box}" role="img" aria-label="{words}">{"".join(drawn)}</svg>'
    return f'<div class="bitlayout">{figure}</div>'


def figure(layout: type[Bits]) -> list[nodes.Node]:
    """The drawing of a register, and the list that stands in for it where pictures do not go."""
    spans = list(with_reserved(named_spans(layout), layout.width))
    words = "\n".join(map(str, spans))
    drawing = nodes.raw("", svg(layout.__name__, spans, layout.width), format="html")
    instead = addnodes.only(expr="not html")
    instead += nodes.literal_block(words, words)
    return [drawing, instead]


def table(layout: type[Layout]) -> Iterator[str]:
    """The members of a structure and the gaps between them, as a table in reStructuredText."""
    yield from [".. list-table::", "   :header-rows: 1", "   :widths: 20 20 60", ""]
    yield from ["   * - Offset", "     - Bytes", "     - Member"]
    end = 0
    for member in sorted(layout.members().values(), key=lambda member: member.offset):
        if member.offset > end:
            yield from [f"   * - {end:#05x}", f"     - {member.offset - end}", "     - *reserved*"]
        kind = getattr(member, "kind", None)
        of_kind = f", a ``{kind.__name__}``" if kind else ""
        yield from [f"   * - {member.offset:#05x}", f"     - {member.byte_count}"]
        yield f"     - ``{member.name}``{of_kind}"
        end = member.offset + member.byte_count
    if end < layout.byte_count:
        yield from [f"   * - {end:#05x}", f"     - {layout.byte_count - end}", "     - *reserved*"]


class BitLayout(SphinxDirective):
    """Draws the class that is its argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        layout = getattr(import_module(module), name)
        self.env.note_dependency(str(import_module(module).__file__))
        if issubclass(layout, Layout):
            return self.parse_text_to_nodes("\n".join(table(layout)))
        return figure(layout)


def layouts_of(module: ModuleType) -> list[type]:
    """The registers and structures that ``module`` itself describes, in its order."""
    kinds = [
        kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Bits | Layout)
    ]
    return [kind for kind in kinds if kind.__module__ == module.__name__ and kind not in (Bits, Layout)]


class BitLayouts(SphinxDirective):
    """Draws every layout in ``minihv.spec``, with what its class says of it."""

    def lines(self) -> Iterator[str]:
        for found in iter_modules(minihv.spec.__path__, "minihv.spec."):
            module = import_module(found.name)
            if layouts_of(module):
                yield from ["", found.name, "-" * len(found.name), ""]
            for kind in layouts_of(module):
                yield from ["", kind.__name__, "~" * len(kind.__name__), "", getdoc(kind) or "", ""]
                yield from [f".. bitlayout:: {kind.__module__}.{kind.__qualname__}", ""]

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("bitlayout", BitLayout)
    app.add_directive("bitlayouts", BitLayouts)
    return {"parallel_read_safe": True}
