"""The MSRs of the synthetic interrupt controller, as a guest reads and writes them."""

import pytest
from machines import MEMORY, SmallMachine

from minihv.hypervisor import msrs
from minihv.hypervisor.synic import Message
from minihv.spec.hypercalls import Status
from minihv.spec.msrs import Msr
from minihv.spec.synic import SINT_RESET
from minihv.spec.x86_exceptions import Vector

SINTS = [Msr(Msr.SINT0 + sint) for sint in range(16)]
READ = "rdmsr; shl rdx, 32; or rax, rdx; mov rbx, rax;"
WRITE = "mov rax, rsi; mov rdx, rsi; shr rdx, 32; wrmsr;"


def guest(code: str, msr: int, value: int = 0) -> tuple[int, int | None]:
    """What is in RBX after ``code`` ran, and the exception that ended it."""
    with SmallMachine(code + "hlt", registers={"rcx": msr, "rsi": value}) as machine:
        machine.run()
        return machine.vp.read("rbx"), machine.vector()


@pytest.mark.parametrize(
    ("msr", "value"),
    [(Msr.SCONTROL, 0), (Msr.SVERSION, 1), (Msr.SIEFP, 0), (Msr.SIMP, 0), (Msr.EOM, 0)]
    + [(sint, SINT_RESET) for sint in SINTS],
)
def test_register_has_its_reset_value(msr: Msr, value: int) -> None:
    assert guest(READ, msr) == (value, None)


@pytest.mark.parametrize("value", [0xFFFF_FFFF_FFFE_FF10, 0x2_0052, 0x4_00FF, SINT_RESET])
@pytest.mark.parametrize("msr", SINTS, ids=str)
def test_source_holds_what_was_written(msr: Msr, value: int) -> None:
    assert guest(WRITE + READ, msr, value) == (value, None)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0, Vector.GP), (15, Vector.GP), (0xFF0F, Vector.GP), (SINT_RESET | 15, Vector.GP),
        (SINT_RESET, None), (16, None),
    ],
)  # fmt: skip
def test_vector_below_16_is_a_general_protection_fault_unless_it_is_0_and_masked(
    value: int, fault: Vector | None
) -> None:
    assert guest(WRITE, Msr.SINT2, value)[1] == fault


@pytest.mark.parametrize("msr", [Msr.SIMP, Msr.SIEFP], ids=str)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0x8001, None), (0x8FFF, None), (MEMORY - 0x1000 | 1, None), (MEMORY, None), (MEMORY | 1, Vector.GP),
        (1 << 63 | 1, Vector.GP), (0xFFFF_FFFF_FFFF_F001, Vector.GP), (0xFFFF_FFFF_FFFF_F000, None),
    ],
)  # fmt: skip
def test_page_beyond_ram_is_a_general_protection_fault_only_when_it_is_enabled(
    msr: Msr, value: int, fault: Vector | None
) -> None:
    read, met = guest(WRITE + READ, msr, value)
    assert met == fault and (fault is not None or read == value)


def test_version_cannot_be_written() -> None:
    assert guest(WRITE, Msr.SVERSION, 1)[1] == Vector.GP


@pytest.mark.parametrize("value", [0, 1, 0xFFFF_FFFF_FFFF_FFFF])
def test_control_register_keeps_its_reserved_bits(value: int) -> None:
    assert guest(WRITE + READ, Msr.SCONTROL, value) == (value, None)


def test_each_vp_has_registers_of_its_own() -> None:
    with SmallMachine(vps=2) as machine:
        first, second = machine.partition.vps
        assert msrs.write_msr(first, Msr.SINT3, 0x60)
        assert (msrs.read_msr(first, Msr.SINT3), msrs.read_msr(second, Msr.SINT3)) == (0x60, SINT_RESET)


@pytest.mark.parametrize("value", [0, 1, 0xFFFF_FFFF_FFFF_FFFF])
def test_any_write_to_eom_delivers_what_waits(value: int) -> None:
    with SmallMachine() as machine:
        for msr, written in ((Msr.SIMP, 0x8001), (Msr.SCONTROL, 1)):
            assert msrs.write_msr(machine.vp, msr, written)
        for number in (1, 2):
            assert machine.vp.synic.post(5, Message(number, 0, b"")) is Status.SUCCESS
        machine.write(0x8500, 0)
        assert msrs.write_msr(machine.vp, Msr.EOM, value)
        assert machine.read(0x8500, 4) == 2
