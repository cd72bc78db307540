"""Lines are counted in the sources, without blanks, comments and docstrings, for each architecture."""

from pathlib import Path

import pytest

from minihv.cli.compare import lines_of_code
from minihv.cli.compare.lines_of_code import (
    c_lines,
    deadly_lines,
    in_package,
    lines_in_ring_minus_1,
    python_lines,
)


def test_only_code_counts(tmp_path: Path) -> None:
    python, c = tmp_path / "a.py", tmp_path / "a.c"
    python.write_text('"""Docstring\n\nof three lines."""\n\n# comment\nx = [\n    1,\n]\n')
    c.write_text("// comment\n/* two\nlines */\n\nint x; // with one\nint y;\n")
    assert (python_lines(python), c_lines(c)) == (3, 2)


def test_every_part_that_is_counted_is_there() -> None:
    every = (*lines_of_code.VMBUS, *lines_of_code.CHIPS, *lines_of_code.INSIDE, *lines_of_code.RING_0)
    assert all(in_package([part]) > 0 for part in (*every, *lines_of_code.RING_MINUS_1))


def test_devices_are_in_ring_minus_1_of_a_monolith_alone() -> None:
    lines, inside = deadly_lines(), lines_in_ring_minus_1()
    assert inside["monolithic"] - inside["microkernel"] == lines["monolithic"]["devices in ring -1"] > 1000
    assert (
        "ring 0 of the parent" in lines["microkernel"] and "ring 0 of the parent" not in lines["monolithic"]
    )


def test_sources_in_c_that_are_not_installed_are_in_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_of_code, "NATIVE", tmp_path)
    assert [set(parts) for parts in deadly_lines().values()] == [
        {"ring -1, Python", "ring 0 of the parent"},
        {"ring -1, Python", "devices in ring -1"},
    ]
