"""A serial port: what goes out, what comes in, and which interrupt says so."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.uart import Uart
from minihv.spec.uart import Cause

DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = (0x3F8 + at for at in (0, 1, 2, 2, 3, 4, 5, 6, 7))


class UartHost(PortHost):
    """A serial port, and what was sent by it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.uart = Uart(Line(), self.sent.extend)
        self.uart.connect(self.bus)


@pytest.fixture
def host() -> UartHost:
    return UartHost()


def test_bytes_go_out_and_come_in(host: UartHost) -> None:
    host.out(DATA, *b"hello")
    assert bytes(host.sent) == b"hello" and host.into(LSR) == 0x60
    host.uart.give(b"ok")
    assert host.into(LSR) == 0x61
    assert bytes([host.into(DATA), host.into(DATA)]) == b"ok" and host.into(LSR) == 0x60


def test_divisor_hides_behind_its_bit(host: UartHost) -> None:
    host.out(LCR, 0x83)
    host.out(DATA, 0x0C)
    host.out(IER, 0x01)
    assert (host.into(DATA), host.into(IER), host.uart.divisor) == (0x0C, 0x01, 0x10C)
    host.out(LCR, 0x03)
    assert host.into(IER) == 0 and host.sent == b"" and host.into(LCR) == 3


def test_more_important_causes_come_first(host: UartHost) -> None:
    host.out(MCR, 0x18)  # loopback
    host.out(DATA, 1, 2)  # no room for the second
    host.out(IER, 0x0F)
    found = []
    for port in (LSR, DATA, IIR, MSR):
        found.append(host.into(IIR) & 0xF if port != IIR else Cause.SENT)
        host.into(port)
    assert found == [Cause.LINE_STATUS, Cause.RECEIVED, Cause.SENT, Cause.MODEM_STATUS]
    assert host.into(IIR) == Cause.NONE and not host.uart.line.is_high


def test_line_is_high_while_there_is_a_cause_and_the_board_lets_it_out(host: UartHost) -> None:
    host.out(IER, 1)
    host.uart.give(b"x")
    assert not host.uart.line.is_high
    host.out(MCR, 8)
    assert host.uart.line.is_high
    host.into(DATA)
    assert not host.uart.line.is_high


def test_room_to_send_is_told_once_for_each_byte(host: UartHost) -> None:
    host.out(MCR, 8)
    host.out(IER, 2)
    assert host.into(IIR) == Cause.SENT and host.into(IIR) == Cause.NONE
    host.out(DATA, 0x41)
    assert host.uart.line.is_high and host.into(IIR) == Cause.SENT and not host.uart.line.is_high


def test_fifo_announces_at_its_level_and_says_timeout_below(host: UartHost) -> None:
    host.out(FCR, 0x41)  # four bytes
    host.out(IER, 1)
    host.uart.give(bytes(range(20)))
    assert host.into(IIR) == 0xC4
    assert [host.into(DATA) for _ in range(17)] == list(range(17))
    assert host.into(IIR) == 0xC0 | Cause.TIMEOUT
    host.out(FCR, 0x03)
    assert host.into(IIR) == 0xC1 and host.into(LSR) == 0x60


def test_loopback_shows_outputs_as_inputs_and_their_changes_once(host: UartHost) -> None:
    assert host.into(MSR) == 0xB0
    host.out(MCR, 0x10 | 0x06)
    assert host.into(MSR) == 0x50 | 0x0A and host.into(MSR) == 0x50
    host.out(MCR, 0x10)
    assert host.into(MSR) == 0x05


def test_scratch_keeps_a_byte(host: UartHost) -> None:
    host.out(SCR, 0xA5)
    host.out(LSR, 0)
    assert host.into(SCR) == 0xA5 and host.into(LSR) == 0x60


@given(accesses(*range(0x3F8, 0x400)), st.binary(max_size=40))
def test_any_accesses_leave_a_line_that_has_a_cause(
    said: list[tuple[bool, int, int, int]], given_bytes: bytes
) -> None:
    host = UartHost()
    for at, access in enumerate(said):
        host.uart.give(given_bytes[at : at + 1])
        make(host.bus, access)
        uart = host.uart
        event(uart.cause.name)
        assert uart.line.is_high == (bool(uart.modem_control & 8) and uart.cause is not Cause.NONE)
        assert host.uart.divisor < 0x1_0000 and host.into(LSR) & 0x60 == 0x60
