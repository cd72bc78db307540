"""A VP without paging: real mode, protected mode, and the ways from there to long mode and back."""

from collections.abc import Mapping

import pytest
from assembler import assemble
from machines import CODE_0, DATA_0, EFER, GDT, SPARE, TABLES, TASK, TSS, SmallMachine, counts

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Cr0, Cr4, Efer, Rflags

LOW, LOW_STACK, HANDLER, LOW_IDT = 0x8000, 0x7000, 0x9000, 0x6000
"""All below 64 KiB, so that a segment with base 0 reaches them."""
CODE_32, CODE_16, DATA_32, OTHER_RING = SPARE, SPARE + 8, DATA_0, 0x20 | 3
HALT = ".code16; hlt"
REAL_CR0, PROTECTED_CR0 = int(Cr0.ET), int(Cr0.ET | Cr0.PE)
DESCRIPTORS = {CODE_32: 0x00CF_9B00_0000_FFFF, CODE_16: 0x000F_9B00_0000_FFFF}
BITS = {16: 0x9B, 32: 0xC09B}
MODES = [PagingMode.SLAT, PagingMode.SHADOW, PagingMode.HARDWARE]
modes = pytest.mark.parametrize("paging", MODES, ids=lambda mode: mode.value)


def legacy(
    code: str,
    bits: int,
    *,
    handlers: Mapping[int, str] | None = None,
    paging: PagingMode = PagingMode.SLAT,
    core: Core = Core.NATIVE,
    registers: Mapping[str, int] | None = None,
) -> SmallMachine:
    """A VP in real mode (16 bits) or in protected mode (32 bits), about to execute ``code`` in ring 0.

    Each vector has a gate, or its four bytes in real mode, to code that halts unless ``handlers`` say more.
    """
    made, real = SmallMachine("hlt", paging=paging, core=core), bits == 16
    write = made.partition.gpa_space.write
    write(LOW, assemble(f".code{bits}; {code}", LOW))
    for selector, word in DESCRIPTORS.items():
        made.write(GDT + selector, word)
    for vector in range(64):
        target = HANDLER + 16 * vector
        text = (handlers or {}).get(vector, "hlt")
        write(target, assemble(f".code{bits}; {text}", target))
        if real:
            made.write(4 * vector, target, 4)
        else:
            made.write(LOW_IDT + 8 * vector, gate(target))
    vp = made.vp
    data = SegmentValue(0, 0xFFFF if real else 0xFFFF_FFFF, 0 if real else DATA_32, 0x93 if real else 0xC093)
    for name in ("ds", "es", "fs", "gs", "ss"):
        vp.write_segment(name, data)
    vp.write_segment("cs", SegmentValue(0, 0xFFFF_FFFF, 0 if real else CODE_32, BITS[bits]))
    vp.write_segment("idtr", SegmentValue(0 if real else LOW_IDT, 0x1FF, 0, 0))
    vp.write_segment("gdtr", SegmentValue(GDT, CODE_16 + 7, 0, 0))
    values = {"cr0": REAL_CR0 if real else PROTECTED_CR0, "efer": 0, "cr4": 0, "rip": LOW, "rsp": LOW_STACK}
    for register, value in (values | dict(registers or {})).items():
        vp.write(register, value)
    return made


def gate(target: int, *, kind: int = 0xE, dpl: int = 0, selector: int = CODE_32, present: int = 1) -> int:
    """Eight bytes of a protected-mode IDT."""
    low = target & 0xFFFF | selector << 16
    return low | (target & 0xFFFF_0000 | kind << 8 | dpl << 13 | present << 15) << 32


def pushed(machine: SmallMachine, count: int, byte_count: int) -> list[int]:
    """The ``count`` values on top of the stack, of ``byte_count`` bytes each."""
    top = machine.vp.read("rsp")
    return [machine.read(top + byte_count * index, byte_count) for index in range(count)]


def vector_met(machine: SmallMachine) -> int:
    """The handler that the VP halted in."""
    return (machine.vp.read("rip") - 1 - HANDLER) // 16


# --- Real mode --------------------------------------------------------------------------------------------


@modes
def test_interrupt_of_real_mode_pushes_three_words_and_clears_if(paging: PagingMode) -> None:
    with legacy("sti; nop; int 0x21; nop", 16, paging=paging) as machine:
        machine.run()
        assert vector_met(machine) == 0x21
        assert pushed(machine, 3, 2) == [LOW + 4, 0, int(Rflags.ALWAYS_1 | Rflags.IF)]
        assert machine.vp.read("rsp") == LOW_STACK - 6
        assert not machine.vp.read("rflags") & Rflags.IF


