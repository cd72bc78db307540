"""A guest with a CD reads the files that another tool has put there."""

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from parent_machines import NEEDS_COMPILER

from minihv.guests.session import Report
from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession

pytestmark = [
    pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed"),
    pytest.mark.skipif(
        shutil.which("genisoimage") is None,
        reason="genisoimage is not installed: apt-get install genisoimage",
    ),
]
FILES = {"README.TXT": b"Hello from a CD.\n", "DATA.BIN": bytes(range(256)) * 17 + b"odd", "EMPTY": b""}
BLOCK_BYTES = 2048
DESCRIPTOR, ROOT_BLOCK_AT = 16 * BLOCK_BYTES, 16 * BLOCK_BYTES + 158


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A CD with ``FILES`` and a directory."""
    (tmp_path / "files" / "SUB").mkdir(parents=True)
    for name, data in FILES.items():
        (tmp_path / "files" / name).write_bytes(data)
    path = tmp_path / "cd.iso"
    subprocess.run(["genisoimage", "-quiet", "-o", path, tmp_path / "files"], check=True, capture_output=True)
    return path


def run(
    image: Path, kind: type[ChildSession] = ParentSession, paging: PagingMode = PagingMode.SLAT
) -> Report:
    with kind("31_cd", disks=[DiskOption(image, "cd")], paging=paging) as session:
        return session.run()


def lines_of(files: dict[str, bytes]) -> list[str]:
    """What the guest says of them, in the order of the directory."""
    said = {name: f"{len(data)} bytes, CRC-32 {zlib.crc32(data):#x}" for name, data in files.items()}
    return [f"ok      {name}: {what}" for name, what in sorted((said | {"SUB": "a directory"}).items())]


@pytest.mark.parametrize(
    ("kind", "paging"),
    [
        (ParentSession, PagingMode.SLAT),
        (MonolithicSession, PagingMode.SLAT),
        (MonolithicSession, PagingMode.SHADOW),
    ],
)
def test_files_of_a_cd_are_what_they_were(image: Path, kind: type[ChildSession], paging: PagingMode) -> None:
    report = run(image, kind, paging)
    lines = report.console.splitlines()
    assert lines[1] == f"drive 0: {image.stat().st_size // BLOCK_BYTES} blocks"
    assert lines[2:6] == lines_of(FILES)
    assert report.exit_status == 0


def damage(image: Path, at: int, data: bytes) -> None:
    content = bytearray(image.read_bytes())
    content[at : at + len(data)] = data
    image.write_bytes(content)


def test_cd_without_a_descriptor_has_no_files(image: Path) -> None:
    damage(image, DESCRIPTOR + 1, b"NONE!")
    report = run(image, MonolithicSession)
    assert "\nIt has no files.\n" in report.console and report.exit_status == 0


@pytest.mark.parametrize("length", [1, 33, 255])
def test_directory_whose_entries_have_a_wrong_length_ends_there(image: Path, length: int) -> None:
    root = int.from_bytes(image.read_bytes()[ROOT_BLOCK_AT:][:4], "little") * BLOCK_BYTES
    damage(image, root, bytes([length]) + b"\xff" * 50)
    report = run(image, MonolithicSession)
    assert "CRC-32" not in report.console and report.exit_status == 0


def test_file_that_lies_beyond_the_end_cannot_be_read(image: Path) -> None:
    content = image.read_bytes()
    entry = content.index(b"DATA.BIN;1") - 33
    damage(image, entry + 2, (1 << 20).to_bytes(4, "little"))
    report = run(image, MonolithicSession)
    assert f"\nFAILED  DATA.BIN: {len(FILES['DATA.BIN'])} bytes\n" in report.console
    assert report.exit_status == 1
