"""A machine can be found, publishes when it is asked, and costs next to nothing when it is not."""

import os
from pathlib import Path

import pytest
from machine_views import machine

from minihv.cli.top.board import ask, board, machines
from minihv.cli.top.machine_view import MachineView
from minihv.cli.top.publisher import PERIOD_SECONDS, Publisher, view_session
from minihv.guests.session import GuestSession
from minihv.parent.monolith_session import MonolithicSession


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def __call__(self) -> float:
        return self.now

    def look(self) -> MachineView:
        self.looks += 1
        return machine(published_at=self.now)

    def after(self, publisher: Publisher, seconds: float = PERIOD_SECONDS) -> int:
        """How often the machine was looked at by then."""
        self.now += seconds
        publisher.beat()
        return self.looks


def test_machine_is_published_once_and_then_when_it_is_asked() -> None:
    clock = Clock()
    publisher = Publisher(clock.look, clock)
    looks = [clock.after(publisher, 0.0), clock.after(publisher), clock.after(publisher)]
    number = ask()
    looks += [clock.after(publisher, PERIOD_SECONDS / 2), clock.after(publisher), clock.after(publisher)]
    assert looks == [0, 1, 1, 1, 2, 2]
    assert [view.asked for view in machines()] == [number]


def test_machine_leaves_the_board_at_the_end() -> None:
    clock = Clock()
    with Publisher(clock.look, clock) as publisher:
        clock.after(publisher)
        assert len(machines()) == 1
    folder = board()
    assert folder is not None
    assert list(folder.iterdir()) == []


def test_short_run_leaves_no_trace(runtime: Path) -> None:
    with Publisher(Clock().look) as publisher:
        publisher.beat()
    assert list(runtime.iterdir()) == []


def test_machine_without_a_board_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nothing/here")
    clock = Clock()
    with Publisher(clock.look, clock) as publisher:
        assert clock.after(publisher) == 0


def test_board_that_is_taken_away_harms_nobody(runtime: Path) -> None:
    clock = Clock()
    with Publisher(clock.look, clock) as publisher:
        assert clock.after(publisher) == 1
        for path in sorted((runtime / "minihv").iterdir()):
            path.unlink()
        (runtime / "minihv").rmdir()
        assert clock.after(publisher) == 1
    assert list(runtime.iterdir()) == []


def test_session_is_seen_as_a_machine() -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        found = view_session(session)
    assert (found.guest, found.pid, found.paging, found.lps) == ("01_hello", os.getpid(), "slat", 1)
    assert [partition.name for partition in found.partitions] == ["01_hello"]


def test_channels_of_a_monolith_are_those_of_its_guest() -> None:
    with MonolithicSession("20_echo") as session:
        session.run()
        (found,) = view_session(session).partitions
    assert found.parent_id == 0 and found.state == "shut down"
    assert {"echo", "console", "heartbeat"} <= {channel.device for channel in found.channels}
