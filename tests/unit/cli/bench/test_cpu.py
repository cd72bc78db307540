"""Rows of computing have both sides, or say why they are left out."""

import pytest

from minihv.cli.bench import cpu, qemu
from minihv.cli.bench.rows import Effort, Row

TINY = Effort(rounds=1, scale=0.001)


@pytest.mark.parametrize("name", cpu.LOOPS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = cpu.ROWS[name](TINY)
    assert isinstance(found, Row)
    assert found.name == f"cpu.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0
    assert found.goal == "ratio >= 0.95"


def test_row_against_qemu_is_left_out_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "find", lambda: None)
    assert cpu.ROWS["alu-qemu"](TINY) == "cpu.alu-qemu is left out: qemu-system-x86_64 is not installed."


def test_row_against_qemu_is_left_out_where_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "find", lambda: "false")
    expected = "cpu.alu-qemu is left out: qemu-system-x86_64 does not start the loop here."
    assert cpu.ROWS["alu-qemu"](TINY) == expected


@pytest.mark.skipif(qemu.find() is None, reason="qemu-system-x86_64 is not installed")
def test_row_against_qemu_has_both_sides() -> None:
    found = cpu.ROWS["tight-qemu"](TINY)
    assert isinstance(found, Row)
    assert min(found.value, found.against_value) > 0
    assert (found.goal, found.holds) == (None, None)
