"""A serial port: bytes go out, bytes come in, and an interrupt says so.

Stands for: a 16550A with its FIFOs.
Spec: National Semiconductor, "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs".
Simplified: a byte takes no time, whatever the rate, so the transmitter is always empty, and a timeout of the
    receiver is at once. No parity, framing or break. What comes in waits until there is room for it.
First reading: ``Uart.cause``.
Next: ``minihv.devices.emulated.rtc``
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.uart import (
    COM1_PORT,
    DLAB,
    FIFO_BYTES,
    FIFOS_ENABLED,
    REGISTERS,
    TRIGGER_LEVELS,
    Cause,
    Enable,
    FifoControl,
    LineStatus,
    ModemControl,
    ModemStatus,
    Register,
)

CONNECTED = ModemStatus.CTS | ModemStatus.DSR | ModemStatus.DCD
"""The other side is there, and listens."""
LOOPED = {
    ModemControl.RTS: ModemStatus.CTS,
    ModemControl.DTR: ModemStatus.DSR,
    ModemControl.OUT1: ModemStatus.RING,
    ModemControl.OUT2: ModemStatus.DCD,
}
"""In loopback: which output is which input."""


class Uart:
    """One serial port. ``output`` is called with each byte that the guest sends."""

    name: ClassVar[str] = "uart"

    def __init__(self, line: Line, output: Callable[[bytes], None] = lambda _sent: None) -> None:
        self.line, self.output = line, output
        self._waiting: deque[int] = deque()
        """Input for which there is no room yet."""
        self.power_on()

    def power_on(self) -> None:
        """The registers are as after a reset; what the other side has sent still waits."""
        self.divisor, self.scratch, self.line_control = 1, 0, 0
        self.enabled = self.modem_control = 0
        self._received: deque[int] = deque()
        self._fifo_control = 0
        self._overrun = self._says_sent = False
        self._modem_status = int(CONNECTED)
        self._refill()
        self._show()

    def connect(self, bus: PortBus, first: int = COM1_PORT) -> None:
        """The port answers."""
        bus.connect(first, REGISTERS, self)

    def give(self, data: bytes) -> None:
        """Bytes come in from the other side."""
        self._waiting.extend(data)
        self._refill()
        self._show()

    # Interrupts.

    @property
    def _room(self) -> int:
        return FIFO_BYTES if self._fifo_control & FifoControl.ENABLE else 1

    @property
    def cause(self) -> Cause:
        """The most important reason for an interrupt that is wanted."""
        trigger = TRIGGER_LEVELS[self._fifo_control >> 6] if self._room > 1 else 1
        causes = (
            (Enable.LINE_STATUS, Cause.LINE_STATUS, self._overrun),
            (Enable.RECEIVED, Cause.RECEIVED, len(self._received) >= trigger),
            (Enable.RECEIVED, Cause.TIMEOUT, bool(self._received)),
            (Enable.SENT, Cause.SENT, self._says_sent),
            (Enable.MODEM_STATUS, Cause.MODEM_STATUS, bool(self._modem_status & 0xF)),
        )
        return next((cause for wants, cause, holds in causes if holds and self.enabled & wants), Cause.NONE)

    def _show(self) -> None:
        self.line.set(bool(self.modem_control & ModemControl.OUT2) and self.cause is not Cause.NONE)

    # Registers.

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN."""
        has_divisor = self.line_control & DLAB and register < Register.INTERRUPT_IDENTIFICATION
        value = self.divisor >> 8 * register & 0xFF if has_divisor else READS[Register(register)](self)
        self._show()
        return value

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT. The two registers of status cannot be written."""
        value &= 0xFF
        if self.line_control & DLAB and register < Register.INTERRUPT_IDENTIFICATION:
            shift = 8 * register
            self.divisor = self.divisor & ~(0xFF << shift) | value << shift
        elif Register(register) in WRITES:
            WRITES[Register(register)](self, value)
        self._show()

    def take(self) -> int:
        """The oldest byte received; 0 if there is none."""
        value = self._received.popleft() if self._received else 0
        self._refill()
        return value

    def _refill(self) -> None:
        while self._waiting and len(self._received) < self._room:
            self._received.append(self._waiting.popleft())

    def send(self, value: int) -> None:
        """A byte goes out, or comes back in loopback, where it may find no room."""
        if not self.modem_control & ModemControl.LOOP:
            self.output(bytes([value]))
        elif len(self._received) < self._room:
            self._received.append(value)
        else:
            self._overrun = True
        self._says_sent = True

    def identify(self) -> int:
        """The cause; being told that bytes were sent ends that cause."""
        cause = self.cause
        if cause is Cause.SENT:
            self._says_sent = False
        return cause | (FIFOS_ENABLED if self._room > 1 else 0)

    def line_status(self) -> int:
        """How it goes; an overrun is told once."""
        ready = LineStatus.DATA_READY if self._received else 0
        overrun, self._overrun = LineStatus.OVERRUN if self._overrun else 0, False
        return LineStatus.EMPTY | LineStatus.HOLDING_EMPTY | ready | overrun

    def modem_status(self) -> int:
        """What the other side tells; changes are told once."""
        value = self._modem_status
        self._modem_status &= 0xF0
        return value

    def set_enabled(self, value: int) -> None:
        """Wanting to hear of sent bytes is an answer at once: there is room."""
        if value & Enable.SENT and not self.enabled & Enable.SENT:
            self._says_sent = True
        self.enabled = value & 0xF

    def set_fifos(self, value: int) -> None:
        """FIFOs are on or off; when that changes they are emptied."""
        changed = (value ^ self._fifo_control) & FifoControl.ENABLE
        if changed or value & FifoControl.CLEAR_RECEIVED:
            self._received.clear()
        self._fifo_control = value & (0xC0 | FifoControl.ENABLE) if value & FifoControl.ENABLE else 0
        self._refill()

    def set_modem(self, value: int) -> None:
        """Outputs; in loopback they are the inputs."""
        self.modem_control = value & 0x1F
        inputs = int(CONNECTED)
        if value & ModemControl.LOOP:
            inputs = sum(status for control, status in LOOPED.items() if value & control)
        before = self._modem_status
        changed = (before ^ inputs) >> 4 & ~ModemStatus.RING_ENDED
        if before & ~inputs & ModemStatus.RING:
            changed |= ModemStatus.RING_ENDED
        self._modem_status = inputs | before & 0xF | changed


READS: dict[Register, Callable[[Uart], int]] = {
    Register.DATA: Uart.take,
    Register.INTERRUPT_ENABLE: lambda uart: uart.enabled,
    Register.INTERRUPT_IDENTIFICATION: Uart.identify,
    Register.LINE_CONTROL: lambda uart: uart.line_control,
    Register.MODEM_CONTROL: lambda uart: uart.modem_control,
    Register.LINE_STATUS: Uart.line_status,
    Register.MODEM_STATUS: Uart.modem_status,
    Register.SCRATCH: lambda uart: uart.scratch,
}
WRITES: dict[Register, Callable[[Uart, int], None]] = {
    Register.DATA: Uart.send,
    Register.INTERRUPT_ENABLE: Uart.set_enabled,
    Register.FIFO_CONTROL: Uart.set_fifos,
    Register.LINE_CONTROL: lambda uart, value: setattr(uart, "line_control", value),
    Register.MODEM_CONTROL: Uart.set_modem,
    Register.SCRATCH: lambda uart, value: setattr(uart, "scratch", value),
}