def test_exception_of_real_mode_pushes_no_error_code_and_names_its_instruction() -> None:
    with legacy("nop; xor cx, cx; div cx", 16) as machine:
        machine.run()
        assert (vector_met(machine), pushed(machine, 1, 2)) == (Vector.DE, [LOW + 3])
        assert counts(machine.vp.counters.exceptions, 32) == {Vector.DE: 1}


def test_iret_of_real_mode_goes_on_behind_the_interrupt() -> None:
    with legacy("mov bx, 1; int 0x20; add bx, 4; hlt", 16, handlers={0x20: "add bx, 2; iret"}) as machine:
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.read("rsp")) == (7, LOW_STACK)


def test_stack_pointer_of_real_mode_wraps_at_64_kib() -> None:
    with legacy("int 0x20", 16, registers={"rsp": 2}) as machine:
        machine.run()
        assert machine.vp.read("rsp") == 0xFFFC
        assert [machine.read(at, 2) for at in (0, 0xFFFE, 0xFFFC)] == [2, 0, LOW + 2]


def test_vector_beyond_the_table_of_real_mode_is_a_general_protection_fault() -> None:
    with legacy("int 0x21", 16) as machine:
        machine.vp.write_segment("idtr", SegmentValue(0, 4 * 0x21 - 1, 0, 0))
        machine.run()
        assert (vector_met(machine), pushed(machine, 1, 2)) == (Vector.GP, [LOW])


def test_no_table_at_all_ends_in_a_triple_fault() -> None:
    with legacy("int 0x21", 16) as machine:
        machine.vp.write_segment("idtr", SegmentValue(0, 0, 0, 0))
        machine.run()
        assert machine.vp.state is VpState.TRIPLE_FAULT


def test_external_interrupt_reaches_real_mode() -> None:
    with legacy("sti; again: hlt; jmp again", 16, handlers={0x30: "mov bx, 7; cli; hlt"}) as machine:
        machine.vp.apic.request(0x30)
        machine.run()
        assert machine.vp.read("rbx") == 7 and machine.vp.counters.interrupts == 1


