"""The clock of a PC: time and date on a battery, three interrupts, and some bytes that are kept.

Stands for: the MC146818 and the CMOS RAM around it.
Spec: Motorola, "MC146818A Real-Time Clock Plus RAM".
Simplified: no daylight saving, no square wave; the divider cannot be stopped. A time that is none is not
    taken: the clock goes on from where it was.
First reading: ``Rtc.moment``, ``Rtc.advance``.
Next: ``minihv.devices.emulated.keyboard``

The clock is a start and the virtual time that has passed since then. To set it is to choose another start.
"""

from datetime import datetime, timedelta
from typing import ClassVar

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.rtc import (
    ANY_INTERRUPT,
    BYTES,
    CRYSTAL_HZ,
    DIVIDER_RUNS,
    DONT_CARE,
    INTERRUPTS,
    NMI_OFF,
    PM,
    PORT,
    RATE,
    UPDATING,
    UPDATING_100NS,
    VALID,
    ControlB,
    Register,
)

SECOND_100NS = 10_000_000
DAY_SECONDS = 24 * 60 * 60
CALENDAR = datetime.max - datetime.min + timedelta(microseconds=1)
"""9999 years."""
SHORT_RATES = {1: 8, 2: 9}
"""Two rates that are the same as others."""
TIME = (
    Register.SECONDS,
    Register.MINUTES,
    Register.HOURS,
    Register.WEEKDAY,
    Register.DAY,
    Register.MONTH,
    Register.YEAR,
    Register.CENTURY,
)
HOURS = (Register.HOURS, Register.HOURS_ALARM)
DEFAULT_START = datetime(2026, 1, 1)


