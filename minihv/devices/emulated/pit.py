"""The interval timer: three counters that are driven by one crystal.

Stands for: the 8254, and port 0x61 with the gate of its counter 2.
Spec: Intel, "8254 Programmable Interval Timer": "Mode Definitions".
Simplified: a counter is loaded at once, without waiting for a clock or for the end of a period. A count of 1
    in the modes that repeat, which the data sheet forbids, is 2.
First reading: ``Counter.output``, ``Counter.count``, ``Pit.advance``.
Next: ``minihv.devices.emulated.uart``

Nothing counts. A counter knows when it was started; count and output follow from how many ticks have passed
since then, N being the number that was loaded::

    TERMINAL_COUNT    low until N, then high            SQUARE_WAVE       high half of N, low the other half
    ONE_SHOT          the same, started by its gate     SOFTWARE_STROBE   low for one tick at N
    RATE              low for the last tick of each N   HARDWARE_STROBE   the same, started by its gate
"""

from typing import ClassVar

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.pit import (
    CONTROL,
    HZ,
    NULL_COUNT,
    OUTPUT,
    PORT,
    REFRESH_COUNT,
    SPEAKER_PORT,
    Access,
    ControlWord,
    Mode,
    ReadBack,
    SpeakerPort,
)

SECOND_100NS = 10_000_000
REPEATING = (Mode.RATE, Mode.SQUARE_WAVE)
BY_GATE = (Mode.ONE_SHOT, Mode.HARDWARE_STROBE)
STROBES = (Mode.SOFTWARE_STROBE, Mode.HARDWARE_STROBE)
DIGITS = 4


def ticks_at(time_100ns: int) -> int:
    """Ticks of the crystal until then."""
    return time_100ns * HZ // SECOND_100NS


