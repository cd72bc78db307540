"""Numbers of the 8259A: its ports in a PC, and the bits of its command words.

Spec: Intel, "8259A Programmable Interrupt Controller": "Initialization Command Words" and "Operation Command
    Words"; "82371AB PCI-to-ISA / IDE Xcelerator (PIIX4)", "Edge/Level Control Registers".
Next: ``minihv.devices.emulated.interrupt_lines``
"""

from enum import IntEnum, IntFlag

MASTER_PORT, SLAVE_PORT, ELCR_PORT = 0x20, 0xA0, 0x4D0
"""The first of two ports each."""
LINES, CASCADE, SPURIOUS = 8, 2, 7
"""Inputs of one chip; where the slave's output goes; what a request becomes that is no more."""
ALWAYS_EDGE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 13
"""Lines whose trigger cannot be chosen: timer, keyboard, cascade, clock, coprocessor."""


class Register(IntEnum):
    """The two ports of a chip."""

    COMMAND = 0
    DATA = 1


class Icw1(IntFlag):
    """A write to the command port with this bit 4 begins the initialization."""

    NEEDS_ICW4 = 1 << 0
    SINGLE = 1 << 1
    LEVEL = 1 << 3
    INIT = 1 << 4


class Icw4(IntFlag):
    """How interrupts end."""

    X86 = 1 << 0
    AUTO_EOI = 1 << 1
    FULLY_NESTED = 1 << 4
    """The special fully nested mode: a slave may interrupt itself."""


class Ocw2(IntEnum):
    """Bits 7:5 of a write to the command port whose bits 4:3 are 0; bits 2:0 may name a line."""

    CLEAR_ROTATE_IN_AUTO_EOI = 0
    EOI = 1
    NOTHING = 2
    SPECIFIC_EOI = 3
    SET_ROTATE_IN_AUTO_EOI = 4
    ROTATE_ON_EOI = 5
    SET_PRIORITY = 6
    ROTATE_ON_SPECIFIC_EOI = 7


class Ocw3(IntFlag):
    """A write to the command port with bit 3 set, and bit 4 not."""

    READ_ISR = 1 << 0
    """With ``READ``: it is the ISR that is read, not the IRR."""
    READ = 1 << 1
    POLL = 1 << 2
    OCW3 = 1 << 3
    SPECIAL_MASK = 1 << 5
    """With ``SET_SPECIAL_MASK``: on."""
    SET_SPECIAL_MASK = 1 << 6


POLLED = 1 << 7
"""In the answer to a poll: there was a request, of the line in bits 2:0."""
