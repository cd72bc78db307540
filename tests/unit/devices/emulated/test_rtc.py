"""The clock: what it shows, how it is set, and when it interrupts."""

from datetime import datetime

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.rtc import SECOND_100NS, Rtc
from minihv.spec.rtc import Register

START = datetime(2026, 11, 27, 13, 4, 59)
ALL = (0, 2, 4, 6, 7, 8, 9, 0x32)


class RtcHost(PortHost):
    """A clock, and its registers by name."""

    def __init__(self) -> None:
        super().__init__()
        self.rtc = Rtc(Line(), START)
        self.rtc.connect(self.bus)

    def get(self, register: int) -> int:
        self.out(0x70, register)
        return self.into(0x71)

    def put(self, register: int, value: int) -> None:
        self.out(0x70, register)
        self.out(0x71, value)

    def after(self, seconds: float) -> None:
        self.rtc.advance(self.rtc.now + round(seconds * SECOND_100NS))


@pytest.fixture
def host() -> RtcHost:
    return RtcHost()


def test_time_is_shown_in_digits_and_goes_on(host: RtcHost) -> None:
    assert [host.get(one) for one in ALL] == [0x59, 0x04, 0x13, 6, 0x27, 0x11, 0x26, 0x20]
    host.after(1)
    assert [host.get(one) for one in ALL[:3]] == [0x00, 0x05, 0x13]


def test_numbers_and_twelve_hours_are_another_form_of_it(host: RtcHost) -> None:
    host.put(Register.B, 0x06)
    assert (host.get(Register.HOURS), host.get(Register.YEAR)) == (13, 26)
    host.put(Register.B, 0x00)
    assert host.get(Register.HOURS) == 0x81
    host.after(11 * 3600)
    assert host.get(Register.HOURS) == 0x12 and host.rtc.moment.hour == 0


def test_clock_stands_while_it_is_set_and_goes_on_from_there(host: RtcHost) -> None:
    host.put(Register.B, 0x86)
    for register, value in ((0, 58), (2, 59), (4, 23), (7, 31), (8, 12), (9, 99), (0x32, 19)):
        host.put(register, value)
    host.after(100)
    assert host.get(0) == 58
    host.put(Register.B, 0x06)
    host.after(3)
    assert [host.get(one) for one in ALL] == [1, 0, 0, 7, 1, 1, 0, 20]


def test_time_that_is_none_is_not_taken(host: RtcHost) -> None:
    host.put(Register.MONTH, 0x13)
    assert host.rtc.moment == START and host.get(Register.MONTH) == 0x11


def test_behind_the_last_year_the_calendar_begins_again(host: RtcHost) -> None:
    host.after(9000 * 366 * 86400)
    assert host.rtc.moment.year == 1046 and host.get(Register.CENTURY) == 0x10


def test_update_is_announced_and_interrupts(host: RtcHost) -> None:
    host.put(Register.B, 0x12)
    assert host.rtc.due_100ns == SECOND_100NS
    host.after(0.9999)
    assert host.get(Register.A) & 0x80 and not host.rtc.line.is_high
    host.after(0.0001)
    assert not host.get(Register.A) & 0x80 and host.rtc.line.is_high and host.rtc.due_100ns is None
    assert host.get(Register.C) & 0x90 == 0x90 and not host.rtc.line.is_high
    assert host.get(Register.C) == 0 and host.rtc.due_100ns == 2 * SECOND_100NS


def test_periodic_interrupt_has_the_rate_of_register_a(host: RtcHost) -> None:
    host.put(Register.A, 0x26)
    host.put(Register.B, 0x42)
    assert host.rtc.period_100ns == 9765 and host.rtc.due_100ns == 9765  # 1024 Hz
    host.rtc.advance(9765)
    assert host.get(Register.C) == 0xC0
    host.put(Register.A, 0x20)
    assert host.rtc.due_100ns is None


@pytest.mark.parametrize(
    ("alarm", "wait"),
    [
        ((0x13, 0x05, 0x10), 11),
        ((0xFF, 0xFF, 0x58), 59),
        ((0xC0, 0xC0, 0xC0), 1),
        ((0x13, 0x04, 0x59), 86400),
    ],
)
def test_alarm_fits_a_moment_or_many(host: RtcHost, alarm: tuple[int, int, int], wait: int) -> None:
    for register, value in zip((5, 3, 1), alarm, strict=True):
        host.put(register, value)
    host.put(Register.B, 0x22)
    assert host.rtc.due_100ns == wait * SECOND_100NS
    host.after(wait - 1)
    assert not host.rtc.line.is_high
    host.after(1)
    assert host.rtc.line.is_high and host.get(Register.C) & 0xA0 == 0xA0


def test_other_bytes_are_kept_and_two_registers_are_not_for_writing(host: RtcHost) -> None:
    host.put(0x7F, 0x5A)
    host.put(Register.C, 0xFF)
    host.put(Register.D, 0x00)
    assert (host.get(0x7F), host.get(Register.C), host.get(Register.D)) == (0x5A, 0, 0x80)
    host.out(0x70, 0x80 | 0x7F)
    assert host.rtc.nmi_is_off and host.into(0x71) == 0x5A and host.into(0x70) == 0xFF


@given(accesses(0x70, 0x71), st.lists(st.integers(0, 10**13), min_size=1, max_size=20))
def test_any_accesses_leave_a_clock_that_goes_on(
    said: list[tuple[bool, int, int, int]], steps: list[int]
) -> None:
    host = RtcHost()
    for at, access in enumerate(said):
        host.rtc.advance(host.rtc.now + steps[at % len(steps)])
        make(host.bus, access)
        due = host.rtc.due_100ns
        event("due" if due is not None else "never due")
        assert due is None or due > host.rtc.now
        assert 1 <= host.rtc.moment.year <= 9999
        assert host.rtc.line.is_high == bool(host.rtc._bytes[Register.C] & host.rtc._control & 0x70)
