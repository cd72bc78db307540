"""Pages of the hypervisor's in a guest's memory: what happens to a guest that leans on one."""

import pytest
from machines import CODE, SmallMachine

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.spec.x86_exceptions import Vector

PAGE = 0x5_0000
ENABLE = f"""
    mov ecx, 0x40000000
    mov eax, 1
    xor edx, edx
    wrmsr
    mov ecx, 0x40000001
    mov eax, {PAGE | 1}
    wrmsr
"""


def test_write_to_the_hypercall_page_is_a_gp_and_leaves_it_as_it_was() -> None:
    with SmallMachine(f"{ENABLE} mov dword ptr [{PAGE}], 0; hlt") as machine:
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).error_code == 0
        spa = machine.partition.gpa_space.overlay_at(PAGE)
        assert spa is not None and machine.hypervisor.memory.read(spa.spa, 4) == b"\x0f\x01\xd9\xc3"


def test_page_behind_the_hypercall_page_comes_back_as_it_was_left() -> None:
    away = f"mov ecx, 0x40000001; mov eax, {PAGE}; wrmsr; mov rbx, [{PAGE}]; hlt"
    with SmallMachine(
        f"mov rax, 0x1122334455667788; mov [{PAGE}], rax; {ENABLE} mov rsi, [{PAGE}]; {away}"
    ) as machine:
        machine.run()
        assert machine.vp.read("rsi") == 0xC3D9_010F and machine.vp.read("rbx") == 0x1122_3344_5566_7788


@pytest.mark.parametrize("vector", [Vector.UD, Vector.PF])
def test_stack_on_the_hypercall_page_is_a_double_fault_for_an_exception(vector: Vector) -> None:
    fault = "ud2" if vector == Vector.UD else "mov eax, [0x40000000]"
    with SmallMachine(f"{ENABLE} mov rsp, {PAGE + 0x800}; {fault}") as machine:
        machine.gate(Vector.DF, ist=1)
        machine.run(1000)
        assert machine.vector() == Vector.DF
        assert machine.frame(error_code=True).error_code == 0


def test_every_stack_on_the_hypercall_page_is_a_triple_fault() -> None:
    with SmallMachine(f"{ENABLE} mov rsp, {PAGE + 0x800}; ud2") as machine:
        machine.run(1000)
        assert machine.vp.state is VpState.TRIPLE_FAULT


def test_page_tables_on_the_hypercall_page_end_the_vp_instead_of_hanging_it() -> None:
    with SmallMachine(f"{ENABLE} mov eax, {PAGE}; mov cr3, rax; nop; hlt") as machine:
        machine.run(1000)
        assert machine.vp.state is VpState.TRIPLE_FAULT


def test_idt_in_a_hole_of_the_gpa_space_suspends_the_vp_and_says_why() -> None:
    with SmallMachine("ud2") as machine:
        machine.write(0x4000, 0x5007)
        machine.write(0x5008, 0x4000_0087)
        machine.vp.write_segment("idtr", SegmentValue(0x20_0000, 0xFFF, 0, 0))
        machine.run(1000)
        assert machine.vp.state is VpState.SUSPENDED
        assert machine.vp.why == (
            "VP 0 read GPA 0x40000060, where its partition has no memory and no parent answers"
        )
        assert machine.vp.read("rip") == CODE
