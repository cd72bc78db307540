"""A screen of 80 by 25 characters in memory.

Stands for: a VGA in text mode 3. Its memory is RAM of the machine, so that no exit is spent on a letter.
Spec: IBM, "Personal System/2 Hardware Interface Technical Reference": "Video Subsystem".
Simplified: text alone, in one size and without fonts; letters that are not ASCII are shown by a dot. The beam
    is somewhere else each time that the status is read.
First reading: ``VgaText.text``.
Next: ``minihv.devices.emulated.io_apic``
"""

from typing import ClassVar

from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.vga import (
    CELL_BYTES,
    COLUMNS,
    CRTC_PORT,
    CRTC_REGISTERS,
    RETRACES,
    ROWS,
    STATUS_PORT,
    TEXT_BYTES,
    TEXT_GPA,
    Crtc,
)
from minihv.terms import PAGE_BYTES

FIRST_LETTER, BEHIND_LETTERS = 0x20, 0x7F
CELLS = TEXT_BYTES // CELL_BYTES


class VgaText:
    """What of the memory of the screen is shown: the ports 0x3D4 and 0x3D5 say it. ``bus`` has the RAM."""

    name: ClassVar[str] = "vga"

    def __init__(self, bus: PortBus) -> None:
        self._bus = bus
        self.status = VgaStatus()
        self.power_on()

    def power_on(self) -> None:
        """The first cell in memory is the corner of the screen."""
        self._index = 0
        self._registers = bytearray(CRTC_REGISTERS)

    def connect(self, ports: PortBus) -> None:
        """The screen answers its ports."""
        ports.connect(CRTC_PORT, 2, self)
        ports.connect(STATUS_PORT, 1, self.status)

    @property
    def memory(self) -> bytes:
        """The RAM of the screen; zeros where there is none."""
        ram = self._bus.ram
        pages = range(TEXT_GPA, TEXT_GPA + TEXT_BYTES, PAGE_BYTES)
        if ram is None or not all(ram.is_ram(gpa // PAGE_BYTES) for gpa in pages):
            return bytes(TEXT_BYTES)
        return ram.read(TEXT_GPA, TEXT_BYTES)

    def _pair(self, high: Crtc) -> int:
        return (self._registers[high] << 8 | self._registers[high + 1]) % CELLS

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column, from the corner of what is shown; it may be off the screen."""
        return divmod((self._pair(Crtc.CURSOR_HIGH) - self._pair(Crtc.START_HIGH)) % CELLS, COLUMNS)

    def text(self) -> str:
        """The screen: a line for each row, without the blanks at its end."""
        start, rows, memory = self._pair(Crtc.START_HIGH), [], self.memory
        for row in range(ROWS):
            cells = (start + row * COLUMNS + column for column in range(COLUMNS))
            rows.append("".join(letter(memory[cell % CELLS * CELL_BYTES]) for cell in cells).rstrip())
        return "\n".join(rows).rstrip("\n")

    # Ports.

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN: which register was chosen, or what is in it."""
        if register == 0:
            return self._index
        return self._registers[self._index] if self._index < CRTC_REGISTERS else 0

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT; a word chooses a register and writes it."""
        if register:
            self._put(value & 0xFF)
            return
        self._index = value & 0xFF
        if byte_count > 1:
            self._put(value >> 8 & 0xFF)

    def _put(self, value: int) -> None:
        if self._index < CRTC_REGISTERS:
            self._registers[self._index] = value


class VgaStatus:
    """Input status 1: whoever waits for the beam sees it come and go."""

    name: ClassVar[str] = "vga"

    def __init__(self) -> None:
        self._retraces = 0

    def read(self, _register: int, _byte_count: int, /) -> int:
        """IN."""
        self._retraces ^= RETRACES
        return self._retraces

    def write(self, _register: int, _byte_count: int, _value: int, /) -> None:
        """OUT: feature control, which does nothing."""


def letter(code: int) -> str:
    """What is shown of a character."""
    if code in (0, 0xFF):
        return " "
    return chr(code) if FIRST_LETTER <= code < BEHIND_LETTERS else "."
