"""The C of the project is formatted and linted, compiles without a warning, and passes its own tests."""

import shutil
from pathlib import Path

import pytest
from source_tree import CORE, INCLUDE, ROOT, core_sources, headers, run, tool

STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror"]

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")


def name_of(path: Path) -> str:
    return path.name


@needs_cc
@pytest.mark.parametrize("header", headers(), ids=name_of)
def test_header_stands_alone(header: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.c"
    name = header.relative_to(INCLUDE).as_posix()
    alone.write_text(f'#include "{name}"\n#include "{name}"\ntypedef int not_empty;\n')
    done = run("cc", *STRICT, f"-I{INCLUDE}", "-fsyntax-only", alone)
    assert done.returncode == 0, done.stderr


@needs_cc
@pytest.mark.parametrize("source", core_sources(), ids=name_of)
def test_source_compiles_without_a_warning(source: Path, tmp_path: Path) -> None:
    done = run("cc", *STRICT, f"-I{INCLUDE}", "-c", source, "-o", tmp_path / "out.o")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(tool("clang-format") is None, reason="clang-format is not installed")
def test_c_is_formatted() -> None:
    files = sorted(path for path in (ROOT / "native").rglob("*.[ch]") if "build" not in path.parts)
    done = run(str(tool("clang-format")), "--dry-run", "--Werror", *files)
    assert done.returncode == 0, done.stderr


IN_A_SECOND = [
    f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=40000")
]
"""How far the analyzer follows a function: with ``--long`` six times as far, which takes minutes."""


@pytest.mark.skipif(tool("clang-tidy") is None, reason="clang-tidy is not installed")
@pytest.mark.parametrize("source", core_sources(), ids=name_of)
def test_clang_tidy_has_no_complaint(source: Path, request: pytest.FixtureRequest) -> None:
    depth = [] if request.config.getoption("--long") else IN_A_SECOND
    done = run(str(tool("clang-tidy")), "--quiet", *depth, source, "--", "-std=c11", f"-I{INCLUDE}")
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_core_passes_its_own_tests(tmp_path: Path) -> None:
    done = run("make", "-C", CORE, f"BUILD={tmp_path}", "test")
    assert done.returncode == 0, done.stdout + done.stderr
