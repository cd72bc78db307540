"""IN, OUT, INS and OUTS: who may, what the exit says, and how the instruction ends."""

import pytest
from machines import CODE, STACK, TASK, TSS, TSS_BYTES, SmallMachine

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Stop
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector

OUT_E9 = "mov al, 'x'; out 0xE9, al; hlt"
IOPL_3 = {"rflags": 0x3002}
DATA = 0x9000


def with_io_map(machine: SmallMachine, *, allowed: int | None = None, map_bytes: int = 0x101) -> None:
    """The TSS has a map of ``map_bytes`` bytes in which only port ``allowed`` is free."""
    bits = bytearray(b"\xff" * map_bytes)
    if allowed is not None and allowed // 8 < map_bytes:
        bits[allowed // 8] &= ~(1 << allowed % 8)
    machine.partition.gpa_space.write(TSS + TSS_BYTES, bytes(bits))
    machine.vp.write_segment("tr", SegmentValue(TSS, TSS_BYTES + map_bytes - 1, TASK, 0x8B))


@pytest.mark.parametrize("iopl", [0, 1, 2])
def test_ring_3_without_iopl_3_and_without_a_map_gets_a_gp(iopl: int) -> None:
    with SmallMachine(OUT_E9, ring=3, registers={"rflags": 2 | iopl << 12}) as machine:
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).rip == CODE + 2
        assert machine.partition.console == b"" and machine.vp.counters.exits[SvmExit.IOIO] == 0


def test_ring_3_with_iopl_3_uses_every_port() -> None:
    with SmallMachine(OUT_E9, ring=3, registers=IOPL_3) as machine:
        machine.run()
        assert machine.partition.console == b"x"
        assert machine.vector() == Vector.GP  # the HLT


@pytest.mark.parametrize(("port", "written"), [(0xE9, b"x"), (0xE8, b""), (0xEA, b"")])
def test_clear_bit_of_the_tss_map_lets_ring_3_use_that_port_alone(port: int, written: bytes) -> None:
    with SmallMachine(OUT_E9, ring=3) as machine:
        with_io_map(machine, allowed=port)
        machine.run()
        assert machine.partition.console == written


def test_wide_access_needs_the_bits_of_all_its_ports() -> None:
    with SmallMachine("mov dx, 0xE9; out dx, ax; hlt", ring=3) as machine:
        with_io_map(machine, allowed=0xE9)
        machine.run()
        assert machine.vector() == Vector.GP and machine.partition.console == b""


def test_port_whose_bits_lie_beyond_the_limit_of_the_tss_is_forbidden() -> None:
    with SmallMachine(OUT_E9, ring=3) as machine:
        with_io_map(
            machine, allowed=0xE9, map_bytes=0xE9 // 8 + 1
        )  # the second byte that is read lies outside
        machine.run()
        assert machine.vector() == Vector.GP


EXITS = {
    "in al, 0x60": (0x60, 1 << 4 | 1, 2),
    "in eax, dx": (0x3F8, 4 << 4 | 1, 1),
    "out dx, ax": (0x3F8, 2 << 4, 2),
    "insb": (0x3F8, 1 << 4 | 5, 1),
    "rep outsw": (0x3F8, 2 << 4 | 12, 3),
}


@pytest.mark.parametrize("code", EXITS)
def test_exit_says_port_size_direction_string_and_repeat_and_where_the_instruction_ends(code: str) -> None:
    port, low, length = EXITS[code]
    registers = {"rdx": 0x3F8, "rcx": 2, "rsi": DATA, "rdi": DATA}
    with SmallMachine(code, registers=registers) as machine:
        assert machine.enter() == Stop.EXIT
        control = machine.vp.control
        assert control.exit_code == SvmExit.IOIO
        assert control.exit_info_1 == port << 16 | 1 << 9 | low
        assert (control.exit_info_2, control.next_rip) == (CODE + length, CODE + length)
        assert machine.vp.read("rip") == CODE


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("in al, 0x60", 0x1111_1111_1111_11AA),
        ("in ax, 0x60", 0x1111_1111_1111_BBAA),
        ("in eax, 0x60", 0xDDCC_BBAA),
    ],
)
def test_in_changes_as_much_of_rax_as_any_instruction_of_that_width(code: str, value: int) -> None:
    with SmallMachine(code, registers={"rax": 0x1111_1111_1111_1111}) as machine:
        machine.enter()
        machine.vp.handle.port_access.value = 0xDDCC_BBAA
        machine.hypervisor.complete_port(machine.vp)
        assert machine.vp.read("rax") == value and machine.vp.read("rip") == machine.vp.control.next_rip


