"""Rows of disks have both sides, and each side moves the same bytes."""

from pathlib import Path

import pytest

from minihv.cli.bench import disk
from minihv.cli.bench.rows import Effort, Row
from minihv.errors import InternalError
from minihv.storage.disk import Outcome

TINY = Effort(rounds=1, scale=0.005)
GOALS = {
    "read": "ratio >= 0.9",
    "write": "ratio >= 0.9",
    "read-4k": "ratio >= 0.85",
    "write-4k": "ratio >= 0.85",
    "allocate": "ratio >= 2",
    "convert": "ratio >= 0.8",
    "check": "value <= 50",
    "memory": "value <= 64",
}


@pytest.mark.parametrize("name", GOALS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = disk.ROWS[name](TINY)
    if isinstance(found, str):
        assert found == disk.NO_QEMU.format(name)
        return
    assert isinstance(found, Row) and (found.name, found.goal) == (f"disk.{name}", GOALS[name])
    assert min(found.value, found.against_value, found.ratio) > 0


def test_both_files_hold_the_same() -> None:
    with disk.both_files(2) as (image, raw):
        ours, theirs = bytearray(2 << 20), bytearray(2 << 20)
        assert image.read(0, ours) is raw.read(0, theirs) is Outcome.DONE
        assert ours == theirs and any(ours)


def test_rows_against_qemu_are_left_out_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert disk.ROWS["allocate"](TINY) == (
        "disk.allocate: left out, since qemu-img is not installed (apt-get install qemu-utils)."
    )
    assert disk.ROWS["convert"](TINY) == (
        "disk.convert: left out, since qemu-img is not installed (apt-get install qemu-utils)."
    )


def test_memory_is_left_out_where_nobody_tells_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk, "STATUS", tmp_path / "none")
    assert disk.ROWS["memory"](TINY) == (
        "disk.memory: left out, since this system has no /proc/self/status to read it from."
    )


def test_more_of_a_larger_disk_is_more_memory(tmp_path: Path) -> None:
    small, large = tmp_path / "small.img", tmp_path / "large.vhd"
    small.write_bytes(bytes(1 << 20))
    disk.make_dynamic(large, disk.LARGEST_BYTES)
    assert 10 < disk.served(small, "raw", 1) < disk.served(large, "vhd", 1)


def test_disk_that_fails_is_no_measurement() -> None:
    with pytest.raises(InternalError) as refused:
        disk.must(Outcome.NO_SPACE)
    assert str(refused.value) == (
        "A disk that is measured has to work, and it does not: there is no space left where the disk is kept."
    )
