"""Numbers of the 8254: its ports and its command words; and of port 0x61 of a PC.

Spec: Intel, "8254 Programmable Interval Timer": "Control Word Format", "Read-Back Command".
Next: ``minihv.devices.emulated.pit``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Bits, field, flag

PORT, SPEAKER_PORT = 0x40, 0x61
HZ = 1_193_182
CONTROL = 3
"""The register behind the three counters, and the number of a counter that means read-back."""


class Access(IntEnum):
    """Which bytes of a counter are read and written."""

    LATCH = 0
    """No access: the count is latched."""
    LOW = 1
    HIGH = 2
    BOTH = 3


class Mode(IntEnum):
    """What a counter does; 6 and 7 are 2 and 3."""

    TERMINAL_COUNT = 0
    ONE_SHOT = 1
    RATE = 2
    SQUARE_WAVE = 3
    SOFTWARE_STROBE = 4
    HARDWARE_STROBE = 5


class ControlWord(Bits, width=8):
    """Written to the control register; the lower six bits are in the status of a counter too."""

    bcd = flag(0)
    mode = field(3, 1)
    access = field(5, 4)
    counter = field(7, 6)


class ReadBack(Bits, width=8):
    """A control word for counter 3; 0 latches."""

    counters = field(3, 1)
    no_status = flag(4)
    no_count = flag(5)


NULL_COUNT, OUTPUT = 1 << 6, 1 << 7
"""In the status of a counter: it has no count yet; its output is high."""


class SpeakerPort(IntFlag):
    """Port 0x61: bits 3:0 are read as they were written."""

    GATE = 1 << 0
    """Counter 2 may count."""
    SPEAKER = 1 << 1
    WRITABLE = 0x0F
    REFRESH = 1 << 4
    """Changes with each refresh of memory."""
    OUTPUT = 1 << 5
    """Of counter 2."""


REFRESH_COUNT = 18
"""Ticks of the counters between two refreshes: 15 us."""
