"""RFLAGS.TF: a #DB behind every instruction, also one that the core or ring -1 completes."""

import pytest
from assembler import assemble
from machines import CODE, CODE_3, HANDLERS, SmallMachine

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.spec.vmcb import Intercept1
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Dr6, Rflags
from minihv.terms import Gpa

MODES = list(PagingMode)
BS = 0xFFFF_0FF0 | int(Dr6.BS)
SINGLE_STEP = int(Rflags.ALWAYS_1 | Rflags.TF)
ENTRY = 0x9000
TABLE = 0x4FF8
"""An entry of the tables that nothing is reached by: under shadow paging ring -1 writes it for the guest."""
COMPLETED = {
    "by the engine": ("inc ebx", {}),
    "CPUID": ("cpuid", {"rax": 1}),
    "RDTSC": ("rdtsc", {}),
    "RDTSCP": ("rdtscp", {}),
    "IN": ("in al, 0x60", {}),
    "OUT": ("out 0xE9, al", {"rax": ord("x")}),
    "INS": ("insb", {"rdi": 0x8000, "rdx": 0x60}),
    "the last of OUTS": ("rep outsb", {"rsi": 0x8000, "rdx": 0x80, "rcx": 1}),
    "RDMSR": ("rdmsr", {"rcx": 0x4000_0000}),
    "WRMSR": ("wrmsr", {"rcx": 0x4000_0000, "rax": 1}),
    "WRMSR of EFER": ("wrmsr", {"rcx": 0xC000_0080, "rax": 0xD01}),
    "HLT": ("hlt", {}),
    "MOV from CR3": ("mov rbx, cr3", {}),
    "MOV to CR3": ("mov cr3, rax", {"rax": 0x3000}),
    "MOV to CR0": ("mov cr0, rax", {"rax": 0x8001_0033}),
    "MOV to CR4": ("mov cr4, rax", {"rax": 0x620}),
    "CLTS": ("clts", {}),
    "MOV from CR8": ("mov rbx, cr8", {}),
    "MOV to CR8": ("mov cr8, rax", {"rax": 3}),
    "MOV from DR7": ("mov rbx, dr7", {}),
    "MOV to DR1": ("mov dr1, rax", {}),
    "INVLPG": ("invlpg [0x9000]", {}),
    "a write to a table": (f"mov qword ptr [{TABLE}], 0", {}),
}


def stepping(code: str, registers: dict[str, int], **parts: object) -> SmallMachine:
    """A machine that is about to execute ``code`` with TF set."""
    made = SmallMachine(f"{code}; inc r15", **parts)  # type: ignore[arg-type]
    for name, value in {"rflags": SINGLE_STEP, **registers}.items():
        made.vp.write(name, value)
    return made


def trapped_behind(machine: SmallMachine, code: str) -> bool:
    """Whether VP 0 stands in the handler of #DB with a frame behind ``code``."""
    machine.run()
    place = machine.vector(), machine.frame().rip, machine.vp.read("dr6"), machine.vp.read("r15")
    traced = bool(machine.frame().rflags & Rflags.TF)
    return traced and place == (Vector.DB, CODE + len(assemble(code)), BS, 0)


@pytest.mark.parametrize("name", COMPLETED)
@pytest.mark.parametrize("mode", MODES)
def test_trap_comes_behind_every_instruction(mode: PagingMode, name: str) -> None:
    code, registers = COMPLETED[name]
    with stepping(code, registers, paging=mode) as machine:
        assert trapped_behind(machine, code)
        assert machine.vp.counters.exceptions[Vector.DB] == 1
        assert machine.vp.counters.blocks == 2  # the instruction, and the handler


@pytest.mark.parametrize("name", COMPLETED)
def test_trap_comes_behind_a_step_as_in_a_run(name: str) -> None:
    code, registers = COMPLETED[name]
    with stepping(code, registers) as machine:
        machine.hypervisor.step(machine.vp)
        if machine.vp.read("rip") != HANDLERS + 0x40 * Vector.DB:
            assert machine.vp.control.event_injection & 0xFF == Vector.DB
        assert trapped_behind(machine, code)


