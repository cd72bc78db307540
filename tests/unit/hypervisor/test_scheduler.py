"""The scheduler: round robin over 1 to 32 LPs, always in the same order."""

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from machines import SmallMachine

from minihv.errors import ConfigurationError
from minihv.hypervisor.scheduler import ALONE_QUANTUM, MOST_LPS, SHARED_QUANTUM, Scheduler
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import VirtualProcessor

SPIN = "spin: inc rbx; jmp spin"


@dataclass(eq=False)
class Ready:
    """As much of a VP as the scheduler looks at."""

    name: str
    state: VpState = VpState.READY
    partition: Any = field(default_factory=lambda: SimpleNamespace(has_stopped=False))
    handle: Any = field(default_factory=lambda: SimpleNamespace(time_base=0))
    counters: Any = field(default_factory=lambda: SimpleNamespace(blocks=0))


@dataclass
class Turns:
    """Runs a VP by writing down that it ran."""

    scheduler: Scheduler
    taken: list[tuple[str, int]] = field(default_factory=list)
    uses: int | None = None

    def __call__(self, vp: VirtualProcessor, quantum: int) -> int:
        used = quantum if self.uses is None else self.uses
        vp.counters.blocks += used
        self.taken.append((cast("Ready", vp).name, quantum))
        return used

    def rounds(self, count: int, budget: int = 1 << 62) -> str:
        """The names of the VPs that ran, round by round."""
        lines = []
        for _ in range(count):
            self.taken.clear()
            self.scheduler.round(self, budget)
            lines.append("".join(name for name, _ in self.taken))
        return " ".join(lines)


def queue_of(names: str, lps: int = 1) -> tuple[Turns, dict[str, Ready]]:
    scheduler, vps = Scheduler(lps), {name: Ready(name) for name in names}
    for vp in vps.values():
        scheduler.add(cast("VirtualProcessor", vp))
    return Turns(scheduler), vps


@pytest.mark.parametrize("lps", [0, 33, -1])
def test_machine_of_no_or_too_many_lps_is_refused(lps: int) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Scheduler(lps)
    assert str(refusal.value) == (
        f"A machine has 1 to 32 logical processors, not {lps}: choose --lps in that range."
    )


@pytest.mark.parametrize("lps", [1, 32])
def test_machine_has_as_many_lps_as_it_was_asked_for(lps: int) -> None:
    assert [lp.index for lp in Scheduler(lps).lps] == list(range(lps))


@pytest.mark.parametrize(
    ("lps", "order"), [(1, "A B C A B"), (2, "AB CA BC AB CA"), (4, "ABC ABC ABC ABC ABC")]
)
def test_vps_take_turns_in_the_order_of_their_creation(lps: int, order: str) -> None:
    assert queue_of("ABC", lps)[0].rounds(5) == order


def test_vp_that_cannot_run_is_passed_over_and_keeps_its_place() -> None:
    turns, vps = queue_of("ABC")
    vps["B"].state = VpState.IDLE
    assert turns.rounds(3) == "A C A"
    vps["B"].state = VpState.READY
    assert turns.rounds(3) == "B C A"


def test_vp_of_a_partition_that_stopped_takes_no_more_turns() -> None:
    turns, vps = queue_of("ABC")
    vps["A"].partition.has_stopped = True
    assert turns.rounds(3) == "B C B"


def test_vp_that_was_removed_takes_no_more_turns() -> None:
    turns, vps = queue_of("ABC")
    turns.rounds(1)
    turns.scheduler.remove(cast("VirtualProcessor", vps["A"]))
    assert turns.rounds(3) == "B C B"
    assert turns.scheduler.lps[0].last is cast("VirtualProcessor", vps["B"])


def test_lp_forgets_the_vp_that_was_removed() -> None:
    turns, vps = queue_of("A")
    turns.rounds(1)
    turns.scheduler.remove(cast("VirtualProcessor", vps["A"]))
    assert turns.scheduler.lps[0].last is None


def test_partition_that_stops_within_a_round_loses_the_turns_that_were_left() -> None:
    turns, vps = queue_of("AB", lps=2)
    vps["B"].partition = vps["A"].partition

    def stop(vp: VirtualProcessor, quantum: int) -> int:
        cast("Ready", vp).partition.has_stopped = True
        return turns(vp, quantum)

    turns.scheduler.round(stop, 1000)
    assert [name for name, _ in turns.taken] == ["A"]


def test_turn_is_long_when_nobody_waits_and_short_when_somebody_does() -> None:
    turns, vps = queue_of("AB")
    turns.rounds(1)
    assert turns.taken == [("A", SHARED_QUANTUM)]
    vps["A"].state = VpState.HALTED
    turns.rounds(1)
    assert turns.taken == [("B", ALONE_QUANTUM)]


