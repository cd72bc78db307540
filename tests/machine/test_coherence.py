"""Code that changes is never executed as it was: by a store, through an alias, by the host, by another VP."""

import pytest
from machines import CODE, PRESENT_WRITABLE_USER, TABLES, SmallMachine

from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode, Stop

MODES = list(PagingMode)
PATCHED = 0x10_2000
ALIAS = 0x20_0000
"""A second GVA of the page ``PATCHED``, when ``with_alias`` has been called."""


def with_alias(machine: SmallMachine) -> None:
    """GVA ``ALIAS`` is mapped to GPA ``PATCHED``."""
    machine.write(TABLES + 0x2008, 0x8000 | PRESENT_WRITABLE_USER)
    machine.write(0x8000, PATCHED | PRESENT_WRITABLE_USER)


def loop(store_to: int) -> str:
    """Two hundred times: write ``mov eax, n; ret`` at ``store_to``, call it at ``PATCHED``, add up EAX."""
    return f"""
        mov ecx, 200
        mov rdi, {store_to}
        mov rsi, {PATCHED}
    again:
        mov byte ptr [rdi], 0xB8
        mov dword ptr [rdi + 1], ecx
        mov byte ptr [rdi + 5], 0xC3
        call rsi
        add rbx, rax
        dec ecx
        jnz again
        hlt
    """


@pytest.mark.parametrize("mode", MODES)
def test_code_rewritten_at_its_own_address_runs_as_it_is_now(mode: PagingMode) -> None:
    with SmallMachine(loop(PATCHED), paging=mode) as machine:
        machine.run(100_000)
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 200 * 201 // 2


def test_code_rewritten_through_another_mapping_runs_as_it_is_now() -> None:
    with SmallMachine(loop(ALIAS)) as machine:
        with_alias(machine)
        machine.run(100_000)
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 200 * 201 // 2


def test_code_rewritten_in_the_page_it_runs_in_runs_as_it_is_now() -> None:
    near = CODE + 0x80
    code = loop(near).replace(str(PATCHED), str(near))
    with SmallMachine(code) as machine:
        machine.run(100_000)
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 200 * 201 // 2


def test_store_into_the_next_instruction_of_the_same_block_is_seen() -> None:
    code = "lea rdi, [rip + there + 1]; mov byte ptr [rdi], 7; there: mov eax, 1; hlt"
    with SmallMachine(code) as machine:
        machine.run()
        assert machine.vp.read("rax") == 7


def test_instruction_that_rewrites_itself_in_a_loop_makes_progress() -> None:
    code = "mov ecx, 50; again: mov byte ptr [rip + again], 0xC6; dec ecx; jnz again; hlt"
    with SmallMachine(code) as machine:
        machine.run(10_000)
        assert machine.vp.state is VpState.HALTED


def test_string_store_over_code_is_seen() -> None:
    code = f"""
        mov rsi, {PATCHED}
        call rsi
        mov ebx, eax
        mov edi, {PATCHED}
        mov eax, 0xC3C38BB8
        mov al, 0x90
        mov ecx, 6
        rep stosb
        mov byte ptr [rdi], 0xC3
        mov eax, 9
        call rsi
        hlt
    """
    with SmallMachine(code) as machine:
        machine.write(PATCHED, 0xC3_0000_0001_B8, 6)
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.read("rax")) == (1, 9)


@pytest.mark.parametrize("mode", MODES)
def test_code_that_the_host_rewrites_between_two_runs_is_seen(mode: PagingMode) -> None:
    code = f"mov rsi, {PATCHED}; again: call rsi; out 0x10, al; jmp again"
    with SmallMachine(code, paging=mode) as machine:
        for number in (1, 0x11, 0x55):
            machine.write(PATCHED, number << 8 | 0xC3_0000_0000_B8, 6)
            assert machine.enter() == Stop.EXIT
            assert machine.vp.read("rax") == number
            machine.hypervisor.complete_port(machine.vp)


def test_code_that_an_exception_frame_overwrites_is_seen() -> None:
    target = PATCHED + 8
    code = f"""
        mov rsi, {target}
        call rsi
        mov eax, 5
        mov rsp, {target + 40}
        jmp undefined
        .org 0xC3
    undefined:
        ud2
    """
    with SmallMachine(code, handlers={6: f"mov rsp, 0xE000; mov rsi, {target}; call rsi; hlt"}) as machine:
        machine.write(target, 0xC3_0000_0001_B8, 6)
        machine.run(100)
        assert machine.read(target) == CODE + 0xC3  # the RIP that was pushed begins with RET
        assert machine.vp.read("rax") == 5


def test_code_that_another_vp_rewrites_is_seen() -> None:
    reader = f"mov rdi, {PATCHED}; again: call rdi; cmp eax, 5; jne again; hlt"
    writer = f"writer: mov byte ptr [{PATCHED + 1}], 5; hlt"
    code = f"test esi, esi; jnz writer; {reader}; {writer}"
    with SmallMachine(code, vps=2) as machine:
        machine.partition.vps[1].write("rsi", 1)
        machine.write(PATCHED, 0xC3_0000_0001_B8, 6)
        machine.run(100_000)
        assert [vp.state for vp in machine.partition.vps] == [VpState.HALTED, VpState.HALTED]


def test_code_that_another_partition_had_in_the_same_frame_is_never_executed() -> None:
    with SmallMachine("mov eax, 1; hlt") as machine:
        machine.run()
        first = machine.partition.gpa_space.spa_of(CODE)
        machine.hypervisor.delete_partition(machine.partition.id)
        again = machine.add_partition("again", "mov eax, 2; hlt")
        assert again.gpa_space.spa_of(CODE) == first
        machine.run()
        assert again.vps[0].read("rax") == 2
