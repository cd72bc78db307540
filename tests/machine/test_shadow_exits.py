"""The exits of shadow paging, made by real instructions: what each is counted as, and what it does."""

import pytest
from assembler import assemble
from machines import CODE, TABLES, SmallMachine, counts

from minihv.hypervisor.exits import SHADOW_EXITS
from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector

PD, PT, PAGE, OTHER = TABLES + 0x2000, 0x10_8000, 0x12_0000, 0x12_1000
WINDOW = 0x20_0000
"""A GVA of 2 MiB, the first that ``PT`` maps."""
ENTRY = PT
LOOK, LOOK_AGAIN = f"mov rax, [{WINDOW}];", f"mov rbx, [{WINDOW}]; hlt"
EDIT = f"mov qword ptr [{ENTRY}], {OTHER | 7};"
RELOAD = "mov rcx, cr3; mov cr3, rcx;"
POLICIES = list(ShadowPolicy)


def windowed(
    code: str | bytes, policy: ShadowPolicy = ShadowPolicy.TRAP, core: Core = Core.NATIVE
) -> SmallMachine:
    """A machine that has ``PAGE`` mapped at ``WINDOW`` by a table of 4 KiB pages."""
    made = SmallMachine(code, paging=PagingMode.SHADOW, core=core, shadow=ShadowOptions(policy))
    made.write(PD + 8, PT | 7)
    made.write(PT, PAGE | 7)
    made.write(PAGE, 0x1111)
    made.write(OTHER, 0x2222)
    return made


def exits(machine: SmallMachine) -> dict[int, int]:
    """What VP 0 exited for, besides HLT."""
    return {code: n for code, n in counts(machine.vp.counters.exits, 256).items() if code != SvmExit.HLT}


@pytest.mark.parametrize("core", list(Core))
@pytest.mark.parametrize("policy", POLICIES)
def test_change_of_a_table_is_seen_after_invlpg(policy: ShadowPolicy, core: Core) -> None:
    code = f"{LOOK} {EDIT} invlpg [{WINDOW}]; {LOOK_AGAIN}"
    with windowed(code, policy, core) as machine:
        machine.run()
        assert (machine.vp.read("rax"), machine.vp.read("rbx")) == (0x1111, 0x2222)
        assert exits(machine)[SvmExit.INVLPG] == 1


@pytest.mark.parametrize("policy", POLICIES)
def test_change_of_a_table_is_seen_after_a_write_to_cr3(policy: ShadowPolicy) -> None:
    with windowed(f"{LOOK} {EDIT} {RELOAD} {LOOK_AGAIN}", policy) as machine:
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.read("rcx")) == (0x2222, TABLES)
        assert (exits(machine)[SvmExit.CR3_READ], exits(machine)[SvmExit.CR3_WRITE]) == (1, 1)


STORES = {
    "mov byte ptr [rdi + 1], 0x7f": 1,
    "mov word ptr [rdi], 0x1234": 1,
    "mov dword ptr [rdi + 4], 1": 1,
    "mov [rdi], rax": 1,
    "mov [rdi + 3], rax": 1,
    "mov [rdi - 3], rax": 1,
    "lock xadd [rdi], rax": 1,
    "or qword ptr [rdi], 0x20": 1,
    "xchg [rdi], rax": 1,
    "lock bts qword ptr [rdi], 9": 1,
    "lock cmpxchg [rdi], rax": 1,
    "movups [rdi], xmm0": 1,
    "lea rsp, [rdi + 8]; push rax": 1,
    "mov ecx, 4; rep stosq": 4,
    "mov ecx, 3; mov esi, 0x120000; rep movsq": 3,
    "fxsave [rdi]": 1,
}


@pytest.mark.parametrize("text", STORES)
def test_each_instruction_that_writes_to_a_table_is_one_exit(text: str) -> None:
    with windowed(f"mov edi, {PT + 0x800}; mov rax, [{WINDOW}]; {text}; hlt") as machine:
        machine.run()
        assert machine.vp.counters.emulated_writes == STORES[text]
    with SmallMachine(f"mov edi, {PT + 0x800}; mov rax, [{PAGE}]; {text}; hlt") as plain:
        plain.write(PAGE, 0x1111)
        plain.write(OTHER, 0x2222)
        plain.run()
        assert plain.partition.gpa_space.read(PT + 0x700, 0x400) == machine_bytes_of(text)


