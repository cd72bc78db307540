"""Shows the labelled lines of a module's docstring (``Stands for:``, ``Spec:`` …) as a list of fields.

In the source they follow each other like the lines of a letterhead; reStructuredText would run them together.
"""

import re
from typing import Any

from sphinx.application import Sphinx

LABELLED = re.compile(r"(Stands for|Spec|Simplified|Twin|First reading|Next): (.*)")


def make_fields(*event: Any) -> None:
    """Turn each labelled line into a field; the lines that continue it are indented to match."""
    lines: list[str] = event[-1]
    written: list[str] = []
    in_field = False
    for line in lines:
        found = LABELLED.fullmatch(line)
        if found:
            written += [*([] if in_field else [""]), f":{found[1]}: {found[2]}"]
            in_field = True
        elif in_field and line.strip() and line.startswith(" "):
            written.append("   " + line.strip())
        else:
            written += ["", line] if in_field and line.strip() else [line]
            in_field = in_field and not line.strip()
    lines[:] = written


def keep_colons(*event: Any) -> None:
    """Let an attribute's text begin as it likes: napoleon takes what stands before a colon for a type."""
    what, lines = event[1], event[-1]
    if what in ("attribute", "data", "property") and lines:
        lines[:0] = ["..", ""]  # an empty comment, in which there is no colon


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", make_fields, priority=400)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
    return {"parallel_read_safe": True}
