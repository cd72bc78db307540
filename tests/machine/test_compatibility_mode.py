"""32-bit code in compatibility mode: the instructions that mean something else there than in 64-bit code."""

import pytest
from machines import CODE, GDT, IDT, SPARE, STACK, SmallMachine

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Rflags

CODE_32 = 0x00CF_9B00_0000_FFFF
OVERFLOWN = int(Rflags.ALWAYS_1 | Rflags.OF)
MODES = list(PagingMode)
INTO, SYSENTER, INC_EBX, HLT = b"\xce", b"\x0f\x34", b"\xff\xc3", b"\xf4"


def in_compatibility_mode(code: bytes, mode: PagingMode = PagingMode.SLAT, *, ring: int = 0) -> SmallMachine:
    """A machine whose VP is about to execute ``code`` as 32-bit code."""
    made = SmallMachine(code, paging=mode, ring=ring)
    made.write(GDT + SPARE, CODE_32 | ring << 45)
    made.vp.write_segment("cs", SegmentValue(0, 0xFFFF_FFFF, SPARE | ring, 0xC09B | ring << 5))
    return made


@pytest.mark.parametrize("mode", MODES)
def test_into_with_of_is_the_overflow_trap_behind_it(mode: PagingMode) -> None:
    with in_compatibility_mode(INTO + HLT, mode) as machine:
        machine.vp.write("rflags", OVERFLOWN)
        machine.run()
        assert machine.vector() == Vector.OF
        assert (machine.frame().rip, machine.frame().cs, machine.frame().rsp) == (CODE + 1, SPARE, STACK)


@pytest.mark.parametrize("mode", MODES)
def test_into_without_of_does_nothing(mode: PagingMode) -> None:
    with in_compatibility_mode(INTO + INC_EBX + HLT, mode) as machine:
        machine.run()
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 1


def test_into_of_ring_3_needs_a_gate_that_ring_3_may_use() -> None:
    with in_compatibility_mode(INTO, ring=3) as machine:
        machine.vp.write("rflags", OVERFLOWN)
        machine.run()
        assert machine.vector() == Vector.GP
        assert machine.frame(error_code=True).error_code == Vector.OF * 8 + 2


@pytest.mark.parametrize("mode", MODES)
def test_into_in_64_bit_code_is_undefined(mode: PagingMode) -> None:
    with SmallMachine(INTO, paging=mode, registers={"rflags": OVERFLOWN}) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE


@pytest.mark.parametrize("ring", [0, 3])
@pytest.mark.parametrize("mode", MODES)
def test_sysenter_is_undefined_in_long_mode(mode: PagingMode, ring: int) -> None:
    with in_compatibility_mode(INC_EBX + SYSENTER + INC_EBX + HLT, mode, ring=ring) as machine:
        for name, value in {"sysenter_cs": 8, "sysenter_eip": IDT, "sysenter_esp": STACK, "rcx": 7}.items():
            machine.vp.write(name, value)
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE + 2
        assert (machine.vp.read("rbx"), machine.vp.read("rcx")) == (1, 7)


@pytest.mark.parametrize("mode", MODES)
def test_sysenter_in_64_bit_code_is_undefined(mode: PagingMode) -> None:
    with SmallMachine(SYSENTER, paging=mode) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE
