"""Intercept messages: what the parent learns of the access of a child that it is to answer.

Stands for: the payloads that the hypervisor puts into messages to SINT 0 of the parent.
Spec: TLFS, "Intercepts" and the structures of the messages by their names: "HV_X64_INTERCEPT_MESSAGE_HEADER",
    "HV_X64_IO_PORT_INTERCEPT_MESSAGE", "HV_X64_MSR_INTERCEPT_MESSAGE" and their kin.
Next: ``minihv.hypervisor.intercepts``

Offsets are from the start of the payload, which lies at byte 16 of a message slot.
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Bits, Layout, bits, field, flag, part, raw, u8, u16, u32, u64
from minihv.spec.hypercalls import RegisterSegmentAttributes


class InterceptType(IntEnum):
    """What can be intercepted, and what the parameter of HvInstallIntercept is.  Spec: TLFS, "Intercepts"."""

    IO_PORT = 0
    """The port."""
    MSR = 1
    """None: all MSRs that the hypervisor does not know."""
    CPUID = 2
    """The leaf."""
    EXCEPTION = 3
    """The vector."""


class AccessMask(IntFlag):
    """Which accesses HvInstallIntercept is about; none removes the intercept."""

    READ = 1 << 0
    WRITE = 1 << 1
    EXECUTE = 1 << 2


class AccessType(IntEnum):
    """What the child did, in the header of a message."""

    READ = 0
    WRITE = 1
    EXECUTE = 2


class InstructionByte(Bits, width=8):
    """Byte 4 of the header."""

    length = field(3, 0)
    cr8 = field(7, 4)


class ExecutionState(Bits, width=16):
    """What the child's processor was doing.  Spec: TLFS, "HV_X64_VP_EXECUTION_STATE"."""

    cpl = field(1, 0)
    protected = flag(2)
    alignment_mask = flag(3)
    long_mode = flag(4)
    debug_active = flag(5)
    interruption_pending = flag(6)


class SegmentRegister(Layout, byte_count=16):
    """Spec: TLFS, "HV_X64_SEGMENT_REGISTER"."""

    base = u64(0x00)
    limit = u32(0x08)
    selector = u16(0x0C)
    attributes = bits(0x0E, RegisterSegmentAttributes)


class GeneralRegisters(Layout, byte_count=128):
    """The sixteen general registers, in the order of their names' numbers."""

    rax = u64(0x00)
    rcx = u64(0x08)
    rdx = u64(0x10)
    rbx = u64(0x18)
    rsp = u64(0x20)
    rbp = u64(0x28)
    rsi = u64(0x30)
    rdi = u64(0x38)
    r8 = u64(0x40)
    r9 = u64(0x48)
    r10 = u64(0x50)
    r11 = u64(0x58)
    r12 = u64(0x60)
    r13 = u64(0x68)
    r14 = u64(0x70)
    r15 = u64(0x78)


class InterceptHeader(Layout, byte_count=40):
    """With this every intercept message begins; of an unrecoverable exception it is all."""

    vp_index = u32(0x00)
    instruction = bits(0x04, InstructionByte)
    access_type = u8(0x05)
    execution_state = bits(0x06, ExecutionState)
    cs = part(0x08, SegmentRegister)
    rip = u64(0x18)
    rflags = u64(0x20)


class PortAccessInfo(Bits, width=8):
    """How a port was accessed."""

    size = field(2, 0)
    is_string = flag(3)
    is_repeated = flag(4)


class PortMessage(Layout, byte_count=128):
    """Type IO_PORT_INTERCEPT. From ``instruction_bytes`` on only string instructions say something."""

    header = part(0x00, InterceptHeader)
    port = u16(0x28)
    access = bits(0x2A, PortAccessInfo)
    instruction_byte_count = u8(0x2B)
    rax = u64(0x30)
    instruction_bytes = raw(0x38, 16)
    ds = part(0x48, SegmentRegister)
    es = part(0x58, SegmentRegister)
    rcx = u64(0x68)
    rsi = u64(0x70)
    rdi = u64(0x78)


class MsrMessage(Layout, byte_count=64):
    """Type MSR_INTERCEPT."""

    header = part(0x00, InterceptHeader)
    number = u32(0x28)
    rdx = u64(0x30)
    rax = u64(0x38)


class CpuidMessage(Layout, byte_count=104):
    """Type CPUID_INTERCEPT; the defaults are what the hypervisor would have answered."""

    header = part(0x00, InterceptHeader)
    rax = u64(0x28)
    rcx = u64(0x30)
    rdx = u64(0x38)
    rbx = u64(0x40)
    default_rax = u64(0x48)
    default_rcx = u64(0x50)
    default_rdx = u64(0x58)
    default_rbx = u64(0x60)


class CacheType(IntEnum):
    """Spec: TLFS, "HV_CACHE_TYPE"."""

    UNCACHED = 0
    WRITE_COMBINING = 1
    WRITE_THROUGH = 4
    WRITE_PROTECTED = 5
    WRITE_BACK = 6


class MemoryFlags(Bits, width=8):
    """What else a message about memory says."""

    gva_valid = flag(0)


class MemoryMessage(Layout, byte_count=240):
    """Types UNMAPPED_GPA and GPA_INTERCEPT: a page that is not there, or does not allow the access."""

    header = part(0x00, InterceptHeader)
    cache_type = u32(0x28)
    instruction_byte_count = u8(0x2C)
    flags = bits(0x2D, MemoryFlags)
    gva = u64(0x30)
    gpa = u64(0x38)
    instruction_bytes = raw(0x40, 16)
    ds = part(0x50, SegmentRegister)
    ss = part(0x60, SegmentRegister)
    registers = part(0x70, GeneralRegisters)


class ExceptionFlags(Bits, width=8):
    """What else a message about an exception says."""

    error_code_valid = flag(0)


class ExceptionMessage(Layout, byte_count=240):
    """Type EXCEPTION_INTERCEPT; ``parameter`` is CR2 of a page fault."""

    header = part(0x00, InterceptHeader)
    vector = u16(0x28)
    flags = bits(0x2A, ExceptionFlags)
    instruction_byte_count = u8(0x2B)
    error_code = u32(0x2C)
    parameter = u64(0x30)
    instruction_bytes = raw(0x40, 16)
    ds = part(0x50, SegmentRegister)
    ss = part(0x60, SegmentRegister)
    registers = part(0x70, GeneralRegisters)


class EoiMessage(Layout, byte_count=8):
    """Type APIC_EOI: a VP has ended a level-triggered interrupt. It goes on meanwhile."""

    vp_index = u32(0x00)
    vector = u32(0x04)
