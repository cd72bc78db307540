"""A built wheel holds everything: it installs and runs where no compiler is."""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from source_tree import ROOT, copy_to, run

pytestmark = pytest.mark.slow

COMPILED_BY_BENCH = Path("minihv", "cli", "bench", "peers")
"""Other people's queues are compiled where they are measured, against that machine's headers."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the sources without anything that was built before."""
    source = copy_to(tmp_path_factory.mktemp("wheel") / "source")
    done = run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
        f"--wheel-dir={source.parent}", source, cwd=source.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = source.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine where the wheel is installed and PATH leads to nothing else."""
    venv = tmp_path_factory.mktemp("clean") / "venv"
    made = run(sys.executable, "-m", "venv", venv)
    assert made.returncode == 0, made.stderr
    path = {"PATH": str(venv / "bin"), "PYTHONPATH": "", "NO_COLOR": "1"}
    installed = run(venv / "bin" / "pip", "install", "--only-binary=:all:", wheel, cwd=venv, env=path)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return path


def minihv(clean: dict[str, str], *arguments: str) -> Any:
    """The JSON that the installed command prints."""
    done = run(Path(clean["PATH"], "minihv"), *arguments, cwd=Path(clean["PATH"]), env=clean)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def guest_programs() -> set[str]:
    return {path.name for path in (ROOT / "native" / "guests" / "programs").iterdir() if path.is_dir()}


def test_wheel_is_for_every_python_from_3_11(wheel: Path) -> None:
    assert "-cp311-abi3-" in wheel.name


def test_wheel_holds_the_core_and_the_guests_and_no_source_of_them(wheel: Path) -> None:
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert [path for path in names if path.stem.startswith("_core.") or path.name == "_core.pyd"]
    images = {path.stem for path in names if path.parent == Path("minihv", "guests", "images")}
    assert guest_programs() <= images
    sources = {path for path in names if path.suffix in {".c", ".h", ".S"}}
    assert {path.parent for path in sources} <= {COMPILED_BY_BENCH}
    assert not [path for path in names if path.parts[0] == "tests"]


def test_no_compiler_is_in_reach(clean: dict[str, str]) -> None:
    assert not any(
        shutil.which(name, path=clean["PATH"]) for name in ("cc", "gcc", "clang", "as", "ld", "zig")
    )


def test_installed_wheel_lists_its_guests(clean: dict[str, str]) -> None:
    assert guest_programs() <= {guest["name"] for guest in minihv(clean, "guests", "--json")}


def test_installed_wheel_runs_a_guest(clean: dict[str, str]) -> None:
    ran = minihv(clean, "run", "01_hello", "--json")
    expected = ROOT / "native" / "guests" / "programs" / "01_hello" / "expected.txt"
    assert ran["console"] == expected.read_text()
    assert ran["counters"]["exits_total"] > 0


def test_installed_wheel_runs_as_a_module(clean: dict[str, str]) -> None:
    done = run(Path(clean["PATH"], "python"), "-m", "minihv", "--help", cwd=Path(clean["PATH"]), env=clean)
    assert done.returncode == 0
    assert "tour" in done.stdout


def test_tests_run_outside_of_the_sources(clean: dict[str, str]) -> None:
    show = "import minihv; print(minihv.__file__)"
    done = run(Path(clean["PATH"], "python"), "-c", show, cwd=Path(clean["PATH"]), env=clean)
    assert os.path.commonpath([done.stdout.strip(), clean["PATH"]]) == str(Path(clean["PATH"]).parent)
