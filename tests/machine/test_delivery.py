"""Exceptions and INT n through the guest's IDT: frames, rings, stacks, error codes, and faults on the way."""

import pytest
from machines import (
    CODE,
    CODE_0,
    CODE_3,
    DATA_0,
    DATA_3,
    GDT,
    IST,
    RSP0,
    SPARE,
    STACK,
    TASK,
    Frame,
    SmallMachine,
    counts,
)

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Rflags

ALWAYS = int(Rflags.ALWAYS_1)
HOLE = 0x4000_0000
"""A GVA that the tables of a small machine do not map."""
ABSENT_DATA = 0x00CF_7300_0000_FFFF
FAULTS: dict[str, tuple[str, Vector, int | None]] = {
    "division by zero": ("xor ecx, ecx; div ecx", Vector.DE, None),
    "ud2": ("ud2", Vector.UD, None),
    "x87 with CR0.TS": (".byte 0xD9, 0xE8", Vector.NM, None),
    "selector beyond the GDT": ("mov eax, 0x1f00; mov ds, eax", Vector.GP, 0x1F00),
    "read of a hole": ("mov eax, [0x40000000]", Vector.PF, 0),
    "write to a hole": ("mov [0x40000000], eax", Vector.PF, 2),
    "fetch from a hole": ("mov eax, 0x40000000; jmp rax", Vector.PF, 0x10),
    "address that is not canonical": ("mov rax, 0x800000000000; mov eax, [rax]", Vector.GP, 0),
    "absent segment": ("mov eax, 0x43; mov ds, eax", Vector.NP, 0x40),
}


def faulting(name: str, ring: int) -> SmallMachine:
    """A machine about to meet the fault ``name``, with CR0.TS set for the x87."""
    made = SmallMachine(FAULTS[name][0], ring=ring)
    made.write(GDT + SPARE, ABSENT_DATA)
    if name.startswith("x87"):
        made.vp.write("cr0", made.vp.read("cr0") | 8)
    return made


@pytest.mark.parametrize("name", FAULTS)
def test_fault_in_ring_0_keeps_the_stack_and_pushes_a_whole_frame(name: str) -> None:
    _, vector, error_code = FAULTS[name]
    with faulting(name, ring=0) as machine:
        machine.run()
        frame = machine.frame(error_code=error_code is not None)
        assert machine.vector() == vector
        assert (frame.cs, frame.ss, frame.rsp, frame.error_code) == (CODE_0, DATA_0, STACK, error_code)
        assert machine.vp.read_segment("ss").selector == DATA_0
        assert counts(machine.vp.counters.exceptions, 32) == {vector: 1}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_in_ring_3_enters_ring_0_on_the_stack_of_the_tss_with_a_null_ss(name: str) -> None:
    _, vector, error_code = FAULTS[name]
    with faulting(name, ring=3) as machine:
        machine.run()
        frame = machine.frame(error_code=error_code is not None)
        assert machine.vector() == vector
        assert machine.vp.read("rsp") == RSP0 - (40 if error_code is None else 48)
        expected = error_code if error_code is None or vector != Vector.PF else error_code | 4
        assert (frame.cs, frame.ss, frame.rsp, frame.error_code) == (CODE_3, DATA_3, STACK, expected)
        assert machine.vp.read_segment("ss").selector == 0 and machine.vp.save_area.cpl == 0


def test_fault_in_the_middle_of_a_block_pushes_the_address_of_its_own_instruction() -> None:
    with SmallMachine("nop; inc eax; nop; mov ecx, [0x40000008]; inc eax") as machine:
        machine.run()
        assert machine.frame(error_code=True).rip == CODE + 4
        assert (machine.vp.read("rax"), machine.vp.read("cr2")) == (1, HOLE + 8)


@pytest.mark.parametrize("misalignment", range(0, 16, 3))
def test_frame_begins_at_a_multiple_of_16_whatever_rsp_was(misalignment: int) -> None:
    with SmallMachine("ud2", registers={"rsp": STACK - misalignment}) as machine:
        machine.run()
        assert machine.vp.read("rsp") == (STACK - misalignment & ~15) - 40
        assert machine.frame().rsp == STACK - misalignment


def test_ist_gives_the_handler_its_own_stack_without_a_change_of_ring() -> None:
    with SmallMachine("ud2") as machine:
        machine.gate(Vector.UD, ist=1)
        machine.run()
        assert machine.vp.read("rsp") == IST - 40
        assert machine.frame() == Frame(CODE, CODE_0, ALWAYS, STACK, DATA_0)