def time_of(tick: int) -> int:
    """The first unit of 100 ns in which ``tick`` has passed."""
    return -(-tick * SECOND_100NS // HZ)


def from_digits(value: int) -> int:
    """A number of four decimal digits, four bits each; digits above 9 count as what they are."""
    return sum((value >> 4 * at & 0xF) * 10**at for at in range(DIGITS))


def to_digits(number: int) -> int:
    """The four decimal digits of a number."""
    return sum(number // 10**at % 10 << 4 * at for at in range(DIGITS))


class Counter:
    """One counter. Times are ticks of the crystal, and never go back."""

    def __init__(self, *, gate: bool) -> None:
        self.gate = gate
        self.control = ControlWord(access=Access.BOTH, mode=Mode.TERMINAL_COUNT)
        self.start: int | None = None
        """When it began to count; None: it waits for a count, or for its gate."""
        self.loaded = 0
        """The count as it is used: 1 to 65536, or 0 before there is one."""
        self._held: int | None = None
        """While the gate is low: the ticks that had passed."""
        self._low_written: int | None = None
        self._latched: list[int] = []
        self._status: int | None = None
        self._high_is_next = False

    @property
    def mode(self) -> Mode:
        """What it does."""
        return Mode(self.control.mode if self.control.mode <= Mode.HARDWARE_STROBE else self.control.mode & 3)

    # What follows from time.

    def passed(self, now: int) -> int | None:
        """Ticks since it began; None: it has not."""
        if self.start is None:
            return None
        return now - self.start if self._held is None else self._held

    def output(self, now: int) -> bool:
        """Whether its output is high."""
        passed, mode = self.passed(now), self.mode
        if passed is None or (mode in REPEATING and not self.gate):
            return mode is not Mode.TERMINAL_COUNT
        if mode is Mode.RATE:
            return passed % self.loaded != self.loaded - 1
        if mode is Mode.SQUARE_WAVE:
            return passed % self.loaded < (self.loaded + 1) // 2
        return passed != self.loaded if mode in STROBES else passed >= self.loaded

    def count(self, now: int) -> int:
        """What is read: 16 bits, or four digits."""
        passed, wrap = self.passed(now) or 0, 10_000 if self.control.bcd else 0x1_0000
        if self.mode in REPEATING:
            doubled = 2 if self.mode is Mode.SQUARE_WAVE else 1
            left = self.loaded - passed * doubled % self.loaded if self.loaded else 0
        else:
            left = self.loaded - passed
        left %= wrap
        return to_digits(left) if self.control.bcd else left

    def next_rise(self, now: int) -> int | None:
        """When its output rises next, behind ``now``."""
        passed = self.passed(now)
        if passed is None or self._held is not None:
            return None
        if self.mode in REPEATING:
            return now - passed % self.loaded + self.loaded
        when = self.loaded + (self.mode in STROBES)
        return now - passed + when if passed < when else None

    # What is written and read.

    def set_control(self, word: ControlWord) -> None:
        """A new mode: it waits for a count."""
        self.control, self.start, self.loaded, self._held = word, None, 0, None
        self._low_written, self._latched, self._status, self._high_is_next = None, [], None, False

    def set_gate(self, gate: bool, now: int) -> None:
        """The gate is high, or low: counting pauses, begins again, or begins."""
        rises, falls = gate and not self.gate, self.gate and not gate
        self.gate = gate
        if rises and self.loaded and self.mode in (*BY_GATE, *REPEATING):
            self.start, self._held = now, None
        elif falls and self.mode not in BY_GATE:
            self._held = self.passed(now)
        elif rises and self._held is not None:
            self.start, self._held = now - self._held, None

    def write(self, value: int, now: int) -> None:
        """A byte of a count; with the last one it is loaded."""
        access = self.control.access
        if access == Access.BOTH and self._low_written is None:
            self._low_written = value
            return
        if access == Access.BOTH:
            value, self._low_written = value << 8 | (self._low_written or 0), None
        elif access == Access.HIGH:
            value <<= 8
        self._load(from_digits(value) or 10_000 if self.control.bcd else value or 0x1_0000, now)

    def _load(self, count: int, now: int) -> None:
        self.loaded = max(count, 2) if self.mode in REPEATING else count
        if self.mode in BY_GATE:
            return
        self.start, self._held = now, None if self.gate else 0

    def latch(self, now: int) -> None:
        """The count is kept until it is read."""
        if not self._latched:
            self._latched = self._bytes(self.count(now))

    def latch_status(self, now: int) -> None:
        """The status is kept until it is read."""
        if self._status is None:
            null = 0 if self.loaded and self._low_written is None else NULL_COUNT
            self._status = int(self.control) & 0x3F | null | (OUTPUT if self.output(now) else 0)

    def _bytes(self, count: int) -> list[int]:
        low, high = count & 0xFF, count >> 8
        only = {int(Access.LOW): [low], int(Access.HIGH): [high]}
        return only.get(int(self.control.access), [low, high])

    def read(self, now: int) -> int:
        """The latched status, else a byte of the latched count, else one of the count as it is."""
        if self._status is not None:
            status, self._status = self._status, None
            return status
        if self._latched:
            return self._latched.pop(0)
        parts = self._bytes(self.count(now))
        if len(parts) == 1:
            return parts[0]
        self._high_is_next = not self._high_is_next
        return parts[not self._high_is_next]


class Pit:
    """The timer as a chip of four registers; ``line`` is the output of counter 0."""

    name: ClassVar[str] = "pit"

    def __init__(self, line: Line) -> None:
        self.line, self.now = line, 0
        self.speaker = Speaker(self)
        self.power_on()

    def power_on(self) -> None:
        """No counter was ever loaded."""
        self.counters = [Counter(gate=True), Counter(gate=True), Counter(gate=False)]
        self._show()

    def connect(self, bus: PortBus) -> None:
        """The timer and the speaker's port answer."""
        bus.connect(PORT, CONTROL + 1, self)
        bus.connect(SPEAKER_PORT, 1, self.speaker)

    def advance(self, time_100ns: int) -> None:
        """It is so late now. Of several edges that went by, the line shows one."""
        before, self.now = self.now, max(self.now, ticks_at(time_100ns))
        rise = self.counters[0].next_rise(before)
        if rise is not None and rise <= self.now:
            self.line.pulse()
        self._show()

    def _show(self) -> None:
        self.line.set(self.counters[0].output(self.now))

    @property
    def due_100ns(self) -> int | None:
        """When the line rises next."""
        rise = self.counters[0].next_rise(self.now)
        return None if rise is None else time_of(rise)

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN: a counter; the control register cannot be read."""
        return 0 if register == CONTROL else self.counters[register].read(self.now)

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT."""
        if register != CONTROL:
            self.counters[register].write(value & 0xFF, self.now)
        elif (word := ControlWord(value & 0xFF)).counter == CONTROL:
            self._read_back(ReadBack(value & 0xFF))
        elif word.access == Access.LATCH:
            self.counters[word.counter].latch(self.now)
        else:
            self.counters[word.counter].set_control(word)
        self._show()

    def _read_back(self, command: ReadBack) -> None:
        for number, counter in enumerate(self.counters):
            if not command.counters >> number & 1:
                continue
            if not command.no_count:
                counter.latch(self.now)
            if not command.no_status:
                counter.latch_status(self.now)


class Speaker:
    """Port 0x61: the gate of counter 2, and its output."""

    name: ClassVar[str] = "pit"

    def __init__(self, pit: Pit) -> None:
        self._pit, self._written = pit, 0

    def power_on(self) -> None:
        """The gate is closed."""
        self._written = 0

    def read(self, _register: int, _byte_count: int, /) -> int:
        """IN."""
        pit = self._pit
        output = SpeakerPort.OUTPUT if pit.counters[2].output(pit.now) else 0
        refresh = SpeakerPort.REFRESH if pit.now // REFRESH_COUNT & 1 else 0
        return self._written | output | refresh

    def write(self, _register: int, _byte_count: int, value: int, /) -> None:
        """OUT."""
        self._written = value & SpeakerPort.WRITABLE
        self._pit.counters[2].set_gate(bool(value & SpeakerPort.GATE), self._pit.now)

    @property
    def is_on(self) -> bool:
        """Whether the output of counter 2 is heard."""
        return bool(self._written & SpeakerPort.SPEAKER)
