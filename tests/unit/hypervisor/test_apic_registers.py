"""The registers of the APIC, by their offsets and by MSRs."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.msrs import read_msr, write_msr
from minihv.spec.apic import VERSION, ApicBase, ApicRegister
from minihv.spec.msrs import Msr

R = ApicRegister
X2APIC = ApicBase.x2apic.mask


def in_x2apic_mode(machine: SmallMachine) -> None:
    for vp in machine.partition.vps:
        assert write_msr(vp, Msr.APIC_BASE, int(vp.apic_registers.base) | X2APIC)


def test_apic_is_enabled_from_the_start_at_its_page() -> None:
    with SmallMachine(vps=2) as machine:
        bases = [read_msr(vp, Msr.APIC_BASE) for vp in machine.partition.vps]
        assert bases == [0xFEE0_0900, 0xFEE0_0800]
        assert machine.vp.apic_registers.read(R.SPURIOUS) == 0x1FF


@pytest.mark.parametrize("value", [0xFEE0_0400, 0xFEE0_1900, 0xFEE0_0800, 0xFEE0_0901], ids=hex)
def test_base_that_moves_the_page_or_has_no_meaning_is_refused(value: int) -> None:
    with SmallMachine() as machine:
        assert not write_msr(machine.vp, Msr.APIC_BASE, value)
        assert read_msr(machine.vp, Msr.APIC_BASE) == 0xFEE0_0900


def test_x2apic_mode_is_left_only_by_disabling_and_entered_only_when_enabled() -> None:
    with SmallMachine() as machine:
        in_x2apic_mode(machine)
        allowed = [write_msr(machine.vp, Msr.APIC_BASE, 0xFEE0_0100 | bits) for bits in (0x800, 0, 0xC00)]
        assert allowed == [False, True, False]


@pytest.mark.parametrize("register", [R.ID, R.TPR, R.ICR, R.LVT_TIMER], ids=str)
def test_msrs_of_x2apic_mode_are_there_only_in_it(register: ApicRegister) -> None:
    with SmallMachine() as machine:
        number = 0x800 + (register >> 4)
        assert read_msr(machine.vp, number) is None
        in_x2apic_mode(machine)
        assert read_msr(machine.vp, number) is not None


@pytest.mark.parametrize("register", [R.APR, R.DFR, R.ICR_HIGH, 0x000, 0x3D0, R.EOI, R.SELF_IPI])
def test_register_that_x2apic_mode_lacks_or_that_is_written_only_is_not_read(register: int) -> None:
    with SmallMachine() as machine:
        in_x2apic_mode(machine)
        assert machine.vp.apic_registers.read(register) is None


@pytest.mark.parametrize("register", [R.ID, R.VERSION, R.PPR, R.ISR, R.IRR + 0x70, R.TIMER_CURRENT, 0x3D0])
def test_register_that_is_read_only_or_absent_is_not_written(register: int) -> None:
    with SmallMachine() as machine:
        assert not machine.vp.apic_registers.write(register, 0)


@pytest.mark.parametrize(
    ("register", "value"),
    [(R.TPR, 0x100), (R.EOI, 1), (R.LDR, 0), (R.ERROR_STATUS, 1), (R.SELF_IPI, 0x100), (R.SPURIOUS, 1 << 32)],
)
def test_value_that_x2apic_mode_does_not_allow_is_refused(register: int, value: int) -> None:
    with SmallMachine() as machine:
        in_x2apic_mode(machine)
        assert not write_msr(machine.vp, 0x800 + (register >> 4), value)


def test_ids_of_both_modes_follow_from_the_index() -> None:
    with SmallMachine(vps=20) as machine:
        registers = machine.partition.vps[18].apic_registers
        assert (registers.read(R.ID), registers.read(R.LDR)) == (18 << 24, 0)
        in_x2apic_mode(machine)
        assert (registers.read(R.ID), registers.read(R.LDR)) == (18, 1 << 16 | 1 << 2)


def test_sets_of_vectors_are_read_32_at_a_time() -> None:
    with SmallMachine() as machine:
        for vector in (0x41, 0xFF):
            machine.vp.apic.request(vector, level=vector == 0x41)
        read = machine.vp.apic_registers.read
        assert [read(R.IRR + 0x10 * n) for n in range(8)] == [0, 0, 2, 0, 0, 0, 0, 1 << 31]
        assert [read(R.TMR + 0x20), read(R.ISR + 0x20), read(R.VERSION)] == [2, 0, VERSION]


def test_priorities_and_ends_go_to_the_apic() -> None:
    handlers = {0x61: "hlt"}
    with SmallMachine("sti; nop; hlt", handlers=handlers) as machine:
        machine.vp.apic.request(0x61)
        machine.run()
        registers = machine.vp.apic_registers
        registers.write(R.TPR, 0x25)
        assert [registers.read(r) for r in (R.TPR, R.PPR, R.APR)] == [0x25, 0x60, 0x60]
        registers.write(R.EOI, 0)
        assert registers.read(R.PPR) == 0x25


def test_disabled_apic_masks_its_table_and_takes_nothing() -> None:
    with SmallMachine() as machine:
        registers = machine.vp.apic_registers
        registers.write(R.LVT_TIMER, 0x40)
        registers.write(R.LVT_LINT0, 0x700)
        registers.write(R.SPURIOUS, 0xFF)
        assert [registers.read(r) for r in (R.LVT_TIMER, R.LVT_LINT0)] == [0x1_0040, 0x1_0700]
        assert not machine.vp.apic.request(0x50)
        registers.write(R.LVT_TIMER, 0x40)
        assert registers.read(R.LVT_TIMER) == 0x1_0040
        registers.write(R.SPURIOUS, 0x1FF)
        assert machine.vp.apic.request(0x50)


def test_command_is_two_registers_in_xapic_mode_and_one_in_the_other() -> None:
    with SmallMachine(vps=2) as machine:
        sender, receiver = machine.partition.vps
        sender.apic_registers.write(R.ICR_HIGH, 1 << 24)
        sender.apic_registers.write(R.ICR, 0x45)
        assert receiver.apic.requested == 1 << 0x45
        assert [sender.apic_registers.read(r) for r in (R.ICR, R.ICR_HIGH)] == [0x45, 1 << 24]
        in_x2apic_mode(machine)
        assert write_msr(sender, 0x830, 1 << 32 | 0x46) and read_msr(sender, 0x830) == 1 << 32 | 0x46
        assert receiver.apic.requested == 1 << 0x45 | 1 << 0x46


def test_self_ipi_is_a_request_of_the_writer() -> None:
    with SmallMachine() as machine:
        in_x2apic_mode(machine)
        assert write_msr(machine.vp, 0x83F, 0x77) and machine.vp.apic.requested == 1 << 0x77


def test_logical_registers_hold_their_own_bits() -> None:
    with SmallMachine() as machine:
        registers = machine.vp.apic_registers
        registers.write(R.LDR, 0xAB12_3456)
        registers.write(R.DFR, 0)
        assert [registers.read(r) for r in (R.LDR, R.DFR)] == [0xAB00_0000, 0x0FFF_FFFF]


def test_init_level_deassert_is_no_command() -> None:
    with SmallMachine() as machine:
        assert machine.vp.apic_registers.write_command(0x0008_8500)
        assert machine.vp.apic_registers.command == 0x0008_8500
