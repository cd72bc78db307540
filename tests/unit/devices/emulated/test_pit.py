"""The interval timer: what its modes put out, and what is read while they do."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.pit import Pit, time_of

PORTS = (0x40, 0x41, 0x42, 0x43, 0x61)


class PitHost(PortHost):
    """A timer whose time goes on tick by tick. ``edges`` are the ticks at which counter 0 has risen."""

    def __init__(self) -> None:
        super().__init__()
        self.edges: list[int] = []
        self.pit = Pit(Line(lambda high: self.edges.append(self.pit.now) if high else None))
        self.pit.connect(self.bus)

    def to(self, tick: int) -> None:
        self.pit.advance(time_of(tick))
        assert self.pit.now == tick

    def count(self, number: int = 0) -> int:
        self.out(0x43, number << 6)
        return self.into(0x40 + number) | self.into(0x40 + number) << 8

    def outputs(self, number: int, ticks: int) -> str:
        """The output of a counter, tick by tick from now on."""
        found = ""
        for tick in range(self.pit.now, self.pit.now + ticks):
            self.to(tick)
            found += "^" if self.pit.counters[number].output(tick) else "_"
        return found


@pytest.fixture
def host() -> PitHost:
    return PitHost()


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        (0, "____^^^^^^^^"),
        (2, "^^^_^^^_^^^_"),
        (3, "^^__^^__^^__"),
        (4, "^^^^_^^^^^^^"),
        (6, "^^^_^^^_^^^_"),
        (7, "^^__^^__^^__"),
    ],
)
def test_output_has_the_shape_of_the_mode(host: PitHost, mode: int, shape: str) -> None:
    host.out(0x43, 0x30 | mode << 1)
    host.out(0x40, 4, 0)
    assert host.outputs(0, 12) == shape


@pytest.mark.parametrize(("mode", "shape"), [(1, "^^____^^^"), (5, "^^^^^^_^^")])
def test_gate_starts_the_modes_that_wait_for_it(host: PitHost, mode: int, shape: str) -> None:
    host.out(0x43, 0xB0 | mode << 1)
    host.out(0x42, 4, 0)
    found = host.outputs(2, 2)
    host.to(2)
    host.out(0x61, 1)
    assert found + host.outputs(2, 7) == shape


def test_gate_pauses_a_count_and_begins_a_period_again(host: PitHost) -> None:
    host.out(0x61, 1)
    host.out(0x43, 0xB0)
    host.out(0x42, 100, 0)
    host.to(40)
    host.out(0x61, 0)
    host.to(90)
    assert host.count(2) == 60
    host.out(0x61, 1)
    host.to(149)
    assert not host.into(0x61) & 0x20
    host.to(150)
    assert host.into(0x61) & 0x20
    host.out(0x43, 0xB4)
    host.out(0x42, 100, 0)
    host.to(190)
    host.out(0x61, 0)
    host.out(0x61, 3)
    assert host.count(2) == 100 and host.pit.speaker.is_on


def test_line_rises_at_each_period_and_says_when(host: PitHost) -> None:
    host.out(0x43, 0x34)
    host.out(0x40, 0xA9, 0x04)  # 1193: 1000 Hz
    host.edges.clear()
    for _ in range(3):
        assert host.pit.due_100ns is not None
        host.pit.advance(host.pit.due_100ns)
    assert host.edges == [1193, 2386, 3579]
    host.to(1193 * 1000 + 5)
    assert host.edges[3:] == [1193 * 1000 + 5] and host.pit.due_100ns == time_of(1193 * 1001)


def test_one_shot_is_due_once(host: PitHost) -> None:
    assert host.pit.due_100ns is None
    host.out(0x43, 0x30)
    host.out(0x40, 10, 0)
    assert host.pit.due_100ns == time_of(10)
    host.to(10)
    assert host.pit.due_100ns is None and host.pit.line.is_high


def test_count_goes_down_and_may_be_latched(host: PitHost) -> None:
    host.out(0x43, 0x34)
    host.out(0x40, 0, 0)
    host.to(0x1234)
    assert host.count() == 0x10000 - 0x1234
    host.out(0x43, 0x00)
    host.to(0x2000)
    host.out(0x43, 0x00)  # the first latch counts
    assert (host.into(0x40), host.into(0x40)) == (0xCC, 0xED)
    assert (host.into(0x40), host.into(0x40)) == (0x00, 0xE0)


def test_square_wave_counts_by_two(host: PitHost) -> None:
    host.out(0x43, 0x36)
    host.out(0x40, 100, 0)
    host.to(10)
    assert host.count() == 80
    host.to(60)
    assert host.count() == 80


def test_digits_are_decimal_when_bcd_is_chosen(host: PitHost) -> None:
    host.out(0x43, 0x35)
    host.out(0x40, 0x00, 0x10)
    host.to(1)
    assert host.count() == 0x0999 and host.pit.counters[0].loaded == 1000
    host.out(0x40, 0, 0)
    assert host.pit.counters[0].loaded == 10_000


def test_single_bytes_are_halves_of_the_count(host: PitHost) -> None:
    host.out(0x43, 0x14)
    host.out(0x40, 0x20)
    assert host.pit.counters[0].loaded == 0x20 and host.into(0x40) == 0x20
    host.out(0x43, 0x24)
    host.out(0x40, 0x20)
    assert host.pit.counters[0].loaded == 0x2000 and host.into(0x40) == 0x20


def test_read_back_tells_status_before_count(host: PitHost) -> None:
    host.out(0x43, 0x34)
    host.out(0x43, 0xE2)
    assert host.into(0x40) == 0xF4  # no count yet, and high
    host.out(0x40, 5, 0)
    host.to(4)
    host.out(0x43, 0xC2)
    assert [host.into(0x40) for _ in range(3)] == [0x34, 1, 0]
    assert host.into(0x43) == 0


@given(accesses(*PORTS), st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_any_accesses_leave_a_timer_whose_next_edge_is_ahead(
    said: list[tuple[bool, int, int, int]], steps: list[int]
) -> None:
    host, time = PitHost(), 0
    for at, access in enumerate(said):
        time += steps[at % len(steps)]
        host.pit.advance(time)
        make(host.bus, access)
        due = host.pit.due_100ns
        event("due" if due else "never due")
        assert due is None or due > time - 10
        for counter in host.pit.counters:
            assert 0 <= counter.count(host.pit.now) < 0x1_0000
            rise = counter.next_rise(host.pit.now)
            assert rise is None or (
                (counter.output(rise) and not counter.output(rise - 1)) or counter.mode in (0, 1)
            )
