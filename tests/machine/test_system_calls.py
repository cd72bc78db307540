"""SYSCALL and SYSRET, INT n's cheaper cousins; RDTSC and RDTSCP; the registers that go with them."""

import pytest
from assembler import assemble
from machines import CODE, CODE_0, CODE_3, DATA_3, SmallMachine

from minihv.hypervisor.states import VpState
from minihv.machine.processor import Stop
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Rflags

SCE = 0xD01
ENTRY = 0x9000
STAR = 0x18 << 48 | 0x08 << 32


def calling(code: str, handler: str, *, ring: int = 3, efer: int = SCE, mask: int = 0) -> SmallMachine:
    """A machine whose SYSCALL leads to ``handler`` at ``ENTRY``."""
    made = SmallMachine(code, ring=ring)
    made.partition.gpa_space.write(ENTRY, assemble(handler, ENTRY))
    for name, value in {"efer": efer, "star": STAR, "lstar": ENTRY, "sfmask": mask}.items():
        made.vp.write(name, value)
    return made


def test_syscall_enters_ring_0_with_the_return_address_in_rcx_and_the_flags_in_r11() -> None:
    with calling("stc; syscall", "hlt", mask=1) as machine:
        machine.run()
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rip") == ENTRY + 1
        assert (machine.vp.read("rcx"), machine.vp.read("r11")) == (CODE + 3, 3)
        assert machine.vp.read("rflags") == 2
        assert machine.vp.read_segment("cs").selector == CODE_0
        assert machine.vp.read_segment("ss").selector == CODE_0 + 8


def test_syscall_leaves_the_stack_pointer_of_ring_3_as_it_is() -> None:
    with calling("syscall", "hlt") as machine:
        before = machine.vp.read("rsp")
        machine.run()
        assert machine.vp.read("rsp") == before


def test_sysret_goes_back_behind_the_syscall_with_the_old_flags_and_selectors() -> None:
    with calling("stc; syscall; setc bl; ud2", "clc; inc eax; sysretq") as machine:
        machine.run()
        frame = machine.frame()
        assert machine.vector() == Vector.UD
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (1, 1)
        assert (frame.rip, frame.cs, frame.ss) == (CODE + 6, CODE_3, DATA_3)


def test_thousand_system_calls_cost_no_exit_and_no_world_switch() -> None:
    with calling("mov ebx, 1000; again: syscall; dec ebx; jnz again; ud2", "inc eax; sysretq") as machine:
        machine.run(100_000)
        assert machine.vp.read("rax") == 1000
        assert machine.vp.counters.world_switches == 1
        assert sum(machine.vp.counters.exits) == 1  # the HLT of the #UD handler


def test_syscall_without_efer_sce_is_undefined() -> None:
    with calling("syscall", "hlt", efer=0xD00) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE


def test_syscall_clears_the_flags_of_the_mask_and_no_others() -> None:
    mask = int(Rflags.DF | Rflags.CF)
    with calling("std; stc; xor eax, eax; stc; syscall", "hlt", mask=mask) as machine:
        machine.run()
        assert machine.vp.read("r11") & mask == mask
        assert machine.vp.read("rflags") == int(Rflags.ALWAYS_1 | Rflags.ZF | Rflags.PF)


def test_sysret_in_ring_3_is_a_gp() -> None:
    with calling("sysretq", "hlt") as machine:
        machine.run()
        assert machine.vector() == Vector.GP


READ_TIME = (
    "rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax; nop; jmp next; next: rdtsc; shl rdx, 32; or rax, rdx; hlt"
)


def test_time_stamps_are_a_function_of_blocks_executed() -> None:
    stamps = []
    for _ in range(2):
        with SmallMachine(READ_TIME) as machine:
            machine.run()
            stamps.append((machine.vp.read("rbx"), machine.vp.read("rax"), machine.vp.counters.blocks))
    assert stamps[0] == stamps[1]
    assert 0 < stamps[0][0] < stamps[0][1] <= 4 * stamps[0][2]


def test_tsc_offset_of_the_vmcb_is_added() -> None:
    with SmallMachine("rdtsc; hlt") as machine:
        machine.vp.control.tsc_offset = 0x5_0000_0000
        machine.run()
        assert machine.vp.read("rdx") == 5 and machine.vp.read("rax") < 100


def test_rdtscp_also_gives_tsc_aux() -> None:
    with SmallMachine(
        "mov ecx, 0xC0000103; mov eax, 77; xor edx, edx; wrmsr; xor ecx, ecx; rdtscp; hlt"
    ) as machine:
        machine.run()
        assert machine.vp.read("rcx") == 77 and machine.vp.state is VpState.HALTED


def test_rdtsc_becomes_an_exit_when_the_hypervisor_asks_for_it() -> None:
    with SmallMachine("nop; rdtsc") as machine:
        machine.vp.control.intercept_instructions1 |= 1 << 14
        machine.enter()
        assert machine.vp.counters.exits[SvmExit.RDTSC] == 1
        assert machine.vp.control.exit_code == SvmExit.RDTSC


@pytest.mark.parametrize("number", range(4))
def test_debug_address_registers_keep_what_is_written(number: int) -> None:
    with SmallMachine(
        f"mov rax, 0x123456789AB0; mov dr{number}, rax; xor eax, eax; mov rbx, dr{number}; hlt"
    ) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x1234_5678_9AB0


@pytest.mark.parametrize("code", ["mov rax, dr0", "mov dr7, rax"])
def test_debug_registers_are_ring_0_s(code: str) -> None:
    with SmallMachine(code, ring=3) as machine:
        machine.run()
        assert machine.vector() == Vector.GP


def test_upper_half_of_dr7_must_be_zero() -> None:
    with SmallMachine("mov rax, 0x100000000; mov dr7, rax") as machine:
        machine.run()
        assert machine.vector() == Vector.GP


def test_dr4_is_dr6_until_cr4_de_makes_it_undefined() -> None:
    with SmallMachine("mov rbx, dr4; mov rax, cr4; or eax, 8; mov cr4, rax; mov rcx, dr4; hlt") as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0xFFFF_0FF0 and machine.vector() == Vector.UD


@pytest.mark.parametrize(
    "code", ["vmrun rax", "vmload rax", "vmsave rax", "stgi", "clgi", "skinit", "invlpga rax, ecx"]
)
def test_svm_instructions_do_not_exist_for_a_guest(code: str) -> None:
    with SmallMachine(code) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE


def test_vmmcall_of_ring_3_is_undefined() -> None:
    with SmallMachine("vmmcall", ring=3) as machine:
        machine.run()
        assert machine.vector() == Vector.UD


def test_budget_ends_at_exactly_so_many_blocks_and_changes_nothing_in_them() -> None:
    code = "mov ecx, 1000; again: inc rax; dec ecx; jnz again; hlt"
    with SmallMachine(code) as cut, SmallMachine(code) as whole:
        for budget in (1, 1, 2, 3, 50, 200):
            before = cut.vp.counters.blocks
            assert cut.enter(budget) == Stop.BUDGET
            assert cut.vp.counters.blocks == before + budget
        cut.run(100_000), whole.run(100_000)
        assert cut.vp.read("rax") == 1000 == whole.vp.read("rax")
        assert cut.vp.counters.blocks == whole.vp.counters.blocks