def machine_bytes_of(text: str) -> bytes:
    """What the table holds behind its first entries after the same instructions under shadow paging."""
    with windowed(f"mov edi, {PT + 0x800}; mov rax, [{WINDOW}]; {text}; hlt") as machine:
        machine.run()
        return machine.partition.gpa_space.read(PT + 0x700, 0x400)


OPERANDS = {
    "mov rdi, {gva}": "[rdi]",
    "mov r12, {gva}": "[r12]",
    "mov r13, {gva}": "[r13]",
    "mov rdi, {gva} - 0x12345": "[rdi + 0x12345]",
    "mov rdi, {gva} + 5": "[rdi - 5]",
    "mov rdi, {gva} / 8": "[rdi * 8]",
    "mov rdi, {gva} - 64; mov r9, 16": "[rdi + r9 * 4]",
    "mov r15, {gva} / 4; mov rbp, 0": "[rbp + r15 * 4]",
    "mov rdi, {gva} + (1 << 40)": "[edi]",
    "nop": "[{gva}]",
}


@pytest.mark.parametrize("setup", OPERANDS)
def test_invlpg_knows_the_address_of_each_form_of_operand(setup: str) -> None:
    operand = OPERANDS[setup].format(gva=WINDOW)
    code = f"{LOOK} {setup.format(gva=WINDOW)}; {EDIT} invlpg {operand}; {LOOK_AGAIN}"
    with windowed(code, ShadowPolicy.UNSYNC) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x2222


@pytest.mark.parametrize("prefix", ["fs", "gs"])
def test_invlpg_adds_the_base_of_its_segment(prefix: str) -> None:
    base = WINDOW - 0x40
    setup = f"mov ecx, {0xC0000100 + (prefix == 'gs')}; mov eax, {base}; xor edx, edx; wrmsr;"
    code = f"{setup} {LOOK} {EDIT} invlpg {prefix}:[0x40]; {LOOK_AGAIN}"
    with windowed(code, ShadowPolicy.UNSYNC) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x2222


def test_invlpg_relative_to_rip() -> None:
    before = assemble(f"{LOOK} {EDIT}", CODE)
    displacement = WINDOW - (CODE + len(before) + 7)
    code = before + bytes.fromhex("0f013d") + displacement.to_bytes(4, "little") + assemble(LOOK_AGAIN, CODE)
    with windowed(code, ShadowPolicy.UNSYNC) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 0x2222


def test_invlpg_keeps_the_other_pages() -> None:
    touch = f"mov rax, [{WINDOW}]; mov rax, [{WINDOW} + 0x1000];"
    with windowed(f"{touch} invlpg [{WINDOW}]; {touch} hlt") as machine:
        machine.write(PT + 8, OTHER | 7)
        machine.run()
        assert machine.vp.counters.tlb_fills == 2 * machine.vp.counters.shadow_fills + 1


def after_a_device_wrote(machine: SmallMachine, *writes: tuple[int, int]) -> int:
    """Runs to a port access, has somebody else write to the guest's memory, and runs on. RBX at the end."""
    machine.enter()
    for gpa, value in writes:
        machine.write(gpa, value)
    machine.hypervisor.complete_port(machine.vp)
    machine.run()
    return machine.vp.read("rbx")


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_device_writes_to_a_table_is_heard(policy: ShadowPolicy) -> None:
    with windowed(f"{LOOK} out 0x10, al; {RELOAD} {LOOK_AGAIN}", policy) as machine:
        assert after_a_device_wrote(machine, (ENTRY, OTHER | 7)) == 0x2222


def test_what_a_device_writes_needs_no_flush() -> None:
    with windowed(f"{LOOK} out 0x10, al; {LOOK_AGAIN}") as machine:
        assert after_a_device_wrote(machine, (ENTRY, OTHER | 7)) == 0x2222


def test_tables_are_dropped_when_more_was_written_than_is_remembered() -> None:
    with windowed(f"{LOOK} out 0x10, al; {LOOK_AGAIN}") as machine:
        many = [(0x13_0000 + 0x1000 * page, 1) for page in range(40)]
        assert after_a_device_wrote(machine, *many, (ENTRY, OTHER | 7)) == 0x2222


