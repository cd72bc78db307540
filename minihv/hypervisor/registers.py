"""The registers of a VP as the parent reads and writes them: 16 bytes each, by their TLFS names.

Stands for: ring -1's register calls, one line a register.
Spec: TLFS, "Virtual Processor Registers": "HV_REGISTER_NAME", "HV_REGISTER_VALUE" and the layouts by name.
Simplified: no floating-point and no MTRR registers. A VP runs in long mode or without paging: it is not
    resumed before CR0, CR4, EFER and RFLAGS say so.
First reading: ``REGISTERS``, ``read``, ``write``.
Next: ``minihv.hypervisor.calls_vp``
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minihv.errors import ConfigurationError
from minihv.hypervisor import startup
from minihv.hypervisor.msrs import POLICY
from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import Suspension, VpState
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, TABLES
from minihv.spec.hypercalls import PendingInterruption, RegisterName, Status
from minihv.spec.msrs import Msr
from minihv.spec.vmcb import Event
from minihv.spec.x86_registers import Cr0, Cr4, Efer, Rflags

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor

VALUE_BYTES = 16
U64 = (1 << 64) - 1
Read = Callable[["VirtualProcessor"], bytes]
Write = Callable[["Hypervisor", "VirtualProcessor", bytes], Status]


@dataclass(frozen=True, slots=True)
class Register:
    """One register: how it is read, and written; ``None``: it is not."""

    read: Read
    write: Write | None


def number(value: int) -> bytes:
    """A number as a register value."""
    return value.to_bytes(VALUE_BYTES, "little")


def low(value: bytes) -> int:
    """The number that a register value holds."""
    return int.from_bytes(value[:8], "little")


def plain(name: str) -> Register:
    """A register of the VMCB, or a general one."""

    def write(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        vp.write(name, low(value))
        return Status.SUCCESS

    return Register(lambda vp: number(vp.read(name)), write)


def segment(name: str) -> Register:
    """A segment register.  Spec: TLFS, "HV_X64_SEGMENT_REGISTER"."""

    def write(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        vp.write_segment(name, SegmentValue.from_bytes(value))
        return Status.SUCCESS

    return Register(lambda vp: vp.read_segment(name).to_bytes(), write)


def table(name: str) -> Register:
    """IDTR or GDTR: three empty words, the limit, the base.  Spec: TLFS, "HV_X64_TABLE_REGISTER"."""

    def read(vp: "VirtualProcessor") -> bytes:
        held = vp.read_segment(name)
        return bytes(6) + held.limit.to_bytes(4, "little")[:2] + held.base.to_bytes(8, "little")

    def write(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        limit, base = int.from_bytes(value[6:8], "little"), int.from_bytes(value[8:], "little")
        vp.write_segment(name, SegmentValue(base, limit, 0, 0))
        return Status.SUCCESS

    return Register(read, write)


def by_msr(msr: int) -> Register:
    """A register that is also an MSR, whatever the partition's privileges are; 0 where RDMSR raises #GP."""

    def read(vp: "VirtualProcessor") -> bytes:
        policy = POLICY[msr]
        value = None if policy.read is None else policy.read(vp)
        return number(value or 0)

    def write(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        policy = POLICY[msr]
        done = policy.write is not None and policy.write(vp, low(value))
        return Status.SUCCESS if done else Status.INVALID_PARAMETER

    return Register(read, write)


def suspend(why: Suspension) -> Register:
    """Explicit suspend, intercept suspend: bit 0. Clearing it lets the VP go on, if it can.

    Spec: TLFS, "HV_EXPLICIT_SUSPEND_REGISTER"; bit 1 of "HV_INTERCEPT_SUSPEND_REGISTER" is not looked at.
    """

    def write(hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        if value[0] & 1:
            vp.suspend(why)
            return Status.SUCCESS
        if not vp.suspensions & why:
            return Status.SUCCESS
        if not can_run(vp):
            return Status.INVALID_REGISTER_VALUE
        try:
            hypervisor.prepare_shadow(vp.partition)
        except ConfigurationError:
            return Status.INSUFFICIENT_MEMORY
        vp.resume(why)
        return Status.SUCCESS

    return Register(lambda vp: number(int(bool(vp.suspensions & why))), write)


def read_activity(vp: "VirtualProcessor") -> bytes:
    """Internal activity state: bit 0: it waits to be started; bit 1: it executed HLT."""
    return number(ACTIVITIES.get(vp.activity, 0))


def write_activity(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
    """Bit 0: the VP is initialized, and waits for a start-up interrupt; 0: it waits for nothing."""
    wanted = low(value)
    if wanted == ACTIVITIES[VpState.STARTUP]:
        startup.initialize(vp)
        vp.activity = VpState.STARTUP
    elif wanted == 0:
        vp.activity = VpState.READY
    else:
        return Status.INVALID_PARAMETER
    return Status.SUCCESS


ACTIVITIES = {VpState.STARTUP: 1 << 0, VpState.HALTED: 1 << 1, VpState.IDLE: 1 << 1}
"""Spec: TLFS, "HV_X64_INTERNAL_ACTIVITY_STATE"; an idle guest is in HLT."""
CR0_KNOWN = int(~Cr0(0))
CR4_KNOWN = 0x7BC | int(Cr4.LA57 | Cr4.SMEP | Cr4.SMAP)
EFER_KNOWN = int(Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE)
RFLAGS_NEVER = 1 << 17 | U64 & ~((1 << 22) - 1)
"""VM, and what is reserved above."""


def can_run(vp: "VirtualProcessor") -> bool:
    """Whether the registers are those of long mode, or of none with paging, and VMRUN would take them.

    Spec: AMD APM vol. 2, "Canonicalization and Consistency Checks".
    """
    cr0, cr4, efer, rflags = (vp.read(name) for name in ("cr0", "cr4", "efer", "rflags"))
    long_mode = cr0 & Cr0.PE and cr4 & Cr4.PAE and efer & Efer.LME and efer & Efer.LMA
    needed = long_mode if cr0 & Cr0.PG else not efer & Efer.LMA
    unknown = cr0 & ~CR0_KNOWN or cr4 & ~CR4_KNOWN or efer & ~EFER_KNOWN or rflags & RFLAGS_NEVER
    tables_lie_here = vp.read("cr3") >> 52 == 0 and vp.read("dr6") >> 32 == vp.read("dr7") >> 32 == 0
    return bool(needed) and not unknown and tables_lie_here and bool(rflags & Rflags.ALWAYS_1)


def read_pending(vp: "VirtualProcessor") -> bytes:
    """Pending interruption: the event that is delivered when the VP runs next."""
    event = Event(vp.control.event_injection)
    return number(
        int(
            PendingInterruption(
                pending=event.valid,
                type=event.type,
                deliver_error_code=event.error_code_valid,
                vector=event.vector,
                error_code=event.error_code,
            )
        )
    )


INJECTABLE = (0, 2, 3)
"""Interrupt, NMI, exception."""


def write_pending(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
    """Sets the event, or takes it away."""
    wanted = PendingInterruption(low(value))
    if not wanted.pending:
        vp.control.event_injection = 0
        return Status.SUCCESS
    is_exception = wanted.type == INJECTABLE[-1]
    if wanted.type not in INJECTABLE or wanted.vector > (31 if is_exception else 255):
        return Status.INVALID_PARAMETER
    code = wanted.error_code if wanted.deliver_error_code and is_exception else None
    vp.inject(wanted.vector, wanted.type, code)
    return Status.SUCCESS


def write_interrupt_state(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
    """Bit 0: the shadow of STI or MOV SS."""
    vp.control.interrupt_shadow = value[0] & 1
    return Status.SUCCESS


def write_cr8(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
    """The task priority of the APIC."""
    if low(value) > 15:
        return Status.INVALID_PARAMETER
    vp.apic.tpr = low(value) << 4
    return Status.SUCCESS


def debug_address(index: int) -> Register:
    """DR0 to DR3."""

    def write(_hypervisor: "Hypervisor", vp: "VirtualProcessor", value: bytes) -> Status:
        vp.handle.debug_address[index] = low(value)
        return Status.SUCCESS

    return Register(lambda vp: number(vp.handle.debug_address[index]), write)


MSRS: dict[int, int] = {
    RegisterName.TSC: Msr.TSC,
    RegisterName.VP_RUNTIME: Msr.VP_RUNTIME,
    RegisterName.HYPERCALL: Msr.HYPERCALL,
    RegisterName.GUEST_OS_ID: Msr.GUEST_OS_ID,
    RegisterName.TIME_REF_COUNT: Msr.TIME_REF_COUNT,
    RegisterName.APIC_BASE: Msr.APIC_BASE,
    RegisterName.EOI: Msr.EOI,
    RegisterName.ICR: Msr.ICR,
    RegisterName.TPR: Msr.TPR,
    RegisterName.VP_ASSIST_PAGE: Msr.VP_ASSIST_PAGE,
    RegisterName.SCONTROL: Msr.SCONTROL,
    RegisterName.SVERSION: Msr.SVERSION,
    RegisterName.SIEFP: Msr.SIEFP,
    RegisterName.SIMP: Msr.SIMP,
    RegisterName.EOM: Msr.EOM,
    **{RegisterName.SINT0 + sint: Msr.SINT0 + sint for sint in range(16)},
    **{RegisterName.STIMER0_CONFIG + index: Msr.STIMER0_CONFIG + index for index in range(8)},
}
"""Registers that are also MSRs."""

REGISTERS: dict[int, Register] = {
    RegisterName.EXPLICIT_SUSPEND: suspend(Suspension.EXPLICIT),
    RegisterName.INTERCEPT_SUSPEND: suspend(Suspension.INTERCEPT),
    RegisterName.INTERNAL_ACTIVITY_STATE: Register(read_activity, write_activity),
    RegisterName.PENDING_INTERRUPTION: Register(read_pending, write_pending),
    RegisterName.INTERRUPT_STATE: Register(
        lambda vp: number(vp.control.interrupt_shadow & 1), write_interrupt_state
    ),
    RegisterName.CR8: Register(lambda vp: number(vp.apic.tpr >> 4), write_cr8),
    RegisterName.VP_INDEX: Register(lambda vp: number(vp.index), None),
    RegisterName.INITIAL_APIC_ID: Register(lambda vp: number(vp.index), None),
    **{RegisterName.DR0 + index: debug_address(index) for index in range(4)},
    **{
        code: segment(name) if name in SEGMENTS else table(name) if name in TABLES else plain(name)
        for code, name in REGISTER_NAMES.items()
    },
    **{code: by_msr(msr) for code, msr in MSRS.items() if msr in POLICY},
}
"""Every register there is, by the number of its name."""


def read(vp: "VirtualProcessor", name: int) -> bytes | None:
    """The value of a register; None: there is none of that name."""
    register = REGISTERS.get(name)
    return None if register is None else register.read(vp)


def write(hypervisor: "Hypervisor", vp: "VirtualProcessor", name: int, value: bytes) -> Status:
    """Sets a register to 16 bytes."""
    register = REGISTERS.get(name)
    if register is None:
        return Status.INVALID_PARAMETER
    return Status.ACCESS_DENIED if register.write is None else register.write(hypervisor, vp, value)
