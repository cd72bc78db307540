"""Numbers of the keyboard controller of a PC and of its keyboard.

Spec: IBM, "Personal System/2 Hardware Interface Technical Reference": "Keyboard and Auxiliary Device
    Controller" and "Keyboards (101- and 102-Key)".
Next: ``minihv.devices.emulated.keyboard``
"""

from enum import IntEnum, IntFlag

DATA_PORT, COMMAND_PORT, LINE = 0x60, 0x64, 1


class Status(IntFlag):
    """Read from the command port."""

    OUTPUT_FULL = 1 << 0
    SYSTEM = 1 << 2
    """The self test has passed."""
    COMMAND = 1 << 3
    """The last write was to the command port."""
    UNLOCKED = 1 << 4
    FROM_MOUSE = 1 << 5


class Config(IntFlag):
    """The command byte."""

    KEYBOARD_INTERRUPT = 1 << 0
    MOUSE_INTERRUPT = 1 << 1
    SYSTEM = 1 << 2
    KEYBOARD_OFF = 1 << 4
    MOUSE_OFF = 1 << 5
    TRANSLATE = 1 << 6
    """Codes of set 2 become codes of set 1."""


class Command(IntEnum):
    """Written to the command port."""

    READ_CONFIG = 0x20
    WRITE_CONFIG = 0x60
    MOUSE_OFF = 0xA7
    MOUSE_ON = 0xA8
    TEST_MOUSE = 0xA9
    SELF_TEST = 0xAA
    TEST_KEYBOARD = 0xAB
    KEYBOARD_OFF = 0xAD
    KEYBOARD_ON = 0xAE
    READ_INPUT = 0xC0
    READ_OUTPUT = 0xD0
    WRITE_OUTPUT = 0xD1
    WRITE_KEYBOARD_BUFFER = 0xD2
    WRITE_MOUSE_BUFFER = 0xD3
    WRITE_MOUSE = 0xD4
    A20_OFF = 0xDD
    A20_ON = 0xDF
    PULSE = 0xF0
    """To 0xFF: the outputs whose bits are 0 are pulled low for a moment."""


class Output(IntFlag):
    """The output port."""

    NO_RESET = 1 << 0
    A20 = 1 << 1


class KeyboardCommand(IntEnum):
    """Written to the data port, for the keyboard."""

    SET_LEDS = 0xED
    ECHO = 0xEE
    SCANCODE_SET = 0xF0
    IDENTIFY = 0xF2
    TYPEMATIC = 0xF3
    ENABLE = 0xF4
    DISABLE = 0xF5
    DEFAULTS = 0xF6
    RESEND = 0xFE
    RESET = 0xFF


ACKNOWLEDGE, RESEND, SELF_TEST_PASSED = 0xFA, 0xFE, 0xAA
KEYBOARD_ID = (0xAB, 0x83)
CONTROLLER_PASSED, INTERFACE_PASSED, NO_MOUSE = 0x55, 0x00, 0x03
BREAK = 0xF0
"""In front of a code of set 2: the key is let go. Set 1 has bit 7 for it."""
KEYS = {
    name: codes
    for names, first, second in (
        ("1234567890", 0x02, "16 1e 26 25 2e 36 3d 3e 46 45"),
        ("qwertyuiop", 0x10, "15 1d 24 2d 2c 35 3c 43 44 4d"),
        ("asdfghjkl", 0x1E, "1c 1b 23 2b 34 33 3b 42 4b"),
        ("zxcvbnm,./", 0x2C, "1a 22 21 2a 32 31 3a 41 49 4a"),
    )
    for name, codes in zip(names, enumerate(bytes.fromhex(second), first), strict=True)
} | {
    "escape": (0x01, 0x76),
    "backspace": (0x0E, 0x66),
    "tab": (0x0F, 0x0D),
    "enter": (0x1C, 0x5A),
    "control": (0x1D, 0x14),
    "shift": (0x2A, 0x12),
    "alt": (0x38, 0x11),
    " ": (0x39, 0x29),
}
"""Keys by what is on them, with their codes in sets 1 and 2."""