def test_trace_flag_stops_real_mode_behind_each_instruction() -> None:
    count = "inc bx; iret"
    code = "pushf; pop ax; or ax, 0x100; push ax; popf; nop; nop; nop; hlt"
    with legacy(code, 16, handlers={1: count}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 4


def test_string_input_of_real_mode_wraps_within_its_segment() -> None:
    with legacy("mov cx, 3; mov di, 0xffff; mov dx, 0x80; rep insb; hlt", 16) as machine:
        machine.vp.write_segment("es", SegmentValue(0x4_0000, 0xFFFF, 0x4000, 0x93))
        machine.run()
        vp = machine.vp
        assert (vp.read("rdi"), vp.read("rcx")) == (2, 0)
        assert machine.read(0x4_FFFF, 1) == 0xFF and machine.read(0x4_0000, 3) == 0xFFFF
        assert machine.read(0x5_0000, 1) == 0


@pytest.mark.parametrize("operand", ["[bx+si+0x20]", "[bp+di]", "[si]", "[0x30]", "ds:[ebp*2]"])
def test_instruction_of_real_mode_reaches_the_apic_page(operand: str) -> None:
    with legacy(f"mov eax, ds:{operand.removeprefix('ds:')}; hlt", 16) as machine:
        values = {"rbx": 8, "rsi": 0x30 if operand == "[si]" else 8, "rbp": 0x18, "rdi": 0x18}
        for name, value in values.items():
            machine.vp.write(name, value)
        machine.vp.write_segment("ds", SegmentValue(0xFEE0_0000, 0xFFFF, 0, 0x93))
        machine.run()
        assert machine.vp.read("rax") == machine.vp.apic_registers.read(0x30)


# --- Protected mode ---------------------------------------------------------------------------------------


@modes
def test_interrupt_of_protected_mode_pushes_three_doublewords(paging: PagingMode) -> None:
    with legacy("sti; nop; int 0x21", 32, paging=paging) as machine:
        machine.run()
        assert vector_met(machine) == 0x21
        assert pushed(machine, 3, 4) == [LOW + 4, CODE_32, int(Rflags.ALWAYS_1 | Rflags.IF)]
        assert not machine.vp.read("rflags") & Rflags.IF


def test_exception_of_protected_mode_pushes_its_error_code_below() -> None:
    with legacy("mov eax, 0x1f00; mov ds, eax", 32) as machine:
        machine.run()
        assert (vector_met(machine), pushed(machine, 3, 4)) == (Vector.GP, [0x1F00, LOW + 5, CODE_32])


def test_trap_gate_of_protected_mode_leaves_interrupts_on() -> None:
    with legacy("sti; nop; int 0x21", 32, handlers={0x21: "mov ebx, 3; cli; hlt"}) as machine:
        machine.write(LOW_IDT + 8 * 0x21, gate(HANDLER + 16 * 0x21, kind=0xF))
        machine.run(4)
        assert machine.vp.read("rbx") == 3 and pushed(machine, 3, 4)[2] & Rflags.IF


def test_sixteen_bit_gate_pushes_words() -> None:
    with legacy("int 0x21", 32) as machine:
        machine.write(LOW_IDT + 8 * 0x21, gate(HANDLER + 16 * 0x21, kind=6))
        machine.run()
        assert pushed(machine, 3, 2) == [LOW + 2, CODE_32, 2]
        assert machine.vp.read("rsp") == LOW_STACK - 6


def in_ring_3(code: str) -> SmallMachine:
    """The same in ring 3 of protected mode, with a TSS whose stack of ring 0 is at 0x5000."""
    made = legacy(code, 32)
    made.vp.write_segment("cs", SegmentValue(0, 0xFFFF_FFFF, 0x18 | 3, 0xC0FB))
    made.vp.write_segment("ss", SegmentValue(0, 0xFFFF_FFFF, OTHER_RING, 0xC0F3))
    made.vp.write_segment("tr", SegmentValue(TSS, 0x67, TASK, 0x8B))
    made.write(TSS + 4, 0x5000 | DATA_32 << 32)
    made.write(LOW_IDT + 8 * 0x21, gate(HANDLER + 16 * 0x21, dpl=3))
    return made


def test_ring_3_of_protected_mode_enters_ring_0_on_the_stack_of_the_tss() -> None:
    with in_ring_3("int 0x21") as machine:
        machine.run()
        assert pushed(machine, 5, 4) == [LOW + 2, 0x18 | 3, 2, LOW_STACK, OTHER_RING]
        assert machine.vp.read("rsp") == 0x5000 - 20
        assert (machine.vp.read_segment("ss").selector, machine.vp.save_area.cpl) == (DATA_32, 0)


def test_iret_of_protected_mode_goes_back_to_ring_3() -> None:
    with in_ring_3("int 0x21; add ebx, 4; hlt") as machine:
        add_2_and_iretd = bytes.fromhex("83c302 cf")
        machine.partition.gpa_space.write(HANDLER + 16 * 0x21, add_2_and_iretd)
        machine.run()
        assert (machine.vp.read("rbx"), vector_met(machine)) == (6, Vector.GP)  # HLT is none of ring 3's


@pytest.mark.parametrize(
    ("wrong", "met"),
    [
        (gate(HANDLER, kind=5), (Vector.GP, 0x21 * 8 + 2)),  # a task gate
        (gate(HANDLER, present=0), (Vector.NP, 0x21 * 8 + 2)),
        (gate(HANDLER, selector=0), (Vector.GP, 0)),
        (gate(HANDLER, selector=DATA_32), (Vector.GP, DATA_32)),
        (gate(HANDLER, selector=0x1F00), (Vector.GP, 0x1F00)),
    ],
    ids=["task gate", "absent", "null selector", "data", "beyond the GDT"],
)
def test_wrong_gate_of_protected_mode_is_a_fault_that_names_it(wrong: int, met: tuple[int, int]) -> None:
    with legacy("int 0x21", 32) as machine:
        machine.write(LOW_IDT + 8 * 0x21, wrong)
        machine.run()
        assert (vector_met(machine), pushed(machine, 2, 4)) == (met[0], [met[1], LOW])


@pytest.mark.parametrize(
    ("stack", "met"),
    [
        (0x5000, (Vector.TS, 0)),
        (0x5000 | CODE_32 << 32, (Vector.TS, CODE_32)),
        (0x5000 | OTHER_RING << 32, (Vector.TS, OTHER_RING & ~3)),
        (0x5000 | 0x1F00 << 32, (Vector.TS, 0x1F00)),
    ],
    ids=["null", "code", "of ring 3", "beyond the GDT"],
)
def test_wrong_stack_in_the_tss_is_a_fault_that_names_it(stack: int, met: tuple[int, int]) -> None:
    """Its handler lies in ring 3, so that it needs no stack of the TSS."""
    with in_ring_3("int 0x21") as machine:
        machine.write(TSS + 4, stack)
        machine.write(LOW_IDT + 8 * Vector.TS, gate(HANDLER + 16 * Vector.TS, selector=0x18 | 3))
        machine.write(LOW_IDT + 8 * Vector.GP, gate(HANDLER + 16 * Vector.GP, selector=0x18 | 3))
        machine.partition.gpa_space.write(HANDLER + 16 * Vector.TS, bytes.fromhex("ebfe"))
        machine.run(10)
        assert machine.vp.read("rip") == HANDLER + 16 * met[0]
        assert pushed(machine, 3, 4) == [met[1], LOW, 0x18 | 3]


def test_exception_in_virtual_8086_mode_is_a_triple_fault() -> None:
    enter_vm = "push 0; push 0; push 0; push 0; push 0; push 0x7000; push 0x20002; push 0; push 0x9000; iretd"
    with legacy(enter_vm, 32) as machine:
        machine.run()
        assert machine.vp.state is VpState.TRIPLE_FAULT


def test_memory_that_is_not_there_is_the_business_of_ring_minus_1_without_paging_too() -> None:
    with legacy("mov eax, [0x40000000]", 32) as machine:
        machine.run()
        assert machine.vp.state is VpState.SUSPENDED and "0x40000000" in machine.vp.why
        assert machine.vp.counters.exits[SvmExit.NPF - 0x400 + 256] == 1


# --- Between the modes ------------------------------------------------------------------------------------

TO_PROTECTED = (
    "mov eax, cr0; or al, 1; mov cr0, eax; .byte 0x66, 0xea; .long there; .word 0x40; .code32; there: "
)
TO_COMPATIBILITY = (
    f"mov eax, {TABLES}; mov cr3, eax; mov eax, {int(Cr4.PAE)}; mov cr4, eax; mov ecx, 0xc0000080; "
    f"mov eax, {int(Efer.LME)}; xor edx, edx; wrmsr; mov eax, cr0; or eax, 0x80000000; mov cr0, eax; "
)
TO_LONG = f"push {CODE_0}; push offset wide; retf; .code64; wide: "
BACK = (
    f"push {CODE_32}; push offset back; retfq; .code32; back: "
    "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; "
)


@modes
@pytest.mark.parametrize("core", [Core.NATIVE, Core.REFERENCE], ids=lambda core: core.value)
def test_way_to_long_mode_and_back(paging: PagingMode, core: Core) -> None:
    code = f"{TO_PROTECTED} mov bl, 1; {TO_COMPATIBILITY} mov bh, 2; {TO_LONG} mov r9, -1; {BACK} hlt"
    with legacy(code, 16, paging=paging, core=core) as machine:
        machine.run()
        vp = machine.vp
        assert vp.state is VpState.HALTED
        assert (vp.read("rbx"), vp.read("cr0"), vp.code_bits) == (0x201, PROTECTED_CR0, 32)
        assert vp.read("efer") == int(Efer.LME)


@pytest.mark.parametrize(
    ("bits", "setup", "code"),
    [
        (32, {}, "mov eax, 0x80000011; mov cr0, eax"),
        (32, {"efer": int(Efer.LME)}, "mov eax, 0x80000011; mov cr0, eax"),
        (32, {"cr4": int(Cr4.PAE)}, "mov eax, 0x80000011; mov cr0, eax"),
        (16, {"efer": int(Efer.LME), "cr4": int(Cr4.PAE)}, "mov eax, 0x80000010; mov cr0, eax"),
        (32, {}, "mov eax, 0x20000011; mov cr0, eax"),
        (32, {}, "mov eax, 0x400; mov cr4, eax; mov eax, 0x80000000; mov cr4, eax"),
    ],
    ids=["legacy paging", "without PAE", "without LME", "without PE", "NW without CD", "unknown bit of CR4"],
)
def test_write_that_no_mode_allows_is_a_general_protection_fault(
    bits: int, setup: dict[str, int], code: str
) -> None:
    with legacy(code, bits, registers=setup) as machine:
        before = machine.vp.read("cr0")
        machine.run()
        assert (vector_met(machine), machine.vp.read("cr0")) == (Vector.GP, before)


@pytest.mark.parametrize(
    "code",
    [
        "mov rax, cr0; btr rax, 31; mov cr0, rax",
        "mov rax, cr0; btr rax, 0; mov cr0, rax",
        "mov rax, cr4; btr rax, 5; mov cr4, rax",
        "mov rax, cr4; bts rax, 12; mov cr4, rax",
        f"mov ecx, 0xc0000080; mov eax, {EFER & ~int(Efer.LME)}; xor edx, edx; wrmsr",
    ],
    ids=["no PG", "no PE", "no PAE", "LA57", "no LME"],
)
def test_long_mode_is_not_left_from_64_bit_code(code: str) -> None:
    with SmallMachine(code) as machine:
        machine.run()
        assert machine.vector() == Vector.GP


def test_long_mode_enable_may_be_written_as_long_as_there_is_no_paging() -> None:
    code = "mov ecx, 0xc0000080; mov eax, 0x100; xor edx, edx; wrmsr; rdmsr; mov ebx, eax; hlt"
    with legacy(code, 32) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x100


def test_syscall_is_an_invalid_opcode_outside_long_mode() -> None:
    with legacy("syscall", 32, registers={"efer": int(Efer.SCE)}) as machine:
        machine.run()
        assert vector_met(machine) == Vector.UD


# --- What others see --------------------------------------------------------------------------------------


@modes
def test_steps_and_a_run_end_alike_in_real_mode(paging: PagingMode) -> None:
    code = "mov cx, 3; mov di, 0x200; mov al, 5; rep stosb; mov cx, 2; l: dec cx; jnz l; int 0x20; hlt"
    handlers = {0x20: "add bx, 2; iret"}
    with legacy(code, 16, handlers=handlers, paging=paging) as stepped:
        while stepped.vp.state is VpState.READY:
            stepped.hypervisor.step(stepped.vp)
        with legacy(code, 16, handlers=handlers, paging=paging) as ran:
            ran.vp.write_segment("cs", SegmentValue(0, 0xFFFF, 0, BITS[16]))
            ran.run()
            for name in ("rip", "rbx", "rcx", "rdi", "rsp"):
                assert ran.vp.read(name) == stepped.vp.read(name)
            assert ran.vp.counters.blocks == stepped.vp.counters.blocks


def test_code_segment_with_a_base_is_stepped_and_run_alike() -> None:
    code = "mov cx, 5; l: dec cx; jnz l; hlt"
    ends = []
    for stepping in (True, False):
        with legacy(code, 16) as machine:
            machine.vp.write_segment("cs", SegmentValue(LOW, 0xFFFF, LOW >> 4, BITS[16]))
            machine.vp.write("rip", 0)
            if stepping:
                while machine.vp.state is VpState.READY:
                    machine.hypervisor.step(machine.vp)
            machine.run()
            ends.append((machine.vp.state, machine.vp.read("rip"), int(machine.vp.counters.blocks)))
    assert ends[0] == ends[1] and ends[0][0] is VpState.HALTED


def test_what_one_vp_writes_to_tables_without_paging_the_shadow_tables_of_another_follow() -> None:
    """VP 0 reads a page by way of its tables; VP 1, without paging, leads them elsewhere."""
    table, page, other = TABLES + 0x8000, 0x18_0000, 0x18_1000
    reads = "mov rax, [0x40000000]; mov rbx, rax; l: mov rax, [0x40000000]; cmp rax, rbx; je l; hlt"
    with SmallMachine(reads, vps=2, paging=PagingMode.SHADOW) as machine:
        machine.write(TABLES + 0x1000 + 8, table | 7)
        machine.write(table, table + 0x1000 | 7)
        machine.write(table + 0x1000, page | 7)
        machine.write(page, 1)
        machine.write(other, 2)
        vp = machine.partition.vps[1]
        vp.state = VpState.HALTED
        machine.run(2000)
        assert machine.vp.state is VpState.READY and machine.vp.read("rbx") == 1
        write = f".code32; mov dword ptr [{table + 0x1000}], {other | 7}; l: jmp l"
        machine.partition.gpa_space.write(LOW, assemble(write, LOW))
        for name, value in {"cr0": PROTECTED_CR0, "efer": 0, "cr4": 0, "rip": LOW}.items():
            vp.write(name, value)
        vp.write_segment("cs", SegmentValue(0, 0xFFFF_FFFF, CODE_32, BITS[32]))
        vp.state = VpState.READY
        machine.run(100_000)
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rax") == 2