def test_ist_wins_over_rsp0_when_the_ring_changes() -> None:
    with SmallMachine("ud2", ring=3) as machine:
        machine.gate(Vector.UD, ist=1)
        machine.run()
        assert machine.vp.read("rsp") == IST - 40 and machine.frame().ss == DATA_3


@pytest.mark.parametrize(("kind", "kept"), [(0xE, 0), (0xF, int(Rflags.IF))])
def test_only_an_interrupt_gate_clears_if(kind: int, kept: int) -> None:
    with SmallMachine("ud2", registers={"rflags": ALWAYS | int(Rflags.IF)}) as machine:
        machine.gate(Vector.UD, kind=kind)
        machine.run()
        assert machine.frame().rflags & Rflags.IF
        assert machine.vp.read("rflags") & Rflags.IF == kept


def test_handler_starts_without_tf_and_nt_and_with_the_other_flags() -> None:
    flags = ALWAYS | int(Rflags.NT | Rflags.CF | Rflags.DF | Rflags.AC)
    with SmallMachine("ud2", registers={"rflags": flags}) as machine:
        machine.run()
        assert machine.frame().rflags == flags
        assert machine.vp.read("rflags") == flags & ~int(Rflags.NT)


@pytest.mark.parametrize("ring", [0, 3])
def test_iretq_returns_to_the_instruction_behind_int_n(ring: int) -> None:
    with SmallMachine("int 0x80; inc ebx; ud2", ring=ring, handlers={0x80: "inc eax; iretq"}) as machine:
        machine.gate(0x80, dpl=3)
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE + 4
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (1, 1)
        assert machine.frame().cs & 3 == ring


@pytest.mark.parametrize("code", ["int 0x80", "int3", ".byte 0xCD, 3"])
def test_int_n_pushes_the_address_of_the_next_instruction(code: str) -> None:
    length = 1 if code == "int3" else 2
    with SmallMachine(code) as machine:
        machine.run()
        assert machine.vector() == (0x80 if code == "int 0x80" else 3)
        assert machine.frame() == Frame(CODE + length, CODE_0, ALWAYS, STACK, DATA_0)


def test_int_n_through_a_gate_of_ring_0_is_a_gp_in_ring_3_that_names_the_gate() -> None:
    with SmallMachine("nop; int 0x80", ring=3) as machine:
        machine.run()
        assert machine.vector() == Vector.GP
        frame = machine.frame(error_code=True)
        assert (frame.rip, frame.error_code) == (CODE + 1, 0x80 * 8 + 2)


def test_exception_ignores_the_dpl_of_its_gate() -> None:
    with SmallMachine("ud2", ring=3) as machine:
        machine.gate(Vector.UD, dpl=0)
        machine.run()
        assert machine.vector() == Vector.UD


EXTERNAL, IN_IDT = 1, 2
BAD_GATES: dict[str, tuple[dict[str, int], Vector, int]] = {
    "absent": ({"present": 0}, Vector.NP, 6 * 8 | IN_IDT | EXTERNAL),
    "call gate": ({"kind": 0xC}, Vector.GP, 6 * 8 | IN_IDT | EXTERNAL),
    "null selector": ({"selector": 0}, Vector.GP, EXTERNAL),
    "data segment": ({"selector": DATA_0}, Vector.GP, DATA_0 | EXTERNAL),
    "selector beyond the GDT": ({"selector": 0x100}, Vector.GP, 0x100 | EXTERNAL),
    "32-bit code": ({"selector": SPARE}, Vector.GP, SPARE | EXTERNAL),
    "target that is not canonical": ({"to": 1 << 47}, Vector.GP, EXTERNAL),
}


@pytest.mark.parametrize("name", BAD_GATES)
def test_bad_gate_raises_its_own_fault_instead_of_the_first_one(name: str) -> None:
    parts, vector, error_code = BAD_GATES[name]
    with SmallMachine("ud2") as machine:
        machine.write(GDT + SPARE, 0x00CF_9B00_0000_FFFF)
        machine.gate(Vector.UD, **parts)
        machine.run()
        assert machine.vector() == vector
        assert machine.frame(error_code=True).error_code == error_code
        assert machine.frame(error_code=True).rip == CODE


def test_vector_beyond_the_limit_of_the_idt_is_a_gp_that_names_it() -> None:
    with SmallMachine("int 0x80") as machine:
        machine.vp.write_segment("idtr", SegmentValue(0x6000, 0x80 * 16 + 14, 0, 0))
        machine.run()
        assert machine.vector() == Vector.GP
        assert machine.frame(error_code=True).error_code == 0x80 * 8 + 2


