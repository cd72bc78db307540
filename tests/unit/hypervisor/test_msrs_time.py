"""The MSRs of time: each timer has its pair, and the page its register."""

from minihv.hypervisor import msrs_time, timers
from minihv.hypervisor.privileges import Privilege
from minihv.spec.msrs import Msr


def test_every_timer_has_a_pair_of_registers() -> None:
    of_timers = {
        n for n, line in msrs_time.POLICY.items() if line.privilege is Privilege.ACCESS_SYNTHETIC_TIMERS
    }
    assert of_timers == set(range(Msr.STIMER0_CONFIG, Msr.STIMER3_COUNT + 1))
    assert timers.TIMER_COUNT == msrs_time.TIMER_COUNT


def test_reference_counter_and_frequencies_cannot_be_written() -> None:
    for number in (Msr.TIME_REF_COUNT, Msr.TSC_FREQUENCY, Msr.APIC_FREQUENCY):
        assert msrs_time.POLICY[number].write is None
