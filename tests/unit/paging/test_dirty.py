"""The harvest: what is marked is found once, large pages count whole, and nothing else changes."""

from collections.abc import Callable

import numpy as np
import pytest
from builders import ACCESSED, DIRTY, PRESENT

from minihv.paging import native
from minihv.paging.access import AccessKind, BufferMemory, Paging
from minihv.paging.dirty import HarvestError, PageBitmap
from minihv.paging.dirty import harvest as reference
from minihv.paging.nested import second_walk
from minihv.paging.tables import TableStatus
from minihv.testing import PageTable, memory_of, page_table

KIB_4, MIB_2, GIB_1 = 1 << 12, 1 << 21, 1 << 30


Harvest = Callable[[BufferMemory, Paging, int, int, int], PageBitmap]


@pytest.fixture(params=[reference, native.harvest], ids=["python", "c"])
def harvest(request: pytest.FixtureRequest) -> Harvest:
    """Each sentence is true of both cores."""
    made: Harvest = request.param
    return made


def under(tables: PageTable) -> BufferMemory:
    """The memory that ``tables`` lie in."""
    assert isinstance(tables.memory, BufferMemory)
    return tables.memory


def test_page_that_was_written_is_found_once(harvest: Harvest) -> None:
    tables = page_table().maps(0x5000, to=0x9000).maps(0x6000, to=0xA000)
    second_walk(tables.memory, tables.paging, 0x5123, AccessKind.WRITE)
    second_walk(tables.memory, tables.paging, 0x6123, AccessKind.READ)
    assert harvest(under(tables), tables.paging, 0, 16, DIRTY).gpns() == [5]
    assert harvest(under(tables), tables.paging, 0, 16, DIRTY).gpns() == []
    assert harvest(under(tables), tables.paging, 0, 16, ACCESSED).gpns() == [5, 6]


def test_harvest_leaves_all_other_bits_alone(harvest: Harvest) -> None:
    tables = page_table().maps(0x5000, to=0x9000, flags=DIRTY | ACCESSED | 1 << 62)
    harvest(under(tables), tables.paging, 0, 16, DIRTY)
    assert tables.entry(0x5000, level=1) == 0x9000 | ACCESSED | 1 << 62 | PRESENT


def test_entry_that_is_not_present_is_not_found(harvest: Harvest) -> None:
    tables = page_table().maps(0x5000, to=0x9000, flags=DIRTY)
    tables.with_entry(0x5000, 1, clear=PRESENT)
    assert harvest(under(tables), tables.paging, 0, 16, DIRTY).count == 0
    assert tables.entry(0x5000, level=1) == 0x9000 | DIRTY


@pytest.mark.parametrize(("page_bytes", "page_count"), [(MIB_2, 512), (GIB_1, 512 * 512)])
def test_large_page_stands_for_all_in_it(harvest: Harvest, page_bytes: int, page_count: int) -> None:
    tables = page_table().maps(page_bytes, to=0, page_bytes=page_bytes, flags=DIRTY)
    found = harvest(under(tables), tables.paging, 0, 3 * page_count, DIRTY)
    assert list(found.runs()) == [(page_count, page_count)]
    assert harvest(under(tables), tables.paging, 0, 3 * page_count, DIRTY).count == 0


def test_large_page_that_reaches_out_of_the_range_keeps_its_mark(harvest: Harvest) -> None:
    tables = page_table().maps(0, to=0, page_bytes=MIB_2, flags=DIRTY)
    for _ in range(2):
        assert list(harvest(under(tables), tables.paging, 8, 16, DIRTY).runs()) == [(8, 16)]
    assert harvest(under(tables), tables.paging, 0, 512, DIRTY).count == 512


def test_range_may_begin_and_end_within_a_table(harvest: Harvest) -> None:
    tables = page_table()
    for gpn in range(32):
        tables.maps(gpn << 12, to=0x9000, flags=DIRTY)
    assert harvest(under(tables), tables.paging, 8, 11, DIRTY).gpns() == list(range(8, 19))
    assert harvest(under(tables), tables.paging, 0, 32, DIRTY).gpns() == [*range(8), *range(19, 32)]


def test_five_levels_are_harvested_too(harvest: Harvest) -> None:
    far = 1 << 50
    tables = page_table(levels=5).maps(far, to=0x9000, flags=DIRTY)
    assert harvest(under(tables), tables.paging, far >> 12, 8, DIRTY).gpns() == [far >> 12]


def test_table_that_lies_in_no_memory_has_no_pages(harvest: Harvest) -> None:
    tables = page_table().maps(0, to=0x9000, flags=DIRTY)
    tables.with_entry(0, 2, set=1 << 40)
    assert harvest(under(tables), tables.paging, 0, 512, DIRTY).count == 0


def test_no_pages_are_none(harvest: Harvest) -> None:
    tables = page_table().maps(0, to=0x9000, flags=DIRTY)
    assert harvest(under(tables), tables.paging, 0, 0, DIRTY).count == 0


REFUSALS = [
    ((0, 8, 0x42), TableStatus.BAD_FLAGS,
     "A harvest collects A (0x20) or D (0x40), not 0x42: choose one of the two."),
    ((9, 8, DIRTY), TableStatus.MISALIGNED,
     "A harvest begins at a page whose number is a multiple of 8, and 0x9 is none: begin at 0x8."),
    ((8, (1 << 36) - 7, DIRTY), TableStatus.OUT_OF_REACH,
     "Tables of nested, 4 levels do not translate 0xffffffff9 pages from 0x8: choose a range inside."),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "sentence"), REFUSALS)
def test_harvest_that_cannot_be_is_refused(
    harvest: Harvest, asked: tuple[int, int, int], status: TableStatus, sentence: str
) -> None:
    with pytest.raises(HarvestError) as refusal:
        harvest(memory_of(0x2000), Paging(0x1000), *asked)
    assert (refusal.value.status, str(refusal.value)) == (status, sentence)


def test_bitmap_has_a_bit_for_each_page() -> None:
    bitmap = PageBitmap(16, 11)
    for gpn in (16, 17, 20, 26):
        bitmap.add(gpn)
    assert bitmap.bits.tolist() == [0b10011, 0b100]
    assert (bitmap.count, bitmap.gpns(), list(bitmap.runs())) == (
        4, [16, 17, 20, 26], [(16, 2), (20, 1), (26, 1)],
    )  # fmt: skip
    assert [gpn for gpn in range(64) if gpn in bitmap] == bitmap.gpns()
    assert repr(bitmap) == "<4 of 11 pages from 0x10>"


def test_bitmaps_are_joined_and_compared() -> None:
    one, other = PageBitmap(0, 16), PageBitmap(0, 16)
    one.add(3)
    other.add(9)
    assert one != other and one != PageBitmap(0, 24) and one != [3]
    one.join(other)
    other.add(3)
    assert one == other and np.array_equal(one.as_bools(), other.as_bools())
