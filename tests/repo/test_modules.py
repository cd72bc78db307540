"""Every module says what it is and has its tests, and nothing in the tree is left for later."""

import ast
import re
from pathlib import Path

import pytest
from source_tree import ROOT, modules, texts

PACKAGE = ROOT / "minihv"
FLOORS_THAT_SIMPLIFY = {"devices", "hypervisor", "machine", "paging", "vmbus"}

# Modules whose tests are elsewhere, each with the place.
TESTED_ELSEWHERE = {
    "__main__.py": "tests/packaging/test_wheel.py",
    "machine/native.py": "tests/twins",
    "paging/native.py": "tests/twins",
    "paging/native_shadow.py": "tests/twins/test_shadow.py",
    "paging/native_tlb.py": "tests/twins/test_tlb.py",
    "storage/native.py": "tests/twins/test_blocks.py",
    "vmbus/native.py": "tests/twins/test_ring.py",
}


def written() -> list[Path]:
    """The modules with code of their own, relative to the package."""
    return [path.relative_to(PACKAGE) for path in modules() if path.name != "__init__.py"]


def docstring(module: Path) -> str:
    return ast.get_docstring(ast.parse((PACKAGE / module).read_text())) or ""


@pytest.mark.parametrize("module", written(), ids=str)
def test_module_has_its_tests(module: Path) -> None:
    mirror = Path("tests", "unit", module.parent, f"test_{module.name}")
    place = TESTED_ELSEWHERE.get(module.as_posix(), mirror)
    assert (ROOT / place).exists(), f"{module} has no tests at {place}"


@pytest.mark.parametrize("module", written(), ids=str)
def test_module_says_what_it_is(module: Path) -> None:
    assert docstring(module), f"{module} has no docstring"


@pytest.mark.parametrize("module", [m for m in written() if m.parts[0] in FLOORS_THAT_SIMPLIFY], ids=str)
def test_module_signs_what_it_simplifies(module: Path) -> None:
    assert re.search(r"^Simplified: \S", docstring(module), re.MULTILINE), (
        f"{module} has no 'Simplified:' line; 'none known' is allowed, and is a claim that its author signs"
    )


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
    left = [str(path.relative_to(ROOT)) for path in texts() if mark.search(path.read_text())]
    assert left == []


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    homes = re.compile(r"/(?:home|Users)/\w+|(?<![\w.])/root/")
    found = [
        str(path.relative_to(ROOT))
        for path in texts()
        if path != Path(__file__) and (homes.search(path.read_text()) or str(ROOT) in path.read_text())
    ]
    assert found == []
