"""INIT and start-up interrupts: what a VP is put back to, and where it begins again."""

import pytest
from assembler import assemble
from machines import CODE, SmallMachine

from minihv.hypervisor import startup
from minihv.hypervisor.register_values import GENERAL, SegmentValue
from minihv.hypervisor.states import Suspension, VpState
from minihv.hypervisor.vp import VirtualProcessor
from minihv.spec.apic import ApicBase, ApicRegister

PAGE = 0x8
INIT, STARTUP, SELF, ALL_BUT_SELF = 0x4500, 0x4600, 1 << 18, 3 << 18
ICR, APIC_BASE = 0x830, 0x1B


def icr(command: int, destination: int = 0) -> str:
    """Assembly of a write to the ICR of x2APIC mode."""
    return f"mov ecx, {ICR}; mov eax, {command}; mov edx, {destination}; wrmsr; "


ENABLE = f"mov ecx, {APIC_BASE}; rdmsr; or eax, 0x400; wrmsr; "


def machine_of_two(code: str, other: str = "mov ebx, 7; cli; hlt") -> SmallMachine:
    """VP 0 executes ``code`` in long mode; VP 1 has halted, and ``other`` lies in its page of real mode."""
    made = SmallMachine(f"{ENABLE}{code} hlt", vps=2)
    made.partition.vps[1].state = VpState.HALTED
    made.partition.gpa_space.write(PAGE << 12, assemble(f".code16; {other}", 0))
    return made


def test_init_and_startup_begin_a_vp_in_real_mode() -> None:
    with machine_of_two(icr(INIT, 1) + icr(STARTUP | PAGE, 1)) as machine:
        machine.run()
        vp = machine.partition.vps[1]
        assert (vp.state, vp.read("rbx"), vp.read("rip")) == (VpState.HALTED, 7, 8)
        assert vp.read_segment("cs") == SegmentValue(PAGE << 12, 0xFFFF, PAGE << 8, 0x9B)
        assert vp.code_bits == 16


def test_init_leaves_what_the_standard_says() -> None:
    with machine_of_two(icr(INIT, 1)) as machine:
        vp = machine.partition.vps[1]
        for name in GENERAL:
            vp.write(name, 0x1234)
        vp.write("cr0", vp.read("cr0") | 0x6000_0000)
        vp.write("star", 0x99)
        vp.handle.debug_address[2] = 5
        vp.apic.request(0x40)
        vp.apic_registers.write_logical_id(7 << 24)
        vp.request_nmi()
        vp.state = VpState.HALTED
        machine.run()
        assert vp.state is VpState.STARTUP
        values = {name: vp.read(name) for name in (*GENERAL, "rip", "rflags", "cr0", "cr3", "cr4", "efer")}
        nonzero = {name: value for name, value in values.items() if value}
        assert nonzero == {"rdx": 0x0080_0F12, "rip": 0xFFF0, "rflags": 2, "cr0": 0x6000_0010}
        assert vp.read_segment("cs") == SegmentValue(0xFFFF_0000, 0xFFFF, 0xF000, 0x9B)
        assert [vp.read_segment(name).limit for name in ("ss", "gdtr", "idtr", "ldtr", "tr")] == [0xFFFF] * 5
        assert (vp.read("dr6"), vp.read("dr7"), vp.handle.debug_address[2]) == (0xFFFF_0FF0, 0x400, 0)
        assert (vp.apic.requested, vp.nmi_requested, vp.apic_registers.logical_id) == (0, False, 0)
        assert vp.apic_registers.read(ApicRegister.SPURIOUS) == 0xFF and not vp.apic.enabled
        assert vp.read("star") == 0x99


def test_startup_without_init_does_nothing() -> None:
    with machine_of_two(icr(STARTUP | PAGE, 1)) as machine:
        machine.run()
        vp = machine.partition.vps[1]
        assert (vp.state, vp.read("rip")) == (VpState.HALTED, CODE)


def test_only_the_first_startup_counts() -> None:
    code = icr(INIT, 1) + icr(STARTUP | PAGE, 1) + icr(STARTUP | 9, 1)
    with machine_of_two(code) as machine:
        machine.run()
        assert machine.partition.vps[1].read_segment("cs").selector == PAGE << 8


def test_level_deassert_is_no_init() -> None:
    with machine_of_two(icr(0x8500, 1)) as machine:
        machine.run()
        assert machine.partition.vps[1].state is VpState.HALTED


def test_init_interrupts_whatever_the_vp_does() -> None:
    with machine_of_two(icr(INIT, 1) + icr(STARTUP | PAGE, 1)) as machine:
        vp = machine.partition.vps[1]
        machine.partition.gpa_space.write(CODE + 0x800, b"\xeb\xfe")
        vp.write("rip", CODE + 0x800)
        vp.state = VpState.READY
        machine.run()
        assert (vp.state, vp.read("rbx")) == (VpState.HALTED, 7)


def test_all_but_the_sender_are_named_by_a_shorthand() -> None:
    with machine_of_two(icr(INIT | ALL_BUT_SELF) + icr(STARTUP | PAGE | ALL_BUT_SELF)) as machine:
        machine.run()
        assert machine.partition.vps[1].read("rbx") == 7
        assert machine.vp.state is VpState.HALTED and machine.vp.code_bits == 64


def test_vp_that_sends_itself_init_waits_behind_that_instruction() -> None:
    with machine_of_two(icr(INIT, 1) + icr(STARTUP | PAGE, 1)) as machine:
        other = f".code16; {ENABLE}{icr(INIT, 1)} mov ebx, 9; hlt"
        machine.partition.gpa_space.write(PAGE << 12, assemble(other, 0))
        machine.run()
        vp = machine.partition.vps[1]
        assert (vp.state, vp.read("rbx"), vp.read("rip")) == (VpState.STARTUP, 0, 0xFFF0)
        assert vp.apic_registers.base.x2apic


def test_vp_0_goes_on_at_the_reset_vector() -> None:
    with machine_of_two(icr(INIT, 0)) as machine:
        machine.run()
        assert machine.vp.state is VpState.SUSPENDED and "0xfffffff0" in machine.vp.why


def test_suspended_vp_is_initialized_and_stays_suspended() -> None:
    with machine_of_two(icr(INIT, 1) + icr(STARTUP | PAGE, 1)) as machine:
        vp = machine.partition.vps[1]
        vp.suspend(Suspension.EXPLICIT)
        machine.run()
        assert (vp.state, vp.activity, vp.read("rip")) == (VpState.SUSPENDED, VpState.READY, 0)
        vp.resume(Suspension.EXPLICIT)
        machine.run()
        assert vp.read("rbx") == 7


def test_waiting_vp_needs_no_time_and_no_interrupt_wakes_it() -> None:
    with machine_of_two(icr(INIT, 1)) as machine:
        machine.run()
        vp = machine.partition.vps[1]
        vp.apic.enabled = True
        vp.apic.request(0x40)
        vp.request_nmi()
        assert machine.run() == 0 and vp.state is VpState.STARTUP


@pytest.mark.parametrize("x2apic", [False, True])
def test_apic_mode_survives_init(x2apic: bool) -> None:
    with SmallMachine(vps=2) as machine:
        vp: VirtualProcessor = machine.partition.vps[1]
        if x2apic:
            vp.apic_registers.write_base(int(vp.apic_registers.base) | ApicBase.x2apic.mask)
        startup.initialize(vp)
        assert bool(vp.apic_registers.base.x2apic) is x2apic
