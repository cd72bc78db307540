"""What is known of an instruction that accesses memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihv.hypervisor.instructions import FULL_NAMES, Operand, decode, names_of
from minihv.hypervisor.register_values import GENERAL


@given(st.binary(max_size=15), st.sampled_from((16, 32, 64)))
def test_any_bytes_decode_to_something_or_nothing(code: bytes, bits: int) -> None:
    found = decode(code, bits)
    if found is not None:
        assert 1 <= found.byte_count <= len(code)
        assert all(operand.name in ("", *GENERAL) for operand in found.operands)


def test_operands_are_registers_numbers_and_memory() -> None:
    found = decode(bytes.fromhex("c703 78563412"), 64)
    assert found is not None
    assert (found.mnemonic, found.operands) == ("mov", [Operand(4), Operand(4, number=0x1234_5678)])


@pytest.mark.parametrize(
    ("code", "operand"),
    [
        ("8a03", Operand(1, "rax")),  # mov al, [rbx]
        ("8a23", Operand(1, "rax", shift=8)),  # mov ah, [rbx]
        ("668b3b", Operand(2, "rdi")),  # mov di, [rbx]
        ("8b0b", Operand(4, "rcx")),  # mov ecx, [rbx]
        ("4c8b0b", Operand(8, "r9")),  # mov r9, [rbx]
        ("408a33", Operand(1, "rsi")),  # mov sil, [rbx]
    ],
)
def test_register_is_told_by_its_whole_and_the_part_that_is_meant(code: str, operand: Operand) -> None:
    found = decode(bytes.fromhex(code), 64)
    assert found is not None and found.operands == [operand, Operand(operand.size)]


def test_each_general_register_has_four_names_and_four_a_fifth() -> None:
    assert names_of("rbp") == ("rbp", "ebp", "bp", "bpl") and names_of("rax")[3] == "al"
    assert names_of("r8") == ("r8", "r8d", "r8w", "r8b")
    assert len(FULL_NAMES) == 4 * len(GENERAL) + 4
