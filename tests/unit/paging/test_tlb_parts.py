"""Entries and banks: who is answered, what gives way, and what no TLB is made of."""

import pytest

from minihv.errors import ConfigurationError
from minihv.paging.access import Paging
from minihv.paging.tlb_parts import AddressSpace, Bank, Entry, Held, TlbCounters, TlbShape

SPACE = AddressSpace(Paging(0x1000), number=7, partition=3)
PAGE = 0x1000


def entry(
    page: int, *, shift: int = 12, space: int = 7, partition: int = 3, is_global: bool = False
) -> Entry:
    return Entry(page, shift, space, partition, is_global, first=Held(0, 0, 0, level=1, together=0))


def pages(bank: Bank) -> list[int]:
    return [found.page for _, _, found in bank.entries()]


@pytest.mark.parametrize(("sets", "ways"), [(0, 4), (3, 4), (-4, 4), (4, 0), (1 << 19, 4)])
def test_tlb_of_no_shape_is_refused(sets: int, ways: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TlbShape(sets, ways)
    assert str(refused.value) == (
        "A TLB has a power of two of sets and at least one way, 0x100000 entries at most, "
        f"not {sets} sets of {ways} ways: choose others."
    )


@pytest.mark.parametrize("name", ["pdes", "pdptes", "pml4es", "pml5es", "nested"])
@pytest.mark.parametrize("count", [-1, 4097])
def test_cache_of_no_size_is_refused(name: str, count: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        TlbShape(**{name: count})
    assert str(refused.value) == (
        f"A cache of the page walker holds 0 to 4096 entries, not {name}={count}: "
        "choose a number in between, or 0 to do without."
    )


@pytest.mark.parametrize(("number", "partition"), [(1 << 64, 0), (0, 1 << 32), (-1, 0)])
def test_numbers_that_no_entry_could_carry_are_refused(number: int, partition: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AddressSpace(Paging(0), number=number, partition=partition)
    assert str(refused.value) == (
        "The number of an address space has 64 bits and that of a partition 32, not "
        f"{number:#x} and {partition:#x}: choose smaller ones."
    )


def test_entry_answers_its_own_address_space_only() -> None:
    assert entry(1).answers(SPACE)
    assert not entry(1, space=8).answers(SPACE)
    assert not entry(1, partition=4).answers(SPACE)


def test_global_entry_answers_every_address_space_of_its_partition() -> None:
    assert entry(1, space=8, is_global=True).answers(SPACE)
    assert not entry(1, partition=4, is_global=True).answers(SPACE)


def test_piece_of_a_large_page_is_of_that_page() -> None:
    piece = entry(0x205, shift=12)
    piece.first = Held(0, 0, 0, level=2, together=0)
    assert piece.is_of_page(0x3F_F000) and not piece.covers(0x3F_F000)
    assert not piece.is_of_page(0x40_0000)


def test_lowest_bits_of_a_pages_number_choose_its_set() -> None:
    bank = Bank(4, 1)
    for page in (0, 5, 2, 7):
        bank.insert(entry(page))
    assert [(number, found.page) for number, _, found in bank.entries()] == [(0, 0), (1, 5), (2, 2), (3, 7)]


def test_entry_used_longest_ago_gives_way() -> None:
    bank = Bank(1, 3)
    assert [bank.insert(entry(page)) for page in (1, 2, 3)] == [False] * 3
    first = bank.find(12, 1 * PAGE, SPACE)
    assert first is not None
    bank.touch(first)
    assert bank.insert(entry(4))
    assert pages(bank) == [1, 4, 3]


def test_free_slot_is_taken_before_anything_gives_way() -> None:
    bank = Bank(1, 3)
    for page in (1, 2, 3):
        bank.insert(entry(page))
    bank.drop(lambda found: found.page == 3)
    assert not bank.insert(entry(4))
    assert pages(bank) == [1, 2, 4]


def test_bank_without_ways_holds_nothing() -> None:
    bank = Bank(1, 0)
    assert not bank.insert(entry(1))
    assert bank.find(12, 1 * PAGE, SPACE) is None and bank.entries() == []


def test_everything_that_covers_an_address_can_be_dropped_at_once() -> None:
    bank = Bank(1, 4)
    for one in (entry(1), entry(0, shift=21), entry(1, space=8), entry(2)):
        bank.insert(one)
    bank.drop_covering(12, 1 * PAGE, SPACE)
    assert [(found.page, found.space) for _, _, found in bank.entries()] == [(1, 8), (2, 7)]


def test_counters_tell_what_came_since() -> None:
    before, now = TlbCounters(accesses=5, hits=2, misses=3), TlbCounters(accesses=9, hits=5, misses=4)
    assert now.since(before) == TlbCounters(accesses=4, hits=3, misses=1)