class Rtc:
    """The clock and 128 bytes, at two ports. It shows ``start`` when virtual time is 0."""

    name: ClassVar[str] = "rtc"

    def __init__(self, line: Line, start: datetime = DEFAULT_START) -> None:
        self.line, self.now = line, 0
        self.nmi_is_off = False
        self._index = 0
        self._start = start
        self._held: datetime | None = None
        """The time that stands while it is being set."""
        self._bytes = bytearray(BYTES)
        self._bytes[Register.A], self._bytes[Register.B] = DIVIDER_RUNS | 6, ControlB.HOURS_24
        self._set: dict[Register, int] = {}
        """Registers of the time that were written, and not taken yet."""

    def power_on(self) -> None:
        """Interrupts are off. A battery keeps the time and all else."""
        self._index, self.nmi_is_off = 0, False
        self._bytes[Register.B] &= ~INTERRUPTS
        self._bytes[Register.C] = 0
        self._show()

    def connect(self, bus: PortBus) -> None:
        """The clock answers."""
        bus.connect(PORT, 2, self)

    # Time.

    @property
    def _control(self) -> int:
        return self._bytes[Register.B]

    @property
    def moment(self) -> datetime:
        """The time that the clock shows; behind the year 9999 it begins again."""
        if self._held is not None:
            return self._held
        since_year_1 = self._start - datetime.min + timedelta(microseconds=self.now // 10)
        return datetime.min + since_year_1 % CALENDAR

    @property
    def period_100ns(self) -> int:
        """Of the periodic interrupt; 0: it has none."""
        rate = self._bytes[Register.A] & RATE
        rate = SHORT_RATES.get(rate, rate)
        return (SECOND_100NS << rate - 1) // CRYSTAL_HZ if rate else 0

    def _seconds(self, time_100ns: int) -> int:
        """Seconds of the clock at that time, of its own count."""
        return (time_100ns + self._start.microsecond * 10) // SECOND_100NS

    def advance(self, time_100ns: int) -> None:
        """It is so late now: what happened meanwhile is in C."""
        before, self.now = self.now, max(self.now, time_100ns)
        period = self.period_100ns
        if period and before // period != self.now // period:
            self._bytes[Register.C] |= ControlB.PERIODIC
        passed = self._seconds(self.now) - self._seconds(before)
        if passed and self._held is None:
            self._bytes[Register.C] |= ControlB.UPDATE
            if (wait := self._until_alarm(before)) is not None and wait <= passed:
                self._bytes[Register.C] |= ControlB.ALARM
        self._show()

    def _until_alarm(self, time_100ns: int) -> int | None:
        """In how many seconds, 1 to a day, the alarm fits next."""
        start = self._start
        second = start.hour * 3600 + start.minute * 60 + start.second + self._seconds(time_100ns)
        hours, minutes, seconds = (
            self._choices(name, limit)
            for name, limit in (
                (Register.HOURS_ALARM, 24),
                (Register.MINUTES_ALARM, 60),
                (Register.SECONDS_ALARM, 60),
            )
        )
        ahead = (
            (hour * 3600 + minute * 60 + one - second - 1) % DAY_SECONDS + 1
            for hour in hours
            for minute in minutes
            for one in seconds
        )
        return min(ahead, default=None)

    def _choices(self, name: Register, limit: int) -> range:
        """What an alarm register lets through: one value, or any, or none."""
        if self._bytes[name] & DONT_CARE == DONT_CARE:
            return range(limit)
        value = self._from_register(name, self._bytes[name])
        return range(value, value + 1) if value < limit else range(0)

    @property
    def due_100ns(self) -> int | None:
        """When the line rises next; not before C is read, if it is high."""
        if self.line.is_high:
            return None
        dues, control = [], self._control
        if control & ControlB.PERIODIC and self.period_100ns:
            dues.append((self.now // self.period_100ns + 1) * self.period_100ns)
        wait = self._until_alarm(self.now) if control & ControlB.ALARM else None
        if control & ControlB.UPDATE:
            wait = 1
        if wait is not None and self._held is None:
            second = self._seconds(self.now) + wait
            dues.append(second * SECOND_100NS - self._start.microsecond * 10)
        return min(dues, default=None)

    def _show(self) -> None:
        self.line.set(bool(self._bytes[Register.C] & self._control & INTERRUPTS))

    # Registers.

    def read(self, register: int, _byte_count: int, /) -> int:
        """IN: the register that was chosen; the choice itself cannot be read."""
        if register == 0:
            return 0xFF
        index = self._index
        if index in TIME:
            name = Register(index)
            return self._set.get(name, self._shown(name))
        if index == Register.A:
            return self._bytes[index] | (UPDATING if self._is_near else 0)
        if index == Register.C:
            return self._take_flags()
        return VALID if index == Register.D else self._bytes[index]

    def write(self, register: int, _byte_count: int, value: int, /) -> None:
        """OUT: which register, or what is to be in it."""
        value &= 0xFF
        if register == 0:
            self._index, self.nmi_is_off = value & (BYTES - 1), bool(value & NMI_OFF)
        elif self._index in TIME:
            self._set[Register(self._index)] = value
            if self._held is None:
                self._take_time()
        elif self._index == Register.A:
            self._bytes[Register.A] = value & ~UPDATING
        elif self._index == Register.B:
            self._set_control(value)
        elif self._index not in (Register.C, Register.D):
            self._bytes[self._index] = value
        self._show()

    @property
    def _is_near(self) -> bool:
        """Whether the time is about to change."""
        left = -(self.now + self._start.microsecond * 10) % SECOND_100NS
        return self._held is None and 0 < left <= UPDATING_100NS

    def _take_flags(self) -> int:
        """C is 0 behind a read."""
        flags, self._bytes[Register.C] = self._bytes[Register.C], 0
        self._show()
        return flags | (ANY_INTERRUPT if flags & self._control & INTERRUPTS else 0)

    def _set_control(self, value: int) -> None:
        sets = bool(value & ControlB.SET)
        if sets and self._held is None:
            self._held = self.moment
        if not sets and self._held is not None:
            self._bytes[Register.B] = value
            self._take_time()
        self._bytes[Register.B] = value & ~ControlB.UPDATE if sets else value

    def _take_time(self) -> None:
        """The registers that were written are the time from now on, if they are one."""
        shown = self.moment
        fields = {name: self._from_register(name, self._shown(name)) for name in TIME}
        fields |= {name: self._from_register(name, value) for name, value in self._set.items()}
        self._held, self._set = None, {}
        year = fields[Register.CENTURY] * 100 + fields[Register.YEAR]
        date = (year, fields[Register.MONTH], fields[Register.DAY])
        time = (fields[Register.HOURS], fields[Register.MINUTES], fields[Register.SECONDS])
        try:
            shown = datetime(*date, *time, shown.microsecond)
            self._start = shown - timedelta(microseconds=self.now // 10)
        except (ValueError, OverflowError):
            return

    def _shown(self, name: Register) -> int:
        """A register of the time as the guest has chosen to see it."""
        moment = self.moment
        value = {
            Register.SECONDS: moment.second,
            Register.MINUTES: moment.minute,
            Register.HOURS: moment.hour,
            Register.WEEKDAY: moment.isoweekday() % 7 + 1,
            Register.DAY: moment.day,
            Register.MONTH: moment.month,
            Register.YEAR: moment.year % 100,
            Register.CENTURY: moment.year // 100,
        }[name]
        half = 0
        if name in HOURS and not self._control & ControlB.HOURS_24:
            half, value = PM if value >= 12 else 0, (value - 1) % 12 + 1
        return half | (value if self._control & ControlB.BINARY else value // 10 << 4 | value % 10)

    def _from_register(self, name: Register, raw: int) -> int:
        """The number that a register stands for."""
        twelve = name in HOURS and not self._control & ControlB.HOURS_24
        half = 12 if twelve and raw & PM else 0
        value = raw & ~PM if twelve else raw
        value = value if self._control & ControlB.BINARY else (value >> 4) * 10 + (value & 0xF)
        return value % 12 + half if twelve else value
