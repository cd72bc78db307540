"""A machine that skips idle time is held back, by no more than the host's clock asks for."""

import pytest

from minihv.cli.pace import PIECE_SECONDS, Pace
from minihv.guests.session import GuestSession
from minihv.machine import clock


class Host:
    """A clock, on which only sleeping takes time."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def skip(session: GuestSession, seconds: float) -> None:
    now = session.hypervisor.scheduler.now
    session.hypervisor.scheduler.skip_to(now + int(seconds * 1e9 / clock.NS_PER_BLOCK))


def test_skipped_time_is_slept_in_pieces() -> None:
    host = Host()
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        pace = Pace(session.hypervisor, host, host.sleep)
        assert not pace.wait()
        skip(session, 0.12)
        while pace.wait():
            pass
    assert host.slept[:2] == [PIECE_SECONDS] * 2
    assert sum(host.slept) == pytest.approx(0.12, abs=1e-6)


def test_machine_that_is_behind_is_not_made_to_hurry() -> None:
    host = Host()
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        pace = Pace(session.hypervisor, host, host.sleep)
        host.now += 1000
        assert not pace.wait()
        skip(session, 0.01)
        assert pace.wait()
    assert host.slept == [pytest.approx(0.01, abs=1e-6)]
