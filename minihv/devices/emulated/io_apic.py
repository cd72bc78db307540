"""The I/O APIC: each of its pins becomes an interrupt message to a local APIC.

Stands for: the 82093AA.
Spec: Intel, "82093AA I/O Advanced Programmable Interrupt Controller (IOAPIC)".
Simplified: pins are active high, whatever the entry says; an edge at a masked pin is lost, and a pin in mode
    ExtINT does nothing.
First reading: ``IoApic.set_line``, ``IoApic.end_of_interrupt``.
Next: ``minihv.devices.emulated.pic``
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.spec.io_apic import (
    BASE_GPA,
    BYTES,
    PINS,
    READ_ONLY,
    SELECT,
    VERSION,
    WINDOW,
    WRITABLE,
    DeliveryMode,
    RedirectionEntry,
    Register,
)

LOW_32, ID_BITS = 0xFFFF_FFFF, 0x0F00_0000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to local APICs."""

    mode: DeliveryMode
    vector: int
    destination: int
    logical: bool
    level: bool


class IoApic:
    """24 pins, all masked at first. ``send`` is called with each message."""

    name: ClassVar[str] = "io-apic"

    def __init__(self, send: Callable[[Delivery], None]) -> None:
        self.send = send
        self.lines = 0
        """The pins that are high, a bit for each."""
        self.power_on()

    def power_on(self) -> None:
        """All pins are masked."""
        self.entries = [RedirectionEntry(masked=True) for _ in range(PINS)]
        self._selected = self._id = 0

    def connect(self, bus: MmioBus) -> None:
        """The chip answers its page."""
        bus.connect(BASE_GPA, BYTES, self)

    # Pins.

    def set_line(self, pin: int, high: bool) -> None:
        """A pin has become high, or low."""
        bit = 1 << pin
        rises = high and not self.lines & bit
        self.lines = self.lines | bit if high else self.lines & ~bit
        entry = self.entries[pin]
        if rises and not entry.level and not entry.masked:
            self._deliver(entry)
        self._see_level(pin)

    def _see_level(self, pin: int) -> None:
        """A pin by level is sent while it is high, and then not before its interrupt has ended."""
        entry = self.entries[pin]
        high = self.lines >> pin & 1
        if high and entry.level and not entry.masked and not entry.remote_irr and self._deliver(entry):
            self.entries[pin] = RedirectionEntry(int(entry) | RedirectionEntry.remote_irr.mask)

    def _deliver(self, entry: RedirectionEntry) -> bool:
        mode = entry.delivery_mode
        if mode == DeliveryMode.EXTINT or mode not in DeliveryMode.__members__.values():
            return False
        self.send(
            Delivery(
                DeliveryMode(mode), entry.vector, entry.destination, bool(entry.logical), bool(entry.level)
            )
        )
        return True

    def end_of_interrupt(self, vector: int) -> None:
        """A local APIC has ended a level-triggered interrupt: its pins may send again."""
        for pin, entry in enumerate(self.entries):
            if entry.remote_irr and entry.vector == vector:
                self.entries[pin] = RedirectionEntry(int(entry) & ~RedirectionEntry.remote_irr.mask)
                self._see_level(pin)

    def waits_for(self, pin: int) -> bool:
        """Whether an edge of the pin would change anything that a processor might see."""
        return not self.entries[pin].masked

    # Registers.

    def load(self, offset: int, _byte_count: int, /) -> int:
        """A read of one of the two windows."""
        if offset == SELECT:
            return self._selected
        return self._read() if offset == WINDOW else 0

    def store(self, offset: int, _byte_count: int, value: int, /) -> None:
        """A write to one of the two windows."""
        if offset == SELECT:
            self._selected = value & 0xFF
        elif offset == WINDOW:
            self._write(value & LOW_32)

    def _read(self) -> int:
        pin, is_high = divmod(self._selected - Register.ENTRIES, 2)
        if 0 <= pin < PINS:
            return int(self.entries[pin]) >> 32 * is_high & LOW_32
        known = {Register.ID: self._id, Register.VERSION: VERSION, Register.ARBITRATION: self._id}
        return {int(name): value for name, value in known.items()}.get(self._selected, 0)

    def _write(self, value: int) -> None:
        pin, is_high = divmod(self._selected - Register.ENTRIES, 2)
        if self._selected == Register.ID:
            self._id = value & ID_BITS
        if not 0 <= pin < PINS:
            return
        before = int(self.entries[pin])
        shift = 32 * is_high
        mask = WRITABLE & LOW_32 << shift
        entry = RedirectionEntry(before & ~mask | value << shift & mask)
        if not entry.level:  # an edge has no remote IRR
            entry = RedirectionEntry(int(entry) & ~READ_ONLY)
        self.entries[pin] = entry
        self._see_level(pin)
