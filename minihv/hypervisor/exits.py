"""The exit table: what ring -1 does about each #VMEXIT, and what is the parent's business.

Stands for: ring -1's exit dispatcher. What the core answers in C never comes here: RDTSC,
    HvNotifyLongSpinWait, CPUID unless the parent wants to hear of some leaf (``native/core/src/exits.c``),
    and the exits of shadow paging.
Spec: AMD APM vol. 2, "SVM Intercept Codes"; TLFS, "Intercepts" and "Hypercall Interface".
Simplified: where no parent can be told, a port is an open bus, an unknown MSR raises #GP, and an access to
    memory that is not there leaves the VP suspended for good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from minihv.hypervisor import apic_page, intercepts, msrs
from minihv.hypervisor.hypercalls import handle_hypercall
from minihv.hypervisor.states import Suspension, VpState
from minihv.hypervisor.vp import EVENT_INJECTION, EVENT_VALID, EXIT_CODE, EXIT_INFO_1, IF, RCX, RFLAGS, TF
from minihv.spec.intercepts import AccessType
from minihv.spec.svm_exits import SvmExit
from minihv.spec.vmcb import Event, EventType
from minihv.spec.x86_exceptions import Meeting, Vector, meeting

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor

DEBUG_CONSOLE_PORT, SHUTDOWN_PORT = 0xE9, 0xF4

Handler = Callable[["Hypervisor", "VirtualProcessor"], None]


class Answerer(Enum):
    """Who answers an exit."""

    RING_MINUS_1 = "ring -1"
    PARENT = "the parent partition"


@dataclass(frozen=True, slots=True)
class Exit:
    """One line of the exit table."""

    handler: Handler
    answerer: Answerer
    does: str


def raise_in_guest(vp: "VirtualProcessor", vector: Vector, error_code: int | None = None) -> None:
    """The instruction that exited raises an exception in the guest instead."""
    vp.inject(vector, EventType.EXCEPTION, error_code)


def on_msr(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """RDMSR (EXITINFO1 = 0) or WRMSR (1) of an MSR that the permission map does not pass through."""
    number, writes = vp.gpr[RCX] & 0xFFFF_FFFF, bool(vp.words[EXIT_INFO_1])
    if writes:
        value = vp.read("rdx") << 32 & 0xFFFF_FFFF_0000_0000 | vp.read("rax") & 0xFFFF_FFFF
        legal = msrs.write_msr(vp, number, value)
    else:
        answer = msrs.read_msr(vp, number)
        legal = answer is not None
        if answer is not None:
            vp.write_edx_eax(answer)
    if legal:
        vp.advance()
    elif number in vp.msrs or not intercepts.tell_of_msr(hypervisor, vp, number, writes=writes):
        raise_in_guest(vp, Vector.GP, 0)


def on_cpuid(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """CPUID of a partition whose parent wants to hear of some leaf; of the others ring -1 answers."""
    leaf, subleaf = vp.read("rax") & 0xFFFF_FFFF, vp.read("rcx") & 0xFFFF_FFFF
    answer = vp.partition.cpuid_leaf(leaf, subleaf, vp.index)
    if intercepts.tell_of_cpuid(hypervisor, vp, answer):
        return
    for name, value in zip(("rax", "rbx", "rcx", "rdx"), answer, strict=True):
        vp.write(name, value)
    vp.advance()


def on_vmmcall(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """A call of the service gate, if the partition has one; a hypercall, if ring 0 may make it; else #UD."""
    gate = vp.partition.service_gate
    answer = None if gate is None else gate(vp)
    if answer is not None:
        vp.write("rax", answer)
        vp.advance()
        return
    if vp.save_area.cpl != 0 or vp.partition.hypercall_page is None:
        raise_in_guest(vp, Vector.UD)
        return
    handle_hypercall(hypervisor, vp)


