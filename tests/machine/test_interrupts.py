"""Events that ring -1 gives a guest: EVENTINJ of every type, and V_IRQ with its window."""

import pytest
from machines import (
    CODE,
    CODE_0,
    CODE_3,
    EXCEPTION,
    INTERRUPT,
    NMI,
    RSP0,
    SOFTWARE,
    TABLES,
    SmallMachine,
    counts,
    event,
    virtual_interrupt,
)

from minihv.hypervisor.register_values import SegmentValue
from minihv.machine.processor import PagingMode, Stop
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Rflags

ON = {"rflags": int(Rflags.ALWAYS_1 | Rflags.IF)}
TYPES = {
    "interrupt": (INTERRUPT, 0x40),
    "NMI": (NMI, 2),
    "exception": (EXCEPTION, 6),
    "software": (SOFTWARE, 0x41),
}


@pytest.mark.parametrize("ring", [0, 3])
@pytest.mark.parametrize("name", TYPES)
def test_injected_event_is_delivered_before_the_next_instruction_whatever_if_says(
    name: str, ring: int
) -> None:
    kind, vector = TYPES[name]
    with SmallMachine("ud2", ring=ring) as machine:
        machine.gate(vector, dpl=3)
        machine.vp.control.next_rip = CODE + 2
        machine.vp.control.event_injection = event(vector, kind)
        machine.run()
        assert machine.vector() == vector
        assert machine.frame().rip == (CODE + 2 if kind == SOFTWARE else CODE)
        assert machine.frame().cs == (CODE_3 if ring else CODE_0)
        assert machine.vp.control.event_injection == 0


def test_injected_exception_pushes_the_error_code_that_it_came_with() -> None:
    with SmallMachine("nop", ring=3) as machine:
        machine.vp.control.event_injection = event(Vector.GP, EXCEPTION, 0x1234)
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).error_code == 0x1234
        assert machine.vp.read("rsp") == RSP0 - 48


def test_injected_page_fault_leaves_cr2_to_the_hypervisor() -> None:
    with SmallMachine("nop") as machine:
        machine.vp.write("cr2", 0x1234_5678)
        machine.vp.control.event_injection = event(Vector.PF, EXCEPTION, 4)
        machine.run()
        assert machine.vector() == Vector.PF and machine.vp.read("cr2") == 0x1234_5678


def test_injected_event_whose_delivery_fails_three_times_is_a_shutdown() -> None:
    with SmallMachine("nop") as machine:
        machine.vp.write_segment("idtr", SegmentValue(0, 0, 0, 0))
        machine.vp.control.event_injection = event(0x40, INTERRUPT)
        assert machine.enter() == Stop.EXIT
        assert machine.vp.control.exit_code == SvmExit.SHUTDOWN


def test_delivery_that_meets_the_second_level_exits_and_keeps_the_event_for_another_try() -> None:
    with SmallMachine("nop", registers={"rsp": 0x1_0000}) as machine:
        machine.hypervisor.memory.fill_zero(machine.vp.control.nested_cr3 + 8, 8)
        machine.write(0x4000, 0x5007, 8)
        machine.write(0x5008, 0x4000_0000 | 0x87)  # GVA 2 MiB leads to a GPA without memory
        machine.vp.write("rsp", 0x20_1000)
        machine.vp.control.event_injection = event(Vector.GP, EXCEPTION, 0x77)
        assert machine.enter() == Stop.EXIT
        assert machine.vp.control.exit_code == SvmExit.NPF
        assert machine.vp.control.exit_info_2 == 0x4000_0000 + 0x1000 - 48
        assert machine.vp.control.exit_interrupt_info == event(Vector.GP, EXCEPTION, 0x77)


def test_virtual_interrupt_waits_until_the_guest_sets_if() -> None:
    with SmallMachine("inc eax; inc eax; push 0x202; popfq; nop; ud2") as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run()
        assert machine.vector() == 0x40 and machine.frame().rip == CODE + 10
        assert machine.vp.read("rax") == 2
        assert machine.vp.counters.interrupts == 1
        assert not machine.vp.control.virtual_interrupt & 1 << 8


@pytest.mark.parametrize("shadow", ["sti", "push 0x202; popfq; mov ss, edx"])
def test_virtual_interrupt_waits_for_the_instruction_behind_sti_or_mov_ss(shadow: str) -> None:
    with SmallMachine(f"{shadow}; inc eax; inc ebx; ud2", registers={"rdx": 0x10}) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        if shadow == "sti":
            machine.run(100)
            assert machine.vector() == 0x40
            assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (1, 0)
        else:  # POPFQ opens the window before MOV SS
            machine.run(100)
            assert (machine.vector(), machine.vp.read("rax")) == (0x40, 0)


