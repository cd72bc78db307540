"""Exceptions: their vectors, which of them push an error code, and which two make a double fault.

Stands for: the table of exceptions in the processor manuals.
Spec: AMD APM vol. 2, "Exception Vectors", "Error Codes" and "#DF-Double-Fault Exception (Vector 8)"; Intel
    SDM vol. 3A, "Interrupt 8-Double Fault Exception (#DF)".
Twin: ``native/core/include/minihv/x86.h``, held equal by ``tests/layouts/test_x86.py``.
Next: ``minihv.spec.x86_segments``
"""

from enum import Enum, IntEnum

from minihv.spec.bits import Bits, field, flag


class Vector(IntEnum):
    """Exceptions by their mnemonic."""

    DE = 0
    DB = 1
    NMI = 2
    BP = 3
    OF = 4
    BR = 5
    UD = 6
    NM = 7
    DF = 8
    TS = 10
    NP = 11
    SS = 12
    GP = 13
    PF = 14
    MF = 16
    AC = 17
    MC = 18
    XF = 19
    CP = 21
    HV = 28
    VC = 29
    SX = 30


NAMES = {
    Vector.DE: "divide error",
    Vector.DB: "debug",
    Vector.NMI: "non-maskable interrupt",
    Vector.BP: "breakpoint",
    Vector.OF: "overflow",
    Vector.BR: "bound range",
    Vector.UD: "invalid opcode",
    Vector.NM: "device not available",
    Vector.DF: "double fault",
    Vector.TS: "invalid TSS",
    Vector.NP: "segment not present",
    Vector.SS: "stack",
    Vector.GP: "general protection",
    Vector.PF: "page fault",
    Vector.MF: "x87 floating-point exception",
    Vector.AC: "alignment check",
    Vector.MC: "machine check",
    Vector.XF: "SIMD floating-point exception",
    Vector.CP: "control protection",
    Vector.HV: "hypervisor injection",
    Vector.VC: "VMM communication",
    Vector.SX: "security exception",
}

WITH_ERROR_CODE = frozenset(
    {
        Vector.DF,
        Vector.TS,
        Vector.NP,
        Vector.SS,
        Vector.GP,
        Vector.PF,
        Vector.AC,
        Vector.CP,
        Vector.VC,
        Vector.SX,
    }
)
"""Exceptions that push an error code behind the return address."""


class ExceptionClass(Enum):
    """How an exception behaves when it meets another."""

    BENIGN = "benign"
    CONTRIBUTORY = "contributory"
    PAGE_FAULT = "page fault"
    DOUBLE_FAULT = "double fault"


CONTRIBUTORY = frozenset({Vector.DE, Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.CP})


def class_of(vector: int) -> ExceptionClass:
    """The class of ``vector``; what is no exception is benign."""
    if vector == Vector.PF:
        return ExceptionClass.PAGE_FAULT
    if vector == Vector.DF:
        return ExceptionClass.DOUBLE_FAULT
    return ExceptionClass.CONTRIBUTORY if vector in CONTRIBUTORY else ExceptionClass.BENIGN


class Meeting(Enum):
    """What becomes of an exception that is raised while an earlier one is delivered."""

    SERIAL = "the second is delivered"
    DOUBLE_FAULT = "a double fault is delivered instead"
    SHUTDOWN = "the processor shuts down: a triple fault"


def meeting(first: int, second: int) -> Meeting:
    """What becomes of ``second`` while ``first`` is delivered."""
    earlier, later = class_of(first), class_of(second)
    serious = later in (ExceptionClass.CONTRIBUTORY, ExceptionClass.PAGE_FAULT)
    if earlier is ExceptionClass.DOUBLE_FAULT and serious:
        return Meeting.SHUTDOWN
    if earlier is ExceptionClass.PAGE_FAULT and serious:
        return Meeting.DOUBLE_FAULT
    if earlier is ExceptionClass.CONTRIBUTORY and later is ExceptionClass.CONTRIBUTORY:
        return Meeting.DOUBLE_FAULT
    return Meeting.SERIAL


class SelectorErrorCode(Bits, width=32):
    """What #TS, #NP, #SS and #GP push.  Spec: AMD APM vol. 2, "Selector-Error Code"."""

    external = flag(0)
    idt = flag(1)
    table = flag(2)
    index = field(15, 3)