def on_hlt(_hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """HLT: the VP waits for an interrupt, or for good when it takes none; a pending one or a trap ends it."""
    vp.advance()
    vp.take_nmi()
    flags = vp.words[RFLAGS]
    if flags & TF or vp.words[EVENT_INJECTION] & EVENT_VALID:
        return
    if not flags & IF:
        vp.state = VpState.HALTED
    elif not vp.apic.is_offered:
        vp.state = VpState.IDLE


def on_port(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """The debug console and the shutdown port are ring -1's; the others the parent's, or an open bus."""
    access = vp.handle.port_access
    if not access.is_in and access.port == DEBUG_CONSOLE_PORT:
        vp.partition.console.extend(access.value.to_bytes(4, "little")[: access.byte_count])
    elif not access.is_in and access.port == SHUTDOWN_PORT:
        vp.partition.shut_down(access.value & 0xFF, "the guest wrote to the shutdown port")
    elif intercepts.tell_of_port(hypervisor, vp):
        return
    elif access.is_in:
        access.value = 0xFFFF_FFFF
    hypervisor.complete_port(vp)


def refuse_overlay(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """A write to an overlay is a #GP; where a delivery made it, what becomes of a #GP on the way."""
    interrupted = Event(vp.control.exit_interrupt_info)
    met = Meeting.SERIAL
    if interrupted.valid and interrupted.type == EventType.EXCEPTION:
        met = meeting(interrupted.vector, Vector.GP)
    if met is Meeting.SHUTDOWN:
        on_shutdown(hypervisor, vp)
    else:
        raise_in_guest(vp, Vector.DF if met is Meeting.DOUBLE_FAULT else Vector.GP, 0)


def on_nested_fault(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """A GPA that the second level refuses. A write to an overlay raises #GP; the rest is the parent's.

    But the page of the APIC is ring -1's, for whoever reads or writes it.
    """
    gpa, info = vp.control.exit_info_2, vp.control.exit_info_1
    overlay = vp.partition.gpa_space.overlay_at(gpa)
    if overlay is not None:
        refuse_overlay(hypervisor, vp)
        return
    writes, fetches, walks = bool(info & 2), bool(info & 16), bool(info >> 33 & 1)
    if not fetches and not walks and apic_page.is_hit(vp, gpa) and apic_page.complete(hypervisor, vp, gpa):
        return
    access = AccessType.WRITE if writes else AccessType.EXECUTE if fetches else AccessType.READ
    if intercepts.tell_of_memory(hypervisor, vp, gpa, access, walks=walks):
        return
    verb = "wrote to" if writes else "fetched from" if fetches else "read"
    table = " while the processor walked its page tables" if walks else ""
    vp.suspend(Suspension.INTERCEPT)
    vp.why = (
        f"VP {vp.index} {verb} GPA {gpa:#x}{table}, where its partition has no memory and no parent answers"
    )


def on_exception(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """An exception that the parent wants to hear of; if it cannot be told, the guest takes it."""
    vector = int(vp.words[EXIT_CODE]) - SvmExit.EXCP0
    if not intercepts.tell_of_exception(hypervisor, vp, vector):
        if vector == Vector.PF:
            vp.write("cr2", vp.control.exit_info_2)
        code = vp.control.exit_info_1 & 0xFFFF_FFFF if intercepts.has_error_code(vector) else None
        raise_in_guest(vp, Vector(vector), code)


def on_shutdown(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """A fault while a double fault was delivered: the VP cannot go on."""
    if intercepts.tell_of_end(hypervisor, vp):
        return
    vp.state = VpState.TRIPLE_FAULT
    vp.why = (
        f"VP {vp.index} met a third fault on its way to the double-fault handler at RIP {vp.read('rip'):#x}"
    )


def on_undefined(_hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """An instruction that this virtual processor does not have."""
    raise_in_guest(vp, Vector.UD)


RING_MINUS_1, PARENT = Answerer.RING_MINUS_1, Answerer.PARENT
TABLE: dict[int, Exit] = {
    SvmExit.MSR: Exit(on_msr, RING_MINUS_1, "synthetic MSRs; unknown ones are the parent's, or #GP"),
    SvmExit.VMMCALL: Exit(on_vmmcall, RING_MINUS_1, "hypercalls"),
    SvmExit.HLT: Exit(on_hlt, RING_MINUS_1, "the VP goes idle"),
    SvmExit.IOIO: Exit(on_port, PARENT, "ports; only the debug console and the shutdown port stay here"),
    SvmExit.NPF: Exit(on_nested_fault, PARENT, "GPAs without memory; overlays and the APIC's page stay here"),
    SvmExit.SHUTDOWN: Exit(on_shutdown, PARENT, "triple fault: the VP stops"),
    SvmExit.CPUID: Exit(on_cpuid, PARENT, "leaves that the parent wants; the core answers all others"),
    SvmExit.XSETBV: Exit(on_undefined, RING_MINUS_1, "#UD: XSAVE is not offered"),
    SvmExit.INVLPGA: Exit(on_undefined, RING_MINUS_1, "#UD: SVM is not offered"),
    **{
        SvmExit.EXCP0 + vector: Exit(on_exception, PARENT, "exceptions that the parent wants to hear of")
        for vector in range(32)
    },
}
"""Exits that are not listed here mean that the processor did something ring -1 did not ask for."""

SHADOW_EXITS = (
    SvmExit.EXCP14,
    SvmExit.CR3_READ,
    SvmExit.CR0_WRITE,
    SvmExit.CR3_WRITE,
    SvmExit.CR4_WRITE,
    SvmExit.INVLPG,
)
"""Exits that shadow paging adds; the core answers them (``native/core/src/shadow_exits.c``)."""
