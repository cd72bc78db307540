"""Bits and bytes have names, each at an explicit place, and what does not fit is refused."""

import re

import pytest

from minihv.errors import LayoutError
from minihv.spec.bits import Bits, Field, Layout, bits, field, flag, part, raw, u8, u16, u32, u64


class Sint(Bits, width=32):
    vector = field(7, 0)
    masked = flag(16)


class Inner(Layout, byte_count=4):
    low = u16(0)
    high = u16(2)


class Outer(Layout, byte_count=0x20):
    byte = u8(0)
    word = u32(4)
    sint = bits(8, Sint)
    inner = part(0xC, Inner)
    text = raw(0x10, 4)
    long = u64(0x18)


def says(message: str) -> str:
    return f"^{re.escape(message)}$"


def test_field_is_read_from_its_place() -> None:
    assert Sint(0x1_00FE).vector == 0xFE
    assert Sint(0x1_00FE).masked is True


def test_field_of_the_class_knows_its_mask() -> None:
    assert (Sint.vector.mask, Sint.masked.mask, Sint.masked.low) == (0xFF, 1 << 16, 16)


def test_value_is_built_from_parts() -> None:
    assert int(Sint(vector=0x31, masked=True)) == 0x1_0031


def test_replacing_a_part_keeps_reserved_bits() -> None:
    assert int(Sint(0x8000_0031).replace(vector=1)) == 0x8000_0001


def test_strict_reading_refuses_reserved_bits() -> None:
    with pytest.raises(LayoutError, match=says("Reserved bits of Sint must be 0, and 0x80000200 are set.")):
        Sint(0x8000_0231, strict=True)


def test_strict_reading_takes_what_has_names() -> None:
    assert Sint(0x1_0031, strict=True).vector == 0x31


def test_value_tells_whether_reserved_bits_are_zero() -> None:
    assert Sint(0x1_00FF).reserved_is_zero
    assert not Sint(0x100).reserved_is_zero


def test_number_wider_than_the_register_is_refused() -> None:
    with pytest.raises(LayoutError, match=says("Sint is 32 bits wide, and 0x100000000 does not fit.")):
        Sint(1 << 32)


def test_part_wider_than_its_field_is_refused() -> None:
    with pytest.raises(LayoutError, match=says("Field vector (7:0) holds 0x0 to 0xff, not 0x100.")):
        Sint(vector=0x100)


def test_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LayoutError, match=says("Sint has no field 'vektor'; it has vector, masked.")):
        Sint(vektor=1)


def test_overlapping_fields_are_refused() -> None:
    with pytest.raises(
        LayoutError, match=says("Fields of Wrong must not overlap: vector (7:0) and masked (7).")
    ):

        class Wrong(Bits, width=16):
            vector = field(7, 0)
            masked = flag(7)


def test_field_outside_the_register_is_refused() -> None:
    with pytest.raises(LayoutError, match=says("Wrong has bits 15:0, and far (16:12) lies outside.")):

        class Wrong(Bits, width=16):
            far = field(16, 12)


def test_field_written_low_bit_first_is_refused() -> None:
    with pytest.raises(LayoutError, match=says("A field is written high bit first, not 0:7: swap the two.")):
        Field(0, 7)


def test_value_shows_what_is_set() -> None:
    assert repr(Sint(0x8001_0031)) == "Sint(0x80000000, vector=0x31, masked=True)"


def test_values_are_equal_when_type_and_bits_are() -> None:
    assert Sint(5) == Sint(5)
    assert Sint(5) != Sint(6)
    assert Sint(5) != 5
    assert len({Sint(5), Sint(5)}) == 1


def test_structure_is_a_view_of_its_bytes() -> None:
    memory = bytearray(0x40)
    outer = Outer(memory, offset=0x10)
    outer.word = 0x1234_5678
    outer.inner.high = 0xABCD
    assert memory[0x14:0x18] == b"\x78\x56\x34\x12"
    assert memory[0x1E:0x20] == b"\xcd\xab"


def test_structure_reads_bits_and_bytes() -> None:
    outer = Outer.build(sint=Sint(vector=7), text=b"abcd", byte=1, long=2)
    assert (outer.sint.vector, outer.text, outer.byte, outer.long) == (7, b"abcd", 1, 2)


def test_inner_structure_can_be_copied_in() -> None:
    outer = Outer.build(inner=Inner.build(low=1, high=2))
    assert bytes(outer.inner) == b"\1\0\2\0"


def test_structure_shows_what_is_not_zero() -> None:
    shown = repr(Outer.build(word=0x10, text=b"abcd", inner=Inner.build(low=1)))
    assert shown == "Outer(word=0x10, inner=Inner(low=0x1), text=b'abcd')"


def test_structures_are_equal_when_type_and_bytes_are() -> None:
    assert Inner.build(low=1) == Inner.build(low=1)
    assert Inner.build(low=1) != Inner.build(low=2)
    assert Inner.build() != bytes(4)


def test_members_are_told_with_their_places() -> None:
    assert {name: str(member) for name, member in Inner.members().items()} == {
        "low": "low (0x0, 2 bytes)",
        "high": "high (0x2, 2 bytes)",
    }


def test_short_buffer_is_refused() -> None:
    message = "Outer needs 0x20 bytes from offset 0x8, and the buffer has 0x20."
    with pytest.raises(LayoutError, match=says(message)):
        Outer(bytearray(0x20), offset=8)


def test_number_too_large_for_a_member_is_refused() -> None:
    with pytest.raises(
        LayoutError, match=says("Member low (0x0, 2 bytes) holds 0x0 to 0xffff, not 0x10000.")
    ):
        Inner.build(low=0x1_0000)


def test_bytes_of_another_count_are_refused() -> None:
    with pytest.raises(LayoutError, match=says("Member text (0x10, 4 bytes) takes 4 bytes, not 3.")):
        Outer.build(text=b"abc")


def test_unknown_member_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LayoutError, match=says("Inner has no member 'middle'; it has low, high.")):
        Inner.build(middle=1)


def test_overlapping_members_are_refused() -> None:
    message = "Members of Wrong must not overlap: first (0x0, 4 bytes) and second (0x2, 2 bytes)."
    with pytest.raises(LayoutError, match=says(message)):

        class Wrong(Layout, byte_count=8):
            second = u16(2)
            first = u32(0)


def test_member_outside_the_structure_is_refused() -> None:
    message = "Wrong has 0x8 bytes, and far (0x6, 4 bytes) lies outside."
    with pytest.raises(LayoutError, match=says(message)):

        class Wrong(Layout, byte_count=8):
            far = u32(6)
