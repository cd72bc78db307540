"""Intercepts: which accesses of a child its parent wants to hear of, and the messages that tell it.

Stands for: ring -1's intercept delivery.
Spec: TLFS, "Intercepts", "HvCallInstallIntercept", and the message structures.
Simplified: messages go to VP 0 of the parent; the GVA of an access to memory is not told, and the cache type
    is always write-back. Each element of a string instruction is an intercept of its own.
First reading: ``Intercepts``, ``forward``, ``tell_of_port``.
Next: ``minihv.hypervisor.exits``

The VP that caused a message is suspended until the parent clears its intercept suspend register; it has
answered by then, by setting registers. RIP too is the parent's to advance.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minihv.hypervisor import device_models
from minihv.hypervisor.states import Suspension
from minihv.hypervisor.synic import Message
from minihv.spec.bits import Layout
from minihv.spec.hypercalls import Status
from minihv.spec.intercepts import (
    AccessMask,
    AccessType,
    CacheType,
    CpuidMessage,
    EoiMessage,
    ExceptionFlags,
    ExceptionMessage,
    ExecutionState,
    GeneralRegisters,
    InstructionByte,
    InterceptHeader,
    InterceptType,
    MemoryMessage,
    MsrMessage,
    PortAccessInfo,
    PortMessage,
    SegmentRegister,
)
from minihv.spec.synic import MessageType
from minihv.spec.vmcb import Event
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Cr0, Efer
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.hypervisor.cpuid import Leaf
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor

INTERCEPT_SINT = 0
MOST_INSTRUCTION_BYTES = 15
GENERAL = tuple(GeneralRegisters.members())
MASKS = {
    InterceptType.IO_PORT: AccessMask.READ | AccessMask.WRITE,
    InterceptType.MSR: AccessMask.READ | AccessMask.WRITE,
    InterceptType.CPUID: AccessMask.EXECUTE,
    InterceptType.EXCEPTION: AccessMask.EXECUTE,
}
"""What each type is installed with; the only other mask is none, which removes."""
MOST = {
    InterceptType.IO_PORT: 0xFFFF,
    InterceptType.MSR: 0,
    InterceptType.CPUID: 0xFFFF_FFFF,
    InterceptType.EXCEPTION: 31,
}
"""The highest parameter of each type."""


@dataclass
class Intercepts:
    """What the parent of one partition wants to hear of, beside its memory and its end."""

    ports: set[int] = field(default_factory=set)
    leaves: set[int] = field(default_factory=set)
    vectors: set[int] = field(default_factory=set)
    msrs: set[int] = field(default_factory=set)
    """Empty, or {0}: all of them."""

    def install(self, kind: int, parameter: int, mask: int) -> Status:
        """Adds an intercept, or removes it."""
        if kind not in list(InterceptType):
            return Status.INVALID_PARAMETER
        type_ = InterceptType(kind)
        parameter = 0 if type_ is InterceptType.MSR else parameter
        if parameter > MOST[type_] or mask not in (0, MASKS[type_]):
            return Status.INVALID_PARAMETER
        known = {
            InterceptType.IO_PORT: self.ports,
            InterceptType.MSR: self.msrs,
            InterceptType.CPUID: self.leaves,
            InterceptType.EXCEPTION: self.vectors,
        }[type_]
        known.add(parameter) if mask else known.discard(parameter)
        return Status.SUCCESS


def forward(hypervisor: "Hypervisor", vp: "VirtualProcessor", kind: MessageType, payload: Layout) -> bool:
    """Tells the parent, and suspends ``vp``. False: there is no parent that can be told.

    But where the devices are in ring -1 they answer at once, and ``vp`` goes on.
    """
    models = vp.partition.models
    if models is not None:
        deliver_again(vp)
        device_models.answer(hypervisor, vp, models, kind, bytes(payload))
        return True
    parent = hypervisor.partitions.get(vp.partition.parent_id)
    if parent is None or not parent.vps:
        return False
    message = Message(kind, vp.partition.id, bytes(payload))
    if parent.vps[0].synic.post(INTERCEPT_SINT, message, vp.synic.intercept_buffers) is not Status.SUCCESS:
        return False
    if vp.synic.tell is not None:
        vp.synic.tell("intercept", kind.name, {"type": int(kind), "to_partition": parent.id})
    deliver_again(vp)
    vp.suspend(Suspension.INTERCEPT)
    vp.why = f"VP {vp.index} waits for partition {parent.id} to answer {kind.name}"
    return True


def deliver_again(vp: "VirtualProcessor") -> None:
    """An event that was on its way to a handler when ``vp`` exited comes once more."""
    interrupted = Event(vp.control.exit_interrupt_info)
    if interrupted.valid:
        vp.control.event_injection = int(interrupted)


def tell_of_port(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> bool:
    """An access to a port, if the parent wants to hear of this one."""
    access = vp.handle.port_access
    if access.port not in vp.partition.intercepts.ports:
        return False
    length, is_string = access.instruction_bytes, bool(access.is_string)
    info = PortAccessInfo(size=access.byte_count, is_string=is_string, is_repeated=access.is_repeated)
    message = PortMessage.build(
        header=header(vp, AccessType.READ if access.is_in else AccessType.WRITE, length),
        port=access.port,
        access=info,
        rax=vp.read("rax"),
    )
    if is_string:
        code = instruction_bytes(hypervisor, vp)
        message.instruction_byte_count, message.instruction_bytes = len(code), code.ljust(16, b"\0")
        message.ds, message.es = segment(vp, "ds"), segment(vp, "es")
        message.rcx, message.rsi, message.rdi = vp.read("rcx"), vp.read("rsi"), vp.read("rdi")
    return forward(hypervisor, vp, MessageType.IO_PORT_INTERCEPT, message)


def tell_of_msr(hypervisor: "Hypervisor", vp: "VirtualProcessor", number: int, *, writes: bool) -> bool:
    """An MSR that ring -1 does not know, if the parent wants to hear of those."""
    if not vp.partition.intercepts.msrs:
        return False
    access = AccessType.WRITE if writes else AccessType.READ
    message = MsrMessage.build(
        header=header(vp, access, length_of(vp)), number=number, rdx=vp.read("rdx"), rax=vp.read("rax")
    )
    return forward(hypervisor, vp, MessageType.MSR_INTERCEPT, message)


def tell_of_cpuid(hypervisor: "Hypervisor", vp: "VirtualProcessor", default: "Leaf") -> bool:
    """CPUID, if the parent wants to hear of this leaf."""
    if vp.read("rax") & 0xFFFF_FFFF not in vp.partition.intercepts.leaves:
        return False
    asked = {name: vp.read(name) for name in ("rax", "rcx", "rdx", "rbx")}
    names = ("default_rax", "default_rbx", "default_rcx", "default_rdx")
    answered = dict(zip(names, default, strict=True))
    message = CpuidMessage.build(header=header(vp, AccessType.EXECUTE, length_of(vp)), **asked, **answered)
    return forward(hypervisor, vp, MessageType.CPUID_INTERCEPT, message)


def tell_of_memory(
    hypervisor: "Hypervisor", vp: "VirtualProcessor", gpa: int, access: AccessType, *, walks: bool
) -> bool:
    """A GPA where nothing is, or nothing that allows the access.

    No instruction is told where none accessed it: to fetch one, or to walk tables for one, is another access.
    """
    code = b"" if walks or access is AccessType.EXECUTE else instruction_bytes(hypervisor, vp)
    message = MemoryMessage.build(
        header=header(vp, access, 0),
        cache_type=CacheType.WRITE_BACK,
        instruction_byte_count=len(code),
        instruction_bytes=code.ljust(16, b"\0"),
        gpa=gpa,
        ds=segment(vp, "ds"),
        ss=segment(vp, "ss"),
        registers=registers(vp),
    )
    is_there = vp.partition.gpa_space.rights_of(gpa) is not None
    return forward(
        hypervisor, vp, MessageType.GPA_INTERCEPT if is_there else MessageType.UNMAPPED_GPA, message
    )


def tell_of_exception(hypervisor: "Hypervisor", vp: "VirtualProcessor", vector: int) -> bool:
    """An exception, if the parent wants to hear of this vector."""
    if vector not in vp.partition.intercepts.vectors:
        return False
    code = instruction_bytes(hypervisor, vp)
    message = ExceptionMessage.build(
        header=header(vp, AccessType.EXECUTE, 0),
        vector=vector,
        flags=ExceptionFlags(error_code_valid=has_error_code(vector)),
        error_code=vp.control.exit_info_1 & 0xFFFF_FFFF if has_error_code(vector) else 0,
        parameter=vp.control.exit_info_2 if vector == Vector.PF else 0,
        instruction_byte_count=len(code),
        instruction_bytes=code.ljust(16, b"\0"),
        ds=segment(vp, "ds"),
        ss=segment(vp, "ss"),
        registers=registers(vp),
    )
    return forward(hypervisor, vp, MessageType.EXCEPTION_INTERCEPT, message)


def tell_of_end(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> bool:
    """A triple fault."""
    return forward(hypervisor, vp, MessageType.UNRECOVERABLE_EXCEPTION, header(vp, AccessType.EXECUTE, 0))


def tell_of_eoi(hypervisor: "Hypervisor", vp: "VirtualProcessor", vector: int) -> None:
    """The end of a level-triggered interrupt, which whoever raised it waits for. ``vp`` goes on."""
    payload = bytes(EoiMessage.build(vp_index=vp.index, vector=vector))
    parent = hypervisor.partitions.get(vp.partition.parent_id)
    if vp.partition.models is not None:
        vp.partition.models.answer(MessageType.APIC_EOI, payload)
    elif parent is not None and parent.vps:
        message = Message(MessageType.APIC_EOI, vp.partition.id, payload)
        parent.vps[0].synic.post(INTERCEPT_SINT, message, vp.synic.eoi_buffers)


def header(vp: "VirtualProcessor", access: AccessType, length: int) -> InterceptHeader:
    """What all messages say of the VP; ``length`` of its instruction is 0 where nobody knows it."""
    cr0, efer = vp.read("cr0"), vp.read("efer")
    state = ExecutionState(
        cpl=vp.save_area.cpl,
        protected=bool(cr0 & Cr0.PE),
        alignment_mask=bool(cr0 & Cr0.AM),
        long_mode=bool(efer & Efer.LMA),
        debug_active=bool(vp.read("dr7") & 0xFF),
        interruption_pending=Event(vp.control.exit_interrupt_info).valid,
    )
    return InterceptHeader.build(
        vp_index=vp.index,
        instruction=InstructionByte(length=length, cr8=vp.apic.tpr >> 4),
        access_type=access,
        execution_state=state,
        cs=segment(vp, "cs"),
        rip=vp.read("rip"),
        rflags=vp.read("rflags"),
    )


def segment(vp: "VirtualProcessor", name: str) -> SegmentRegister:
    """A segment register as messages have it."""
    return SegmentRegister(bytearray(vp.read_segment(name).to_bytes()))


def registers(vp: "VirtualProcessor") -> GeneralRegisters:
    """The general registers as messages have them."""
    return GeneralRegisters.build(**{name: vp.read(name) for name in GENERAL})


def length_of(vp: "VirtualProcessor") -> int:
    """Of the instruction that exited, where the processor tells where the next one is."""
    return int(vp.control.next_rip - vp.read("rip")) & 0xF


def has_error_code(vector: int) -> bool:
    """Whether the exception pushes one.  Spec: AMD APM vol. 2, "Exceptions and Interrupts"."""
    return vector in (Vector.DF, Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.PF, Vector.AC)


def instruction_bytes(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> bytes:
    """Up to 15 bytes at RIP, as far as they can be fetched."""
    rip, code = vp.read("rip"), b""
    while len(code) < MOST_INSTRUCTION_BYTES:
        gva = vp.code_address(rip + len(code))
        spa = hypervisor.fetched_from(vp, gva)
        if spa is None:
            break
        size = min(MOST_INSTRUCTION_BYTES - len(code), PAGE_BYTES - gva % PAGE_BYTES)
        code += hypervisor.memory.read(spa, size)
    return code
