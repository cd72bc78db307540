"""The MSRs of the local APIC: the synthetic ones that spare the page, and those of x2APIC mode.

Stands for: what RDMSR and WRMSR reach of the virtual APIC.
Spec: TLFS, "Virtual Interrupt Control": "Virtual APIC Registers"; Intel SDM vol. 3A, "x2APIC Register Address
    Space".
Simplified: the VP assist page is the guest's own RAM, and "no EOI required" is never set in it: an EOI is
    always written, which is always right.
Next: ``minihv.hypervisor.apic_registers``
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minihv.hypervisor.msr_policy import MsrPolicy, Reader, Writer
from minihv.hypervisor.privileges import Privilege
from minihv.spec.apic import FIRST_X2APIC_MSR
from minihv.spec.msrs import Msr, OverlayRegister
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

X2APIC_REGISTERS = 0x40


def _write_eoi(vp: "VirtualProcessor", _value: int) -> bool:
    vp.apic.eoi()
    return True


def _write_tpr(vp: "VirtualProcessor", value: int) -> bool:
    if value > 0xFF:
        return False
    vp.apic.tpr = value
    return True


def _write_icr(vp: "VirtualProcessor", value: int) -> bool:
    vp.apic_registers.write_command(value)
    return True


def _read_assist_page(vp: "VirtualProcessor") -> int:
    return vp.assist_page


def _write_assist_page(vp: "VirtualProcessor", value: int) -> bool:
    """VP_ASSIST_PAGE: where it is enabled its first word becomes 0; false when no RAM is there."""
    if OverlayRegister(value).enable:
        page, space = value & -PAGE_BYTES, vp.partition.gpa_space
        if not space.is_backed(page, PAGE_BYTES, writable=True):
            return False
        space.write(page, bytes(4))
    vp.assist_page = value
    return True


def _rest(vp: "VirtualProcessor") -> int:
    """GUEST_IDLE: the VP waits for an interrupt, even one that RFLAGS.IF holds back."""
    vp.rest()
    return 0


def _reader(offset: int) -> Reader:
    def read(vp: "VirtualProcessor") -> int | None:
        registers = vp.apic_registers
        return registers.read(offset) if registers.is_x2apic else None

    return read


def _writer(offset: int) -> Writer:
    def write(vp: "VirtualProcessor", value: int) -> bool:
        registers = vp.apic_registers
        return registers.is_x2apic and registers.write(offset, value)

    return write


def _x2apic_policies() -> Iterator[tuple[int, MsrPolicy]]:
    for number in range(X2APIC_REGISTERS):
        yield FIRST_X2APIC_MSR + number, MsrPolicy(_reader(number << 4), _writer(number << 4))


POLICY: dict[int, MsrPolicy] = {
    Msr.APIC_BASE: MsrPolicy(
        lambda vp: int(vp.apic_registers.base), lambda vp, value: vp.apic_registers.write_base(value)
    ),
    Msr.EOI: MsrPolicy(None, _write_eoi, Privilege.ACCESS_APIC),
    Msr.ICR: MsrPolicy(lambda vp: vp.apic_registers.command, _write_icr, Privilege.ACCESS_APIC),
    Msr.TPR: MsrPolicy(lambda vp: vp.apic.tpr, _write_tpr, Privilege.ACCESS_APIC),
    Msr.VP_ASSIST_PAGE: MsrPolicy(_read_assist_page, _write_assist_page, Privilege.ACCESS_APIC),
    Msr.GUEST_IDLE: MsrPolicy(_rest, None, Privilege.ACCESS_GUEST_IDLE),
    **dict(_x2apic_policies()),
}
