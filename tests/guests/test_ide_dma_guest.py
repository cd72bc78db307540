"""A guest whose controller moves the sectors: the same bytes as by words, and few exits."""

from pathlib import Path

import pytest
from cd_hosts import blocks, iso
from images import content
from listening_ports import accesses_per_command

from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.spec.ata import Command
from minihv.spec.svm_exits import SvmExit
from minihv.storage.checking import check
from minihv.storage.making import make_differencing, make_dynamic, make_fixed

DISK_BYTES = 1 << 20
CHECKS, EXITS, EXITS_OF_TRANSFER = 15, 892, 16
MODES = [PagingMode.SLAT, PagingMode.SHADOW, PagingMode.HARDWARE]


def expected_words(seed: int, sector_count: int) -> bytes:
    """What the guest writes: a sequence that begins with ``seed``."""
    words = []
    for _ in range(128 * sector_count):
        seed = (seed * 1664525 + 1013904223) & 0xFFFF_FFFF
        words.append(seed.to_bytes(4, "little"))
    return b"".join(words)


def has_written(path: Path, number: int = 0) -> bool:
    found = content(path)
    places = ((8, 4, 1), (2044, 4, 11), (512, 128, 21))
    return all(
        found[at * 512 : (at + count) * 512] == expected_words(number + seed, count)
        for at, count, seed in places
    )


@pytest.mark.parametrize("paging", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("core", ["native", "reference"])
def test_controller_moves_the_sectors_of_a_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paging: PagingMode, core: str
) -> None:
    if paging is PagingMode.HARDWARE and core == "reference":
        pytest.skip("the engine's own MMU walks in hardware")
    monkeypatch.setenv("MINIHV_CORE", core)
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with ParentSession("26_ide_dma", disks=[DiskOption(path)], paging=paging) as session:
        report = session.run()
    assert report.exit_status == 0 and f"{CHECKS} held, 0 failed" in report.console
    assert report.counters.exits[SvmExit.IOIO.name] == EXITS
    assert has_written(path) and check(path) == []


def test_transfer_takes_as_many_exits_for_128_sectors_as_for_four(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with ParentSession("26_ide_dma", disks=[DiskOption(path)]) as session:
        found = accesses_per_command(session)
    transfers = [one for one in found if one[0] in (Command.READ_DMA_EXT, Command.WRITE_DMA_EXT)]
    commands = [Command.WRITE_DMA_EXT, Command.READ_DMA_EXT] * 3
    assert transfers[:5] == [(command, EXITS_OF_TRANSFER) for command in commands[:5]]


def test_four_sectors_by_words_take_a_thousand_exits(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, DISK_BYTES)
    with ParentSession("24_ide", disks=[DiskOption(path)]) as session:
        found = accesses_per_command(session)
    assert next(count for command, count in found if command == Command.READ_SECTORS_EXT) == 10 + 4 * 257


@pytest.mark.parametrize("kind", ["fixed", "differencing"])
def test_image_of_every_kind_is_a_disk(tmp_path: Path, kind: str) -> None:
    path, below = tmp_path / "a.vhd", tmp_path / "p.vhd"
    if kind == "fixed":
        make_fixed(path, DISK_BYTES)
    else:
        make_dynamic(below, DISK_BYTES)
        make_differencing(path, below)
    with ParentSession("26_ide_dma", disks=[DiskOption(path)]) as session:
        assert session.run().exit_status == 0
    assert has_written(path)


def test_four_disks_have_two_engines(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.vhd" for number in range(4)]
    for path in paths:
        make_dynamic(path, DISK_BYTES)
    with ParentSession("26_ide_dma", disks=[DiskOption(path) for path in paths]) as session:
        assert session.run().exit_status == 0
    assert all(has_written(path, number) for number, path in enumerate(paths))


def test_cd_beside_a_disk_is_not_taken_for_one(tmp_path: Path) -> None:
    path, cd = tmp_path / "a.vhd", iso(tmp_path / "a.iso")
    make_dynamic(path, DISK_BYTES)
    with ParentSession("26_ide_dma", disks=[DiskOption(cd, "cd"), DiskOption(path)]) as session:
        report = session.run()
    assert report.exit_status == 0 and "disk 1: Virtual HD" in report.console
    assert "disk 0" not in report.console and has_written(path, 1) and cd.read_bytes() == blocks(0, 20)
