"""The built-in guests of these sources, compiled for tests with warnings as errors."""

import atexit
import importlib.util
import os
import re
import shutil
import sys
import tomllib
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

from source_tree import ROOT

GUESTS = ROOT / "native" / "guests"
PROGRAMS = GUESTS / "programs"


def builder(guests: Path = GUESTS) -> ModuleType:
    """The module that compiles the guests in the folder ``guests``."""
    spec = importlib.util.spec_from_file_location("guest_builder", guests / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def program_names() -> list[str]:
    """The name of every program, in order."""
    return sorted(path.name for path in PROGRAMS.iterdir() if path.is_dir())


def lone_program_names() -> list[str]:
    """Those that need no parent."""
    described = tomllib.loads((PROGRAMS / "catalogue.toml").read_text())["guest"]
    return [entry["name"] for entry in described if not entry.get("parent", False)]


def child_program_names() -> list[str]:
    """Those that are for a child of a parent."""
    return sorted(set(program_names()) - set(lone_program_names()))


def promised(name: str, what: str) -> dict[str, int]:
    """The rows of the README's table whose first heading is ``what``."""
    readme = (PROGRAMS / name / "README.md").read_text()
    table = re.search(rf"^\| {what} \| Count \|\n\| --- \| --- \|\n((?:\|.*\|\n)*)", readme, re.MULTILINE)
    rows = table[1].splitlines() if table else []
    return {key.strip(): int(count) for key, count in (row.strip("|").split("|") for row in rows)}


@cache
def built() -> Path:
    """A folder with every image, built once for a run of the tests."""
    folder = Path(mkdtemp(prefix="minihv-guests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    held = os.environ.get("MINIHV_WERROR")
    os.environ["MINIHV_WERROR"] = "1"
    try:
        builder().build_all(folder)
    finally:
        os.environ.pop("MINIHV_WERROR") if held is None else os.environ.update(MINIHV_WERROR=held)
    return folder
