"""The picture of an image's blocks."""

from pathlib import Path

from images import child, dynamic, sectors

from minihv.cli.disk.picture import picture_of, text
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk
from minihv.storage.vhd_growing import GrowingVhd


def drawn(path: Path, *, plain: bool = True) -> list[str]:
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd)
        return text(picture_of(disk), plain=plain, encoding="utf-8").splitlines()


def test_block_over_a_parent_that_lacks_sectors_has_a_sign_of_its_own(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd")
    above = child(tmp_path / "c.vhd", below, {0: sectors(b"c", 8), 9: sectors(b"c")})
    assert drawn(above)[2] == "#o......"
    assert drawn(above, plain=False)[2] == "█░······"


def test_large_disk_has_several_blocks_in_a_sign(tmp_path: Path) -> None:
    make_dynamic(tmp_path / "a.vhd", 64 << 30)
    lines = drawn(tmp_path / "a.vhd")
    assert lines[1] == "one sign for 32,768 KiB: . nothing, o some, # all"
    assert len(lines) == 2 + 32 and all(line == "." * 64 for line in lines[2:])


def test_blocks_that_follow_each_other_are_one_extent(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"x", 24), 40: sectors(b"y")})
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd)
        found = picture_of(disk)
    assert [(one.first_block, one.blocks) for one in found.extents] == [(0, 3), (5, 1)]
