"""What the book says of shadow paging against SLAT comes from a run of the guests while it is built.

``.. paging-comparison::`` is a table and the verdict for each guest, and a plot of them all;
``.. paging-costs::`` is the table of costs behind the modelled cycles.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
from docutils import nodes
from package import PACKAGE
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minihv.cli.compare.costs import Costs, explained
from minihv.cli.compare.measure import Effort, Result, compare
from minihv.cli.compare.modes import MODES
from minihv.cli.compare.paging import GUESTS
from minihv.cli.compare.plot import figure_of
from minihv.cli.compare.verdict import verdict

BLOCKS = 2_000_000
"""So far does each run go: enough for every guest to be what it is an example of."""
COLUMNS = (
    "Mode",
    "Exits",
    "TLB fills",
    "References a fill",
    "Frames of tables",
    "Modelled cycles",
    "To SLAT",
)


class Kept(msgspec.Struct):
    """Results, and what they are results of."""

    of: str
    results: list[list[Result]]


def fingerprint() -> str:
    """Changes when the package, its core or a guest does."""
    core = find_spec("minihv._core")
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("guests/images/*"), Path(str(core and core.origin))]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def measured(cache: Path) -> list[list[Result]]:
    """The results of each guest: from ``cache`` if nothing changed since, else from a run that goes there."""
    of = fingerprint()
    if cache.exists():
        kept = msgspec.json.decode(cache.read_bytes(), type=Kept)
        if kept.of == of:
            return kept.results
    done = list(compare(GUESTS, MODES, Effort(rounds=1, blocks=BLOCKS)))
    results = [comparison.results(Costs()) for comparison in done]
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_bytes(msgspec.json.encode(Kept(of, results)))
    return results


def list_table(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: str) -> Iterator[str]:
    """A table in reStructuredText."""
    yield from ["", ".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [columns, *rows]:
        yield from (f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row))
    yield ""


def comparison(results: Sequence[Result]) -> Iterator[str]:
    """One guest: the table, and who wins."""
    slat = results[0].modelled_cycles
    rows = [
        (
            f"``{one.name}``",
            f"{one.exits_total:,}",
            f"{one.tlb_fills:,}",
            f"{one.references_per_fill:.1f}",
            str(one.table_frames),
            f"{one.modelled_cycles:,}",
            f"{one.modelled_cycles / slat:.2f}",
        )
        for one in results
    ]
    yield from ["", f".. rubric:: {results[0].guest}", "", *list_table(COLUMNS, rows, "18 14 14 12 12 18 12")]
    yield from verdict(results, Costs())


def picture(compared: Sequence[Sequence[Result]]) -> list[nodes.Node]:
    """The plot, and a sentence where pictures do not go."""
    drawn = io.StringIO()
    figure_of(compared, Costs()).savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue().partition("<svg")
    words = "A bar for each guest and mode: its modelled cycles, in pieces for what they went to."
    begun = f'<div class="plot"><svg role="img" aria-label="{words}"'
    instead = addnodes.only(expr="not html")
    instead += nodes.paragraph(words, words)
    return [nodes.raw("", f"{begun}{svg[2]}</div>", format="html"), instead]


class PagingComparison(SphinxDirective):
    """Shows what the guests of ``minihv compare paging`` came to."""

    def run(self) -> list[nodes.Node]:
        for module in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(module))
        compared = measured(Path(self.env.doctreedir) / "paging-comparison.json")
        text = [line for results in compared for line in comparison(results)]
        return [*self.parse_text_to_nodes("\n".join(text)), *picture(compared)]


class PagingCosts(SphinxDirective):
    """Shows the costs, and where each is from."""

    def run(self) -> list[nodes.Node]:
        rows = [(f"``{name}``", cycles, of, source) for name, cycles, of, source in explained(Costs())]
        table = list_table(("Cost", "Cycles", "Of", "Source"), rows, "15 10 35 40")
        return self.parse_text_to_nodes("\n".join(table))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("paging-comparison", PagingComparison)
    app.add_directive("paging-costs", PagingCosts)
    return {"parallel_read_safe": True}
