"""The screen: what is in memory is what is shown."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.devices.emulated.vga_text import VgaText
from minihv.spec.vga import ROWS, TEXT_BYTES, TEXT_GPA


class Screen(PortHost):
    """A screen that is written to as a system does it."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.vga = MmioBus(), VgaText()
        self.vga.connect(self.bus, self.memory)

    def put(self, row: int, column: int, text: str) -> None:
        for at, one in enumerate(text):
            self.memory.store(TEXT_GPA + 2 * (80 * row + column + at), 2, 0x0700 | ord(one))

    def set(self, register: int, value: int) -> None:
        self.bus.write(0x3D4, 2, value << 8 | register)


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_letters_in_memory_are_on_the_screen(screen: Screen) -> None:
    assert screen.vga.text() == ""
    screen.put(0, 0, "minihv")
    screen.put(2, 3, "a PC\x01")
    assert screen.vga.text() == "minihv\n\n   a PC."
    assert screen.memory.load(TEXT_GPA, 4) == 0x0769_076D


def test_start_address_scrolls_and_the_cursor_goes_with_it(screen: Screen) -> None:
    screen.put(1, 0, "second")
    screen.set(0x0D, 80)
    screen.set(0x0F, 165)
    assert screen.vga.text() == "second" and screen.vga.cursor == (1, 5)
    screen.out(0x3D4, 0x0F)
    assert (screen.into(0x3D4), screen.into(0x3D5)) == (0x0F, 165)
    screen.out(0x3D4, 0x77)
    screen.out(0x3D5, 1)
    assert screen.into(0x3D5) == 0


def test_whoever_waits_for_the_beam_sees_it_come_and_go(screen: Screen) -> None:
    screen.out(0x3DA, 1)
    assert [screen.into(0x3DA) for _ in range(4)] == [9, 0, 9, 0]


def test_memory_ends_where_the_screen_does(screen: Screen) -> None:
    screen.memory.store(TEXT_GPA + TEXT_BYTES - 2, 8, 0x4142_4344_4546_4748)
    assert len(screen.vga.memory) == TEXT_BYTES and screen.memory.load(TEXT_GPA + TEXT_BYTES - 2, 8) == 0x4748


@given(
    accesses(0x3D4, 0x3D5, 0x3DA),
    st.lists(st.tuples(st.integers(0, TEXT_BYTES - 1), st.integers(0, (1 << 64) - 1)), max_size=20),
)
def test_any_accesses_leave_a_screen_of_its_size(
    said: list[tuple[bool, int, int, int]], stored: list[tuple[int, int]]
) -> None:
    screen = Screen()
    for access in said:
        make(screen.bus, access)
    for at, value in stored:
        screen.memory.store(TEXT_GPA + at, 8, value)
    lines = screen.vga.text().split("\n")
    event(f"{min(len(lines), 2)} lines")
    assert len(lines) <= ROWS and all(len(line) <= 80 and line.isprintable() for line in lines)
    assert len(screen.vga.memory) == TEXT_BYTES and min(screen.vga.cursor) >= 0
