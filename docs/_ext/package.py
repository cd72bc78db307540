"""What the book says of the package comes from the package: floors, sizes, simplifications, modules."""

import ast
import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minihv.cli.compare.lines_of_code import c_lines
from minihv.cli.compare.lines_of_code import python_lines as code_lines

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "minihv"

# Ring -1, as the book counts it: what must be right for every partition to be safe.
RING_MINUS_1 = ["paging", "machine", "hypervisor"]


def modules(folder: Path = PACKAGE) -> list[Path]:
    """The public modules in ``folder`` in alphabetical order, or the one module of that name."""
    if not folder.is_dir():
        return [module for module in [folder.with_suffix(".py")] if module.exists()]
    return sorted(path for path in folder.rglob("*.py") if not path.stem.startswith("_"))


def dotted(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts)


def docstring(module: Path) -> str:
    return ast.get_docstring(ast.parse(module.read_text())) or ""


def labelled(text: str, label: str) -> str | None:
    """What ``text`` says after ``label``, on one line; a labelled line goes on where the next is indented."""
    found = re.search(rf"^{label}: (.*(?:\n[ \t]+\S.*)*)", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else None


def floors() -> list[list[str]]:
    """The floors that exist, from the top, as the import contract in ``pyproject.toml`` orders them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = [re.findall(r"\((\w+)\)", layer) for layer in layers]
    there = [
        [name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()]
        for names in named
    ]
    return [names for names in there if names]


def summary(name: str) -> str:
    """The first sentence of the floor or module ``name``."""
    folder = PACKAGE / name
    text = docstring(folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py"))
    return " ".join(text.partition("\n\n")[0].split())


class Written(SphinxDirective, ABC):
    """A directive whose content is reStructuredText that the package wrote."""

    has_content = False

    @abstractmethod
    def lines(self) -> Iterable[str]:
        """The text, line by line."""

    def run(self) -> list[nodes.Node]:
        for module in modules():
            self.env.note_dependency(str(module))
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class Floors(Written):
    """``.. floors::`` draws the floors of the house that exist, from the top, with a sentence each."""

    def lines(self) -> Iterator[str]:
        yield from [".. list-table::", "   :header-rows: 1", "   :widths: 20 60 20", ""]
        yield from ["   * - Floor", "     - What it is", "     - Lines of code"]
        for names in floors():
            for name in names:
                folder = PACKAGE / name
                yield from [f"   * - ``{name}``", f"     - {summary(name)}"]
                yield f"     - {sum(code_lines(module) for module in modules(folder))}"


class RingMinus1(Written):
    """``.. ring-minus-1::`` says how much code ring -1 is."""

    def lines(self) -> Iterator[str]:
        python = sum(code_lines(module) for floor in RING_MINUS_1 for module in modules(PACKAGE / floor))
        c = sum(
            c_lines(file)
            for file in sorted((ROOT / "native" / "core").rglob("*.[ch]"))
            if "tests" not in file.parts
        )
        names = ", ".join(f"``{floor}``" for floor in RING_MINUS_1)
        yield f"Ring -1 is {python} lines of Python (the floors {names})"
        yield f"and {c} lines of C (``native/core``), without comments, docstrings and blank lines."


class Simplifications(Written):
    """``.. simplifications::`` collects the ``Simplified:`` line of every module, floor by floor."""

    def lines(self) -> Iterator[str]:
        for names in floors():
            for name in names:
                folder = PACKAGE / name
                found = [(dotted(m), labelled(docstring(m), "Simplified")) for m in modules(folder)]
                if any(said for _, said in found):
                    yield from ["", name, "-" * len(name), ""]
                    for module, said in found:
                        if said:
                            yield from [f"``{module}``", f"   {said}", ""]


class Modules(Written):
    """``.. modules:: paging`` documents every public module of a floor."""

    required_arguments = 1

    def lines(self) -> Iterator[str]:
        for module in modules(PACKAGE / self.arguments[0]):
            yield from [
                "",
                dotted(module),
                "-" * len(dotted(module)),
                "",
                f".. automodule:: {dotted(module)}",
                "",
            ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("floors", Floors)
    app.add_directive("modules", Modules)
    app.add_directive("ring-minus-1", RingMinus1)
    app.add_directive("simplifications", Simplifications)
    return {"parallel_read_safe": True}
