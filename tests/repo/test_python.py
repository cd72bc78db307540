"""The Python of the project is formatted, linted, typed, and layered."""

import sys

from source_tree import ROOT, run, run_module, tool


def test_ruff_has_no_complaint() -> None:
    done = run_module("ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_python_is_formatted() -> None:
    done = run_module("ruff", "format", "--check", "--diff", ".")
    assert done.returncode == 0, done.stdout


def test_package_is_strictly_typed() -> None:
    done = run_module("mypy", "--strict", "-p", "minihv")
    assert done.returncode == 0, done.stdout


def test_tests_and_builders_are_typed() -> None:
    builders = [ROOT / "setup.py", *sorted((ROOT / "native").glob("*/build*.py"))]
    done = run_module("mypy", "tests", "docs/_ext", *builders)
    assert done.returncode == 0, done.stdout


def test_imports_point_down() -> None:
    lint_imports = tool("lint-imports")
    assert lint_imports, "import-linter is missing; pip install -e '.[test]' installs it."
    done = run(sys.executable, lint_imports, "--no-cache")
    assert done.returncode == 0, done.stdout
