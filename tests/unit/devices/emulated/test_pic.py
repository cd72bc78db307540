"""Interrupt controllers: what becomes of a line, who comes first, and how it ends."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.pic import PicPair

PORTS = (0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1)


class PicHost(PortHost):
    """A pair that was initialized as a system does it: vectors from 0x30 and 0x38 on, nothing masked."""

    def __init__(self, icw4: int = 1) -> None:
        super().__init__()
        self.pair = PicPair()
        self.pair.connect(self.bus)
        for port, vector, wiring in ((0x20, 0x30, 4), (0xA0, 0x38, 2)):
            self.out(port, 0x11)
            self.out(port + 1, vector, wiring, icw4)

    def rise(self, *lines: int) -> None:
        for line in lines:
            self.pair.set_line(line, False)
            self.pair.set_line(line, True)

    def taken(self) -> list[int]:
        """The vectors that a processor would take now, without any EOI."""
        found = []
        while self.pair.interrupts:
            found.append(self.pair.acknowledge())
        return found


@pytest.fixture
def host() -> PicHost:
    return PicHost()


def test_pair_that_was_not_initialized_is_silent() -> None:
    pair = PicPair()
    pair.set_line(0, True)
    assert not pair.interrupts and not pair.waits_for(0)


def test_important_interrupt_interrupts_another_and_not_the_other_way(host: PicHost) -> None:
    host.rise(4)
    assert host.taken() == [0x34]
    host.rise(1, 6)
    assert host.taken() == [0x31]
    host.out(0x20, 0x20)
    assert host.taken() == [] and host.pair.master.isr == 1 << 4
    host.out(0x20, 0x20)
    assert host.taken() == [0x36]


def test_slave_comes_by_line_two_and_takes_two_ends(host: PicHost) -> None:
    host.rise(14, 8)
    assert host.taken() == [0x38]
    host.out(0xA0, 0x20)
    assert host.taken() == []
    host.out(0x20, 0x20)
    assert host.taken() == [0x3E]


def test_masked_request_waits_until_it_is_unmasked(host: PicHost) -> None:
    host.out(0x21, 0xFF)
    host.rise(3)
    assert host.taken() == [] and host.into(0x20) == 8 and not host.pair.waits_for(4)
    host.out(0x21, 0xF7)
    assert host.into(0x21) == 0xF7 and host.taken() == [0x33]


def test_edge_counts_once_and_level_as_long_as_it_lasts(host: PicHost) -> None:
    host.out(0x4D0, 0xFF)
    assert host.into(0x4D0) == 0xF8
    host.rise(1, 5)
    assert host.taken() == [0x31]
    host.out(0x20, 0x61)
    assert host.taken() == [0x35]
    host.out(0x20, 0x65)
    assert host.taken() == [0x35]
    host.pair.set_line(5, False)
    host.out(0x20, 0x65)
    assert host.taken() == []


def test_automatic_end_leaves_nothing_in_service() -> None:
    host = PicHost(icw4=3)
    host.rise(5, 2, 9)
    assert host.taken() == [0x39, 0x35] and host.pair.master.isr == 0


def test_rotation_puts_the_ended_line_behind_all_others(host: PicHost) -> None:
    host.rise(3)
    host.taken()
    host.out(0x20, 0xA0)
    assert host.pair.master.by_priority() == [4, 5, 6, 7, 0, 1, 2, 3]
    host.rise(0, 4)
    assert host.taken() == [0x34]
    host.out(0x20, 0xC6)  # line 6 is the lowest
    assert host.pair.master.by_priority()[0] == 7
    host.out(0x20, 0xE4)
    assert host.pair.master.lowest == 4 and host.taken() == [0x30]


def test_rotation_by_automatic_end_lasts_until_it_is_cleared() -> None:
    host = PicHost(icw4=3)
    host.out(0x20, 0x80)
    host.rise(1)
    assert host.taken() == [0x31] and host.pair.master.lowest == 1
    host.out(0x20, 0x00)
    host.rise(4)
    assert host.taken() == [0x34] and host.pair.master.lowest == 1


def test_special_mask_lets_less_important_lines_through(host: PicHost) -> None:
    host.rise(2, 1)
    host.taken()
    host.out(0x21, 0x02)
    host.rise(6)
    assert host.taken() == []
    host.out(0x20, 0x68)
    assert host.taken() == [0x36]
    host.out(0x20, 0x20)  # not the masked one
    assert host.pair.master.isr == 1 << 1
    host.out(0x20, 0x48)
    host.rise(7)
    assert host.taken() == []


def test_special_fully_nested_master_takes_a_second_line_of_the_slave() -> None:
    host = PicHost(icw4=0x11)
    host.rise(12)
    assert host.taken() == [0x3C]
    host.rise(9)
    assert host.taken() == [0x39]


def test_poll_acknowledges_without_a_vector(host: PicHost) -> None:
    host.rise(6)
    host.out(0x20, 0x0C)
    assert host.into(0x20) == 0x86
    host.out(0x20, 0x0C)
    assert host.into(0x20) == 0
    host.out(0x20, 0x0B)
    assert host.into(0x20) == 1 << 6
    host.out(0x20, 0x0A)
    assert host.into(0x20) == 0


def test_request_that_is_no_more_is_line_seven_of_its_chip(host: PicHost) -> None:
    assert host.pair.acknowledge() == 0x37 and host.pair.master.isr == 0
    host.out(0x4D1, 0x02)
    host.rise(9)
    host.pair.slave.set_line(1, False)
    assert host.pair.acknowledge() == 0x3F
    assert (host.pair.master.isr, host.pair.slave.isr) == (1 << 2, 0)


def test_initialization_takes_as_many_words_as_its_first_says(host: PicHost) -> None:
    host.out(0x20, 0x12)  # single, without ICW4
    host.out(0x21, 0x40, 0x55)
    assert host.pair.master.vector_base == 0x40 and host.into(0x21) == 0x55


@given(accesses(*PORTS), st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=40))
def test_any_accesses_keep_the_registers_eight_bits_wide(
    said: list[tuple[bool, int, int, int]], changes: list[tuple[int, bool]]
) -> None:
    host = PicHost()
    for at in range(max(len(said), len(changes))):
        if at < len(changes):
            host.pair.set_line(*changes[at])
        if at < len(said):
            make(host.bus, said[at])
        if host.pair.interrupts:
            event("interrupts")
            assert 0 <= host.pair.acknowledge() < 256
        for pic in (host.pair.master, host.pair.slave):
            assert all(0 <= value < 256 for value in (pic.irr, pic.imr, pic.isr, pic.level))
            assert sorted(pic.by_priority()) == list(range(8))
            assert pic.irr & pic.level == pic.lines & pic.level
