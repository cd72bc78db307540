"""Checks: what is wrong with an image, and what a repair does about it."""

import os
from pathlib import Path
from typing import Any

import pytest
from images import (
    BLOCK,
    child,
    content,
    dynamic,
    fill,
    patch,
    patch_footer,
    patch_header,
    patch_table,
    plain,
    sectors,
)

from minihv.spec.vhd import FOOTER_BYTES
from minihv.storage.checking import Finding, check, repair
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.making import make_dynamic, make_fixed
from minihv.storage.opening import open_disk
from minihv.storage.vhd_growing import GrowingVhd

WRITTEN = {0: sectors(b"a"), 8: sectors(b"b"), 16: sectors(b"c")}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return dynamic(tmp_path / "a.vhd", written=WRITTEN)


def test_sound_images_have_nothing(tmp_path: Path, image: Path) -> None:
    make_fixed(tmp_path / "f.vhd", 4096)
    above = child(tmp_path / "c.vhd", image)
    assert [check(path) for path in (image, tmp_path / "f.vhd", above)] == [[], [], []]


def test_missing_last_footer_is_written_again(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-FOOTER_BYTES])
    assert check(image) == [
        Finding("The last footer is missing: a writer was interrupted.", False, "writes it again")
    ]
    repair(image)
    assert check(image) == [] and content(image) == plain(WRITTEN)


def test_damaged_first_footer_is_written_again(image: Path) -> None:
    patch(image, 4, b"x")
    assert check(image) == [Finding("The copy of the footer in front is damaged.", False, "writes it again")]
    repair(image)
    assert check(image) == [] and image.read_bytes()[:512] == image.read_bytes()[-512:]


def test_last_footer_wins_where_they_differ(image: Path) -> None:
    patch_footer(image, both=False, timestamp=99)
    assert check(image) == [Finding("The two footers differ.", False, "copies the last one to the front")]
    repair(image)
    assert check(image) == []


def test_entry_that_leads_astray_is_forgotten_and_the_others_stay(image: Path) -> None:
    patch_table(image, 1, 0x7FFF_FFFF)
    (found,) = check(image)
    assert found.is_damage and found.repair == "forgets that block, and what it held"
    assert found.what.startswith("The table is damaged: block 1 at 0xfffffffe00 ends behind the file")
    repair(image)
    assert not any(one.is_damage for one in check(image))
    assert content(image) == plain({0: sectors(b"a"), 16: sectors(b"c")})


def test_one_of_two_blocks_in_one_place_is_forgotten(image: Path) -> None:
    with open_disk(image) as disk:
        assert isinstance(disk, GrowingVhd)
        place = disk.table.bitmap_place(0)
    patch_table(image, 5, place // 512)
    (found,) = check(image)
    assert found.what == f"The table is damaged: block 5 at {place:#x} lies over block 0."
    repair(image)
    assert content(image) == plain(WRITTEN) and check(image) == []


def test_space_of_nobody_is_counted_and_cut_off_at_the_end(image: Path) -> None:
    data = image.read_bytes()
    image.write_bytes(data[:-512] + bytes(3 * BLOCK) + data[-512:])
    (found,) = check(image)
    assert (found.what, found.is_damage) == (f"{3 * BLOCK} bytes of the file are used by no block.", False)
    repair(image)
    assert check(image) == [] and image.read_bytes() == data


def test_image_that_cannot_be_opened_is_damage(image: Path) -> None:
    patch_header(image, block_bytes=5)
    (found,) = check(image)
    assert found.is_damage and "A block of a VHD has 4 KiB to 256 MiB" in found.what


def test_parent_that_was_changed_or_is_gone_is_damage(tmp_path: Path, image: Path) -> None:
    above = child(tmp_path / "c.vhd", image)
    os.utime(image, (1_000_000_000, 1_000_000_000))
    assert check(above) == [
        Finding("It may not be written, since its parent a.vhd was changed since the child was made.", True)
    ]
    image.unlink()
    (found,) = check(above)
    assert found.is_damage and "needs its parent" in found.what


def test_check_of_a_gibibyte_reads_its_tables_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read, counted = tmp_path / "a.vhd", HostFile.read, []
    make_dynamic(path, 1 << 30)
    fill(path, {at << 12: sectors(b"x", 8) for at in range(40)})

    def counts(file: HostFile, at: int, into: Any) -> Outcome:
        counted.append(len(memoryview(into)))
        return read(file, at, into)

    monkeypatch.setattr(HostFile, "read", counts)
    assert check(path) == []
    assert sum(counted) < 16_384


def test_repair_of_a_fixed_image_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.vhd"
    make_fixed(path, 4096)
    before = path.read_bytes()
    repair(path)
    assert path.read_bytes() == before
