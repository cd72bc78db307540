"""A guest with disks behind VMBus: the same sectors in every paging mode and on both cores, for few exits."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from images import by_qemu, content, needs_qemu
from written_disks import KINDS, MODES, empty_disks, has_written, make_image

from minihv.guests.session import Report
from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.spec.svm_exits import SvmExit
from minihv.storage.checking import check

OF_THE_CONTROLLER, OF_A_DISK = 5, 10
"""Expectations of the guest: with one controller, and for each disk."""
REQUESTS_OF_A_DISK = 9
"""What it is, its size, which it tells at the second time since it is new, four that move sectors, a flush,
and one beyond the end."""


def run(options: Sequence[DiskOption], name: str = "25_scsi", paging: PagingMode = PagingMode.SLAT) -> Report:
    with ParentSession(name, disks=options, paging=paging) as session:
        return session.run()


@pytest.mark.parametrize("paging", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("core", ["native", "reference"])
def test_guest_writes_and_reads_by_way_of_its_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paging: PagingMode, core: str
) -> None:
    if paging is PagingMode.HARDWARE and core == "reference":
        pytest.skip("the engine's own MMU walks in hardware")
    monkeypatch.setenv("MINIHV_CORE", core)
    (option,) = empty_disks(tmp_path, 1, "scsi")
    report = run([option], paging=paging)
    assert f"{OF_THE_CONTROLLER + OF_A_DISK} held, 0 failed" in report.console
    assert "\nLUN 0: Virtual Disk, 2048 sectors\n" in report.console
    assert has_written(option.path) and check(option.path) == []


def test_request_is_one_signal_and_one_sleep(tmp_path: Path) -> None:
    reports = []
    for count in (1, 3):
        folder = tmp_path / str(count)
        folder.mkdir()
        reports.append(run(empty_disks(folder, count, "scsi")).counters)
    one, three = reports
    more = 2 * REQUESTS_OF_A_DISK
    assert three.hypercalls["HvSignalEvent"] - one.hypercalls["HvSignalEvent"] == more
    assert three.exits[SvmExit.HLT.name] - one.exits[SvmExit.HLT.name] == more
    assert three.exits[SvmExit.MSR.name] == one.exits[SvmExit.MSR.name]


def test_same_sectors_cost_a_hundredth_of_the_exits_of_ide(tmp_path: Path) -> None:
    reports = [run(empty_disks(tmp_path, 1, "scsi")), run(empty_disks(tmp_path, 1), "24_ide")]
    scsi, ide = (
        sum(one.counters.exits_total for one in report.partitions) - len(report.console) for report in reports
    )
    assert ide > 50 * scsi


@pytest.mark.parametrize("kind", KINDS)
def test_image_of_every_kind_is_a_disk(tmp_path: Path, kind: str) -> None:
    path = make_image(tmp_path / "a.vhd", kind)
    assert run([DiskOption(path, "scsi")]).exit_status == 0
    assert has_written(path)


def test_disks_on_four_controllers_are_told_apart(tmp_path: Path) -> None:
    options = [one for number in range(4) for one in empty_disks(tmp_path, 2, f"scsi{number}")]
    report = run(options)
    assert report.exit_status == 0 and report.console.count("opening a controller") == 4
    for option in options:
        lun = int(option.path.stem.rpartition("-")[2])
        assert has_written(option.path, lun)


def test_child_has_512_disks(tmp_path: Path) -> None:
    options = empty_disks(tmp_path, 512, "scsi")
    report = run(options)
    assert report.exit_status == 0
    assert report.console.count(": Virtual Disk, 2048 sectors\n") == 512
    assert all(has_written(option.path, number % 256) for number, option in enumerate(options))


@needs_qemu
def test_qemu_reads_what_the_guest_wrote(tmp_path: Path) -> None:
    (option,) = empty_disks(tmp_path, 1, "scsi")
    run([option])
    assert by_qemu(option.path) == content(option.path) and has_written(option.path)
