"""Conversions: the same sectors in an image of another kind, there whole or not at all."""

from itertools import permutations
from pathlib import Path

import pytest
from images import (
    BLOCK,
    by_qemu,
    child,
    content,
    dynamic,
    needs_qemu,
    patch_table,
    plain,
    qemu_img,
    sectors,
)

from minihv.errors import ConfigurationError
from minihv.storage.copying import TARGETS, convert
from minihv.storage.opening import open_disk

WRITTEN = {3: sectors(b"abc", 9), 40: sectors(b"d")}


def quiet(_done: int, _of: int) -> None:
    """Nobody is told."""


def converted(source: Path, target: Path, kind: str) -> Path:
    with open_disk(source) as disk:
        convert(disk, target, kind, quiet)
    return target


@pytest.mark.parametrize(("first", "second"), list(permutations(TARGETS, 2)))
def test_every_kind_becomes_every_other_and_stays_the_same_disk(
    tmp_path: Path, first: str, second: str
) -> None:
    source = dynamic(tmp_path / "s.vhd", written=WRITTEN)
    suffix = {"raw": ".img"}
    one = converted(source, tmp_path / f"1{suffix.get(first, '.vhd')}", first)
    two = converted(one, tmp_path / f"2{suffix.get(second, '.vhd')}", second)
    assert content(one) == content(two) == plain(WRITTEN)


def test_chain_becomes_one_image(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written=WRITTEN)
    above = child(tmp_path / "c.vhd", below, {4: sectors(b"x", 2)})
    made = converted(above, tmp_path / "whole.vhd", "dynamic")
    below.unlink()
    assert content(made) == plain(WRITTEN | {4: sectors(b"x", 2)})


def test_zeros_are_not_copied(tmp_path: Path) -> None:
    raw = tmp_path / "s.img"
    raw.write_bytes(bytes(8 << 20) + sectors(b"x") + bytes((8 << 20) - 512))
    made = converted(raw, tmp_path / "d.vhd", "dynamic")
    assert content(made) == raw.read_bytes() and made.stat().st_size < 3 << 20
    back = converted(made, tmp_path / "b.img", "raw")
    assert back.stat().st_blocks * 512 <= 4 << 20 and back.read_bytes() == raw.read_bytes()


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    raw, told = tmp_path / "s.img", []
    raw.write_bytes(sectors(b"x", 10_000))
    with open_disk(raw) as disk:
        convert(disk, tmp_path / "d.vhd", "dynamic", lambda done, of: told.append((done, of)))
    assert told == [(2 << 20, 5_120_000), (4 << 20, 5_120_000), (5_120_000, 5_120_000)]


def test_unknown_kind_is_refused(tmp_path: Path) -> None:
    with open_disk(dynamic(tmp_path / "a.vhd")) as disk, pytest.raises(ConfigurationError) as refused:
        convert(disk, tmp_path / "b", "vhdx", quiet)
    assert str(refused.value) == "A disk is converted to raw, fixed or dynamic, not to 'vhdx': choose one."


def test_sector_that_cannot_be_read_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    source = dynamic(tmp_path / "s.vhd", written=WRITTEN)
    patch_table(source, 0, 0x7FFF_FFFF)
    with open_disk(source) as disk, pytest.raises(ConfigurationError) as refused:
        convert(disk, tmp_path / "d.vhd", "dynamic", quiet)
    assert str(refused.value) == (
        "Sectors 0 to 63 cannot be read: the file behind the disk cannot be read or written; check the "
        "image, and the disk that it lies on."
    )
    assert not (tmp_path / "d.vhd").exists() and BLOCK == 4096


@needs_qemu
@pytest.mark.parametrize("byte_count", [64 * 512, (5 << 20) + 512 * 7, 300 << 20])
def test_qemu_reads_what_was_converted_and_we_read_what_qemu_does(tmp_path: Path, byte_count: int) -> None:
    raw = tmp_path / "s.img"
    raw.write_bytes(b"")
    with raw.open("r+b") as opened:
        opened.truncate(byte_count)
        for at in range(0, byte_count - 512, max(byte_count // 7, 512)):
            opened.seek(at // 512 * 512)
            opened.write(sectors(bytes([at % 251 + 1])))
    for kind, subformat in (("dynamic", "dynamic"), ("fixed", "fixed")):
        ours = converted(raw, tmp_path / f"{kind}.vhd", kind)
        qemu_img("compare", "-f", "vpc", "-F", "raw", ours, raw)
        theirs = tmp_path / f"q{kind}.vhd"
        options = f"subformat={subformat},force_size=on"
        qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", options, raw, theirs)
        assert content(theirs) == raw.read_bytes()
        back = converted(theirs, tmp_path / f"b{kind}.img", "raw")
        assert back.read_bytes() == raw.read_bytes() == by_qemu(ours)
