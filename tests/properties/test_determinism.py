"""The same guest makes the same run: every event at the same time, every register and every byte at its end.

Where a run is cut into budgets matters to one kind of code alone: a block that writes into itself. The
engine replays its store as a block of its own, and a budget that ends right there makes it begin once more.
Such a run takes another block of time, so ``self_modifying`` is not among the guests that are cut.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from digests import difference, second_level_of, state_of
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import SmallMachine
from programs import machine_with, random_program

from minihv.guests.catalogue import guests
from minihv.guests.session import GuestSession
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.terms import MIB
from minihv.trace import Event

NAMES = [guest.name for guest in guests() if not guest.needs_parent]
MODES = list(PagingMode)


@dataclass
class Run:
    """What is left of a run."""

    events: list[Event] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    now: int = 0

    def end(self, hypervisor: Hypervisor) -> None:
        """Takes down the final state."""
        for partition in hypervisor.partitions.values():
            self.states.append(state_of(partition) | {"second level": second_level_of(partition)})
        self.now = hypervisor.scheduler.now


def run_guest(name: str, budgets: list[int] | None = None, **parts: Any) -> Run:
    """Runs a built-in guest to its end, or for the ``budgets`` and then to its end."""
    run = Run()
    with GuestSession(name, memory_bytes=4 * MIB, trace=run.events.append, **parts) as session:
        for budget in budgets or []:
            session.hypervisor.run(budget)
        session.hypervisor.run()
        run.end(session.hypervisor)
    return run


def assert_same(one: Run, other: Run) -> None:
    assert one.events == other.events
    assert not difference(one.states, other.states)
    assert one.now == other.now


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_guest_that_runs_twice_runs_the_same(name: str, mode: PagingMode) -> None:
    assert_same(run_guest(name, paging=mode), run_guest(name, paging=mode))


@pytest.mark.parametrize("name", ["discovery", "exceptions", "rings", "page_tables", "timer_tsc"])
def test_guest_that_is_stopped_and_continued_runs_the_same(name: str) -> None:
    random = Random(name)
    budgets = [random.choice((1, 2, 3, 100, 5000)) for _ in range(300)]
    assert_same(run_guest(name), run_guest(name, budgets))


@pytest.mark.parametrize("lps", [1, 2, 3, 4])
def test_vps_that_race_for_a_lock_race_the_same_on_any_number_of_lps(lps: int) -> None:
    one, other = (run_guest("spin_lock", vps=4, lps=lps) for _ in range(2))
    assert_same(one, other)
    assert len(one.states[0]["vps"]) == 4


@settings(max_examples=15)
@given(st.integers(0, 1 << 32), st.lists(st.integers(1, 40), max_size=20))
def test_random_program_runs_the_same_however_its_time_is_cut(seed: int, budgets: list[int]) -> None:
    code, states = random_program(Random(seed)), []
    for cut in ([], budgets, [1] * 100):
        with machine_with(code) as machine:
            for budget in cut:
                machine.run(budget)
            machine.run()
            assert machine.vp.state is VpState.HALTED
            states.append(state_of(machine.partition))
    assert not difference(states[0], states[1]) and not difference(states[0], states[2])


@settings(max_examples=15)
@given(st.integers(0, 1 << 32), st.integers(1, 4), st.integers(1, 4))
def test_vps_of_two_partitions_run_the_same_twice(seed: int, vps: int, lps: int) -> None:
    code, states = random_program(Random(seed)), []
    for _ in range(2):
        with SmallMachine(code, vps=vps, lps=lps, partitions=2) as machine:
            machine.add_partition("other", random_program(Random(seed + 1)))
            machine.run(5000)
            partitions = machine.hypervisor.partitions.values()
            states.append([state_of(partition) for partition in partitions])
    assert not difference(states[0], states[1])


@settings(max_examples=10)
@given(st.integers(0, 1 << 32))
def test_flushes_at_any_moment_change_nothing_that_a_guest_can_see(seed: int) -> None:
    random = Random(seed)
    code, states = random_program(random), []
    for flushed in (False, True):
        with machine_with(code) as machine:
            for _ in range(200):
                machine.run(5)
                if flushed and random.random() < 0.5:
                    machine.hypervisor.processor.flush()
            states.append(state_of(machine.partition) | {"second level": second_level_of(machine.partition)})
    assert not difference(states[0], states[1])
