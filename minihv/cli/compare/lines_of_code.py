"""How many lines of code can take every partition along, in each architecture: counted in the sources.

Stands for: the size of a trusted computing base.
Simplified: the engine, Python and the host's system are below both architectures, and are not counted.
Next: ``minihv.cli.compare.architecture``
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
NATIVE = PACKAGE.parent / "native"
RING_MINUS_1 = ("paging", "machine", "hypervisor")
CORE = "core"
VMBUS = (
    "vmbus",
    "devices/synthetic",
    "parent/buses.py",
    "parent/child_memory.py",
    "parent/offers.py",
    "storage",
)
CHIPS = ("devices/emulated", "parent/worker.py")
INSIDE = ("parent/monolith.py",)
RING_0 = (
    "parent/vmbus_service.py",
    "parent/vid.py",
    "parent/children.py",
    "parent/orders.py",
    "parent/calls.py",
)
KERNEL = "guests/parent"
SILENT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def python_lines(module: Path) -> int:
    """The lines of ``module`` that are neither blank, nor comment, nor docstring."""
    source = module.read_text(encoding="utf-8")
    docstrings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - docstrings)


def c_lines(file: Path) -> int:
    """The lines of ``file`` that are neither blank nor comment."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip())


def in_package(parts: Iterable[str]) -> int:
    """Lines of Python in these folders and modules of the package."""
    folders = [PACKAGE / part for part in parts]
    found = {file for folder in folders for file in (folder.rglob("*.py") if folder.is_dir() else [folder])}
    return sum(python_lines(file) for file in found)


def in_native(part: str) -> int | None:
    """Lines of C and assembly in a folder of the sources; None: they are not installed here."""
    folder = NATIVE / part
    if not folder.is_dir():
        return None
    files = [file for file in folder.rglob("*.[chS]") if "tests" not in file.parts]
    return sum(c_lines(file) for file in files)


def has_c_sources() -> bool:
    """Whether C is counted too: its sources are in a checkout, and not in a wheel."""
    return all(in_native(part) is not None for part in (CORE, KERNEL))


def deadly_lines() -> dict[str, dict[str, int]]:
    """By architecture: what can take every partition along, and how many lines that is.

    Where the sources of the C core are not installed, they are in neither.
    """
    core, kernel = in_native(CORE), in_native(KERNEL)
    below = {"ring -1, Python": in_package(RING_MINUS_1)} | ({} if core is None else {"ring -1, C": core})
    parent = {} if kernel is None else {"kernel of the parent, C": kernel}
    return {
        "microkernel": below | parent | {"ring 0 of the parent": in_package((*VMBUS, *RING_0))},
        "monolithic": below | {"devices in ring -1": in_package((*VMBUS, *CHIPS, *INSIDE))},
    }


def lines_in_ring_minus_1() -> dict[str, int]:
    """By architecture: what runs in ring -1, where a fault can also give one partition what is another's."""
    return {
        name: sum(count for what, count in parts.items() if "ring -1" in what)
        for name, parts in deadly_lines().items()
    }
