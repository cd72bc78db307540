"""A guest whose controller moves the sectors: the same bytes as by words, and few exits."""

from pathlib import Path

import pytest
from cd_hosts import blocks, iso
from listening_ports import accesses_per_command
from written_disks import ENDS, KINDS, MODES, empty_disks, has_written, make_image

from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.spec.ata import Command
from minihv.spec.svm_exits import SvmExit
from minihv.storage.checking import check

CHECKS, EXITS, EXITS_OF_TRANSFER = 15, 892, 16
PLACES = (*ENDS, (512, 128, 21))


@pytest.mark.parametrize("paging", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("core", ["native", "reference"])
def test_controller_moves_the_sectors_of_a_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paging: PagingMode, core: str
) -> None:
    if paging is PagingMode.HARDWARE and core == "reference":
        pytest.skip("the engine's own MMU walks in hardware")
    monkeypatch.setenv("MINIHV_CORE", core)
    (disk,) = empty_disks(tmp_path, 1)
    with ParentSession("26_ide_dma", disks=[disk], paging=paging) as session:
        report = session.run()
    assert report.exit_status == 0 and f"{CHECKS} held, 0 failed" in report.console
    assert report.counters.exits[SvmExit.IOIO.name] == EXITS
    assert has_written(disk.path, places=PLACES) and check(disk.path) == []


def test_transfer_takes_as_many_exits_for_128_sectors_as_for_four(tmp_path: Path) -> None:
    with ParentSession("26_ide_dma", disks=empty_disks(tmp_path, 1)) as session:
        found = accesses_per_command(session)
    transfers = [one for one in found if one[0] in (Command.READ_DMA_EXT, Command.WRITE_DMA_EXT)]
    commands = [Command.WRITE_DMA_EXT, Command.READ_DMA_EXT] * 3
    assert transfers[:5] == [(command, EXITS_OF_TRANSFER) for command in commands[:5]]


def test_four_sectors_by_words_take_a_thousand_exits(tmp_path: Path) -> None:
    with ParentSession("24_ide", disks=empty_disks(tmp_path, 1)) as session:
        found = accesses_per_command(session)
    assert next(count for command, count in found if command == Command.READ_SECTORS_EXT) == 10 + 4 * 257


@pytest.mark.parametrize("kind", KINDS)
def test_image_of_every_kind_is_a_disk(tmp_path: Path, kind: str) -> None:
    path = make_image(tmp_path / "a.vhd", kind)
    with ParentSession("26_ide_dma", disks=[DiskOption(path)]) as session:
        assert session.run().exit_status == 0
    assert has_written(path, places=PLACES)


def test_four_disks_have_two_engines(tmp_path: Path) -> None:
    disks = empty_disks(tmp_path, 4)
    with ParentSession("26_ide_dma", disks=disks) as session:
        assert session.run().exit_status == 0
    assert all(has_written(disk.path, number, PLACES) for number, disk in enumerate(disks))


def test_cd_beside_a_disk_is_not_taken_for_one(tmp_path: Path) -> None:
    (disk,), cd = empty_disks(tmp_path, 1), iso(tmp_path / "a.iso")
    with ParentSession("26_ide_dma", disks=[DiskOption(cd, "cd"), disk]) as session:
        report = session.run()
    assert report.exit_status == 0 and "disk 1: Virtual HD" in report.console
    assert (
        "disk 0" not in report.console
        and has_written(disk.path, 1, PLACES)
        and cd.read_bytes() == blocks(0, 20)
    )
