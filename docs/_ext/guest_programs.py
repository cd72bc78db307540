"""``.. guest-programs::`` is the chapter of the built-in guests: each README, and the console it leads to."""

import os
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PROGRAMS = Path(__file__).resolve().parents[2] / "native" / "guests" / "programs"


class GuestPrograms(SphinxDirective):
    """Shows every program in ``native/guests/programs``, in the order of their numbers."""

    has_content = False

    def lines(self) -> Iterator[str]:
        for readme in sorted(PROGRAMS.glob("*/README.md")):
            yield from [f".. include:: {self.relative(readme)}", "   :parser: myst_parser.sphinx_", ""]
            expected = readme.with_name("expected.txt")
            if expected.exists():
                yield from [".. rubric:: The console", "", f".. literalinclude:: {self.relative(expected)}"]
                yield from ["   :language: text", ""]

    def relative(self, file: Path) -> str:
        return os.path.relpath(file, Path(self.env.srcdir, self.env.docname).parent)

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("guest-programs", GuestPrograms)
    return {"parallel_read_safe": True}
