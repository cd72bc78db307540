"""The keyboard and its controller: commands, answers, and keys."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from port_hosts import PortHost, accesses, make

from minihv.devices.emulated.interrupt_lines import Line
from minihv.devices.emulated.keyboard import MOST_BYTES, KeyboardController
from minihv.spec.ps2 import KEYS, Config, Status


class KeyboardHost(PortHost):
    """A controller with its keyboard. ``resets`` counts how often the machine was to be reset."""

    def __init__(self) -> None:
        super().__init__()
        self.resets = 0
        self.controller = KeyboardController(Line(), self._reset)
        self.controller.connect(self.bus)

    def _reset(self) -> None:
        self.resets += 1

    def answers(self) -> list[int]:
        """All bytes that wait."""
        found = []
        while self.into(0x64) & Status.OUTPUT_FULL:
            found.append(self.into(0x60))
        return found

    def ask(self, *values: int) -> list[int]:
        """Bytes for the keyboard, and what it says."""
        self.out(0x60, *values)
        return self.answers()


@pytest.fixture
def host() -> KeyboardHost:
    return KeyboardHost()


def test_controller_and_interfaces_pass_their_tests(host: KeyboardHost) -> None:
    assert not host.into(0x64) & Status.SYSTEM
    host.out(0x64, 0xAA, 0xAB, 0xA9)
    assert host.answers() == [0x55, 0x00, 0x03] and host.into(0x64) & Status.SYSTEM


def test_command_byte_is_written_and_read(host: KeyboardHost) -> None:
    host.out(0x64, 0x60)
    host.out(0x60, 0x45)
    host.out(0x64, 0x20)
    assert host.answers() == [0x45]
    host.out(0x64, 0xAD, 0xA8, 0x20)
    assert host.answers() == [0x55]


def test_keys_are_translated_unless_the_guest_wants_them_raw(host: KeyboardHost) -> None:
    host.controller.type("a")
    assert host.answers() == [0x1E, 0x9E]
    host.out(0x64, 0x60)
    host.out(0x60, 0x01)
    host.controller.type("a")
    assert host.answers() == [0x1C, 0xF0, 0x1C]
    assert host.ask(0xF0, 1) == [0xFA, 0xFA]
    host.controller.press("enter")
    assert host.answers() == [0x1C]


def test_each_byte_raises_the_line_again(host: KeyboardHost) -> None:
    edges: list[bool] = []
    host.controller.line = Line(edges.append)
    host.controller.type("b")
    host.into(0x60)
    host.into(0x60)
    assert edges == [True, False, True, False]
    host.out(0x64, 0x60)
    host.out(0x60, int(Config.TRANSLATE))
    host.controller.press("c")
    assert edges[4:] == [] and host.into(0x64) & 1


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ((0xF2,), [0xFA, 0xAB, 0x83]),
        ((0xFF,), [0xFA, 0xAA]),
        ((0xED, 0x05), [0xFA, 0xFA]),
        ((0xF3, 0x20), [0xFA, 0xFA]),
        ((0xF0, 0), [0xFA, 0xFA, 2]),
        ((0xF0, 3), [0xFA, 0xFE]),
        ((0xEE,), [0xEE]),
        ((0xEE, 0xFE), [0xEE, 0xEE]),
        ((0x12,), [0xFE]),
    ],
)
def test_keyboard_answers_commands(host: KeyboardHost, sent: tuple[int, ...], answer: list[int]) -> None:
    assert host.ask(*sent) == answer


def test_keyboard_that_is_off_says_nothing(host: KeyboardHost) -> None:
    assert host.ask(0xF5) == [0xFA]
    host.controller.press("x")
    assert host.answers() == []
    assert host.ask(0xF4) == [0xFA]
    host.out(0x64, 0xAD)
    host.controller.press("x")
    assert host.answers() == []
    host.out(0x64, 0xAE)
    host.controller.press("x")
    assert host.answers() == [0x2D]


def test_machine_is_reset_by_a_pulse_or_by_the_output_port(host: KeyboardHost) -> None:
    host.out(0x64, 0xFE, 0xFF, 0xD1)
    host.out(0x60, 0x02)
    assert host.resets == 2
    host.out(0x64, 0xD1)
    host.out(0x60, 0x03)
    host.out(0x64, 0xD0, 0xC0)
    assert host.resets == 2 and host.answers() == [0x03, 0x80]


def test_bytes_can_be_put_as_if_somebody_had_sent_them(host: KeyboardHost) -> None:
    for command in (0xD2, 0xD3):
        host.out(0x64, command)
        host.out(0x60, command)
    assert not host.into(0x64) & Status.FROM_MOUSE and host.into(0x60) == 0xD2
    assert host.into(0x64) & Status.FROM_MOUSE and not host.controller.line.is_high
    assert host.answers() == [0xD3] and host.into(0x60) == 0xD3


@given(accesses(0x60, 0x64), st.lists(st.sampled_from(sorted(KEYS)), max_size=60))
def test_any_accesses_leave_a_controller_whose_bytes_can_be_read(
    said: list[tuple[bool, int, int, int]], keys: list[str]
) -> None:
    host = KeyboardHost()
    for at, access in enumerate(said):
        for key in keys[at : at + 1]:
            host.controller.press(key)
        make(host.bus, access)
        event("full" if host.into(0x64) & 1 else "empty")
        assert not host.controller.line.is_high or host.into(0x64) & 1
    assert len(host.answers()) <= MOST_BYTES and not host.controller.line.is_high
