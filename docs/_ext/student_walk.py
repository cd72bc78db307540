"""``.. student-walk::`` checks the walk of ``student_walk.py``, mends what the report names, checks again.

All of it happens when the book is built: which fault is found first is up to the strategies, so the text that
goes with each is chosen by the words of its report.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minihv.testing import Agreement, WalkerDisagrees, check_walker

BOOK = Path(__file__).resolve().parents[1]
WALK = BOOK / "student_walk.py"
FIXES = BOOK / "student_fixes.toml"


@dataclass(frozen=True)
class Fix:
    """How one fault is mended, and the words by which the report tells it."""

    forgot: str
    words: str
    change: list[dict[str, str]]

    def mends(self, forgot: tuple[str, ...]) -> bool:
        """Whether the report names this fault."""
        return any(re.search(self.forgot, words) for words in forgot)

    def of(self, source: str) -> str:
        """``source`` without the fault."""
        for change in self.change:
            assert source.count(change["old"]) == 1, f"the walk has no single {change['old']!r}"
            source = source.replace(change["old"], change["new"])
        return source


@dataclass(frozen=True)
class Round:
    """One check that failed, and the walk that came of it."""

    report: str
    fix: Fix
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What was changed, with two lines around it."""
        lines = unified_diff(self.before.splitlines(), self.after.splitlines(), n=2, lineterm="")
        return "\n".join(list(lines)[2:])


def walk_of(source: str) -> Callable[..., Any]:
    """The function ``walk`` of a student's file."""
    names: dict[str, Any] = {}
    exec(compile(source, str(WALK), "exec"), names)
    walk: Callable[..., Any] = names["walk"]
    return walk


def fixes() -> list[Fix]:
    """All that are known, each of which is needed once."""
    return [Fix(**fix) for fix in tomllib.loads(FIXES.read_text())["fix"]]


def rounds() -> tuple[list[Round], str, Agreement]:
    """Checks and mends until nothing is wrong: the failures, the walk at last, and what its check met."""
    source, failed, left = WALK.read_text(), list[Round](), fixes()
    while True:
        try:
            passed = check_walker(walk_of(source))
        except WalkerDisagrees as wrong:
            fix = next(fix for fix in left if fix.mends(wrong.disagreement.forgot))
            left.remove(fix)
            failed.append(Round(str(wrong), fix, source, fix.of(source)))
            source = failed[-1].after
        else:
            assert not left, f"no report named {left[0].forgot!r}"
            return failed, source, passed


def block(language: str, text: str) -> Iterator[str]:
    """A literal block."""
    yield from [f".. code-block:: {language}", "", *(f"   {line}" for line in text.splitlines()), ""]


class StudentWalk(SphinxDirective):
    """The story of the walk, from what was handed in to what passes."""

    has_content = False

    def lines(self) -> Iterator[str]:
        failed, source, passed = rounds()
        for number, each in enumerate(failed, start=1):
            yield from [f".. rubric:: Report {number}", ""]
            yield from block("text", each.report)
            yield from [*each.fix.words.splitlines(), ""]
            yield from block("diff", each.diff)
        yield from [".. rubric:: The walk that passes", ""]
        yield from block("python", source[source.index("def walk(") :])
        yield from block("text", str(passed))

    def run(self) -> list[nodes.Node]:
        for file in (WALK, FIXES):
            self.env.note_dependency(str(file))
        return self.parse_text_to_nodes("\n".join(self.lines()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("student-walk", StudentWalk)
    return {"parallel_read_safe": True}
