"""The MSRs of the synthetic interrupt controller: SCONTROL, SVERSION, SIEFP, SIMP, EOM, SINT0 to SINT15.

Stands for: ring -1's SynIC registers.
Spec: TLFS, "SynIC MSRs".
Simplified: none known
Next: ``minihv.hypervisor.synic``
"""

from typing import TYPE_CHECKING

from minihv.hypervisor.msr_policy import MsrPolicy
from minihv.hypervisor.privileges import Privilege
from minihv.spec.msrs import Msr
from minihv.spec.synic import SINT_COUNT, SYNIC_VERSION

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

PRIVILEGE = Privilege.ACCESS_SYNIC


def _write_eom(vp: "VirtualProcessor", _value: int) -> bool:
    vp.synic.retry()
    return True


def _sint(sint: int) -> MsrPolicy:
    return MsrPolicy(
        lambda vp: vp.synic.sints[sint], lambda vp, value: vp.synic.write_sint(sint, value), PRIVILEGE
    )


POLICY: dict[int, MsrPolicy] = {
    Msr.SCONTROL: MsrPolicy(
        lambda vp: vp.synic.control, lambda vp, value: vp.synic.write_control(value), PRIVILEGE
    ),
    Msr.SVERSION: MsrPolicy(lambda _vp: SYNIC_VERSION, None, PRIVILEGE),
    Msr.SIEFP: MsrPolicy(lambda vp: vp.synic.siefp, lambda vp, value: vp.synic.write_siefp(value), PRIVILEGE),
    Msr.SIMP: MsrPolicy(lambda vp: vp.synic.simp, lambda vp, value: vp.synic.write_simp(value), PRIVILEGE),
    Msr.EOM: MsrPolicy(lambda _vp: 0, _write_eom, PRIVILEGE),
    **{Msr.SINT0 + sint: _sint(sint) for sint in range(SINT_COUNT)},
}
