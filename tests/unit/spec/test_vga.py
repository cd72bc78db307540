"""The numbers of text mode, as the technical reference has them."""

from minihv.spec.vga import CRTC_PORT, TEXT_GPA, Crtc


def test_screen_and_registers_are_where_every_system_finds_them() -> None:
    assert (TEXT_GPA, CRTC_PORT) == (0xB8000, 0x3D4)
    assert (int(Crtc.START_HIGH), int(Crtc.CURSOR_LOW)) == (0x0C, 0x0F)