CODE_IN_TABLE = (
    f"mov rax, [{WINDOW}]; mov edi, {PT + 0x800}; mov ecx, 5;"
    "again: mov dword ptr [rdi], 0x90c3c0ff; call rdi; mov dword ptr [rdi], 0x90c3c8ff; call rdi; add eax, 2;"
    "loop again; hlt"
)
"""Writes INC EAX; RET and DEC EAX; RET in turn into a frame that is a table too, and calls them."""


@pytest.mark.parametrize("core", list(Core))
@pytest.mark.parametrize("policy", POLICIES)
def test_table_that_is_code_too_never_runs_stale(policy: ShadowPolicy, core: Core) -> None:
    with windowed(CODE_IN_TABLE, policy, core) as machine:
        machine.run()
        assert machine.vp.read("rax") == 0x1111 + 10


def test_store_that_lies_in_the_table_it_writes_to_goes_on() -> None:
    place = f"mov edi, {PT + 0x800}; mov rax, rdi; mov esi, {CODE + 0x100}; mov ecx, 64; rep movsb; jmp rax"
    count = "again: inc dword ptr [rip + count]; loop again; mov eax, [rip + count]; hlt; count: .long 0"
    with windowed(f"{LOOK} {place}; .org 0x100; mov ecx, 9; {count}") as machine:
        machine.run()
        assert machine.vp.read("rax") == 9


@pytest.mark.parametrize("ring", [0, 3])
def test_supervisor_who_ignores_read_only_is_written_for(ring: int) -> None:
    with SmallMachine(f"mov [{WINDOW}], rax; hlt", paging=PagingMode.SHADOW, ring=ring) as machine:
        machine.write(PD + 8, PT | 7)
        machine.write(PT, PAGE | 5)
        machine.vp.write("cr0", 0x8000_0033)
        machine.vp.write("rax", 77)
        machine.run()
        assert machine.read(PAGE) == (77 if ring == 0 else 0)
        assert machine.vp.counters.emulated_writes == (ring == 0)


def test_wp_stops_the_same_supervisor() -> None:
    with SmallMachine(f"mov [{WINDOW}], rax; hlt", paging=PagingMode.SHADOW) as machine:
        machine.write(PD + 8, PT | 7)
        machine.write(PT, PAGE | 5)
        machine.vp.write("cr0", 0x8001_0033)
        machine.run()
        assert machine.vector() == Vector.PF and machine.frame(error_code=True).error_code == 3


CONTROLS = "mov rax, cr0; mov cr0, rax; clts; mov rax, cr4; mov cr4, rax; mov rax, cr3; mov cr3, rax"


def test_control_registers_are_exits_only_under_shadow_paging() -> None:
    code = f"{CONTROLS}; invlpg [0]; hlt"
    with windowed(code) as machine, SmallMachine(code) as nested:
        machine.run(), nested.run()
        assert set(exits(machine)) == set(SHADOW_EXITS) and exits(nested) == {}
        assert exits(machine)[SvmExit.CR0_WRITE] == 2
        assert machine.vp.counters.blocks == nested.vp.counters.blocks


def summed(frame_count: int) -> tuple[int, int, int]:
    """What a guest sums over 24 windows, ten times, with so few shadow frames; its exits, and evictions."""
    look = "".join(f"add rbx, [{WINDOW * (1 + window)}];" for window in range(24))
    options = ShadowOptions(frame_count=frame_count)
    code = f"mov ecx, 10; again: {look} dec ecx; jnz again; hlt"
    with SmallMachine(code, paging=PagingMode.SHADOW, shadow=options) as machine:
        for window in range(24):
            machine.write(PD + 8 + 8 * window, 0x13_0000 + 0x1000 * window | 7)
            machine.write(0x13_0000 + 0x1000 * window, PAGE | 7)
        machine.write(PAGE, 3)
        machine.run()
        assert machine.partition.shadow is not None
        return machine.vp.read("rbx"), sum(exits(machine).values()), machine.partition.shadow.counters.evicted


def test_few_frames_are_enough_and_cost_exits() -> None:
    few, many = summed(16), summed(99)
    assert few[0] == many[0] == 720
    assert few[1] > many[1] and (few[2] > 0, many[2]) == (True, 0)
