"""Formats are tables of levels."""

import pytest

from minihv.paging.formats import NESTED, PDPT, PML4, PT, X86_64


def test_four_levels_translate_48_bits_and_five_57() -> None:
    assert (X86_64[4].address_bits, X86_64[5].address_bits) == (48, 57)


@pytest.mark.parametrize("address", [0, 0x7FFF_FFFF_FFFF, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF])
def test_canonical_address_is_translated(address: int) -> None:
    assert X86_64[4].translates(address)


@pytest.mark.parametrize("address", [0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF, 1 << 63, 1 << 64, -1])
def test_address_that_is_not_canonical_is_not_translated(address: int) -> None:
    assert not X86_64[4].translates(address)


def test_five_levels_translate_what_four_do_not() -> None:
    assert X86_64[5].translates(0x8000_0000_0000)
    assert not X86_64[5].translates(0x0100_0000_0000_0000)


def test_physical_address_has_zeros_above() -> None:
    assert NESTED[4].translates(0x8000_0000_0000)
    assert not NESTED[4].translates(1 << 48)
    assert not NESTED[4].translates(0xFFFF_8000_0000_0000)


def test_entry_is_chosen_by_nine_bits() -> None:
    assert PML4.entry_address(0x1000, 0xFFFF_8080_0000_0000) == 0x1000 + 8 * 0x101
    assert PT.entry_address(0x1000, 0x0000_0000_0020_3FFF) == 0x1000 + 8 * 3


def test_pages_have_three_sizes() -> None:
    sizes = [X86_64[5].level_of(1 << shift) for shift in (12, 21, 30, 39)]
    assert [level.name if level else None for level in sizes] == ["PT", "PD", "PDPT", None]


def test_large_page_reserves_the_bits_of_its_offset_but_pat() -> None:
    assert PDPT.reserved(0x80) == 0x3FFF_E000
    assert PDPT.reserved(0) == 0
    assert PML4.reserved(0) == 0x80
