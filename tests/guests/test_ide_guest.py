"""A guest with IDE disks: the same sectors and the same exits in every paging mode and on both cores."""

from pathlib import Path

import pytest
from images import by_qemu, content, needs_qemu
from written_disks import DISK_BYTES, MODES, has_written

from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.spec.svm_exits import SvmExit
from minihv.storage.checking import check
from minihv.storage.making import make_differencing, make_dynamic, make_fixed

CHECKS, REGISTERS_AND_TEXT = 11, 441
FOUR_SECTORS = 4 * 256
"""Words, each an exit."""


@pytest.mark.parametrize(
    ("kind", "core", "paging"),
    [
        (ParentSession, "native", PagingMode.SLAT),  # one is enough: each word takes the whole way
        *((MonolithicSession, "native", mode) for mode in MODES),
        (MonolithicSession, "reference", PagingMode.SLAT),
        (MonolithicSession, "reference", PagingMode.SHADOW),
    ],
)
def test_guest_writes_and_reads_word_by_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ChildSession], core: str, paging: PagingMode
) -> None:
    monkeypatch.setenv("MINIHV_CORE", core)
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with kind("24_ide", disks=[DiskOption(path)], paging=paging) as session:
        report = session.run()
    assert report.exit_status == 0 and f"{CHECKS} held, 0 failed" in report.console
    assert report.console.startswith("ok      found = 0x0\ndisk 0: Virtual HD, 2048 sectors\n")
    registers_and_text = report.counters.exits[SvmExit.IOIO.name] - 256 - 4 * FOUR_SECTORS
    assert registers_and_text == REGISTERS_AND_TEXT
    assert has_written(path) and check(path) == []


def test_each_exit_of_a_word_is_a_message_a_worker_and_a_hypercall_back(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with ParentSession("24_ide", disks=[DiskOption(path)]) as session:
        session.run()
        asked = sum(session.parent.workers.answered.values())
        parent = session.report().partitions[0]
    assert asked > 256 + 4 * FOUR_SECTORS
    assert parent.counters.hypercalls["HvSetVpRegisters"] >= asked


@pytest.mark.parametrize("kind", ["fixed", "differencing"])
def test_image_of_every_kind_is_a_disk(tmp_path: Path, kind: str) -> None:
    path, below = tmp_path / "a.vhd", tmp_path / "p.vhd"
    if kind == "fixed":
        make_fixed(path, DISK_BYTES)
    else:
        make_dynamic(below, DISK_BYTES)
        make_differencing(path, below)
    with MonolithicSession("24_ide", disks=[DiskOption(path)]) as session:
        assert session.run().exit_status == 0
    assert has_written(path)


def test_four_disks_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.vhd" for number in range(4)]
    for path in paths:
        make_dynamic(path, DISK_BYTES)
    with MonolithicSession("24_ide", disks=[DiskOption(path) for path in paths]) as session:
        assert session.run().exit_status == 0
    assert all(has_written(path, number) for number, path in enumerate(paths))


@needs_qemu
def test_qemu_reads_what_the_guest_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with MonolithicSession("24_ide", disks=[DiskOption(path)]) as session:
        session.run()
    assert by_qemu(path) == content(path) and has_written(path)
