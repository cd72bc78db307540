"""Entries of page tables and the error code of #PF; their places are compared in ``tests/layouts``."""

from minihv.spec.x86_paging import FRAME, NO_EXECUTE, LargePageEntry1G, PageEntry, PageFaultCode, TableEntry


def test_table_entry_names_the_next_table() -> None:
    entry = TableEntry(0x8000_0000_1234_5027)
    assert (entry.frame << 12, entry.no_execute, entry.large) == (0x1234_5000, True, False)


def test_page_entry_carries_dirty() -> None:
    assert PageEntry(0x67).dirty
    assert not PageEntry(0x27).dirty


def test_gigabyte_entry_reserves_the_low_address_bits() -> None:
    assert LargePageEntry1G.reserved_mask() == 0x3FFF_E000


def test_error_code_of_a_user_write_to_an_absent_page_is_six() -> None:
    assert int(PageFaultCode(write=True, user=True)) == 6


def test_masks_of_the_walk_do_not_meet() -> None:
    assert FRAME & NO_EXECUTE == 0
    assert FRAME == 0x000F_FFFF_FFFF_F000
