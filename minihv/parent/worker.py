"""What a worker process decides: an intercept message comes in, the registers that answer it go out.

Stands for: the emulation in a virtual machine's worker process (vmwp), ring 3 of the parent.
Spec: TLFS, "Intercepts" and the structures of its messages; "HvCallSetVpRegisters".
Simplified: only instructions are emulated that access ports, or the registers of a chip in memory.
Next: ``minihv.parent.vmbus_service``

The kernel puts the message into the mailbox of the worker of the child that it came from. The answer is a
list of elements of HvSetVpRegisters in the same page; the kernel writes the header in front of them, so a
worker cannot touch another child. After an answer without elements the VP stays suspended: it cannot go on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minihv.parent.calls import register_element
from minihv.parent.children import Child
from minihv.parent.gate import REFUSED, Gate, GateCall, GateCode
from minihv.parent.linear_memory import LinearMemory
from minihv.parent.memory_access import execute
from minihv.parent.orders import Orders, StartWorker, Steps
from minihv.parent.string_ports import move_element, registers_behind, repeats
from minihv.spec.bits import Layout
from minihv.spec.hypercalls import PendingInterruption, RegisterName
from minihv.spec.intercepts import (
    AccessType,
    CpuidMessage,
    EoiMessage,
    ExceptionMessage,
    InterceptHeader,
    MemoryMessage,
    MsrMessage,
    PortMessage,
)
from minihv.spec.synic import MessageType
from minihv.spec.x86_exceptions import Vector
from minihv.terms import PAGE_BYTES

PAYLOAD = 16
"""Where in a slot the message begins."""
REPLY_ELEMENTS = 512 + 16
"""Where in the mailbox the elements begin: behind the header that the kernel writes."""
ORDERS_WAIT = 1 << 32
"""In the answer of the gate, above the number of elements."""
PENDING_EXCEPTION = 3
WORKER_RING = 3
MOST_RESTARTS = 3
"""Of the worker of one child; after that the child is left without."""

Values = dict[RegisterName, int]


def next_rip(header: InterceptHeader) -> int:
    """Behind the instruction that was intercepted."""
    return int(header.rip + header.instruction.length)


def answer_port(message: PortMessage, child: Child) -> Values:
    """The chip at the port is asked; where there is none, IN reads all ones, and OUT goes nowhere."""
    if message.access.is_string:
        return answer_string(message, child)
    size, ports, rip = (
        int(message.access.size),
        child.plan.ports,
        {RegisterName.RIP: next_rip(message.header)},
    )
    if message.header.access_type != AccessType.READ:
        ports.write(message.port, size, int(message.rax))
        return rip
    kept = 0 if size == 4 else int(message.rax) & -1 << 8 * size
    return rip | {RegisterName.RAX: kept | ports.read(message.port, size)}


def answer_string(message: PortMessage, child: Child) -> Values:
    """One element of INS or OUTS is done, or the guest gets the page fault that it meets."""
    header = message.header
    memory = LinearMemory(child.partition, int(header.vp_index), int(header.execution_state.cpl))
    fault = move_element(message, child.plan.ports, memory)
    if fault is not None:
        return pending_exception(Vector.PF, fault.error_code) | {RegisterName.CR2: fault.gva}
    rip = {} if repeats(message) else {RegisterName.RIP: next_rip(header)}
    return registers_behind(message) | rip


def answer_msr(_message: MsrMessage, _child: Child) -> Values:
    """There is no such MSR: #GP."""
    return pending_exception(Vector.GP, 0)


def answer_cpuid(message: CpuidMessage, _child: Child) -> Values:
    """What the hypervisor would have said."""
    return {
        RegisterName.RAX: int(message.default_rax),
        RegisterName.RCX: int(message.default_rcx),
        RegisterName.RDX: int(message.default_rdx),
        RegisterName.RBX: int(message.default_rbx),
        RegisterName.RIP: next_rip(message.header),
    }


def answer_exception(message: ExceptionMessage, _child: Child) -> Values:
    """The guest gets it, as if nobody had asked."""
    code = int(message.error_code) if message.flags.error_code_valid else None
    return pending_exception(message.vector, code)


def pending_exception(vector: int, error_code: int | None) -> Values:
    """The VP goes on with an exception."""
    event = PendingInterruption(
        pending=True,
        type=PENDING_EXCEPTION,
        deliver_error_code=error_code is not None,
        vector=vector,
        error_code=error_code or 0,
    )
    return {RegisterName.PENDING_INTERRUPTION: int(event)}


def answer_memory(message: MemoryMessage, child: Child) -> Values:
    """The chip there is asked, if there is one, and does what the instruction says."""
    board = child.wires.board
    return execute(message, board.memory) if board.memory.answers(int(message.gpa)) else {}


def note_eoi(message: EoiMessage, child: Child) -> None:
    """An interrupt of the I/O APIC may come again."""
    child.wires.end_of_interrupt(int(message.vector))


