"""Volumes with a file allocation table, made by the tools of other people, and what is in them."""

import shutil
import subprocess
import zlib
from pathlib import Path
from random import Random

import pytest

MIB = 1 << 20
SIZES = {12: 2 * MIB, 16: 8 * MIB, 32: 34 * MIB}
"""By the bits of an entry of the table, with clusters of one sector."""
GREETING = b"Hello from a volume.\n"
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin"
MISSING = [name for name in ("mkfs.fat", "mcopy") if shutil.which(name, path=PLACES) is None]
needs_fat_tools = pytest.mark.skipif(
    bool(MISSING), reason=f"{' and '.join(MISSING)} is not installed: apt-get install dosfstools mtools"
)


def files(bits: int) -> dict[str, bytes]:
    """What is on the volume, by path: names of all kinds, sizes around those of sectors."""
    random = Random(bits)
    return {
        "README.TXT": GREETING,
        "empty": b"",
        "a long name, with ümlaut and 仮想.bin": random.randbytes(8_000),
        "pair of letters": b"",
        "sub/lower.c": random.randbytes(512),
        "sub/deeper/UPPER": random.randbytes(513),
        "sub/deeper/" + "x" * 200: random.randbytes(1023),
        "in pieces": random.randbytes(6_000),
    }


def format_volume(path: Path, bits: int, *options: object) -> Path:
    """An empty volume in a raw image; ``options`` are those of mkfs.fat."""
    path.write_bytes(b"")
    with path.open("r+b") as image:
        image.truncate(SIZES[bits])
    tool("mkfs.fat", "-F", bits, *options, path)
    return path


def make_volume(path: Path, bits: int) -> Path:
    """The volume in a raw image. One of its files is in pieces, since another was deleted before it."""
    format_volume(path, bits, "-s", 1)
    tool("mmd", "-i", path, "::sub", "::sub/deeper")
    held = path.with_name("held")
    for name in ("first", "second", "third"):
        copy(path, held, name, bytes(3000))
    tool("mdel", "-i", path, "::second")
    for name, data in files(bits).items():
        copy(path, held, name, data)
    tool("mdel", "-i", path, "::first", "::third")
    return path


def make_partition(path: Path, volume: Path, *, first: int = 63, kind: int = 6, place: int = 1) -> Path:
    """A disk with ``volume`` as a partition, which begins at sector ``first``."""
    table = bytearray(512)
    entry = bytes([0, 0, 0, 0, kind, 0, 0, 0]) + first.to_bytes(4, "little") + bytes(4)
    table[446 + 16 * place : 462 + 16 * place] = entry
    table[510:] = b"\x55\xaa"
    path.write_bytes(bytes(table) + bytes(512 * (first - 1)) + volume.read_bytes())
    return path


def copy(path: Path, held: Path, name: str, data: bytes) -> None:
    """A file of the volume."""
    held.write_bytes(data)
    tool("mcopy", "-i", path, held, f"::{name}")


def copy_tree(path: Path, tree: Path) -> None:
    """All that is in the folder ``tree`` is in the root of the volume."""
    entries = sorted(tree.iterdir())
    if entries:
        tool("mcopy", "-s", "-i", path, *entries, "::")


def tool(*command: object) -> None:
    """A command that must succeed."""
    environment = {"PATH": PLACES, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, (command, done.stderr)


def line_of(name: str, data: bytes) -> str:
    """What is told of a file that can be read."""
    return f"ok      {name}: {len(data)} bytes, CRC-32 {zlib.crc32(data):#x}"
