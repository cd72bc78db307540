"""Numbers of the 16550A: the registers of a serial port, and their bits.

Spec: National Semiconductor, "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs": "Registers".
Next: ``minihv.devices.emulated.uart``
"""

from enum import IntEnum, IntFlag

COM1_PORT, COM1_LINE = 0x3F8, 4
REGISTERS, FIFO_BYTES = 8, 16
TRIGGER_LEVELS = (1, 4, 8, 14)
"""By bits 7:6 of the FIFO control register: so many bytes are announced."""


class Register(IntEnum):
    """The ports; with DLAB the first two are the divisor of the rate."""

    DATA = 0
    INTERRUPT_ENABLE = 1
    INTERRUPT_IDENTIFICATION = 2
    FIFO_CONTROL = 2
    LINE_CONTROL = 3
    MODEM_CONTROL = 4
    LINE_STATUS = 5
    MODEM_STATUS = 6
    SCRATCH = 7


class Enable(IntFlag):
    """Which interrupts are wanted."""

    RECEIVED = 1 << 0
    SENT = 1 << 1
    LINE_STATUS = 1 << 2
    MODEM_STATUS = 1 << 3


class Cause(IntEnum):
    """Bits 3:0 of the identification, the most important last but one; without any, bit 0 is set."""

    MODEM_STATUS = 0x0
    NONE = 0x1
    SENT = 0x2
    RECEIVED = 0x4
    LINE_STATUS = 0x6
    TIMEOUT = 0xC


FIFOS_ENABLED = 0xC0
"""In the identification."""


class FifoControl(IntFlag):
    """Bits 7:6 choose the trigger level."""

    ENABLE = 1 << 0
    CLEAR_RECEIVED = 1 << 1
    CLEAR_SENT = 1 << 2


DLAB = 1 << 7
"""In line control: the divisor is at the first two ports."""


class ModemControl(IntFlag):
    """What the port tells the other side; OUT2 lets interrupts out in a PC."""

    DTR = 1 << 0
    RTS = 1 << 1
    OUT1 = 1 << 2
    OUT2 = 1 << 3
    LOOP = 1 << 4


class LineStatus(IntFlag):
    """How it goes."""

    DATA_READY = 1 << 0
    OVERRUN = 1 << 1
    HOLDING_EMPTY = 1 << 5
    EMPTY = 1 << 6


class ModemStatus(IntFlag):
    """What the other side tells; the lower four bits say what has changed since they were read."""

    CTS_CHANGED = 1 << 0
    DSR_CHANGED = 1 << 1
    RING_ENDED = 1 << 2
    DCD_CHANGED = 1 << 3
    CTS = 1 << 4
    DSR = 1 << 5
    RING = 1 << 6
    DCD = 1 << 7
