"""What an MSR is: who reads it, who writes it, and when it is."""

from machines import SmallMachine

from minihv.hypervisor.msr_policy import MsrPolicy, now
from minihv.hypervisor.privileges import NONE


def test_msr_asks_for_no_privilege_unless_it_says_so() -> None:
    assert MsrPolicy(None, None).privilege is NONE


def test_time_of_a_vp_is_where_its_turn_began_and_what_it_ran_since() -> None:
    with SmallMachine("nop; hlt") as machine:
        machine.run()
        before = now(machine.vp)
        machine.vp.handle.time_base += 1000
        assert before == machine.vp.counters.blocks == now(machine.vp) - 1000
