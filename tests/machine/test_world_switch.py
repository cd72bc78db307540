"""World switches: every register of a VP is its own, and comes back as it was left."""

import pytest
from machines import CODE, SmallMachine

from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode

LOAD = """
    mov rax, rsi
    imul rax, rax, 0x11
    mov dr0, rax
    mov dr3, rax
    movq xmm0, rax
    movq xmm15, rax
    push rax
    fninit
    fild qword ptr [rsp]
    fild qword ptr [rsp]
    pop rax
    mov rbx, rax
    mov r15, rax
    mov ecx, 0xC0000100
    xor edx, edx
    wrmsr
    mov ecx, 0xC0000102
    wrmsr
    mov cr2, rax
    push 0x1F80
    xor dword ptr [rsp], 0x2000
    test esi, 1
    jz same
    ldmxcsr [rsp]
same:
    pop rcx
"""
WAIT = "mov ecx, 60000; spin: dec ecx; jnz spin;"
"""Three turns of a VP that shares its LP."""
CHECK = """
    mov rdx, rsi
    imul rdx, rdx, 0x11
    xor edi, edi
    mov rax, dr0
    cmp rax, rdx; setne cl; or dil, cl
    mov rax, dr3
    cmp rax, rdx; setne cl; or dil, cl
    movq rax, xmm0
    cmp rax, rdx; setne cl; or dil, cl
    movq rax, xmm15
    cmp rax, rdx; setne cl; or dil, cl
    sub rsp, 16
    fistp qword ptr [rsp]
    fistp qword ptr [rsp + 8]
    pop rax
    cmp rax, rdx; setne cl; or dil, cl
    pop rax
    cmp rax, rdx; setne cl; or dil, cl
    cmp rbx, rdx; setne cl; or dil, cl
    cmp r15, rdx; setne cl; or dil, cl
    mov rax, cr2
    cmp rax, rdx; setne cl; or dil, cl
    mov r8, rdx
    mov ecx, 0xC0000100
    rdmsr
    cmp rax, r8; setne cl; or dil, cl
    mov ecx, 0xC0000102
    rdmsr
    cmp rax, r8; setne cl; or dil, cl
    push 0
    stmxcsr [rsp]
    pop rax
    shr eax, 13
    mov edx, esi
    xor eax, edx
    and eax, 1
    or edi, eax
    hlt
"""


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize("lps", [1, 3])
def test_vps_that_take_turns_keep_their_x87_sse_debug_and_system_registers(
    mode: PagingMode, lps: int
) -> None:
    with SmallMachine(LOAD + WAIT + CHECK, vps=4, lps=lps, paging=mode) as machine:
        for vp in machine.partition.vps:
            vp.write("rsi", 0x1001 + vp.index)
        machine.run(2_000_000)
        assert [vp.state for vp in machine.partition.vps] == [VpState.HALTED] * 4
        assert [vp.read("rdi") for vp in machine.partition.vps] == [0] * 4
        assert all(vp.counters.world_switches > 2 for vp in machine.partition.vps)


def test_flags_survive_a_world_switch_in_the_middle_of_a_loop() -> None:
    loop = "again: setc al; or bl, al; inc r8; dec ecx; jnz again"
    code = f"mov ecx, 100000; clc; std; {loop}; pushfq; pop rdx; hlt"
    with SmallMachine(code, vps=2) as machine:
        machine.run(2_000_000)
        assert [vp.read("rdx") & 0x400 for vp in machine.partition.vps] == [0x400, 0x400]
        assert [vp.read("rbx") for vp in machine.partition.vps] == [0, 0]


def test_two_partitions_run_their_own_code_at_the_same_address() -> None:
    with SmallMachine("mov eax, 1; cpuid; mov edi, 1; hlt", partitions=2) as machine:
        other = machine.add_partition("other", "mov edi, 2; mov eax, 1; cpuid; hlt")
        machine.run()
        assert machine.vp.read("rdi") == 1 and other.vps[0].read("rdi") == 2


def test_short_exit_is_not_taken_for_one_that_another_vp_has_at_the_same_address() -> None:
    with SmallMachine("xor eax, eax; cpuid; mov edi, 1; hlt", partitions=2) as machine:
        other = machine.add_partition("other", "xor eax, eax; .byte 0xF3, 0x0F, 0xA2; mov edi, 2; hlt")
        machine.run()
        assert machine.vp.read("rdi") == 1
        assert other.vps[0].read("rdi") == 2 and other.vps[0].read("rip") == CODE + 11


def test_world_switch_happens_once_while_one_vp_runs_alone() -> None:
    with SmallMachine("mov ecx, 5000; again: dec ecx; jnz again; cpuid; hlt") as machine:
        machine.run(100_000)
        assert machine.vp.counters.world_switches == 1


def test_register_that_the_hypervisor_edits_takes_effect_at_the_next_entry() -> None:
    with SmallMachine("out 0x10, al; hlt") as machine:
        machine.enter()
        machine.vp.write("rip", CODE + 2)
        machine.vp.write("cr2", 0xABC000)
        machine.run()
        assert machine.vp.state is VpState.HALTED and machine.vp.read("cr2") == 0xABC000


def test_dr6_of_a_vp_comes_back_after_another_has_run() -> None:
    code = "mov rax, 0xFFFF0FF1; xor rax, rsi; mov dr6, rax;" + WAIT + "mov rbx, dr6; hlt"
    with SmallMachine(code, vps=2) as machine:
        machine.partition.vps[1].write("rsi", 3)
        machine.run(1_000_000)
        assert [vp.read("rbx") for vp in machine.partition.vps] == [0xFFFF_0FF1, 0xFFFF_0FF2]
