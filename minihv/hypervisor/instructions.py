"""What an instruction does with memory, as far as whoever stands in for that memory has to know.

Stands for: the decoder of an instruction emulator.
Spec: AMD APM vol. 1, "General-Purpose Registers"; vol. 3, "Instruction Encoding".
Simplified: Capstone decodes; only operands and lengths are kept.
Next: ``minihv.hypervisor.apic_page``, ``minihv.parent.memory_access``
"""

from functools import cache
from typing import Any, NamedTuple

from minihv.hypervisor.register_values import GENERAL

HIGH_BYTES = {"ah": "rax", "bh": "rbx", "ch": "rcx", "dh": "rdx"}


class Operand(NamedTuple):
    """A general register by its full name, or a number, or else memory; and how many bytes of it.

    Of a register these are the bytes from bit ``shift`` on.
    """

    size: int
    name: str = ""
    number: int = 0
    shift: int = 0


class Decoded(NamedTuple):
    """An instruction, as far as it matters here."""

    mnemonic: str
    byte_count: int
    operands: list[Operand]


def names_of(whole: str) -> tuple[str, ...]:
    """The names of a general register from bit 0 on: of 64, 32, 16 and 8 bits."""
    if whole[1:].isdigit():
        return whole, f"{whole}d", f"{whole}w", f"{whole}b"
    short = whole[1:]
    return whole, f"e{short}", short, f"{short[0]}l" if short.endswith("x") else f"{short}l"


FULL_NAMES = {name: whole for whole in GENERAL for name in names_of(whole)} | HIGH_BYTES
"""Of each name the register that it is a part of."""


def decode(code: bytes, bits: int) -> Decoded | None:
    """The instruction that ``code`` begins with, in code of 16, 32 or 64 ``bits``."""
    from capstone.x86 import X86_OP_IMM, X86_OP_REG

    found = next(decoder(bits).disasm(code, 0, 1), None)
    if found is None:
        return None
    operands = []
    for one in found.operands:
        name = found.reg_name(one.reg) if one.type == X86_OP_REG else ""
        number = one.imm if one.type == X86_OP_IMM else 0
        shift = 8 if name in HIGH_BYTES else 0
        operands.append(Operand(one.size, FULL_NAMES.get(name, ""), number, shift))
    return Decoded(found.mnemonic, found.size, operands)


@cache
def decoder(bits: int) -> Any:
    """Capstone, with operands."""
    from capstone import CS_ARCH_X86, CS_MODE_16, CS_MODE_32, CS_MODE_64, Cs

    made = Cs(CS_ARCH_X86, {16: CS_MODE_16, 32: CS_MODE_32, 64: CS_MODE_64}[bits])
    made.detail = True
    return made
