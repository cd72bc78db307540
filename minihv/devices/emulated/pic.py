"""Two interrupt controllers in a row, as a PC has had them since 1984.

Stands for: the two 8259A chips and the registers that choose between edge and level.
Spec: Intel, "8259A Programmable Interrupt Controller"; "82371AB (PIIX4)", "Edge/Level Control Registers".
Simplified: only what an x86 processor sees. An edge stays requested though its line falls, and LTIM of ICW1
    is overruled by the ELCR, as in chipsets that have one.
First reading: ``Pic.pending``, ``Pic.acknowledge``, ``PicPair``.
Next: ``minihv.devices.emulated.pit``

A line becomes an interrupt in three steps, a register of eight bits for each::

    line ──> IRR requested ──not in IMR, priority above ISR──> INTR ──acknowledged──> ISR in service ──EOI──>
"""

from collections.abc import Callable
from typing import ClassVar

from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.pic import (
    ALWAYS_EDGE,
    CASCADE,
    ELCR_PORT,
    LINES,
    MASTER_PORT,
    POLLED,
    SLAVE_PORT,
    SPURIOUS,
    Icw1,
    Icw4,
    Ocw2,
    Ocw3,
    Register,
)

ALL = 0xFF


class Pic:
    """One 8259A. Registers have a bit for each line; before it is initialized, all lines are masked."""

    def __init__(self) -> None:
        self.lines = 0
        """Those that are high."""
        self.power_on()

    def power_on(self) -> None:
        """Nothing was ever said to it."""
        self.irr = self.isr = self.level = 0
        """``level`` are the lines that are triggered so."""
        self.imr, self.vector_base = ALL, 0
        self.auto_eoi = self.fully_nested = False
        self._reset()
        self._expects: list[Callable[[int], None]] = []
        """Command words that the initialization still waits for."""

    def _reset(self) -> None:
        """What ICW1 leaves: an edge is not remembered, and line 7 has the lowest priority."""
        self.irr = self.lines & self.level
        self.isr, self.lowest = 0, LINES - 1
        self.special_mask = self.rotates_in_auto_eoi = False
        self._reads_isr = self._polls = False

    # Lines.

    def set_line(self, line: int, high: bool) -> None:
        """The line has become high, or low."""
        bit = 1 << line
        rises = high and not self.lines & bit
        self.lines = self.lines | bit if high else self.lines & ~bit
        if rises:
            self.irr |= bit
        elif self.level & bit:
            self.irr = self.irr & ~bit | self.lines & bit

    def set_level(self, lines: int) -> None:
        """From now on these lines are triggered by their level."""
        self.level = lines
        self.irr = self.irr & ~lines | self.lines & lines

    # Priorities.

    def by_priority(self) -> list[int]:
        """The lines, the most important first."""
        return [(self.lowest + 1 + at) % LINES for at in range(LINES)]

    @property
    def pending(self) -> int | None:
        """The line that interrupts now; None: INTR is low."""
        requested = self.irr & ~self.imr
        in_service = self.isr & ~self.imr if self.special_mask else self.isr
        if not requested:
            return None
        for line in self.by_priority():
            may_again = self.fully_nested and line == CASCADE
            if in_service >> line & 1 and not may_again:
                return None
            if requested >> line & 1:
                return line
            if in_service >> line & 1:
                return None
        return None

    def acknowledge(self) -> int | None:
        """INTA: the request is in service, or over at once with automatic EOI. None: there was none."""
        line = self.pending
        if line is None:
            return None
        bit = 1 << line
        if not self.level & bit:
            self.irr &= ~bit
        if not self.auto_eoi:
            self.isr |= bit
        elif self.rotates_in_auto_eoi:
            self.lowest = line
        return line

    def waits_for(self, line: int) -> bool:
        """Whether an edge of the line would change anything that a processor might see."""
        return not (self.imr | self.irr) >> line & 1

    # Command words.

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN: the mask, or what OCW3 has chosen."""
        if self._polls:
            self._polls = False
            line = self.acknowledge()
            return 0 if line is None else POLLED | line
        if register == Register.DATA:
            return self.imr
        return self.isr if self._reads_isr else self.irr

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT: a command word; which one, its bits and the ones before it say."""
        value &= 0xFF
        if register == Register.DATA:
            self._expects.pop(0)(value) if self._expects else self._write_mask(value)
        elif value & Icw1.INIT:
            self._begin(value)
        elif value & Ocw3.OCW3:
            self._choose(value)
        else:
            self._end(Ocw2(value >> 5), value & 7)

    def _begin(self, icw1: int) -> None:
        self._reset()
        self.imr, self.auto_eoi, self.fully_nested = 0, False, False
        self._expects = [self._write_vector]
        if not icw1 & Icw1.SINGLE:
            self._expects.append(lambda _wiring: None)  # ICW3 says what the board knows
        if icw1 & Icw1.NEEDS_ICW4:
            self._expects.append(self._write_mode)

    def _write_vector(self, icw2: int) -> None:
        self.vector_base = icw2 & -LINES

    def _write_mode(self, icw4: int) -> None:
        self.auto_eoi, self.fully_nested = bool(icw4 & Icw4.AUTO_EOI), bool(icw4 & Icw4.FULLY_NESTED)

    def _write_mask(self, ocw1: int) -> None:
        self.imr = ocw1

    def _choose(self, ocw3: int) -> None:
        self._polls = bool(ocw3 & Ocw3.POLL)
        if ocw3 & Ocw3.READ:
            self._reads_isr = bool(ocw3 & Ocw3.READ_ISR)
        if ocw3 & Ocw3.SET_SPECIAL_MASK:
            self.special_mask = bool(ocw3 & Ocw3.SPECIAL_MASK)

    def _end(self, command: Ocw2, named: int) -> None:
        """OCW2: an interrupt ends, or priorities rotate, or both."""
        if command in (Ocw2.SET_ROTATE_IN_AUTO_EOI, Ocw2.CLEAR_ROTATE_IN_AUTO_EOI):
            self.rotates_in_auto_eoi = command is Ocw2.SET_ROTATE_IN_AUTO_EOI
            return
        line: int | None = named
        if command in (Ocw2.EOI, Ocw2.ROTATE_ON_EOI):
            line = self._first_in_service()
        if line is None or command is Ocw2.NOTHING:
            return
        if command is not Ocw2.SET_PRIORITY:
            self.isr &= ~(1 << line)
        if command in (Ocw2.ROTATE_ON_EOI, Ocw2.ROTATE_ON_SPECIFIC_EOI, Ocw2.SET_PRIORITY):
            self.lowest = line

    def _first_in_service(self) -> int | None:
        """What an EOI that names no line ends. In special mask mode those that are masked do not count."""
        in_service = self.isr & ~self.imr if self.special_mask else self.isr
        return next((line for line in self.by_priority() if in_service >> line & 1), None)


