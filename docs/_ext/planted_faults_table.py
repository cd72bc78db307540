"""``.. planted-faults::`` lists the faults that the suite must catch, from the table that plants them."""

import tomllib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TABLE = Path(__file__).resolve().parents[2] / "tests" / "mutations" / "faults.toml"


def faults() -> list[dict[str, Any]]:
    """The table, in its order."""
    found: list[dict[str, Any]] = tomllib.loads(TABLE.read_text())["fault"]
    return found


class PlantedFaults(SphinxDirective):
    """One row for each fault: what it means, and the tests that catch it."""

    has_content = False

    def lines(self) -> Iterator[str]:
        yield from [".. list-table::", "   :header-rows: 1", "   :widths: 16 50 34", ""]
        yield from ["   * - File", "     - Planted", "     - Caught by"]
        for file, rows in groupby(faults(), key=lambda fault: Path(fault["file"]).name):
            for row in rows:
                yield from [f"   * - ``{file}``", f"     - {row['means']}"]
                yield "     - " + ", ".join(
                    f"``{test.removeprefix('tests/')}``" for test in names(row["caught_by"])
                )

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TABLE))
        return self.parse_text_to_nodes("\n".join(self.lines()))


def names(tests: list[str]) -> list[str]:
    """The files of the tests, each once."""
    return list(dict.fromkeys(test.partition("::")[0] for test in tests))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("planted-faults", PlantedFaults)
    return {"parallel_read_safe": True}
