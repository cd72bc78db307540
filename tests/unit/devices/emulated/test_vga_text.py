"""The screen: what is in memory is what is shown."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.vga_text import VgaText
from minihv.spec.vga import ROWS, TEXT_BYTES, TEXT_GPA


class LowMemory:
    """The first mebibyte of a machine, or less."""

    def __init__(self, byte_count: int = 1 << 20) -> None:
        self.content = bytearray(byte_count)

    def is_ram(self, gpn: int, /) -> bool:
        return gpn * 4096 < len(self.content)

    def read(self, gpa: int, byte_count: int, /) -> bytes:
        return bytes(self.content[gpa : gpa + byte_count])

    def write(self, gpa: int, data: bytes, /) -> None:
        self.content[gpa : gpa + len(data)] = data


class Screen(PortHost):
    """A screen that is written to as a system does it."""

    def __init__(self) -> None:
        super().__init__()
        self.bus.ram = self.ram = LowMemory()
        self.vga = VgaText(self.bus)
        self.vga.connect(self.bus)

    def put(self, row: int, column: int, text: str) -> None:
        for at, one in enumerate(text):
            self.ram.write(TEXT_GPA + 2 * (80 * row + column + at), bytes((ord(one), 7)))

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
    assert screen.vga.memory[:4] == b"m\7i\7"


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


def test_machine_without_memory_there_has_an_empty_screen(screen: Screen) -> None:
    screen.put(0, 0, "minihv")
    del screen.ram.content[TEXT_GPA + TEXT_BYTES - 1 :]
    assert screen.vga.text() == "minihv"
    del screen.ram.content[TEXT_GPA + TEXT_BYTES - 4096 :]
    assert (screen.vga.text(), screen.vga.memory) == ("", bytes(TEXT_BYTES))
    screen.bus.ram = None
    assert screen.vga.text() == ""


def test_power_on_forgets_what_was_scrolled(screen: Screen) -> None:
    screen.put(0, 0, "first")
    screen.set(0x0D, 80)
    assert screen.vga.text() == ""
    screen.bus.power_on()
    assert screen.vga.text() == "first"


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
        screen.ram.write(TEXT_GPA + at, value.to_bytes(8, "little"))
    lines = screen.vga.text().split("\n")
    event(f"{min(len(lines), 2)} lines")
    assert len(lines) <= ROWS and all(len(line) <= 80 and line.isprintable() for line in lines)
    assert len(screen.vga.memory) == TEXT_BYTES and min(screen.vga.cursor) >= 0
