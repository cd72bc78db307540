"""The exit table: each of its lines reached by a guest."""

import pytest
from assembler import assemble
from machines import CODE, PRESENT_WRITABLE_USER, SmallMachine, counts

from minihv.hypervisor.exits import SHADOW_EXITS, TABLE, Answerer
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Rflags
from minihv.terms import Gpa

EXITS = 272
"""How many counters of exits there are; NPF is the first from 256 on."""
MAP_HOLE = "mov rax, 0x40000083; mov [0x5008], rax;"
"""GVA 2 MiB leads to a GPA without memory."""
REACHED_BY = {
    SvmExit.MSR: "mov ecx, 0x40000002; rdmsr",
    SvmExit.VMMCALL: "mov ecx, 0x46; mov r8d, 0x8000; vmmcall",
    SvmExit.HLT: "hlt",
    SvmExit.IOIO: "in al, 0x10",
    SvmExit.NPF: MAP_HOLE + "mov al, [0x200000]",
    SvmExit.SHUTDOWN: "lidt [0x8000]; ud2",
    SvmExit.XSETBV: "xor ecx, ecx; xsetbv",
    SvmExit.INVLPGA: "invlpga rax, ecx",
}
ASKED_FOR = {SvmExit.CPUID, *(SvmExit.EXCP0 + vector for vector in range(32))}
"""Exits of a partition whose parent wants to hear of them: ``test_intercepts`` has guests that do."""


def exits(machine: SmallMachine) -> dict[int, int]:
    """What VP 0 exited for, by exit code."""
    counted = counts(machine.vp.counters.exits, EXITS)
    every = {code if code < 256 else code - 256 + SvmExit.NPF: count for code, count in counted.items()}
    return {code: count for code, count in every.items() if code not in SHADOW_EXITS}


def ran(code: str, **parts: object) -> SmallMachine:
    machine = SmallMachine(code, **parts)  # type: ignore[arg-type]
    machine.run()
    return machine


def test_each_line_of_the_table_has_a_guest_that_reaches_it() -> None:
    assert set(REACHED_BY) | ASKED_FOR == set(TABLE)


@pytest.mark.parametrize("code", [code for code in REACHED_BY if code is not SvmExit.XSETBV], ids=str)
def test_guest_reaches_the_line_of_its_exit(code: SvmExit) -> None:
    with SmallMachine(REACHED_BY[code] + "; hlt") as machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        machine.run()
        assert exits(machine).get(code) == 1


@pytest.mark.parametrize("line", ["xor ecx, ecx; xsetbv", "xor ecx, ecx; xgetbv"])
def test_extended_state_is_undefined_while_osxsave_is_off(line: str) -> None:
    with ran(line) as machine:
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE + 2


def test_exit_of_an_instruction_that_is_not_offered_raises_an_undefined_instruction() -> None:
    with SmallMachine() as machine:
        TABLE[SvmExit.XSETBV].handler(machine.hypervisor, machine.vp)
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE


def test_intercepts_of_the_parent_are_ports_memory_its_wishes_and_the_end() -> None:
    theirs = {code for code, line in TABLE.items() if line.answerer is Answerer.PARENT}
    assert theirs == {SvmExit.IOIO, SvmExit.NPF, SvmExit.SHUTDOWN} | ASKED_FOR


def test_every_line_says_what_it_does() -> None:
    assert all(line.does and line.handler.__doc__ for line in TABLE.values())


@pytest.mark.parametrize(
    ("flags", "state"), [(Rflags.ALWAYS_1, VpState.HALTED), (Rflags.ALWAYS_1 | Rflags.IF, VpState.IDLE)]
)
def test_hlt_waits_for_an_interrupt_or_for_good(flags: int, state: VpState) -> None:
    with ran("hlt; nop", registers={"rflags": int(flags)}) as machine:
        assert machine.vp.state is state and machine.vp.read("rip") == CODE + 1


def test_hlt_behind_sti_leaves_no_interrupt_shadow() -> None:
    with ran("sti; hlt") as machine:
        assert machine.vp.state is VpState.IDLE and machine.vp.control.interrupt_shadow == 0


@pytest.mark.parametrize(
    ("out", "said"),
    [("out 0xE9, al", b"1"), ("out 0xE9, ax", b"12"), ("out 0xE9, eax", b"1234"), ("out 0xE8, al", b"")],
)
def test_debug_console_gets_the_bytes_that_were_written(out: str, said: bytes) -> None:
    with ran(f"mov eax, 0x34333231; {out}; hlt") as machine:
        assert machine.partition.console == said and machine.vp.state is VpState.HALTED


