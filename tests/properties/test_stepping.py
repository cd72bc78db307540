"""Single steps and runs are one thing: whoever steps through a guest sees the guest that runs."""

from random import Random
from typing import Any

import pytest
from digests import difference, state_of
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import SmallMachine
from programs import machine_with, random_program

from minihv.guests.session import GuestSession
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode, Stop

MOST_STEPS = 3000


def states_by_block(machine: SmallMachine) -> dict[int, dict[str, Any]]:
    """Steps to the end; the last state at each number of blocks begun."""
    states = {0: state_of(machine.partition)}
    for _ in range(MOST_STEPS):
        machine.hypervisor.step(machine.vp)
        states[machine.vp.counters.blocks] = state_of(machine.partition)
        if machine.vp.state is not VpState.READY:
            return states
    raise AssertionError(f"the program did not end after {MOST_STEPS} steps")


def check(code: str, choose: Random, **parts: Any) -> int:
    """A run to some numbers of blocks leaves the state that stepping leaves there."""
    with machine_with(code, **parts) as stepped:
        expected = states_by_block(stepped)
    for blocks in {*choose.sample(sorted(expected), min(6, len(expected))), max(expected)}:
        with machine_with(code, **parts) as ran:
            ran.run(blocks)
            differs = difference(state_of(ran.partition), expected[blocks])
            assert not differs, f"after {blocks} blocks of\n{code}"
    return len(expected)


@settings(max_examples=30)
@given(st.integers(0, 1 << 32))
def test_steps_of_one_instruction_and_a_run_leave_one_state(seed: int) -> None:
    random = Random(seed)
    assert check(random_program(random), random) > 1


@settings(max_examples=10)
@given(st.integers(0, 1 << 32))
def test_steps_and_a_run_leave_one_state_under_the_engine_s_own_mmu(seed: int) -> None:
    random = Random(seed)
    assert check(random_program(random), random, paging=PagingMode.HARDWARE) > 1


@settings(max_examples=10)
@given(st.integers(0, 1 << 32), st.integers(1, 60))
def test_steps_that_are_followed_by_a_run_end_where_a_run_ends(seed: int, steps: int) -> None:
    code = random_program(Random(seed))
    with machine_with(code) as mixed, machine_with(code) as ran:
        for _ in range(steps):
            if mixed.vp.state is VpState.READY:
                mixed.hypervisor.step(mixed.vp)
        mixed.run(), ran.run()
        assert mixed.vp.state is VpState.HALTED
        assert not difference(state_of(mixed.partition), state_of(ran.partition))


def test_one_step_is_one_instruction() -> None:
    with SmallMachine("inc eax; inc eax; jmp there; nop; there: inc eax; hlt") as machine:
        rips = []
        for _ in range(5):
            machine.hypervisor.step(machine.vp)
            rips.append(machine.vp.read("rip") & 0xFF)
        assert rips == [2, 4, 7, 9, 10]
        assert machine.vp.state is VpState.HALTED and machine.vp.counters.blocks == 2


def test_one_step_of_a_repeated_instruction_is_one_iteration() -> None:
    with SmallMachine("rep stosb; hlt", registers={"rcx": 3, "rdi": 0x9000}) as machine:
        counts = []
        for _ in range(3):
            machine.hypervisor.step(machine.vp)
            counts.append(machine.vp.read("rcx"))
        assert counts == [2, 1, 0]


@pytest.mark.parametrize(
    "code", ["add byte ptr [rip + 2], 1; inc eax; hlt", "mov ecx, 5; jmp there; there: ud2; hlt"]
)
def test_every_step_does_something(code: str) -> None:
    with SmallMachine(code) as machine:
        for _ in range(3):
            before = machine.vp.read("rip")
            assert machine.hypervisor.processor.step(machine.vp.handle) == Stop.BUDGET
            assert machine.vp.read("rip") != before


@pytest.mark.parametrize("name", ["hello", "rings", "self_modifying"])
def test_built_in_guest_ends_the_same_stepped_or_run(name: str) -> None:
    with GuestSession(name, memory_bytes=2 << 20) as stepped, GuestSession(name, memory_bytes=2 << 20) as ran:
        vp, steps = stepped.partition.vps[0], 0
        while vp.state is VpState.READY and not stepped.partition.has_stopped:
            stepped.hypervisor.step(vp)
            steps += 1
            assert steps < 200_000
        ran.run()
        assert not difference(state_of(stepped.partition), state_of(ran.partition))
