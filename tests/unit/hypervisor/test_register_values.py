"""Segment registers as values: the bytes in which hypercalls carry them."""

from hypothesis import given
from hypothesis import strategies as st

from minihv.hypervisor.register_values import SegmentValue


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)
)
def test_segment_is_the_same_after_its_way_through_bytes(
    base: int, limit: int, selector: int, attributes: int
) -> None:
    value = SegmentValue(base, limit, selector, attributes)
    assert SegmentValue.from_bytes(value.to_bytes()) == value


def test_segment_lies_in_its_bytes_as_the_tlfs_orders_them() -> None:
    data = SegmentValue(0x0706_0504_0302_0100, 0x0B0A_0908, 0x0D0C, 0x0F0E).to_bytes()
    assert data == bytes(range(16))
