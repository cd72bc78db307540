"""Pages that lie anywhere are one run of bytes."""

import pytest

from minihv.errors import LayoutError
from minihv.terms import PAGE_BYTES
from minihv.vmbus.pages import RingPages


def test_range_across_pages_is_read_in_the_order_of_the_ring() -> None:
    memory = bytearray(4 * PAGE_BYTES)
    memory[3 * PAGE_BYTES : 3 * PAGE_BYTES + 2] = b"cd"
    memory[2 * PAGE_BYTES - 2 : 2 * PAGE_BYTES] = b"ab"
    pages = RingPages(memory, [0, PAGE_BYTES, 3 * PAGE_BYTES])
    assert pages.read(2 * PAGE_BYTES - 2, 4) == b"abcd"


def test_write_across_pages_changes_both() -> None:
    memory = bytearray(3 * PAGE_BYTES)
    RingPages(memory, [0, 2 * PAGE_BYTES, PAGE_BYTES]).write(2 * PAGE_BYTES - 1, b"xy")
    assert memory[3 * PAGE_BYTES - 1 :] + memory[PAGE_BYTES : PAGE_BYTES + 1] == b"xy"


def test_whoever_wants_to_know_hears_of_each_piece() -> None:
    heard = list[tuple[int, int]]()
    pages = RingPages(bytearray(3 * PAGE_BYTES), [0, 0x2000, 0x1000], lambda *piece: heard.append(piece))
    pages.write(0x1FF8, bytes(16))
    assert heard == [(0x2FF8, 8), (0x1000, 8)]


def test_pages_in_a_row_are_flat() -> None:
    memory = bytearray(4 * PAGE_BYTES)
    assert RingPages(memory, [0, 0x2000, 0x3000]).is_flat
    assert not RingPages(memory, [0, 0x3000, 0x2000]).is_flat
    assert RingPages.of(memory).addresses == (0, 0x1000, 0x2000, 0x3000)


def test_ring_without_data_is_refused() -> None:
    with pytest.raises(LayoutError) as refusal:
        RingPages(bytearray(PAGE_BYTES), [0])
    assert str(refusal.value) == "A ring is a control page and at least one page of data, not 1 pages."


def test_page_outside_of_the_memory_is_refused() -> None:
    with pytest.raises(LayoutError) as refusal:
        RingPages(bytearray(2 * PAGE_BYTES), [0, 0x1008])
    assert str(refusal.value) == (
        "Pages of a ring begin at multiples of 8 inside the 0x2000 bytes of its memory, not at 0x1008."
    )


def test_ring_of_more_than_a_gibibyte_is_refused() -> None:
    with pytest.raises(LayoutError) as refusal:
        RingPages(bytearray(PAGE_BYTES), [0] * ((1 << 18) + 2))
    assert str(refusal.value) == "A ring has at most 0x40000000 bytes of data, not 0x40001000."