def test_turn_of_a_vp_that_is_alone_is_as_long_as_the_machine_says() -> None:
    scheduler = Scheduler(1, alone_quantum=50)
    turns = Turns(scheduler)
    scheduler.add(cast("VirtualProcessor", Ready("A")))
    assert scheduler.round(turns) == 50


def test_turn_is_no_longer_than_the_budget() -> None:
    turns, _ = queue_of("A")
    turns.rounds(1, budget=7)
    assert turns.taken == [("A", 7)]


def test_lps_share_the_budget_of_a_round() -> None:
    turns, _ = queue_of("ABC", lps=3)
    assert turns.scheduler.round(turns, SHARED_QUANTUM + 5) == SHARED_QUANTUM + 5
    assert turns.taken == [("A", SHARED_QUANTUM), ("B", 5)]


def test_time_of_the_machine_is_that_of_the_lp_that_is_furthest() -> None:
    turns, _ = queue_of("AB", lps=2)
    turns.rounds(2, budget=1 << 20)
    assert [lp.now for lp in turns.scheduler.lps] == [2 * SHARED_QUANTUM] * 2
    assert turns.scheduler.now == 2 * SHARED_QUANTUM


def test_lp_that_was_idle_catches_up_with_the_others_when_it_gets_work() -> None:
    turns, vps = queue_of("AB", lps=2)
    turns.uses = 100
    vps["B"].state = VpState.IDLE
    turns.rounds(3)
    vps["B"].state = VpState.READY
    turns.rounds(1)
    assert [(lp.now, lp.busy) for lp in turns.scheduler.lps] == [(400, 400), (400, 100)]


def test_vp_reads_the_time_of_the_machine_however_little_it_ran_itself() -> None:
    turns, vps = queue_of("AB")
    turns.uses = 100
    turns.rounds(3)
    assert vps["A"].handle.time_base + 100 == 200 and vps["B"].handle.time_base == 100


def test_round_counts_itself_even_without_work() -> None:
    turns, _ = queue_of("")
    assert turns.scheduler.round(turns, 100) == 0 and turns.scheduler.rounds == 1


def check_fair(lps: int, states: list[VpState]) -> str:
    """Each LP has one VP a round while there are any, and no VP waits longer than the others."""
    turns, vps = queue_of("".join(chr(0x41 + index) for index in range(len(states))), lps)
    for vp, state in zip(vps.values(), states, strict=True):
        vp.state = state
    ready = states.count(VpState.READY)
    rounds = turns.rounds(12).split(" ")
    taken = ["".join(rounds).count(name) for name, vp in vps.items() if vp.state is VpState.READY]
    assert all(len(set(turn)) == len(turn) == min(lps, ready) for turn in rounds)
    assert max(taken, default=0) - min(taken, default=0) <= 1
    return "more VPs than LPs" if ready > lps else "an LP for each" if ready else "nobody"


def test_round_gives_each_lp_one_vp_and_no_vp_waits_longer_than_the_others() -> None:
    seen: Counter[str] = Counter()
    states = st.lists(st.sampled_from((*[VpState.READY] * 6, *VpState)), min_size=1, max_size=40)

    @given(st.integers(1, MOST_LPS) | st.integers(1, 4), states)
    def check(lps: int, states: list[VpState]) -> None:
        outcome = check_fair(lps, states)
        event(outcome)
        seen[outcome] += 1

    check()
    assert min(seen["more VPs than LPs"], seen["an LP for each"]) >= 0.1 * seen.total()


@pytest.mark.parametrize("lps", [1, 32])
def test_vps_that_spin_have_equal_run_times(lps: int) -> None:
    with SmallMachine(SPIN, vps=32, lps=lps) as machine:
        assert machine.run(64 * SHARED_QUANTUM) == 64 * SHARED_QUANTUM
        assert {vp.counters.blocks for vp in machine.partition.vps} == {2 * SHARED_QUANTUM}
        assert {lp.busy for lp in machine.hypervisor.scheduler.lps} == {64 * SHARED_QUANTUM // lps}


def test_two_runs_of_one_machine_are_the_same_turn_by_turn() -> None:
    def run() -> list[int]:
        with SmallMachine(SPIN, vps=5, lps=3) as machine:
            machine.run(7 * SHARED_QUANTUM + 11)
            return [vp.read("rbx") for vp in machine.partition.vps]

    assert run() == run()


def test_budget_of_a_run_is_shared_by_all_lps() -> None:
    with SmallMachine(SPIN, vps=4, lps=4) as machine:
        assert machine.run(100) == 100
        assert sum(vp.counters.blocks for vp in machine.partition.vps) == 100