class PicPair:
    """Sixteen lines: lines 8 to 15 are the slave's, whose output is line 2 of the master."""

    def __init__(self) -> None:
        self.master, self.slave = Pic(), Pic()

    def connect(self, bus: PortBus) -> None:
        """The chips answer their ports."""
        bus.connect(MASTER_PORT, 2, Cascaded(self, self.master))
        bus.connect(SLAVE_PORT, 2, Cascaded(self, self.slave))
        bus.connect(ELCR_PORT, 2, EdgeLevelControl(self))

    def set_line(self, line: int, high: bool) -> None:
        """One of the sixteen has become high, or low. Line 2 is taken."""
        if line >= LINES:
            self.slave.set_line(line - LINES, high)
            self.cascade()
        elif line != CASCADE:
            self.master.set_line(line, high)

    def cascade(self) -> None:
        """The slave's output is where it should be."""
        self.master.set_line(CASCADE, self.slave.pending is not None)

    @property
    def interrupts(self) -> bool:
        """Whether INTR, the master's output, is high."""
        return self.master.pending is not None

    def acknowledge(self) -> int:
        """INTA: the vector. A request that is no more is line 7 of the chip that was asked."""
        line = self.master.acknowledge()
        if line != CASCADE:
            return self.master.vector_base + (SPURIOUS if line is None else line)
        line = self.slave.acknowledge()
        self.master.set_line(CASCADE, False)  # the output falls, and rises again if there is more
        self.cascade()
        return self.slave.vector_base + (SPURIOUS if line is None else line)

    def waits_for(self, line: int) -> bool:
        """Whether an edge of the line would change anything that a processor might see."""
        if line < LINES:
            return self.master.waits_for(line)
        return self.slave.waits_for(line - LINES) and not self.master.imr >> CASCADE & 1


class Cascaded:
    """One chip of a pair at its ports: the slave's output follows each access."""

    name: ClassVar[str] = "pic"

    def __init__(self, pair: PicPair, pic: Pic) -> None:
        self._pair, self._pic = pair, pic

    def power_on(self) -> None:
        """The chip was never told anything."""
        self._pic.power_on()
        self._pair.cascade()

    def read(self, register: int, byte_count: int, /) -> int:
        """IN: a poll acknowledges."""
        value = self._pic.read(register, byte_count)
        self._pair.cascade()
        return value

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT."""
        self._pic.write(register, byte_count, value)
        self._pair.cascade()


class EdgeLevelControl:
    """The ELCR: a bit for each line, set for level; those of old devices stay edges."""

    name: ClassVar[str] = "pic"

    def __init__(self, pair: PicPair) -> None:
        self._pair, self._pics = pair, (pair.master, pair.slave)

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN."""
        return self._pics[register].level

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT."""
        self._pics[register].set_level(value & ~(ALWAYS_EDGE >> LINES * register) & 0xFF)
        self._pair.cascade()
