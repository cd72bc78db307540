"""Small images for tests, and what others would make of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from minihv.spec.vhd import FOOTER_BYTES, HEADER_BYTES, SECTOR_BYTES, Footer, Header
from minihv.storage.disk import Disk, Outcome
from minihv.storage.making import make_differencing, make_dynamic
from minihv.storage.opening import open_disk
from minihv.storage.vhd_format import signed, signed_header

BLOCK = 4096
BLOCK_SECTORS = BLOCK // SECTOR_BYTES
SECTORS = 64
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def sectors(text: bytes, count: int = 1) -> bytes:
    """``count`` sectors full of ``text``."""
    return (text * SECTOR_BYTES)[:SECTOR_BYTES] * count


def dynamic(path: Path, *, written: dict[int, bytes] | None = None, sector_count: int = SECTORS) -> Path:
    """A dynamic image with small blocks, and what is ``written`` by sector."""
    make_dynamic(path, sector_count * SECTOR_BYTES, block_bytes=BLOCK)
    return fill(path, written or {})


def fill(path: Path, written: dict[int, bytes]) -> Path:
    """Writes sectors of an image."""
    with open_disk(path, writable=True) as disk:
        for sector, data in written.items():
            assert disk.write(sector, data) is Outcome.DONE
    return path


def child(path: Path, parent: Path, written: dict[int, bytes] | None = None) -> Path:
    """A differencing image over ``parent``."""
    make_differencing(path, parent)
    return fill(path, written or {})


def content(path: Path) -> bytes:
    """All sectors of the disk in ``path``."""
    with open_disk(path) as disk:
        return content_of(disk)


def content_of(disk: Disk) -> bytes:
    """All sectors of ``disk``."""
    found = bytearray(disk.byte_count)
    assert disk.read(0, found) is Outcome.DONE
    return bytes(found)


def plain(written: dict[int, bytes], sector_count: int = SECTORS) -> bytes:
    """What a disk holds where nothing else was written."""
    made = bytearray(sector_count * SECTOR_BYTES)
    for sector, data in written.items():
        made[sector * SECTOR_BYTES : sector * SECTOR_BYTES + len(data)] = data
    return bytes(made)


def patch_footer(path: Path, *, both: bool = True, **values: object) -> None:
    """Changes members of the footers, and their sums with them."""
    data = bytearray(path.read_bytes())
    for at in {0, len(data) - FOOTER_BYTES} if both else {len(data) - FOOTER_BYTES}:
        footer = Footer(data, at)
        for name, value in values.items():
            setattr(footer, name, value)
        signed(footer)
    path.write_bytes(data)


def patch_header(path: Path, **values: object) -> None:
    """Changes members of the header, and its sum with them."""
    data = bytearray(path.read_bytes())
    header = Header(data, FOOTER_BYTES)
    for name, value in values.items():
        setattr(header, name, value)
    signed_header(header)
    path.write_bytes(data)


def patch_table(path: Path, block: int, sector: int) -> None:
    """Leads an entry of the table elsewhere."""
    data = bytearray(path.read_bytes())
    at = Header(data, FOOTER_BYTES).table_offset + 4 * block
    data[at : at + 4] = sector.to_bytes(4, "big")
    path.write_bytes(data)


def patch(path: Path, at: int, new: bytes) -> None:
    """Writes over some bytes."""
    data = bytearray(path.read_bytes())
    at += len(data) if at < 0 else 0
    data[at : at + len(new)] = new
    path.write_bytes(data)


def qemu_img(*arguments: str | Path) -> str:
    """What qemu-img prints; it must succeed."""
    done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_qemu(path: Path, kind: str = "vpc") -> bytes:
    """All sectors of the disk in ``path``, as qemu-img reads them."""
    raw = path.with_name(path.name + ".qemu.raw")
    qemu_img("convert", "-f", kind, "-O", "raw", path, raw)
    found = raw.read_bytes()
    raw.unlink()
    return found


TABLE = FOOTER_BYTES + HEADER_BYTES
"""Where the table of an image without a parent lies."""
