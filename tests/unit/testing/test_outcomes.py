"""Outcomes are named as the manuals name them, and floors are held."""

from dataclasses import replace

import pytest
from builders import EXECUTE, NO_EXECUTE, PRESENT, READ, USER, USER_READ, USER_WRITE, WRITABLE, WRITE
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging.access import Access, AccessKind
from minihv.testing.memory import WordMemory
from minihv.testing.outcomes import Shares, deciding, observed, observed_second, outcome_of
from minihv.testing.tables import PageTable, page_table

GVA = 0x5000
RAM = 0x20_0000


def of(tables: PageTable, access: Access, gva: int = GVA) -> str:
    return outcome_of(observed(tables.memory, tables.paging, gva, access))


def guest() -> tuple[PageTable, PageTable]:
    memory = WordMemory()
    second = PageTable(memory, 0x10_0000, 4)
    for gpa in range(0x1000, 0xA000, 0x1000):
        second.maps(gpa, to=RAM + gpa)
    return PageTable(memory, 0x1000, 4, offset=RAM).maps(GVA, to=0x9000), second


def two_stages(tables: PageTable, second: PageTable, access: Access) -> str:
    return outcome_of(observed(tables.memory, tables.paging, GVA, access, second.paging))


def test_pages_are_named_by_their_size() -> None:
    assert of(page_table().maps(GVA, to=0x9000), READ) == "mapped: 4 KiB"
    assert of(page_table().maps(0, to=0, page_bytes=1 << 21), READ) == "mapped: 2 MiB"
    assert two_stages(*guest(), READ) == "mapped: 4 KiB by 4 KiB"


@pytest.mark.parametrize(
    ("set_bits", "clear", "access", "words"),
    [
        (0, PRESENT, READ, "page fault: absent at level 2"),
        (1 << 45, 0, READ, "page fault: reserved at level 2"),
        (0, WRITABLE, USER_WRITE, "page fault: R/W at level 1"),
        (0, WRITABLE, WRITE, "page fault: R/W at level 1"),
        (0, USER, USER_READ, "page fault: U/S at level 1"),
        (NO_EXECUTE, 0, EXECUTE, "page fault: NX at level 1"),
    ],
)
def test_refusals_are_named_by_their_cause(set_bits: int, clear: int, access: Access, words: str) -> None:
    tables = page_table().maps(GVA, to=0x9000).with_entry(GVA, 2, set=set_bits, clear=clear)
    assert of(tables.steered_by(physical_bits=40), access) == words


@pytest.mark.parametrize(
    ("register", "access", "words"),
    [
        ("smep", EXECUTE, "page fault: SMEP at level 1"),
        ("smap", READ, "page fault: SMAP at level 1"),
        ("smap", replace(READ, ac=True, implicit=True), "page fault: SMAP, implicit at level 1"),
    ],
)
def test_supervisor_s_own_refusals_have_their_names(register: str, access: Access, words: str) -> None:
    assert of(page_table().maps(GVA, to=0x9000).steered_by(**{register: True}), access) == words


def test_address_that_is_not_canonical_has_no_level() -> None:
    assert of(page_table(), READ, gva=1 << 60) == "not canonical"


def test_violations_tell_a_table_from_the_page() -> None:
    tables, second = guest()
    second.with_entry(0x9000, 1, clear=USER)
    assert two_stages(tables, second, READ) == "violation on the page: U/S"
    second.with_entry(0x3000, 1, clear=WRITABLE)
    assert two_stages(tables, second, READ) == "violation on a table: R/W"


def test_second_stage_alone_is_told_too() -> None:
    _, second = guest()
    walked = observed_second(second.memory, second.paging, 0x9000, AccessKind.READ)
    assert outcome_of(walked) == "mapped: 4 KiB"
    walked = observed_second(second.memory, second.paging, 0xF000, AccessKind.READ)
    assert outcome_of(walked) == "violation on the page: absent"


def test_entries_that_decide_are_those_of_the_stage_that_refused() -> None:
    tables, second = guest()
    second.with_entry(0x9000, 1, clear=USER)
    walked = observed(tables.memory, tables.paging, GVA, READ, second.paging)
    assert [reference.level for reference in deciding(walked)] == [4, 3, 2, 1]
    assert deciding(walked) == list(walked.seen[-4:])


def test_shares_are_counted_and_floors_are_held() -> None:
    shares = Shares()

    @given(st.none())
    def count(_: None) -> None:
        for outcome in ("mapped: 4 KiB", "mapped: 2 MiB", "absent", "mapped: 4 KiB"):
            shares.add(outcome)

    count()
    assert (shares.share("mapped"), shares.share("absent")) == (0.75, 0.25)
    assert str(shares).splitlines()[0] == " 50.00 %  mapped: 4 KiB"
    shares.assert_floors({"mapped": 0.7})
    assert shares.missed({"mapped": 0.8, "absent": 0.2, "NX": 0.1}) == {"mapped": 0.75, "NX": 0.0}
    with pytest.raises(AssertionError, match=r"shares below their floor: \{'NX': 0.0\} in Counter"):
        shares.assert_floors({"NX": 0.1})
