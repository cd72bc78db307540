"""Images that grow: what a block holds, what lies below it, what a flush brings, and what fails on the
way.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from images import (
    BLOCK,
    BLOCK_SECTORS,
    SECTORS,
    child,
    content,
    dynamic,
    fill,
    patch,
    patch_table,
    plain,
    sectors,
)
from mortal_files import FailingFile

from minihv.spec.vhd import Footer
from minihv.storage.disk import Outcome
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk, open_file
from minihv.storage.resizing import resize
from minihv.storage.vhd_growing import GrowingVhd


def test_image_has_a_block_for_what_was_written_and_no_other(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={9: sectors(b"a"), 15: sectors(b"b", 2)})
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd) and disk.table.allocated.tolist() == [1, 2]
    assert content(path) == plain({9: sectors(b"a"), 15: sectors(b"b", 2)})


def test_bitmap_says_all_in_a_dynamic_image_and_what_was_written_over_a_parent(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={8: sectors(b"p", 8)})
    above = child(tmp_path / "c.vhd", below, {9: sectors(b"c", 2)})
    bitmaps = []
    for path in (below, above):
        with open_disk(path) as disk:
            assert isinstance(disk, GrowingVhd)
            place = disk.table.bitmap_place(1)
            bitmaps.append(path.read_bytes()[place : place + 512])
    assert bitmaps == [b"\xff" * 512, b"\x60" + bytes(511)]
    assert content(above) == plain({8: sectors(b"p", 8), 9: sectors(b"c", 2)})


def test_chain_of_three_is_read_through(tmp_path: Path) -> None:
    first = dynamic(tmp_path / "1.vhd", written={0: sectors(b"1", 24)})
    second = child(tmp_path / "2.vhd", first, {4: sectors(b"2", 10)})
    third = child(tmp_path / "3.vhd", second, {12: sectors(b"3", 1)})
    expected = {0: sectors(b"1", 24), 4: sectors(b"2", 10), 12: sectors(b"3", 1)}
    assert content(third) == plain(expected)


def test_trimmed_sectors_over_a_parent_are_zeros_and_not_the_parent_s(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={0: sectors(b"p", 16)})
    above = child(tmp_path / "c.vhd", below)
    with open_disk(above, writable=True) as disk:
        assert disk.trim(0, 12) is Outcome.DONE
    assert content(above) == plain({12: sectors(b"p", 4)})


def test_writer_that_does_not_flush_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")})
    disk = open_disk(path, writable=True)
    assert isinstance(disk, GrowingVhd)
    assert disk.write(40, sectors(b"b", 8)) is Outcome.DONE
    disk.file.close()  # as when the process dies
    assert content(path) == plain({0: sectors(b"a")})
    fill(path, {})
    assert Footer(path.read_bytes()[-512:]).cookie == b"conectix"


def test_flush_without_news_costs_nothing_but_itself(tmp_path: Path) -> None:
    file = FailingFile(dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")}), fails=1 << 30)
    disk = open_file(file, None, ())
    before = file.count
    assert disk.write(1, sectors(b"b")) is disk.flush() is Outcome.DONE
    assert file.count - before == 2
    disk.close()


WORK: dict[str, Callable[[GrowingVhd], Outcome]] = {
    "write": lambda disk: disk.write(10, sectors(b"n", 20)),
    "write through": lambda disk: disk.write(10, sectors(b"n", 20), fua=True),
    "trim": lambda disk: disk.trim(0, 20),
    "flush": lambda disk: disk.flush(),
}


@pytest.mark.parametrize("outcome", [Outcome.NO_SPACE, Outcome.MEDIUM_ERROR])
@pytest.mark.parametrize("differs", [False, True], ids=["dynamic", "differencing"])
def test_whichever_operation_fails_nothing_is_lost_that_was_flushed(
    tmp_path: Path, outcome: Outcome, differs: bool
) -> None:
    """For every n: the n-th operation on the file fails, once."""
    base = {0: sectors(b"f", 3), 30: sectors(b"g", 9)}
    for fails in range(1, 400):
        path = tmp_path / f"{fails}.vhd"
        if differs:
            below = dynamic(tmp_path / f"{fails}p.vhd", written={1: sectors(b"p", 40)})
            child(path, below, base)
        else:
            dynamic(path, written=base)
        file = FailingFile(path, fails=fails, for_ever=False)
        file.outcome = outcome
        disk = open_file(file, None, ())
        assert isinstance(disk, GrowingVhd)
        found = [work(disk) for work in WORK.values()]
        assert set(found) <= {Outcome.DONE, outcome}
        for work in (*WORK.values(), WORK["write"], WORK["flush"]):
            assert Outcome.DONE in (work(disk), work(disk))
        disk.close()
        after = content(path)
        assert after[10 * 512 : 30 * 512] == sectors(b"n", 20) and after[38 * 512 : 39 * 512] == sectors(b"g")
        if file.count < fails:
            return
    raise AssertionError("the work has more operations than were tried")


def test_full_host_is_told_and_room_makes_it_good(tmp_path: Path) -> None:
    file = FailingFile(dynamic(tmp_path / "a.vhd"), fails=1)
    disk = open_file(file, None, ())
    assert disk.write(0, sectors(b"a", 8)) is Outcome.NO_SPACE
    file.fails = 1 << 30
    assert disk.write(0, sectors(b"a", 8)) is disk.flush() is Outcome.DONE
    disk.close()
    assert content(tmp_path / "a.vhd") == plain({0: sectors(b"a", 8)})


def test_damaged_table_makes_the_image_read_only_and_harms_no_other_block(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    patch_table(path, 1, 0x7FFF_FFFF)
    before = path.read_bytes()
    with open_disk(path, writable=True) as disk:
        why = "its table is damaged (block 1 at 0xfffffffe00 ends behind the file"
        assert disk.why_read_only.startswith(why)
        into = bytearray(BLOCK)
        assert disk.read(0, into) is Outcome.DONE and into[:512] == sectors(b"a")
        assert disk.read(8, into) is Outcome.MEDIUM_ERROR
        assert disk.write(0, sectors(b"x")) is Outcome.READ_ONLY
    assert path.read_bytes() == before


def test_block_of_another_tool_that_lacks_sectors_has_zeros_there(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a", 8)})
    with open_disk(path) as disk:
        assert isinstance(disk, GrowingVhd)
        place = disk.table.bitmap_place(0)
    patch(path, place, b"\x0f")
    assert content(path) == plain({4: sectors(b"a", 4)})
    fill(path, {0: sectors(b"b", 4)})
    assert content(path) == plain({0: sectors(b"b", 4), 4: sectors(b"a", 4)})
    assert path.read_bytes()[place] == 0xFF


def test_child_that_is_larger_than_its_parent_has_zeros_beyond(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={SECTORS - 1: sectors(b"p")})
    above = child(tmp_path / "c.vhd", below)
    with open_disk(above, writable=True) as disk:
        resize(disk, (SECTORS + 16) * 512)
    assert content(above) == plain({SECTORS - 1: sectors(b"p")}, SECTORS + 16)


def test_next_data_is_the_next_block_that_is_there(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={40: sectors(b"p")})
    above = child(tmp_path / "c.vhd", below, {17: sectors(b"c")})
    with open_disk(above) as disk:
        found = [disk.next_data(at) for at in (0, 16, 18, 24, 41, 48)]
    assert found == [2 * BLOCK_SECTORS, 16, 18, 5 * BLOCK_SECTORS, 41, SECTORS]


def test_memory_for_the_largest_disk_is_small(tmp_path: Path) -> None:
    """The table and a byte for each block: about a million blocks."""
    make_dynamic(tmp_path / "big.vhd", 2040 << 30)
    with open_disk(tmp_path / "big.vhd", writable=True) as disk:
        assert isinstance(disk, GrowingVhd)
        assert disk.write(disk.sector_count - 1, sectors(b"z")) is Outcome.DONE
        assert disk.table.places.nbytes + len(disk.table.places) < 16 << 20
    with open_disk(tmp_path / "big.vhd") as disk:
        into = bytearray(512)
        assert disk.read(disk.sector_count - 1, into) is Outcome.DONE and into == sectors(b"z")
