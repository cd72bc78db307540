"""The instruction decoder finds the lengths that an independent disassembler finds."""

import capstone
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from minihv._core import ffi, lib

LEGACY = [0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65]
OPCODE_STARTS = [
    b"",
    b"\x0f",
    b"\x0f\x38",
    b"\x0f\x3a",
    b"\xc5",
    b"\xc4\xe1",
    b"\xc4\x62",
    b"\xc4\xe3",
    b"\x62",
]
TAKES_NO_MODRM_THERE = {"ud0", "ud1"}
IGNORES_66_THERE = {"call", "jmp", "xbegin"}

prefixes = st.lists(st.sampled_from(LEGACY), max_size=3).map(bytes)
rex = st.sampled_from([b"", b"", b"\x48", b"\x41", b"\x4f"])
shaped = st.builds(
    lambda *parts: b"".join(parts)[:15],
    prefixes,
    rex,
    st.sampled_from(OPCODE_STARTS),
    st.binary(min_size=15, max_size=15),
)
instruction_bytes = st.one_of(st.binary(min_size=15, max_size=15), shaped)


MODES = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
code_sizes = st.sampled_from(sorted(MODES))


def decode(code: bytes, bits: int = 64):
    found = ffi.new("struct mhv_instruction *")
    lib.mhv_decode(code, len(code), sorted(MODES).index(bits), found)
    return found


def disassemble(code: bytes, bits: int) -> tuple[int, str]:
    """The length and the name, or 0 where there is no such instruction."""
    mode = MODES[bits]
    for _, byte_count, name, _ in capstone.Cs(capstone.CS_ARCH_X86, mode).disasm_lite(code, 0, 1):
        return byte_count, name
    return 0, ""


def differs_by_design(found, name: str, bits: int) -> bool:
    """AMD's near branches obey 66; UD0 and UD1 have a ModRM byte; 16-bit code has no VEX."""
    branch = name in IGNORES_66_THERE or name.startswith("j")
    no_vex = bits == 16 and found.map == 0 and found.opcode in (0xC4, 0xC5, 0x62) and found.modrm >= 0xC0
    return name in TAKES_NO_MODRM_THERE or (found.operand_size and branch) or no_vex


@given(code=instruction_bytes, bits=code_sizes)
def test_length_is_the_disassemblers(code: bytes, bits: int) -> None:
    byte_count, name = disassemble(code, bits)
    found = decode(code, bits)
    excepted = differs_by_design(found, name, bits)
    event("no such instruction" if not byte_count else "differs by design" if excepted else "compared")
    if byte_count and not excepted:
        assert found.length == byte_count


def test_half_of_what_is_drawn_is_compared() -> None:
    outcomes = []

    @given(code=instruction_bytes)
    def draw(code: bytes) -> None:
        outcomes.append(disassemble(code, 64)[0] > 0)

    draw()
    assert sum(outcomes) > 0.3 * len(outcomes)


@given(code=instruction_bytes, bits=code_sizes)
def test_instruction_needs_all_its_bytes(code: bytes, bits: int) -> None:
    whole = decode(code, bits)
    for byte_count in range(whole.length):
        assert decode(code[:byte_count], bits).length == 0
    if not whole.invalid:
        assert decode(code[: whole.length], bits).length == whole.length


@given(code=st.binary(max_size=20), bits=code_sizes)
def test_no_instruction_is_longer_than_fifteen_bytes(code: bytes, bits: int) -> None:
    found = decode(code, bits)
    assert found.length <= min(15, len(code))
    assert found.length > 0 or len(code) < 15


def test_sixteen_bytes_are_no_instruction() -> None:
    found = decode(b"\x66" * 15 + b"\x90")
    assert (found.length, found.invalid) == (15, True)


def test_rex_counts_only_where_the_opcode_follows() -> None:
    assert decode(bytes.fromhex("48 b8 0807060504030201")).immediate == 0x0102030405060708
    assert decode(bytes.fromhex("48 66 b8 3412")).length == 5


@pytest.mark.parametrize(
    ("code", "displacement", "immediate"),
    [
        ("c7 45 f8 78563412", -8, 0x12345678),
        ("81 84 24 00ffffff 01000080", -256, 0x80000001),
        ("66 c7 05 10000000 3412", 16, 0x1234),
        ("a1 8877665544332211", 0, 0x1122334455667788),
        ("f6 40 7f 80", 0x7F, 0x80),
        ("f6 50 7f", 0x7F, 0),
    ],
)
def test_operands_are_read(code: str, displacement: int, immediate: int) -> None:
    found = decode(bytes.fromhex(code))
    assert found.length == len(bytes.fromhex(code))
    assert (found.displacement, found.immediate) == (displacement, immediate)


def test_maps_and_prefixes_are_told() -> None:
    found = decode(bytes.fromhex("f0 65 67 48 0f c1 08"))
    assert (found.lock, found.segment, found.address_size, found.rex) == (True, 0x65, True, 0x48)
    assert (found.map, found.opcode, found.modrm, found.prefix_count) == (lib.MHV_MAP_0F, 0xC1, 0x08, 4)
    assert decode(bytes.fromhex("0f 0f c1 9e")).map == lib.MHV_MAP_3DNOW
