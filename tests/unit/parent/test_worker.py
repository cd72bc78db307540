"""What workers decide: each message has its answer, and one without an answer ends the VP."""

from types import SimpleNamespace
from typing import Any

import pytest

from minihv.devices.emulated.io_apic import IoApic
from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.devices.emulated.port_bus import PortBus
from minihv.parent.worker import decide
from minihv.spec.bits import Layout
from minihv.spec.hypercalls import PendingInterruption, RegisterName, RegisterSegmentAttributes
from minihv.spec.intercepts import (
    AccessType,
    CpuidMessage,
    ExceptionFlags,
    ExceptionMessage,
    ExecutionState,
    GeneralRegisters,
    InstructionByte,
    InterceptHeader,
    MemoryMessage,
    MsrMessage,
    PortAccessInfo,
    PortMessage,
    SegmentRegister,
)
from minihv.spec.synic import MessageType

RIP = 0x10_0000


def header(access: AccessType = AccessType.READ, rflags: int = 2, vp: int = 0) -> InterceptHeader:
    return InterceptHeader.build(
        vp_index=vp, access_type=access, rip=RIP, rflags=rflags, instruction=InstructionByte(length=2, cr8=3)
    )


class Latch:
    """A chip that says what was written to it."""

    value = 0

    def read(self, _register: int, _byte_count: int, /) -> int:
        return self.value

    def write(self, _register: int, _byte_count: int, value: int, /) -> None:
        self.value = value


class QuietWires:
    """A board with one chip in memory, and who was told what in which order."""

    def __init__(self) -> None:
        self.calls: list[str | int] = []
        self.board = SimpleNamespace(memory=MmioBus())
        self.board.memory.connect(IO_APIC, 0x1000, IoApic(lambda _: None))

    def before(self) -> None:
        self.calls.append("before")

    def after(self) -> None:
        self.calls.append("after")


def decided(kind: MessageType, message: Layout) -> tuple[dict[RegisterName, int], str]:
    ports = PortBus()
    ports.connect(0x300, 1, LATCH)
    wires = QuietWires()
    child: Any = SimpleNamespace(why="", plan=SimpleNamespace(ports=ports), wires=wires)
    values = decide(child, kind, bytes(message).ljust(240, b"\0"))
    assert wires.calls[0] == "before" and wires.calls[-1] == "after"
    return values, child.why


LATCH, IO_APIC = Latch(), 0xFEC0_0000


def port(
    access: AccessType, info: PortAccessInfo, rflags: int = 2, number: int = 0x60, **members: int
) -> dict[RegisterName, int]:
    message = PortMessage.build(header=header(access, rflags), port=number, access=info, **members)
    values, why = decided(MessageType.IO_PORT_INTERCEPT, message)
    assert values.pop(RegisterName.INTERCEPT_SUSPEND) == 0 and why == ""
    return values


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 0x1122_3344_5566_77FF), (2, 0x1122_3344_5566_FFFF), (4, 0xFFFF_FFFF)]
)
def test_port_reads_as_ones_in_the_part_of_rax_that_in_changes(size: int, expected: int) -> None:
    values = port(AccessType.READ, PortAccessInfo(size=size), rax=0x1122_3344_5566_7788)
    assert values == {RegisterName.RAX: expected, RegisterName.RIP: RIP + 2}


def test_chip_at_the_port_is_asked() -> None:
    written = port(AccessType.WRITE, PortAccessInfo(size=2), number=0x300, rax=0x1_2345)
    assert written == {RegisterName.RIP: RIP + 2} and LATCH.value == 0x2345
    values = port(AccessType.READ, PortAccessInfo(size=1), number=0x300, rax=0x7700)
    assert values[RegisterName.RAX] == 0x7745


def test_write_to_a_port_goes_nowhere() -> None:
    assert port(AccessType.WRITE, PortAccessInfo(size=1), rax=5) == {RegisterName.RIP: RIP + 2}


def test_unknown_msr_is_a_general_protection() -> None:
    values, _ = decided(MessageType.MSR_INTERCEPT, MsrMessage.build(header=header(), number=0x1234))
    event = PendingInterruption(values[RegisterName.PENDING_INTERRUPTION])
    assert (event.pending, event.type, event.vector, event.deliver_error_code) == (True, 3, 13, True)
    assert RegisterName.RIP not in values and values[RegisterName.INTERCEPT_SUSPEND] == 0


def test_cpuid_is_what_the_hypervisor_would_say() -> None:
    message = CpuidMessage.build(
        header=header(), default_rax=1, default_rcx=2, default_rdx=3, default_rbx=4, rax=9
    )
    values, _ = decided(MessageType.CPUID_INTERCEPT, message)
    names = (RegisterName.RAX, RegisterName.RCX, RegisterName.RDX, RegisterName.RBX, RegisterName.RIP)
    assert [values[name] for name in names] == [1, 2, 3, 4, RIP + 2]


@pytest.mark.parametrize(("valid", "code"), [(True, 0x10), (False, 0)])
def test_exception_is_the_guests(valid: bool, code: int) -> None:
    message = ExceptionMessage.build(
        header=header(), vector=14, flags=ExceptionFlags(error_code_valid=valid), error_code=0x10
    )
    values, _ = decided(MessageType.EXCEPTION_INTERCEPT, message)
    event = PendingInterruption(values[RegisterName.PENDING_INTERRUPTION])
    assert (event.vector, event.deliver_error_code, event.error_code) == (14, valid, code)


def test_instruction_at_a_chip_in_memory_reaches_it() -> None:
    code = bytes.fromhex("8b03")  # mov eax, [rbx]
    header_64 = header()
    header_64.cs = SegmentRegister.build(attributes=RegisterSegmentAttributes(long=True))
    header_64.execution_state = ExecutionState(long_mode=True)
    message = MemoryMessage.build(
        header=header_64,
        gpa=IO_APIC + 0x20,  # between its two windows
        instruction_byte_count=2,
        instruction_bytes=code.ljust(16, b"\0"),
        registers=GeneralRegisters.build(rax=1 << 40),
    )
    values, why = decided(MessageType.UNMAPPED_GPA, message)
    expected = {RegisterName.RAX: 0, RegisterName.RIP: RIP + 2, RegisterName.INTERCEPT_SUSPEND: 0}
    assert (values, why) == (expected, "")
    message.instruction_bytes = bytes.fromhex("0103").ljust(16, b"\0")  # add [rbx], eax
    assert decided(MessageType.UNMAPPED_GPA, message) == (
        {},
        "VP 0 used the chip at GPA 0xfec00020 by no instruction that its worker knows",
    )


def test_vp_that_met_no_memory_cannot_go_on() -> None:
    message = MemoryMessage.build(header=header(AccessType.WRITE, vp=1), gpa=0xFED0_0000)
    assert decided(MessageType.UNMAPPED_GPA, message) == (
        {},
        "VP 1 wrote to GPA 0xfed00000, where nothing answers",
    )


def test_vp_that_met_a_third_fault_cannot_go_on() -> None:
    assert decided(MessageType.UNRECOVERABLE_EXCEPTION, header()) == (
        {},
        "VP 0 met a third fault on its way to the double-fault handler at RIP 0x100000",
    )


def test_message_that_nobody_knows_has_no_answer() -> None:
    assert decided(MessageType.FERR_ASSERTED, header()) == ({}, "")