def test_port_that_nobody_answers_reads_all_ones_and_loses_what_is_written() -> None:
    with SmallMachine("xor eax, eax; in eax, 0x70; mov ebx, eax; out 0x70, eax; hlt") as machine:
        machine.run()
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 0xFFFF_FFFF


@pytest.mark.parametrize(("direction", "text"), [("cld", b"abcd"), ("std", b"a\x00\x00\x00")])
def test_repeated_outs_writes_one_element_per_exit_and_moves_rsi_by_df(direction: str, text: bytes) -> None:
    code = f"{direction}; mov rcx, 4; mov rsi, {DATA}; mov dx, 0xE9; rep outsb; hlt"
    with SmallMachine(code) as machine:
        machine.partition.gpa_space.write(DATA, b"abcd")
        machine.run()
        assert bytes(machine.partition.console) == text
        assert machine.vp.read("rsi") == DATA + (4 if direction == "cld" else -4)
        assert machine.vp.read("rcx") == 0 and machine.vp.counters.exits[SvmExit.IOIO] == 4


@pytest.mark.parametrize(("width", "step"), [("b", 1), ("w", 2), ("d", 4)])
@pytest.mark.parametrize("backwards", [False, True])
def test_repeated_ins_fills_memory_element_by_element(width: str, step: int, backwards: bool) -> None:
    code = f"{'std' if backwards else 'cld'}; mov ecx, 3; mov edi, {DATA}; mov dx, 0x60; rep ins{width}; hlt"
    with SmallMachine(code) as machine:
        for element in (1, 2, 3):
            machine.enter()
            machine.vp.handle.port_access.value = element
            machine.hypervisor.complete_port(machine.vp)
        placed = [machine.read(DATA + step * (-index if backwards else index), step) for index in range(3)]
        assert placed == [1, 2, 3] and machine.vp.read("rcx") == 0


def test_repeated_string_with_rcx_0_touches_no_port() -> None:
    with SmallMachine("xor ecx, ecx; mov dx, 0xE9; rep outsb; rep insb; hlt") as machine:
        machine.run()
        assert machine.vp.state is VpState.HALTED and machine.vp.counters.exits[SvmExit.IOIO] == 0


def test_ins_to_a_hole_is_a_page_fault_at_the_instruction() -> None:
    with SmallMachine("mov edi, 0x40000000; mov dx, 0x60; insb") as machine:
        machine.run()
        frame = machine.frame(error_code=True)
        assert (machine.vector(), frame.error_code, frame.rip) == (Vector.PF, 2, CODE + 9)


def test_outs_reads_through_the_segment_of_its_prefix() -> None:
    with SmallMachine("mov esi, 0x10; mov dx, 0xE9; outs dx, byte ptr fs:[rsi]; hlt") as machine:
        machine.write(DATA + 0x10, ord("f"), 1)
        machine.vp.write_segment("fs", SegmentValue(DATA, 0xFFFF_FFFF, 0x10, 0xC093))
        machine.run()
        assert machine.partition.console == b"f"


def test_flags_and_registers_survive_a_port_access() -> None:
    code = "mov edx, 0xE9; stc; std; out dx, al; setc bl; pushfq; pop rcx; hlt"
    with SmallMachine(code, registers={"rax": ord("z")}) as machine:
        machine.run()
        assert machine.vp.read("rbx") == 1 and machine.vp.read("rcx") == 0x403
        assert machine.vp.read("rsp") == STACK
