import pytest

from minihv.terms import HUGE_PAGE_BYTES, LARGE_PAGE_BYTES, PAGE_BYTES, PAGE_SHIFT, page_align_up


def test_a_page_table_of_512_entries_maps_one_page_of_the_next_size() -> None:
    assert PAGE_BYTES == 1 << PAGE_SHIFT
    assert LARGE_PAGE_BYTES == 512 * PAGE_BYTES
    assert HUGE_PAGE_BYTES == 512 * LARGE_PAGE_BYTES


@pytest.mark.parametrize(
    ("address", "aligned"), [(0, 0), (1, 0x1000), (0xFFF, 0x1000), (0x1000, 0x1000), (0x1001, 0x2000)]
)
def test_aligning_up_never_goes_below_the_address(address: int, aligned: int) -> None:
    assert page_align_up(address) == aligned