def test_interrupt_shadow_ends_with_an_instruction_that_faults_into_a_handler() -> None:
    with SmallMachine("sti; ud2", handlers={6: "sti; nop; nop; hlt"}) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run(100)
        assert machine.vector() == 0x40
        assert counts(machine.vp.counters.exceptions, 32) == {6: 1}


def test_shadow_given_by_the_hypervisor_holds_an_interrupt_back_for_one_instruction() -> None:
    with SmallMachine("inc eax; inc eax; ud2", registers=ON) as machine:
        machine.vp.control.interrupt_shadow = 1
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run(100)
        assert (machine.vector(), machine.vp.read("rax")) == (0x40, 1)


@pytest.mark.parametrize(
    ("priority", "tpr", "ignore", "arrives"), [(4, 3, 0, 1), (4, 4, 0, 0), (4, 9, 0, 0), (4, 9, 1, 1)]
)
def test_virtual_interrupt_must_be_above_the_task_priority(
    priority: int, tpr: int, ignore: int, arrives: int
) -> None:
    with SmallMachine("nop; ud2", registers=ON) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(
            0x40, priority=priority, tpr=tpr, ignore_tpr=bool(ignore)
        )
        machine.run(100)
        assert machine.vector() == (0x40 if arrives else 6)


def test_guest_holds_interrupts_back_with_cr8_and_lets_them_in_again() -> None:
    code = (
        "mov eax, 9; mov cr8, rax; sti; nop; inc ebx; mov rcx, cr8; xor eax, eax; mov cr8, rax; inc ebx; ud2"
    )
    with SmallMachine(code) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40, priority=4)
        machine.run(100)
        assert machine.vector() == 0x40
        assert (machine.vp.read("rbx"), machine.vp.read("rcx")) == (1, 9)
        assert machine.vp.control.virtual_interrupt & 15 == 0


def test_task_priority_has_four_bits_and_more_raise_a_gp() -> None:
    with SmallMachine("mov eax, 16; mov cr8, rax") as machine:
        machine.run(100)
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).error_code == 0


def test_virtual_interrupt_changes_the_ring() -> None:
    with SmallMachine("nop; jmp .-1", ring=3, registers=ON) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run(100)
        assert machine.vector() == 0x40 and machine.frame().cs == CODE_3
        assert machine.vp.read("rsp") == RSP0 - 40


def test_interrupt_window_is_an_exit_when_the_hypervisor_asks_for_it() -> None:
    with SmallMachine("nop; sti; nop; inc eax; ud2") as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0)
        machine.vp.control.intercept_instructions1 |= 1 << 4
        assert machine.enter() == Stop.EXIT
        assert (machine.vp.control.exit_code, machine.vp.read("rip")) == (SvmExit.VINTR, CODE + 3)
        assert machine.vp.counters.interrupts == 0


def test_injected_event_comes_before_a_pending_virtual_interrupt() -> None:
    with SmallMachine("nop", registers=ON, handlers={0x41: "sti; nop; hlt"}) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.vp.control.event_injection = event(0x41, INTERRUPT)
        machine.run(100)
        assert machine.vector() == 0x40 and machine.vp.counters.interrupts == 2


def test_interrupt_that_is_pending_behind_sti_wakes_the_hlt() -> None:
    with SmallMachine("sti; hlt; hlt") as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run()
        assert machine.vector() == 0x40 and machine.frame().rip == CODE + 2
        assert machine.vp.counters.interrupts == 1


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize(
    "code",
    ["nop", "in al, 0x60", "rdmsr", "rdtsc", "mov dr1, rax", "mov cr3, rsi", "mov rax, cr3", "invlpg [0]"],
)
def test_shadow_of_sti_is_one_instruction_long_whoever_completes_it(code: str, mode: PagingMode) -> None:
    registers = {"rcx": 0x4000_0000, "rsi": TABLES}
    with SmallMachine(f"sti; {code}; inc ebx; hlt", paging=mode, registers=registers) as machine:
        machine.vp.control.virtual_interrupt = virtual_interrupt(0x40)
        machine.run()
        assert (machine.vector(), machine.vp.read("rbx")) == (0x40, 0)
        assert machine.vp.counters.blocks == 3  # STI, the instruction, and the handler
