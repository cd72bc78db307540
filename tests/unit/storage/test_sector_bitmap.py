"""The bitmap of a block: the highest bit of a byte is its first sector."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from minihv.storage.sector_bitmap import SectorBitmap


def test_highest_bit_is_the_first_sector() -> None:
    bitmap = SectorBitmap(16, b"\x80\x01" + bytes(510))
    assert list(bitmap.runs(0, 16)) == [(0, 1, True), (1, 14, False), (15, 1, True)]
    assert bitmap.mark(1, 2) and not bitmap.mark(0, 3)
    assert bytes(bitmap) == b"\xe0\x01" + bytes(510)


def test_bitmap_is_whole_when_every_sector_of_the_block_is_there() -> None:
    assert SectorBitmap(12, b"\xff\xf0").is_whole and not SectorBitmap(12, b"\xff\xe0").is_whole
    assert SectorBitmap(12, b"\0\x0f").is_empty


@given(st.binary(min_size=8, max_size=8), st.integers(0, 63), st.integers(1, 64))
def test_runs_are_the_bits_in_order(data: bytes, first: int, count: int) -> None:
    count = min(count, 64 - first)
    bits = [bool(data[at // 8] >> (7 - at % 8) & 1) for at in range(64)]
    spread = [present for _, run, present in SectorBitmap(64, data).runs(first, count) for _ in range(run)]
    runs = list(SectorBitmap(64, data).runs(first, count))
    assert spread == bits[first : first + count]
    assert all(one[2] != other[2] for one, other in pairwise(runs))