def test_debug_console_gets_a_string_byte_by_byte() -> None:
    with ran(
        'lea rsi, [rip + text]; mov ecx, 5; mov edx, 0xE9; rep outsb; hlt; text: .ascii "hello"'
    ) as machine:
        assert machine.partition.console == b"hello"


@pytest.mark.parametrize(("read", "value"), [("al", 0xFF), ("ax", 0xFFFF), ("eax", 0xFFFF_FFFF)])
@pytest.mark.parametrize("port", [0x10, 0xE9, 0xF4, 0xFFFF])
def test_port_that_nobody_has_reads_as_all_ones(port: int, read: str, value: int) -> None:
    with ran(f"xor eax, eax; mov edx, {port}; in {read}, dx; hlt") as machine:
        assert machine.vp.read("rax") == value and not machine.partition.is_shut_down


def test_shutdown_port_takes_the_low_byte_as_the_status() -> None:
    with ran("mov eax, 0x1234; out 0xF4, eax; hlt") as machine:
        assert machine.partition.exit_status == 0x34


@pytest.mark.parametrize("mode", list(PagingMode))
@pytest.mark.parametrize(
    ("code", "verb"),
    [
        ("mov al, [0x200123]", "read"), ("mov [0x200123], al", "wrote to"),
        ("mov eax, 0x200123; jmp rax", "fetched from"),
    ],
)  # fmt: skip
def test_vp_that_touches_a_gpa_without_memory_is_suspended(mode: PagingMode, code: str, verb: str) -> None:
    with ran(MAP_HOLE + code, paging=mode) as machine:
        assert machine.vp.state is VpState.SUSPENDED
        assert machine.vp.why == (
            f"VP 0 {verb} GPA 0x40000123, where its partition has no memory and no parent answers"
        )
        assert machine.run() == 0


def test_vp_whose_page_table_lies_nowhere_is_suspended() -> None:
    with SmallMachine("mov al, [0x40000000]") as machine:
        machine.write(0x4008, 0x5000_0000 | PRESENT_WRITABLE_USER)
        machine.run()
        assert machine.vp.why == (
            "VP 0 wrote to GPA 0x50000000 while the processor walked its page tables, "
            "where its partition has no memory and no parent answers"
        )


def test_suspended_vp_stands_at_the_instruction_that_exited() -> None:
    length = len(assemble(MAP_HOLE))
    with ran(MAP_HOLE + "inc byte ptr [0x200000]; hlt") as machine:
        assert machine.vp.read("rip") == CODE + length


def test_triple_fault_stops_the_vp_and_says_where() -> None:
    with ran("lidt [0x8000]; ud2") as machine:
        assert machine.vp.state is VpState.TRIPLE_FAULT and machine.partition.has_stopped
        assert machine.vp.why == (
            "VP 0 met a third fault on its way to the double-fault handler at RIP 0x100008"
        )


@pytest.mark.parametrize(
    "instruction", ["invlpga rax, ecx", "vmmcall", "vmrun", "vmload", "vmsave", "stgi", "clgi"]
)
def test_virtualization_is_not_offered_to_a_guest(instruction: str) -> None:
    with ran(f"nop; {instruction}; hlt") as machine:
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE + 1


@pytest.mark.parametrize("mode", list(PagingMode))
def test_overlay_is_read_and_executed_without_an_exit(mode: PagingMode) -> None:
    with SmallMachine("mov eax, [0x103000]; call 0x103003; hlt", paging=mode) as machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        machine.run()
        assert exits(machine) == {SvmExit.HLT: 1} and machine.vp.read("rax") == 0xC3D9_010F


@pytest.mark.parametrize("mode", list(PagingMode))
def test_write_to_an_overlay_is_a_general_protection_fault(mode: PagingMode) -> None:
    with SmallMachine("inc byte ptr [0x103000]; hlt", paging=mode) as machine:
        machine.partition.set_hypercall_page(Gpa(0x10_3000))
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).error_code == 0
        nested = {SvmExit.NPF: 1} if mode is not PagingMode.SHADOW else {}  # else it was a page fault
        assert exits(machine) == nested | {SvmExit.HLT: 1}