@pytest.mark.parametrize("code", ["cpuid", "vmmcall"])
def test_trap_comes_behind_an_exit_that_was_answered_before_without_tf(code: str) -> None:
    twice = f"again: push {SINGLE_STEP}; test esi, 1; jz on; popfq; on: {code}"
    with SmallMachine(f"{twice}; dec esi; jnz again", registers={"rsi": 2, "rcx": 0x10008}) as machine:
        machine.vp.handle.hypercalls_enabled = True
        machine.run()
        assert (machine.vector(), machine.vp.read("rsi")) == (Vector.DB, 1)
        assert machine.frame().rip == CODE + len(assemble(twice))


@pytest.mark.parametrize("mode", MODES)
def test_trap_comes_behind_each_element_of_a_repeated_port_access(mode: PagingMode) -> None:
    registers = {"rsi": 0x8000, "rdx": 0xE9, "rcx": 3}
    with stepping("rep outsb", registers, paging=mode) as machine:
        machine.run()
        assert (machine.vector(), machine.frame().rip, machine.vp.read("rcx")) == (Vector.DB, CODE, 2)
        assert machine.vp.read("dr6") == BS and machine.partition.console == b"\0"


@pytest.mark.parametrize("call_code", [0x46, 0x7FFF])
def test_trap_comes_behind_a_hypercall(call_code: int) -> None:
    with stepping("vmmcall", {"rcx": call_code}) as machine:
        machine.partition.guest_os_id = 1
        machine.partition.set_hypercall_page(Gpa(0x8000))
        assert trapped_behind(machine, "vmmcall")


@pytest.mark.parametrize("core", list(Core))
def test_trap_comes_behind_a_port_that_nobody_intercepts(core: Core) -> None:
    with stepping("in al, 0x60", {}, core=core) as machine:
        machine.vp.control.intercept_instructions1 &= ~int(Intercept1.IOIO)
        assert trapped_behind(machine, "in al, 0x60")


@pytest.mark.parametrize(("mask", "trapped"), [(0, True), (int(Rflags.TF), False)])
def test_trap_comes_behind_syscall_unless_its_mask_clears_tf(mask: int, trapped: bool) -> None:
    registers = {"efer": 0xD01, "star": 8 << 32, "lstar": ENTRY, "sfmask": mask}
    with stepping("syscall", registers, ring=3) as machine:
        machine.partition.gpa_space.write(ENTRY, b"\xf4")
        machine.run()
        assert (machine.vector() == Vector.DB) is trapped
        assert machine.frame().rip == ENTRY if trapped else machine.vp.read("rip") == ENTRY + 1


@pytest.mark.parametrize(
    ("code", "vector"), [("ud2", 6), ("int 0x80", 0x80), ("int3", 3), ("mov cr3, rax", 13)]
)
def test_no_trap_comes_where_the_instruction_raises_or_is_an_interrupt(code: str, vector: int) -> None:
    with stepping(code, {"rax": 1 << 60}) as machine:
        machine.run()
        assert machine.vector() == vector and machine.vp.read("dr6") == 0xFFFF_0FF0
        assert machine.vp.counters.exceptions[Vector.DB] == 0


def test_trap_ends_a_halt_at_once() -> None:
    with stepping("hlt", {}, handlers={1: "inc ebx; hlt"}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 1 and machine.vp.state is VpState.HALTED


def test_trap_in_ring_3_enters_ring_0() -> None:
    with stepping("cpuid", {}, ring=3) as machine:
        assert trapped_behind(machine, "cpuid") and machine.frame().cs == CODE_3


def test_trap_that_cannot_be_delivered_stops_the_vp_where_a_port_access_was_completed() -> None:
    with stepping("out 0xE9, al", {}) as machine:
        machine.vp.write_segment("idtr", SegmentValue(0, 0, 0, 0))
        machine.run()
        assert machine.vp.state is VpState.TRIPLE_FAULT
