"""The page of the local APIC in xAPIC mode: what an instruction does that reads or writes a register there.

Stands for: the local APIC on the memory bus of its processor.
Spec: AMD APM vol. 2, "Local APIC Registers"; Intel SDM vol. 3A, "The Local APIC Block Diagram" (registers are
    accessed by aligned loads and stores of 32 bits).
Simplified: MOV and XCHG of 32 bits do it, as every system uses them; another instruction is an access to
    memory that is not there. Where RAM is mapped at the page, it hides the APIC.
First reading: ``complete``.
Next: ``minihv.hypervisor.apic_registers``
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from minihv.hypervisor.instructions import Operand, decode
from minihv.hypervisor.intercepts import instruction_bytes
from minihv.hypervisor.vp import NEXT_RIP, RIP
from minihv.spec.apic import APIC_PAGE
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor

REGISTER_BYTES, REGISTER_STEP = 4, 16
LOW_32 = (1 << 32) - 1


def is_hit(vp: "VirtualProcessor", gpa: int) -> bool:
    """Whether ``gpa`` lies in the page of the APIC of ``vp``."""
    base = vp.apic_registers.base
    return gpa & -PAGE_BYTES == APIC_PAGE and bool(base.enable) and not base.x2apic


def complete(hypervisor: "Hypervisor", vp: "VirtualProcessor", gpa: int) -> bool:
    """Executes the instruction of ``vp`` that accessed the page; false if it is not one that may.

    A register that cannot be read is 0, and a write to one that cannot be written is lost; both are noted in
    the error status.
    """
    bits = vp.code_bits
    found = decode(instruction_bytes(hypervisor, vp), bits)
    does = None if found is None else FORMS.get(found.mnemonic)
    if found is None or does is None or not does(vp, gpa & PAGE_BYTES - 1, found.operands):
        return False
    vp.words[NEXT_RIP] = vp.words[RIP] + found.byte_count & (1 << bits) - 1
    vp.advance()
    return True


def move(vp: "VirtualProcessor", offset: int, operands: list[Operand]) -> bool:
    """MOV: from a register of the APIC to one of the VP, or a register or a number into it."""
    to, source = operands
    if to.size != REGISTER_BYTES:
        return False
    if to.name:
        vp.write(to.name, load(vp, offset))
    else:
        store(vp, offset, (vp.read(source.name) if source.name else source.number) & LOW_32)
    return True


def exchange(vp: "VirtualProcessor", offset: int, operands: list[Operand]) -> bool:
    """XCHG: both."""
    name = operands[0].name or operands[1].name
    if operands[0].size != REGISTER_BYTES:
        return False
    held, given = load(vp, offset), vp.read(name) & LOW_32
    store(vp, offset, given)
    vp.write(name, held)
    return True


FORMS: dict[str, Callable[["VirtualProcessor", int, list[Operand]], bool]] = {
    "mov": move,
    "movabs": move,
    "xchg": exchange,
}


def load(vp: "VirtualProcessor", offset: int) -> int:
    """What a read of four bytes at ``offset`` finds."""
    found = None if offset % REGISTER_STEP else vp.apic_registers.read(offset)
    if found is None:
        vp.apic_registers.note_illegal_register()
        return 0
    return found & LOW_32


def store(vp: "VirtualProcessor", offset: int, value: int) -> None:
    """What a write of four bytes at ``offset`` does."""
    if offset % REGISTER_STEP or not vp.apic_registers.write(offset, value):
        vp.apic_registers.note_illegal_register()
