"""The mainboard: whose line leads where, and when time matters."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.io_apic import Delivery
from minihv.devices.emulated.mainboard import LEAST_PERIOD_100NS, Mainboard
from minihv.spec.io_apic import BASE_GPA

MILLISECOND = 10_000


class Board(PortHost):
    """A board, the messages of its I/O APIC, and what was sent by its serial port."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Delivery] = []
        self.sent = bytearray()
        self.board = Mainboard(self.bus, self.messages.append, output=self.sent.extend)

    def use_pic(self) -> None:
        for port, vector, wiring in ((0x20, 0x30, 4), (0xA0, 0x38, 2)):
            self.out(port, 0x11)
            self.out(port + 1, vector, wiring, 1)

    def start_timer(self) -> None:
        self.out(0x43, 0x34)
        self.out(0x40, 0xA9, 0x04)  # 1000 Hz


@pytest.fixture
def board() -> Board:
    return Board()


def test_board_that_nobody_set_up_waits_for_no_time(board: Board) -> None:
    board.start_timer()
    assert board.board.due_100ns is None
    board.board.tick(100 * MILLISECOND)
    assert board.board.take_external() is None and board.messages == []


def test_timer_interrupts_by_the_pic_until_it_is_ended(board: Board) -> None:
    board.use_pic()
    board.start_timer()
    board.board.take_external()  # the output rose when the mode was set
    board.out(0x20, 0x20)
    vectors = []
    for _ in range(3):
        assert board.board.due_100ns is not None
        board.board.tick(board.board.due_100ns)
        vectors.append(board.board.take_external())
        assert board.board.take_external() is None
        board.out(0x20, 0x20)
    assert vectors == [0x30] * 3 and board.board.pit.now * 10**7 // 1193182 + 10 >= 3 * MILLISECOND


def test_timer_interrupts_by_pin_two_of_the_io_apic(board: Board) -> None:
    board.board.memory.store(BASE_GPA, 4, 0x14)
    board.board.memory.store(BASE_GPA + 0x10, 4, 0x51)
    board.start_timer()
    board.messages.clear()
    assert board.board.due_100ns is not None
    board.board.tick(board.board.due_100ns)
    assert [message.vector for message in board.messages] == [0x51]


@pytest.mark.parametrize(("line", "vector"), [(1, 0x31), (4, 0x34), (8, 0x38), (14, 0x3E)])
def test_each_device_has_its_line(board: Board, line: int, vector: int) -> None:
    board.use_pic()
    if line == 1:
        board.board.keyboard.press("a")
    elif line == 4:
        board.out(0x3FC, 8)
        board.out(0x3F9, 1)
        board.board.uart.give(b"x")
    elif line == 8:
        board.out(0x70, 0x0B)
        board.out(0x71, 0x12)
        board.board.tick(1000 * MILLISECOND)
    else:
        board.bus.lines[line].set(True)
    assert board.board.take_external() == vector


def test_fast_timer_is_due_ten_thousand_times_a_second_at_most(board: Board) -> None:
    board.use_pic()
    board.out(0x43, 0x34)
    board.board.tick(500)
    board.board.take_external()
    board.out(0x40, 2, 0)
    board.out(0x20, 0x20)
    board.board.tick(700)
    board.board.take_external()
    board.out(0x20, 0x20)
    assert board.board.due_100ns == 700 + LEAST_PERIOD_100NS


PORTS = (
    *range(0x20, 0x22),
    *range(0x40, 0x44),
    *(0x60, 0x61, 0x64, 0x70, 0x71, 0xA0, 0xA1, 0x3D4, 0x3D5),
    *range(0x3F8, 0x400),
)


@given(accesses(*PORTS), st.integers(0, 10**8))
def test_power_on_leaves_nothing_of_what_was_said(said: list[tuple[bool, int, int, int]], now: int) -> None:
    board = Board()
    board.board.tick(now)
    for access in said:
        make(board.bus, access)
        board.board.memory.store(BASE_GPA, 4, access[3])
        board.board.memory.store(BASE_GPA + 0x10, 4, access[3])
    board.board.power_on()
    event("interrupted" if board.messages else "quiet")
    assert board.board.due_100ns is None and board.board.take_external() is None
    assert not any(line.is_high for line in board.bus.lines)
    fresh = Board()
    fresh.board.tick(now)
    quiet = [port for port in PORTS if port not in (0x61, 0x71)]  # the clock has a battery
    assert [board.into(port) for port in quiet] == [fresh.into(port) for port in quiet]
    assert board.board.io_apic.entries == fresh.board.io_apic.entries


@given(
    accesses(
        *range(0x20, 0x22), *range(0x40, 0x44), 0x60, 0x61, 0x64, 0x70, 0x71, 0xA0, 0xA1, *range(0x3F8, 0x400)
    ),
    st.lists(st.integers(0, 10**8), min_size=1, max_size=20),
)
def test_any_accesses_leave_a_board_whose_next_moment_is_ahead(
    said: list[tuple[bool, int, int, int]], steps: list[int]
) -> None:
    board, now = Board(), 0
    for at, access in enumerate(said):
        now += steps[at % len(steps)]
        board.board.tick(now)
        make(board.bus, access)
        vector = board.board.take_external()
        event("interrupts" if vector is not None else "quiet")
        assert vector is None or 0 <= vector < 256
        due = board.board.due_100ns
        assert due is None or due > now
