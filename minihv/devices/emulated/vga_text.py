"""A screen of 80 by 25 characters in memory.

Stands for: a VGA in text mode 3.
Spec: IBM, "Personal System/2 Hardware Interface Technical Reference": "Video Subsystem".
Simplified: text alone, in one size and without fonts; letters that are not ASCII are shown by a dot. The beam
    is somewhere else each time that the status is read.
First reading: ``VgaText.text``.
Next: ``minihv.devices.emulated.mmio_bus``
"""

from minihv.devices.emulated.mmio_bus import MmioBus
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

FIRST_LETTER, BEHIND_LETTERS = 0x20, 0x7F
BLANK = bytes((FIRST_LETTER, 0x07))
CELLS = TEXT_BYTES // CELL_BYTES


class VgaText:
    """The memory of the screen, and the ports 0x3D4 and 0x3D5 that say what of it is shown."""

    def __init__(self) -> None:
        self.memory = bytearray(BLANK * CELLS)
        self._index = 0
        self._registers = bytearray(CRTC_REGISTERS)
        self.status = VgaStatus()

    def connect(self, ports: PortBus, memory: MmioBus) -> None:
        """The screen answers its ports and its memory."""
        ports.connect(CRTC_PORT, 2, self)
        ports.connect(STATUS_PORT, 1, self.status)
        memory.connect(TEXT_GPA, TEXT_BYTES, self)

    def _pair(self, high: Crtc) -> int:
        return (self._registers[high] << 8 | self._registers[high + 1]) % CELLS

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column, from the corner of what is shown; it may be off the screen."""
        return divmod((self._pair(Crtc.CURSOR_HIGH) - self._pair(Crtc.START_HIGH)) % CELLS, COLUMNS)

    def text(self) -> str:
        """The screen: a line for each row, without the blanks at its end."""
        start, rows = self._pair(Crtc.START_HIGH), []
        for row in range(ROWS):
            cells = (start + row * COLUMNS + column for column in range(COLUMNS))
            rows.append("".join(letter(self.memory[cell % CELLS * CELL_BYTES]) for cell in cells).rstrip())
        return "\n".join(rows).rstrip("\n")

    # Memory.

    def load(self, offset: int, byte_count: int, /) -> int:
        """A read of the screen; behind its end is nothing."""
        return int.from_bytes(self.memory[offset : offset + byte_count], "little")

    def store(self, offset: int, byte_count: int, value: int, /) -> None:
        """A write to the screen; behind its end it is lost."""
        data = value.to_bytes(byte_count, "little")[: TEXT_BYTES - offset]
        self.memory[offset : offset + len(data)] = data

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
