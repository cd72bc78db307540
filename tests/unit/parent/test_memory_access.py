"""An instruction at the registers of a chip does to them and to the VP what it does to memory."""

import pytest
from assembler import assemble
from hypothesis import event, given
from hypothesis import strategies as st

from minihv.devices.emulated.mmio_bus import MmioBus
from minihv.hypervisor.register_values import GENERAL
from minihv.parent.memory_access import execute
from minihv.spec.hypercalls import RegisterName, RegisterSegmentAttributes
from minihv.spec.intercepts import (
    ExecutionState,
    GeneralRegisters,
    InterceptHeader,
    MemoryMessage,
    SegmentRegister,
)

RIP, GPA = 0x10_0000, 0xFEC0_0010
CODE_64 = RegisterSegmentAttributes(long=True)
CODE_32 = RegisterSegmentAttributes(default_big=True)
HELD = 0x1122_3344_5566_7788


class Cells:
    """Memory behind a bus."""

    def __init__(self) -> None:
        self.content = bytearray(HELD.to_bytes(8, "little") + bytes(8))

    def load(self, offset: int, byte_count: int, /) -> int:
        return int.from_bytes(self.content[offset : offset + byte_count], "little")

    def store(self, offset: int, byte_count: int, value: int, /) -> None:
        self.content[offset : offset + byte_count] = value.to_bytes(byte_count, "little")


def executed(
    code: bytes, registers: dict[str, int], attributes: RegisterSegmentAttributes = CODE_64
) -> tuple[dict[RegisterName, int], int]:
    """The registers behind ``code``, and what is in memory then."""
    bus, cells = MmioBus(), Cells()
    bus.connect(GPA, 16, cells)
    message = MemoryMessage.build(
        header=InterceptHeader.build(
            rip=RIP,
            cs=SegmentRegister.build(attributes=attributes),
            execution_state=ExecutionState(long_mode=True),
        ),
        instruction_byte_count=len(code),
        instruction_bytes=code.ljust(16, b"\x90"),
        gpa=GPA,
        registers=GeneralRegisters.build(**registers),
    )
    return execute(message, bus), int.from_bytes(cells.content[:8], "little")


def did(text: str, **registers: int) -> tuple[dict[RegisterName, int], int]:
    """The same of an instruction as text, without RIP, which is behind it."""
    code = assemble(text, RIP)
    values, memory = executed(code, registers)
    assert values.pop(RegisterName.RIP) == RIP + len(code)
    return values, memory


@pytest.mark.parametrize(
    ("text", "rax"),
    [
        ("mov al, [rbx]", 0xFFFF_FFFF_FFFF_FF88),
        ("mov ah, [rbx]", 0xFFFF_FFFF_FFFF_88FF),
        ("mov ax, [rbx]", 0xFFFF_FFFF_FFFF_7788),
        ("mov eax, [rbx]", 0x5566_7788),
        ("mov rax, [rbx]", HELD),
        ("movzx eax, byte ptr [rbx]", 0x88),
        ("movzx rax, word ptr [rbx]", 0x7788),
        (f"movabs eax, [{GPA:#x}]", 0x5566_7788),
    ],
)
def test_load_changes_the_part_of_the_register_that_it_names(text: str, rax: int) -> None:
    assert did(text, rax=(1 << 64) - 1) == ({RegisterName.RAX: rax}, HELD)


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("mov [rbx], cl", 0x1122_3344_5566_77EF),
        ("mov [rbx], ch", 0x1122_3344_5566_77CD),
        ("mov [rbx], cx", 0x1122_3344_5566_CDEF),
        ("mov [rbx], ecx", 0x1122_3344_89AB_CDEF),
        ("mov [rbx], rcx", 0x0123_4567_89AB_CDEF),
        ("mov byte ptr [rbx], 0", 0x1122_3344_5566_7700),
        ("mov dword ptr [rbx], 0x1ffff", 0x1122_3344_0001_FFFF),
        ("mov qword ptr [rbx], -2", (1 << 64) - 2),
    ],
)
def test_store_changes_as_many_bytes_as_it_names(text: str, memory: int) -> None:
    assert did(text, rcx=0x0123_4567_89AB_CDEF) == ({}, memory)


@pytest.mark.parametrize("text", ["xchg edx, [rbx]", "xchg [rbx], edx"])
def test_exchange_does_both(text: str) -> None:
    assert did(text, rdx=7 << 32 | 5) == ({RegisterName.RDX: 0x5566_7788}, 0x1122_3344_0000_0005)


@pytest.mark.parametrize("text", ["add [rbx], eax", "stosd", "vmmcall", "push rbx"])
def test_any_other_instruction_is_left_alone(text: str) -> None:
    assert executed(assemble(text, RIP), {}) == ({}, HELD)


def test_code_of_32_bits_wraps_in_32_bits() -> None:
    values, _ = executed(bytes.fromhex("a100000000"), {}, CODE_32)  # mov eax, [0], which is longer in 64 bits
    assert values == {RegisterName.RAX: 0x5566_7788, RegisterName.RIP: RIP + 5}


@given(st.binary(max_size=15), st.sampled_from([CODE_64, CODE_32, RegisterSegmentAttributes(0)]))
def test_any_bytes_are_executed_or_left_alone(code: bytes, attributes: RegisterSegmentAttributes) -> None:
    values, memory = executed(code, dict.fromkeys(GENERAL, 5), attributes)
    event("executed" if values else "left alone")
    assert all(0 <= value < 1 << 64 for value in values.values())
    assert values or memory == HELD
