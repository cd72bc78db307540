"""The table of blocks: places that are given, released and given again, and entries that cannot be."""

from pathlib import Path

import pytest
from images import BLOCK, TABLE, dynamic, fill, patch_table, sectors

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.block_table import DATA_ALIGNMENT, BlockTable
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.opening import open_disk
from minihv.storage.vhd_growing import GrowingVhd


def table_of(path: Path) -> BlockTable:
    disk = open_disk(path)
    assert isinstance(disk, GrowingVhd)
    return disk.table


def test_data_of_a_new_block_begins_at_a_page_of_the_host(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 17: sectors(b"b")})
    table = table_of(path)
    assert table.allocated.tolist() == [0, 2]
    assert not (table.places[table.allocated] % DATA_ALIGNMENT).any()
    assert [table.bitmap_place(block) for block in (0, 2)] == [
        int(table.places[block]) - SECTOR_BYTES for block in (0, 2)
    ]
    assert table.end + 512 == path.stat().st_size and table.leaked_bytes() == 0


def test_table_in_the_file_has_sectors_and_all_ones(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={8: sectors(b"b")})
    place = table_of(path).bitmap_place(1)
    entries = path.read_bytes()[TABLE : TABLE + 12]
    assert entries == b"\xff" * 4 + (place // 512).to_bytes(4, "big") + b"\xff" * 4


def test_place_that_was_released_is_given_again_only_after_a_flush(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    with open_disk(path, writable=True) as disk:
        assert isinstance(disk, GrowingVhd)
        place = int(disk.table.places[0])
        assert disk.trim(0, 8) is Outcome.DONE
        assert disk.write(16, sectors(b"c")) is Outcome.DONE
        assert disk.table.places[2] > place
        assert disk.flush() is Outcome.DONE
        assert disk.write(24, sectors(b"d")) is Outcome.DONE
        assert disk.table.places[3] == place
        into = bytearray(BLOCK)
        assert disk.read(24, into) is Outcome.DONE and into == sectors(b"d") + bytes(BLOCK - 512)


def test_file_becomes_shorter_when_its_last_block_is_released(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    before = path.stat().st_size
    with open_disk(path, writable=True) as disk:
        assert disk.trim(8, 8) is Outcome.DONE
    assert path.stat().st_size == before - BLOCK - DATA_ALIGNMENT


@pytest.mark.parametrize(
    ("block", "sector", "why"),
    [
        (1, 0x7FFF_FFFF, "block 1 at 0xfffffffe00 ends behind the file, which has"),
        (1, 1, "block 1 at 0x200 lies over the tables"),
        (1, 0, "block 1 at 0x0 lies over the tables"),
    ],
)
def test_entry_that_leads_astray_is_named(tmp_path: Path, block: int, sector: int, why: str) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    patch_table(path, block, sector)
    assert any(str(fault).startswith(why) for fault in table_of(path).faults())


def test_block_over_another_is_named(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    place = table_of(path).bitmap_place(0)
    patch_table(path, 5, place // 512 + 3)
    found = [str(fault) for fault in table_of(path).faults()]
    assert found == [f"block 5 at {place + 3 * 512:#x} lies over block 0"]


def test_space_of_no_block_is_counted(tmp_path: Path) -> None:
    path = fill(dynamic(tmp_path / "a.vhd"), {block * 8: sectors(b"x") for block in range(5)})
    patch_table(path, 2, 0xFFFF_FFFF)
    assert table_of(path).leaked_bytes() == BLOCK + 2 * DATA_ALIGNMENT - 512


def test_table_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(bytes(100))
    file = HostFile(path, writable=False)
    assert BlockTable(file, 0, 64, 512, BLOCK, [(0, 512)]).load() is Outcome.MEDIUM_ERROR
    file.close()
