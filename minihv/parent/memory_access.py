"""An instruction that reads or writes the registers of a chip in memory.

Stands for: the part of a worker's instruction emulator that knows memory-mapped registers.
Spec: AMD APM vol. 3, "MOV", "MOVZX", "XCHG"; vol. 2, "Memory-Mapped I/O".
Simplified: these three, in all their sizes, as drivers use them; after any other the VP cannot go on.
First reading: ``execute``.
Next: ``minihv.parent.worker``
"""

from collections.abc import Callable

from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.hypervisor.instructions import Operand, decode
from minihv.spec.bits import Layout
from minihv.spec.hypercalls import RegisterName, RegisterSegmentAttributes
from minihv.spec.intercepts import GeneralRegisters, InterceptHeader, MemoryMessage

Values = dict[RegisterName, int]
Form = Callable[[GeneralRegisters, MmioBus, int, list[Operand]], Values]


def execute(message: MemoryMessage, memory: MmioBus) -> Values:
    """The registers behind the instruction of ``message``; none, if it is not one of ``FORMS``."""
    code = bytes(message.instruction_bytes)[: message.instruction_byte_count]
    bits = code_bits(message.header)
    found = decode(code, bits)
    form = None if found is None else FORMS.get(found.mnemonic)
    if found is None or form is None:
        return {}
    values = form(message.registers, memory, int(message.gpa), found.operands)
    return values | {RegisterName.RIP: message.header.rip + found.byte_count & (1 << bits) - 1}


def move(registers: GeneralRegisters, memory: MmioBus, gpa: int, operands: list[Operand]) -> Values:
    """MOV or MOVZX: memory is the source or the destination, and the other is a register or a number."""
    to, source = operands
    if to.name:
        return put(registers, to, memory.load(gpa, source.size))
    memory.store(gpa, to.size, get(registers, source))
    return {}


def exchange(registers: GeneralRegisters, memory: MmioBus, gpa: int, operands: list[Operand]) -> Values:
    """XCHG: both."""
    register = operands[0] if operands[0].name else operands[1]
    held = memory.load(gpa, register.size)
    memory.store(gpa, register.size, get(registers, register))
    return put(registers, register, held)


FORMS: dict[str, Form] = {"mov": move, "movabs": move, "movzx": move, "xchg": exchange}


def get(registers: Layout, operand: Operand) -> int:
    """The value of a register or a number."""
    value: int = getattr(registers, operand.name) >> operand.shift if operand.name else operand.number
    return value & (1 << 8 * operand.size) - 1


def put(registers: Layout, operand: Operand, value: int) -> Values:
    """A register with ``value`` in it: 32 bits clear its upper half, fewer keep what is around them."""
    if operand.size < 4:
        mask = (1 << 8 * operand.size) - 1 << operand.shift
        value = getattr(registers, operand.name) & ~mask | value << operand.shift & mask
    return {RegisterName[operand.name.upper()]: value}


def code_bits(header: InterceptHeader) -> int:
    """Of the code that a message is about: 16, 32 or 64."""
    attributes = RegisterSegmentAttributes(int(header.cs.attributes))
    if attributes.long and header.execution_state.long_mode:
        return 64
    return 32 if attributes.default_big else 16
