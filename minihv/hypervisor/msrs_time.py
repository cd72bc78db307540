"""The MSRs of time: the reference counter and its page, the frequencies, the synthetic timers.

Stands for: what RDMSR and WRMSR reach of ring -1's timer services.
Spec: TLFS, "Timers".
Simplified: none known.
Next: ``minihv.hypervisor.timers``
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from minihv.hypervisor.msr_policy import MsrPolicy, now
from minihv.hypervisor.privileges import Privilege
from minihv.machine import clock
from minihv.spec.msrs import Msr

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

TIMER_COUNT = 4
TIMERS = Privilege.ACCESS_SYNTHETIC_TIMERS


def _reference_time(vp: "VirtualProcessor") -> int:
    return clock.reference_time(now(vp)) - vp.partition.created_at


def _read_reference_tsc(vp: "VirtualProcessor") -> int:
    return vp.partition.reference_tsc.register


def _write_reference_tsc(vp: "VirtualProcessor", value: int) -> bool:
    return vp.partition.reference_tsc.write(value)


def _read_config(index: int, vp: "VirtualProcessor") -> int:
    return int(vp.timers[index].config)


def _write_config(index: int, vp: "VirtualProcessor", value: int) -> bool:
    return vp.timers[index].write_config(value)


def _read_count(index: int, vp: "VirtualProcessor") -> int:
    return vp.timers[index].count


def _write_count(index: int, vp: "VirtualProcessor", value: int) -> bool:
    return vp.timers[index].write_count(value)


def _timer_policies() -> Iterator[tuple[int, MsrPolicy]]:
    """CONFIG and COUNT of each timer, in turn."""
    for index in range(TIMER_COUNT):
        yield (
            Msr.STIMER0_CONFIG + 2 * index,
            MsrPolicy(partial(_read_config, index), partial(_write_config, index), TIMERS),
        )
        yield (
            Msr.STIMER0_COUNT + 2 * index,
            MsrPolicy(partial(_read_count, index), partial(_write_count, index), TIMERS),
        )


POLICY: dict[int, MsrPolicy] = {
    Msr.TIME_REF_COUNT: MsrPolicy(_reference_time, None, Privilege.ACCESS_REFERENCE_COUNTER),
    Msr.REFERENCE_TSC: MsrPolicy(_read_reference_tsc, _write_reference_tsc, Privilege.ACCESS_REFERENCE_TSC),
    Msr.TSC_FREQUENCY: MsrPolicy(lambda _vp: clock.TSC_HZ, None, Privilege.ACCESS_FREQUENCY),
    Msr.APIC_FREQUENCY: MsrPolicy(lambda _vp: clock.TSC_HZ, None, Privilege.ACCESS_FREQUENCY),
    **dict(_timer_policies()),
}