def test_stack_that_is_not_canonical_is_an_ss_fault_on_an_ist_stack() -> None:
    with SmallMachine("int 0x80", registers={"rsp": 1 << 50}) as machine:
        machine.gate(Vector.SS, ist=1)
        machine.run()
        assert machine.vector() == Vector.SS
        assert machine.frame(error_code=True).error_code == 0


def test_tss_too_short_for_rsp0_is_an_invalid_tss_fault_that_names_it() -> None:
    with SmallMachine("int 0x80", ring=3) as machine:
        machine.gate(0x80, dpl=3)
        machine.gate(Vector.TS, ist=1)
        machine.vp.write_segment("tr", SegmentValue(0x7000, 10, TASK, 0x8B))
        machine.run()
        assert (
            machine.vp.state is VpState.TRIPLE_FAULT
        )  # #TS needs a stack from the same TSS, and so does #DF


def test_page_fault_while_a_page_fault_is_delivered_is_a_double_fault_with_error_code_0() -> None:
    with SmallMachine("mov eax, [0x40000000]", registers={"rsp": HOLE}) as machine:
        machine.gate(Vector.DF, ist=1)
        machine.run()
        assert machine.vector() == Vector.DF
        frame = machine.frame(error_code=True)
        assert (frame.error_code, frame.rip, frame.rsp) == (0, CODE, HOLE)
        assert machine.vp.read("cr2") == HOLE - 48


def test_page_fault_while_an_undefined_opcode_is_delivered_is_a_page_fault() -> None:
    with SmallMachine("ud2", registers={"rsp": HOLE}) as machine:
        machine.gate(Vector.PF, ist=1)
        machine.run()
        assert machine.vector() == Vector.PF
        frame = machine.frame(error_code=True)
        assert (frame.error_code, frame.rip, machine.vp.read("cr2")) == (2, CODE, HOLE - 40)


def test_general_protection_while_a_page_fault_is_delivered_is_a_double_fault() -> None:
    with SmallMachine("mov eax, [0x40000000]") as machine:
        machine.gate(Vector.PF, kind=0xC)
        machine.run()
        assert machine.vector() == Vector.DF


def test_address_that_is_not_canonical_never_reaches_cr2() -> None:
    with SmallMachine("ud2") as machine:
        machine.vp.write_segment("idtr", SegmentValue(1 << 50, 0xFFF, 0, 0))
        machine.run()
        assert machine.vp.state is VpState.TRIPLE_FAULT
        assert machine.vp.read("cr2") == 0


def test_fault_while_a_double_fault_is_delivered_is_a_shutdown_exit_and_stops_the_vp() -> None:
    with SmallMachine("ud2") as machine:
        machine.vp.write_segment("idtr", SegmentValue(0, 0, 0, 0))
        machine.run()
        assert machine.vp.state is VpState.TRIPLE_FAULT
        assert counts(machine.vp.counters.exits, 272) == {SvmExit.SHUTDOWN: 1}
        assert counts(machine.vp.counters.exceptions, 32) == {}
        assert machine.vp.why == (
            "VP 0 met a third fault on its way to the double-fault handler at RIP 0x100000"
        )


def test_trap_flag_raises_a_debug_exception_behind_each_instruction_with_bs_in_dr6() -> None:
    step = "inc eax; iretq"
    with SmallMachine(
        "push 0x102; popfq; inc ebx; inc ebx; push 2; popfq; ud2", handlers={1: step}
    ) as machine:
        machine.run()
        assert machine.vector() == Vector.UD
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (4, 2)
        assert machine.vp.read("dr6") == 0xFFFF_4FF0


def test_page_fault_of_an_access_that_crosses_pages_names_the_second_page() -> None:
    with SmallMachine("mov rax, [0x1ffffc]") as machine:
        machine.run()
        assert machine.vector() == Vector.PF
        assert machine.vp.read("cr2") == 0x20_0000


@pytest.mark.parametrize("mode", list(PagingMode))
def test_fetch_from_an_address_that_is_not_canonical_takes_the_time_of_a_block(mode: PagingMode) -> None:
    with SmallMachine("mov rax, 0x800000000000; jmp rax", paging=mode) as machine:
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).rip == 1 << 47
        assert machine.vp.counters.blocks == 3  # the jump, what was not fetched, and the handler


def test_handler_that_cannot_be_fetched_uses_up_time_instead_of_hanging() -> None:
    with SmallMachine("ud2") as machine:
        machine.gate(Vector.UD, to=HOLE)
        machine.gate(Vector.PF, to=HOLE)
        assert machine.run(500) == 500
        assert machine.vp.state is VpState.READY