def no_memory(message: MemoryMessage, child: Child) -> str:
    """Why a VP cannot go on that met no memory, or a chip in a way that nobody knows."""
    if child.wires.board.memory.answers(int(message.gpa)):
        return f"used the chip at GPA {message.gpa:#x} by no instruction that its worker knows"
    verb = {AccessType.READ: "read", AccessType.WRITE: "wrote to", AccessType.EXECUTE: "fetched from"}
    return f"{verb[AccessType(message.header.access_type)]} GPA {message.gpa:#x}, where nothing answers"


def third_fault(header: InterceptHeader, _child: Child) -> str:
    """Why a VP cannot go on that met a triple fault."""
    return f"met a third fault on its way to the double-fault handler at RIP {header.rip:#x}"


ANSWERS: Mapping[int, tuple[type[Layout], Callable[..., Values]]] = {
    MessageType.IO_PORT_INTERCEPT: (PortMessage, answer_port),
    MessageType.MSR_INTERCEPT: (MsrMessage, answer_msr),
    MessageType.CPUID_INTERCEPT: (CpuidMessage, answer_cpuid),
    MessageType.EXCEPTION_INTERCEPT: (ExceptionMessage, answer_exception),
    MessageType.UNMAPPED_GPA: (MemoryMessage, answer_memory),
}
NOTES: Mapping[int, tuple[type[Layout], Callable[..., None]]] = {
    MessageType.APIC_EOI: (EoiMessage, note_eoi),
}
"""Messages that want no answer: the VP has gone on."""
ENDS: Mapping[int, tuple[type[Layout], Callable[..., str]]] = {
    MessageType.UNMAPPED_GPA: (MemoryMessage, no_memory),
    MessageType.GPA_INTERCEPT: (MemoryMessage, no_memory),
    MessageType.UNRECOVERABLE_EXCEPTION: (InterceptHeader, third_fault),
}
"""Messages after which a VP cannot go on."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker did what ring 3 must not: the exception that ended it."""

    child: int
    vector: int
    rip: int
    cr2: int


class Workers:
    """The logic of all workers. ``answered`` counts messages by their type."""

    def __init__(self, gate: Gate, orders: Orders, children: Mapping[int, Child]) -> None:
        self.answered: dict[int, int] = {}
        self.deaths: list[Death] = []
        self._gate = gate
        self._orders = orders
        self._children = children
        gate.serve(GateCode.INTERCEPT, self._intercept)
        gate.serve(GateCode.WORKER_DIED, self._died)

    def _intercept(self, call: GateCall) -> int:
        """A worker asks what to do about the message in its mailbox."""
        child = next((child for child in self._children.values() if child.mailbox == call.gpa), None)
        if child is None or call.byte_count != PAGE_BYTES:
            return REFUSED
        mailbox = call.read()
        kind = int.from_bytes(mailbox[:4], "little")
        self.answered[kind] = self.answered.get(kind, 0) + 1
        values = decide(child, kind, mailbox[PAYLOAD:])
        elements = b"".join(register_element(name, number_bytes(value)) for name, value in values.items())
        if elements:
            call.vp.partition.gpa_space.write(call.gpa + REPLY_ELEMENTS, elements)
        return len(values) | (ORDERS_WAIT if self._orders.wait else 0)

    def _died(self, call: GateCall) -> int:
        """The kernel ended a worker that did what ring 3 must not: child, vector, RIP and CR2."""
        said = call.read()
        number, vector, rip, cr2 = (int.from_bytes(said[at : at + 8], "little") for at in (0, 8, 16, 24))
        child = self._children.get(number)
        self.deaths.append(Death(number, vector, rip, cr2))
        crashed, self._gate.crashed_ring = self._gate.crashed_ring == WORKER_RING, None
        if child is not None and crashed and child.restarts < MOST_RESTARTS:
            self._orders.submit(f"new worker of {child.name}", self._restart(child))
        elif child is not None:
            child.stopped = "stuck"
            child.why = f"its worker met exception {vector} at RIP {rip:#x}, with CR2 {cr2:#x}"
        return self._orders.place()

    def _restart(self, child: Child) -> Steps:
        """A new worker, with chips as after power on; the kernel hands it what the old one left open."""
        child.restarts += 1
        child.wires.board.power_on()
        mailbox = yield StartWorker(child.id)
        child.mailbox = mailbox.value


def decide(child: Child, kind: int, payload: bytes) -> Values:
    """The registers that let the VP go on; none, if it cannot."""
    child.wires.before()
    if kind in NOTES:
        layout, note = NOTES[kind]
        note(layout(bytearray(payload[: layout.byte_count])), child)
    values: Values = {}
    if kind in ANSWERS:
        layout, answer = ANSWERS[kind]
        values = answer(layout(bytearray(payload[: layout.byte_count])), child)
    child.wires.after()
    if values:
        return values | {RegisterName.INTERCEPT_SUSPEND: 0}
    if kind in ENDS:
        layout, why = ENDS[kind]
        index = int.from_bytes(payload[:4], "little")
        child.stopped = "triple_fault" if kind == MessageType.UNRECOVERABLE_EXCEPTION else "stuck"
        child.why = f"VP {index} {why(layout(bytearray(payload[: layout.byte_count])), child)}"
    return {}


def number_bytes(value: int) -> bytes:
    """A register's value in the 16 bytes of an element."""
    return value.to_bytes(16, "little")
