"""A guest reads the files of disks that others have formatted, whichever way their sectors come along."""

from pathlib import Path

import pytest
from fat_reader import Reader, needs_cc
from fat_volumes import (
    GREETING,
    SIZES,
    files,
    format_volume,
    line_of,
    make_partition,
    make_volume,
    needs_fat_tools,
)
from parent_machines import NEEDS_COMPILER

from minihv.guests.session import Report
from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.copying import convert
from minihv.storage.opening import open_disk

pytestmark = [needs_fat_tools, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]
WAYS = {"ide-pio": "IDE, word by word", "ide-dma": "IDE, by DMA", "scsi": "SCSI over VMBus"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One volume of each kind."""
    folder = tmp_path_factory.mktemp("raw")
    return {bits: make_volume(folder / f"{bits}.raw", bits) for bits in SIZES}


@pytest.fixture(scope="module")
def images(raw: dict[int, Path]) -> dict[int, Path]:
    """The same as dynamic disks."""
    return {bits: dynamic(path) for bits, path in raw.items()}


def dynamic(path: Path) -> Path:
    """A dynamic disk of the same sectors."""
    image = path.with_suffix(".vhd")
    with open_disk(path, kind="raw") as disk:
        convert(disk, image, "dynamic", lambda _done, _all: None)
    return image


def run(
    *disks: DiskOption,
    arguments: str = "",
    kind: type[ChildSession] = MonolithicSession,
    paging: PagingMode = PagingMode.SLAT,
) -> Report:
    with kind("30_files", disks=disks, arguments=arguments, paging=paging) as session:
        return session.run()


def said_of(bits: int) -> set[str]:
    """What the guest prints of each file and directory."""
    found = {line_of(name, data) for name, data in files(bits).items()}
    return found | {"ok      sub/", "ok      sub/deeper/"}


@pytest.mark.parametrize(
    ("bits", "way", "kind", "paging"),
    [
        (12, "ide-dma", ParentSession, PagingMode.SLAT),
        (16, "scsi", ParentSession, PagingMode.SLAT),
        (32, "scsi", ParentSession, PagingMode.SHADOW),
        (12, "scsi", MonolithicSession, PagingMode.SLAT),
        (12, "ide-pio", MonolithicSession, PagingMode.SLAT),
        (32, "ide-dma", MonolithicSession, PagingMode.HARDWARE),
    ],
)
def test_guest_finds_all_files_with_their_bytes(
    images: dict[int, Path], bits: int, way: str, kind: type[ChildSession], paging: PagingMode
) -> None:
    disk = DiskOption(images[bits], way[:4].rstrip("-"))
    report = run(disk, arguments=way, kind=kind, paging=paging)
    _, first, *lines, last = report.console.splitlines()
    assert first.startswith(f"{WAYS[way]}: {SIZES[bits] // 512} sectors, FAT{bits} with ")
    assert set(lines) == said_of(bits) and last == f"{1 + len(said_of(bits))} held, 0 failed"
    assert report.exit_status == 0


def test_guest_reads_on_the_reference_core(images: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIHV_CORE", "reference")
    report = run(DiskOption(images[12], "scsi"), arguments="scsi README.TXT")
    assert GREETING.decode() in report.console and report.exit_status == 0


@needs_cc
def test_guest_tells_what_the_same_reader_tells_on_the_host(
    raw: dict[int, Path], images: dict[int, Path], tmp_path: Path
) -> None:
    lines = run(DiskOption(images[16], "scsi")).console.splitlines()
    assert [lines[1].removeprefix("SCSI over VMBus: "), *lines[2:-1]] == Reader(tmp_path)(raw[16])


@pytest.mark.parametrize("arguments", ["readme.txt", "ide-dma README.TXT", "ide-pio README.TXT"])
def test_file_that_the_arguments_name_is_printed(images: dict[int, Path], arguments: str) -> None:
    report = run(DiskOption(images[12]), arguments=arguments)
    path = arguments.split()[-1]
    assert report.console.splitlines()[2:-1] == [GREETING.decode().strip(), f"ok      {path}"]
    assert report.exit_status == 0


@pytest.mark.parametrize(
    ("path", "reason"),
    [("README.TX", "there is no such file (reason 16)"), ("sub", "it is a directory (reason 17)")],
)
def test_file_that_cannot_be_printed_is_refused(images: dict[int, Path], path: str, reason: str) -> None:
    report = run(DiskOption(images[12]), arguments=path)
    assert f"\nFAILED  {path}: {reason}\n" in report.console and report.exit_status == 1


def test_disks_of_all_controllers_are_read_once_each(images: dict[int, Path]) -> None:
    disks = [DiskOption(images[12], "ide"), DiskOption(images[16], "scsi"), DiskOption(images[32], "scsi")]
    console = run(*disks).console
    assert [console.count(f"{way}: ") for way in WAYS.values()] == [0, 1, 2]
    assert said_of(12) | said_of(16) | said_of(32) <= set(console.splitlines())


def test_volume_may_be_a_partition(raw: dict[int, Path], tmp_path: Path) -> None:
    disk = make_partition(tmp_path / "disk.raw", raw[12])
    assert said_of(12) <= set(run(DiskOption(disk, "scsi")).console.splitlines())


def test_disk_with_something_else_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "empty.raw").write_bytes(bytes(1 << 20))
    report = run(DiskOption(tmp_path / "empty.raw"))
    assert report.console.splitlines()[1:] == [
        "IDE, by DMA: 2048 sectors",
        "ok      what is on it: there is no volume with a file allocation table (reason 3)",
        "2 held, 0 failed",
    ]


def test_volume_that_cannot_be_is_refused_with_its_reason(tmp_path: Path) -> None:
    volume = format_volume(tmp_path / "a.raw", 12)
    content = bytearray(volume.read_bytes())
    content[13] = 0
    volume.write_bytes(content)
    report = run(DiskOption(volume, "scsi"))
    reason = "a cluster is a power of two of sectors, and there is at least one (reason 5)"
    assert f"\nFAILED  what is on it: {reason}\n" in report.console and report.exit_status == 1
