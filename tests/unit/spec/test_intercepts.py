"""Intercept messages: the offsets of the standard, from the start of a message slot."""

import pytest

from minihv.spec.bits import Layout
from minihv.spec.intercepts import (
    CpuidMessage,
    ExceptionMessage,
    GeneralRegisters,
    InterceptHeader,
    MemoryMessage,
    MsrMessage,
    PortMessage,
)

PAYLOAD = 16
"""Where the payload begins in a slot."""
QUOTED: dict[type[Layout], dict[str, int]] = {
    InterceptHeader: {
        "vp_index": 16, "instruction": 20, "access_type": 21, "execution_state": 22, "cs": 24, "rip": 40,
        "rflags": 48,
    },
    PortMessage: {
        "header": 16, "port": 56, "access": 58, "instruction_byte_count": 59, "rax": 64,
        "instruction_bytes": 72, "ds": 88, "es": 104, "rcx": 120, "rsi": 128, "rdi": 136,
    },
    MsrMessage: {"header": 16, "number": 56, "rdx": 64, "rax": 72},
    CpuidMessage: {
        "header": 16, "rax": 56, "rcx": 64, "rdx": 72, "rbx": 80, "default_rax": 88, "default_rcx": 96,
        "default_rdx": 104, "default_rbx": 112,
    },
    MemoryMessage: {
        "header": 16, "cache_type": 56, "instruction_byte_count": 60, "flags": 61, "gva": 64, "gpa": 72,
        "instruction_bytes": 80, "ds": 96, "ss": 112, "registers": 128,
    },
    ExceptionMessage: {
        "header": 16, "vector": 56, "flags": 58, "instruction_byte_count": 59, "error_code": 60,
        "parameter": 64, "instruction_bytes": 80, "ds": 96, "ss": 112, "registers": 128,
    },
}  # fmt: skip
"""TLFS, the structures of the messages by their names."""


@pytest.mark.parametrize("layout", QUOTED, ids=lambda layout: layout.__name__)
def test_message_lies_in_its_slot_as_the_standard_says(layout: type[Layout]) -> None:
    found = {name: member.offset + PAYLOAD for name, member in layout.members().items()}
    assert found == QUOTED[layout]
    assert layout.byte_count + PAYLOAD <= 256


def test_general_registers_follow_each_other_in_the_order_of_their_numbers() -> None:
    assert [member.offset for member in GeneralRegisters.members().values()] == list(range(0, 128, 8))
