"""Numbers in a VHD: the highest byte first, and a sum over them."""

from minihv.spec.vhd import FOOTER_BYTES, Footer, checksum


def test_numbers_are_written_with_the_highest_byte_first() -> None:
    footer = Footer.build(cylinders=0x1234, features=2, current_bytes=0x0102_0304_0506_0708)
    data = bytes(footer)
    assert data[0x38:0x3A] == b"\x12\x34" and data[8:12] == b"\x00\x00\x00\x02"
    assert data[0x30:0x38] == bytes(range(1, 9)) and footer.current_bytes == 0x0102_0304_0506_0708


def test_checksum_leaves_itself_out() -> None:
    footer = Footer.build(cookie=b"conectix")
    expected = ~sum(b"conectix") & 0xFFFF_FFFF
    assert checksum(footer, 0x40) == expected
    footer.checksum = 0x1234_5678
    assert checksum(footer, 0x40) == expected and len(bytes(footer)) == FOOTER_BYTES
