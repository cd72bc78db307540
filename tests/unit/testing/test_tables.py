"""Tables written entry by entry are what the walk reads."""

import pytest
from builders import ACCESSED, DIRTY, LARGE, PRESENT, READ, USER, WRITABLE
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging.formats import X86_64
from minihv.paging.walk import Mapping, PageFault, walk
from minihv.testing.memory import WordMemory
from minihv.testing.tables import PageTable, canonical, page_table

GVA = 0x0000_1234_4567_8000
MIB_2, GIB_1 = 1 << 21, 1 << 30


@pytest.mark.parametrize("levels", [4, 5])
@pytest.mark.parametrize("page_bytes", [0x1000, MIB_2, GIB_1])
def test_mapped_page_is_where_the_walk_arrives(levels: int, page_bytes: int) -> None:
    tables = page_table(levels).maps(GVA & -page_bytes, to=3 * GIB_1, page_bytes=page_bytes)
    found = walk(tables.memory, tables.paging, GVA, READ)
    assert isinstance(found, Mapping)
    assert (found.gpa, found.page_bytes) == (3 * GIB_1 + GVA % page_bytes, page_bytes)


def test_pages_share_the_tables_that_they_can() -> None:
    tables = page_table().maps(GVA, to=0x5000).maps(GVA + 0x1000, to=0x6000)
    assert tables.way(GVA)[:-1] == tables.way(GVA + 0x1000)[:-1]
    assert tables.next_table == 0x5000


def test_entry_is_changed_where_it_lies() -> None:
    tables = page_table(memory=WordMemory()).maps(GVA, to=0x5000, flags=USER)
    tables.with_entry(GVA, 3, clear=WRITABLE, set=ACCESSED)
    assert tables.entry(GVA, 3) & (PRESENT | WRITABLE | USER | ACCESSED | DIRTY) == PRESENT | USER | ACCESSED
    assert tables.entry(GVA, 1) == 0x5000 | PRESENT | USER


def test_tables_of_a_guest_lie_behind_the_start_of_its_ram() -> None:
    tables = PageTable(WordMemory(), 0x1000, 4, offset=0x20_0000).maps(0, to=0x5000)
    assert tables.way(0) == [0x20_1000, 0x20_2000, 0x20_3000, 0x20_4000]
    assert tables.memory.read_u64(0x20_1000) & -0x1000 == 0x2000


def test_there_is_room_where_no_page_and_no_table_is() -> None:
    tables = page_table().maps(GVA & -MIB_2, to=0, page_bytes=MIB_2)
    assert not tables.has_room(GVA, 0x1000), "a page is around it"
    assert not tables.has_room(GVA, GIB_1), "a table is inside it"
    assert not tables.has_room(GVA, MIB_2)
    assert tables.has_room(GVA + MIB_2, MIB_2) and tables.has_room(GVA + GIB_1, 0x1000)


def test_other_registers_steer_the_walk() -> None:
    tables = page_table().maps(GVA, to=0x5000).steered_by(physical_bits=40).with_entry(GVA, 2, set=1 << 45)
    assert LARGE & tables.entry(GVA, 2) == 0
    assert walk(tables.memory, tables.paging, GVA, READ) == PageFault(GVA, 2, 3, error_code=9)


@given(st.integers(0, (1 << 64) - 1), st.sampled_from([4, 5]))
def test_canonical_address_keeps_the_bits_that_are_translated(address: int, levels: int) -> None:
    found, form = canonical(address, levels), X86_64[levels]
    assert form.translates(found) and (found ^ address) % (1 << form.address_bits) == 0
