"""States: what keeps a virtual processor from running, and what lets it go on."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.states import Suspension, VpState


@pytest.mark.parametrize("first", [Suspension.EXPLICIT, Suspension.INTERCEPT])
def test_vp_runs_when_every_reason_is_gone(first: Suspension) -> None:
    second = (Suspension.EXPLICIT | Suspension.INTERCEPT) ^ first
    with SmallMachine("mov ebx, 1; hlt") as machine:
        machine.vp.suspend(first)
        machine.vp.suspend(second)
        machine.vp.resume(first)
        machine.run()
        assert (machine.vp.state, machine.vp.read("rbx")) == (VpState.SUSPENDED, 0)
        machine.vp.resume(second)
        machine.run()
        assert machine.vp.read("rbx") == 1


def test_resume_for_a_reason_that_there_was_not_changes_nothing() -> None:
    with SmallMachine() as machine:
        machine.vp.resume(Suspension.INTERCEPT)
        assert machine.vp.state is VpState.READY
        machine.vp.suspend(Suspension.EXPLICIT)
        machine.vp.resume(Suspension.INTERCEPT)
        assert machine.vp.suspensions is Suspension.EXPLICIT


def test_idle_vp_is_idle_again_unless_an_interrupt_came_meanwhile() -> None:
    with SmallMachine("sti; hlt; mov ebx, 1; cli; hlt") as machine:
        machine.run()
        assert machine.vp.state is VpState.IDLE
        machine.vp.suspend(Suspension.EXPLICIT)
        machine.vp.resume(Suspension.EXPLICIT)
        assert machine.vp.state is VpState.IDLE
        machine.vp.suspend(Suspension.EXPLICIT)
        machine.vp.apic.request(0x40)
        assert machine.vp.state is VpState.SUSPENDED
        machine.vp.resume(Suspension.EXPLICIT)
        assert machine.vp.state is VpState.READY
