"""A guest reads the files of disks that others have formatted, whichever way their sectors come along."""

from pathlib import Path

import pytest
from fat_volumes import GREETING, SIZES, checksum, files, make_volume, needs_fat_tools
from parent_machines import NEEDS_COMPILER

from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.copying import convert
from minihv.storage.opening import open_disk

pytestmark = [needs_fat_tools, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]
ENOUGH_ROOM = "ok      no more disks were looked for than there is room for"
WAYS = {"ide": "IDE, by DMA", "scsi": "SCSI over VMBus"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One of each kind, as a dynamic disk."""
    folder = tmp_path_factory.mktemp("images")
    for bits in SIZES:
        with open_disk(make_volume(folder / f"{bits}.raw", bits), kind="raw") as raw:
            convert(raw, folder / f"{bits}.vhd", "dynamic", lambda _done, _all: None)
    return {bits: folder / f"{bits}.vhd" for bits in SIZES}


def said_of(bits: int) -> set[str]:
    """What the guest prints of each file and directory."""
    found = {
        f"ok      {name}: {len(data)} bytes, CRC-32 {checksum(data):#x}" for name, data in files(bits).items()
    }
    return found | {"ok      sub/", "ok      sub/deeper/", ENOUGH_ROOM}


@pytest.mark.parametrize(
    ("bits", "controller", "kind", "paging"),
    [
        (12, "ide", ParentSession, PagingMode.SLAT),
        (16, "scsi", ParentSession, PagingMode.SLAT),
        (32, "scsi", ParentSession, PagingMode.SHADOW),
        (12, "scsi", MonolithicSession, PagingMode.SLAT),
        (32, "ide", MonolithicSession, PagingMode.HARDWARE),
    ],
)
def test_guest_finds_all_files_with_their_bytes(
    images: dict[int, Path], bits: int, controller: str, kind: type[ChildSession], paging: PagingMode
) -> None:
    with kind("30_files", disks=[DiskOption(images[bits], controller)], paging=paging) as session:
        report = session.run()
    lines = report.console.splitlines()
    assert lines[0].startswith(f"{WAYS[controller]}: {SIZES[bits] // 512} sectors, FAT{bits} with ")
    assert said_of(bits) == {line for line in lines if line.startswith("ok")}
    assert GREETING.decode() not in report.console and report.exit_status == 0


@pytest.mark.parametrize(("path", "found"), [("README.TXT", True), ("README.TX", False), ("sub", False)])
def test_file_that_the_arguments_name_is_printed(images: dict[int, Path], path: str, found: bool) -> None:
    with MonolithicSession("30_files", disks=[DiskOption(images[12])], arguments=path) as session:
        console = session.run().console
    assert (GREETING.decode() in console) is found


def test_disks_of_all_controllers_are_read(images: dict[int, Path]) -> None:
    disks = [DiskOption(images[12], "ide"), DiskOption(images[16], "scsi")]
    with MonolithicSession("30_files", disks=disks) as session:
        console = session.run().console
    assert [console.count(way) for way in WAYS.values()] == [1, 1]
    assert said_of(12) | said_of(16) <= set(console.splitlines())


def test_disk_without_a_volume_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "empty.raw").write_bytes(bytes(1 << 20))
    with MonolithicSession("30_files", disks=[DiskOption(tmp_path / "empty.raw")]) as session:
        report = session.run()
    assert report.console.startswith("IDE, by DMA: 2048 sectors, no FAT volume\n")
    assert report.exit_status == 0
