"""Compacting: the same disk in a smaller file."""

from pathlib import Path

import pytest
from images import BLOCK, by_qemu, child, content, dynamic, fill, needs_qemu, plain, sectors

from minihv.storage.checking import check
from minihv.storage.compacting import compact
from minihv.storage.opening import open_disk
from minihv.storage.vhd_format import ImageError
from minihv.storage.vhd_growing import GrowingVhd


def compacted(path: Path) -> int:
    with open_disk(path, writable=True) as disk:
        assert isinstance(disk, GrowingVhd)
        return compact(disk, lambda _done, _of: None)


def test_blocks_of_zeros_are_left_out(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={at: sectors(b"x", 8) for at in range(0, 64, 8)})
    fill(path, {at: bytes(BLOCK) for at in range(8, 56, 8)})
    before = path.stat().st_size
    assert compacted(path) == path.stat().st_size < before - 5 * BLOCK
    assert content(path) == plain({0: sectors(b"x", 8), 56: sectors(b"x", 8)})
    assert check(path) == []


def test_child_keeps_zeros_that_hide_its_parent_s_sectors(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={0: sectors(b"p", 24)})
    path = child(tmp_path / "c.vhd", below, {0: bytes(BLOCK), 9: sectors(b"c")})
    expected = content(path)
    compacted(path)
    assert content(path) == expected and check(path) == []
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd) and disk.table.allocated.tolist() == [0, 1]


def test_blocks_lie_in_their_order_afterwards(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    fill(path, {at: sectors(bytes([at + 1])) for at in (48, 8, 32, 0)})
    compacted(path)
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd)
        places = disk.table.places[disk.table.allocated].tolist()
    assert places == sorted(places) and len(places) == 4


def test_interrupted_compacting_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"x"), 8: sectors(b"y")})
    before = path.read_bytes()

    def stops(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with open_disk(path, writable=True) as disk:
        assert isinstance(disk, GrowingVhd)
        with pytest.raises(KeyboardInterrupt):
            compact(disk, stops)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_image_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd)
        with pytest.raises(ImageError) as refused:
            compact(disk, lambda _done, _of: None)
    assert str(refused.value) == f"{path} cannot be compacted, since it was opened to be read."


@needs_qemu
def test_qemu_reads_the_small_image(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={at: sectors(b"x", 3) for at in range(0, 64, 16)})
    compacted(path)
    assert by_qemu(path) == content(path)
