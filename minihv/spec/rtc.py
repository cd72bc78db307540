"""Numbers of the MC146818: the registers of the clock of a PC, and their bits.

Spec: Motorola, "MC146818A Real-Time Clock Plus RAM": "Address Map" and "Registers".
Next: ``minihv.devices.emulated.rtc``
"""

from enum import IntEnum, IntFlag

PORT, LINE, BYTES = 0x70, 8, 128
NMI_OFF = 1 << 7
"""In what is written to the first port, above the number of the register."""
CRYSTAL_HZ = 32_768


class Register(IntEnum):
    """The clock's registers; the others are RAM, one of which PCs use for the century."""

    SECONDS = 0x00
    SECONDS_ALARM = 0x01
    MINUTES = 0x02
    MINUTES_ALARM = 0x03
    HOURS = 0x04
    HOURS_ALARM = 0x05
    WEEKDAY = 0x06
    DAY = 0x07
    MONTH = 0x08
    YEAR = 0x09
    A = 0x0A
    B = 0x0B
    C = 0x0C
    D = 0x0D
    CENTURY = 0x32


RATE, DIVIDER_RUNS, UPDATING = 0x0F, 0x20, 0x80
"""In A: the rate of the periodic interrupt; the divider as it has to be; an update is near."""


class ControlB(IntFlag):
    """How the clock runs, and which interrupts are wanted."""

    HOURS_24 = 1 << 1
    BINARY = 1 << 2
    UPDATE = 1 << 4
    ALARM = 1 << 5
    PERIODIC = 1 << 6
    SET = 1 << 7
    """The time stands, and can be set."""


INTERRUPTS = ControlB.UPDATE | ControlB.ALARM | ControlB.PERIODIC
"""Each has the same place in C."""
ANY_INTERRUPT = 1 << 7
"""In C: one that is wanted is there."""
VALID = 1 << 7
"""In D: the battery is good."""
DONT_CARE = 0xC0
"""An alarm register from here on fits always."""
PM = 1 << 7
"""In hours, when there are twelve."""
UPDATING_100NS = 2440
"""So long before an update its bit is set: 244 us."""
