"""Resizing: a larger disk with zeros behind, a smaller one only where it is empty."""

from pathlib import Path

import pytest
from images import BLOCK, SECTORS, by_qemu, child, content, dynamic, fill, needs_qemu, plain, sectors

from minihv.storage.checking import check
from minihv.storage.making import make_fixed
from minihv.storage.opening import open_disk
from minihv.storage.resizing import resize
from minihv.storage.vhd_format import ImageError

WRITTEN = {0: sectors(b"a"), 30: sectors(b"b", 4)}


def resized(path: Path, sector_count: int) -> Path:
    with open_disk(path, writable=True) as disk:
        resize(disk, sector_count * 512)
    return path


@pytest.mark.parametrize("sector_count", [SECTORS + 1, SECTORS + 8, 130 * 8, 5000])
def test_growing_image_gets_zeros_behind(tmp_path: Path, sector_count: int) -> None:
    path = resized(dynamic(tmp_path / "a.vhd", written=WRITTEN), sector_count)
    assert content(path) == plain(WRITTEN, sector_count)
    assert [one for one in check(path) if one.is_damage] == []
    fill(path, {sector_count - 1: sectors(b"z")})
    assert content(path) == plain(WRITTEN | {sector_count - 1: sectors(b"z")}, sector_count)


@pytest.mark.parametrize("sector_count", [SECTORS - 1, 40, 34])
def test_image_is_cut_where_it_is_empty(tmp_path: Path, sector_count: int) -> None:
    path = resized(dynamic(tmp_path / "a.vhd", written=WRITTEN), sector_count)
    assert content(path) == plain(WRITTEN, sector_count)
    path = resized(path, SECTORS)
    assert content(path) == plain(WRITTEN)


@pytest.mark.parametrize("sector_count", [33, 1])
def test_image_is_not_cut_where_something_is(tmp_path: Path, sector_count: int) -> None:
    path = dynamic(tmp_path / "a.vhd", written=WRITTEN)
    with pytest.raises(ImageError) as refused:
        resized(path, sector_count)
    assert f"shortly behind, beyond {sector_count}: shrink the file system in it first." in str(refused.value)
    assert content(path) == plain(WRITTEN)


@pytest.mark.parametrize("sector_count", [16, 8, 200])
def test_fixed_image_is_resized_with_its_footer(tmp_path: Path, sector_count: int) -> None:
    path = tmp_path / "f.vhd"
    make_fixed(path, SECTORS * 512)
    fill(path, {2: sectors(b"f")})
    resized(path, sector_count)
    assert path.stat().st_size == sector_count * 512 + 512
    assert content(path) == plain({2: sectors(b"f")}, sector_count)


def test_raw_image_is_resized(tmp_path: Path) -> None:
    path = tmp_path / "r.img"
    path.write_bytes(sectors(b"r", 4) + bytes(4096))
    assert resized(path, 4).read_bytes() == sectors(b"r", 4)
    assert resized(path, 9).read_bytes() == sectors(b"r", 4) + bytes(5 * 512)


def test_child_becomes_larger_than_its_parent(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written=WRITTEN)
    path = resized(child(tmp_path / "c.vhd", below), 2 * SECTORS)
    assert content(path) == plain(WRITTEN, 2 * SECTORS)


def test_size_that_no_disk_has_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written=WRITTEN)
    with open_disk(path, writable=True) as disk:
        for byte_count in (0, 1000, (2040 << 30) + 512):
            with pytest.raises(ImageError):
                resize(disk, byte_count)
    with open_disk(path) as disk, pytest.raises(ImageError) as refused:
        resize(disk, BLOCK)
    assert str(refused.value) == f"{path} cannot be resized, since it was opened to be read."


@needs_qemu
def test_qemu_reads_the_resized_image(tmp_path: Path) -> None:
    path = resized(dynamic(tmp_path / "a.vhd", written=WRITTEN), 3000)
    assert by_qemu(path) == content(path)
