"""A run to an address stops where stepping first finds RIP there, in the same state, and disturbs nothing."""

from random import Random
from typing import Any

from digests import difference, state_of
from hypothesis import event, given, settings
from hypothesis import strategies as st
from machines import CODE, SmallMachine
from programs import HANDLERS, random_program

from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.terms import Gva
from minihv.testing import Shares

MOST_STEPS = 5_000
SHARES = Shares()


def machine_of(code: str, paging: PagingMode) -> SmallMachine:
    return SmallMachine(code, handlers=HANDLERS, paging=paging)


def first_visits(machine: SmallMachine) -> dict[int, tuple[bool, dict[str, Any]]]:
    """By RIP: whether a block began there, and the state when stepping came there first."""
    vp, visits = machine.vp, dict[int, tuple[bool, dict[str, Any]]]()
    for _ in range(MOST_STEPS):
        begun = vp.counters.blocks
        machine.hypervisor.step(vp)
        if vp.state is not VpState.READY:
            return visits
        rip = vp.read("rip")
        if rip not in (CODE, *visits):
            visits[rip] = (vp.counters.blocks != begun, state_of(machine.partition))
    raise AssertionError(f"the program did not end after {MOST_STEPS} steps")


def check(seed: int, paging: PagingMode) -> None:
    random = Random(seed)
    code = random_program(random)
    with machine_of(code, paging) as stepped, machine_of(code, paging) as undisturbed:
        visits = first_visits(stepped)
        undisturbed.run()
        end = state_of(undisturbed.partition)
    for rip in random.sample(sorted(visits), min(6, len(visits))):
        begins, expected = visits[rip]
        SHARES.add("first in its block" if begins else "inside a block")
        with machine_of(code, paging) as ran:
            assert ran.hypervisor.run_to(ran.vp, Gva(rip)), f"{rip:#x} in\n{code}"
            assert not difference(state_of(ran.partition), expected), f"{rip:#x} in\n{code}"
            ran.run()
            assert not difference(state_of(ran.partition), end), f"{rip:#x} in\n{code}"


@settings(max_examples=40)
@given(st.integers(0, 1 << 32))
def test_run_to_an_address_stops_where_stepping_comes_first(seed: int) -> None:
    check(seed, PagingMode.SLAT)


@settings(max_examples=15)
@given(st.integers(0, 1 << 32))
def test_it_does_so_under_the_engine_s_own_mmu(seed: int) -> None:
    check(seed, PagingMode.HARDWARE)


def test_addresses_inside_of_blocks_were_not_rare() -> None:
    SHARES.assert_floors({"inside a block": 0.2, "first in its block": 0.05})


def test_where_a_vp_begins_it_is_at_once() -> None:
    with SmallMachine("inc eax; hlt") as machine:
        assert machine.hypervisor.run_to(machine.vp, Gva(CODE))
        assert (machine.vp.read("rip"), machine.vp.counters.blocks) == (CODE, 0)


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.integers(1, 50))
def test_budget_ends_a_run_to_an_address_too(seed: int, blocks: int) -> None:
    code = random_program(Random(seed))
    with SmallMachine(code, handlers=HANDLERS) as watched, SmallMachine(code, handlers=HANDLERS) as ran:
        assert not watched.hypervisor.run_to(watched.vp, Gva(CODE + 0x8000), blocks)
        ran.run(blocks)
        event("ended" if ran.vp.state is VpState.HALTED else "cut")
        assert not difference(state_of(watched.partition), state_of(ran.partition))
