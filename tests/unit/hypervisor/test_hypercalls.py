"""Hypercalls: the form of a call, every status it may end with, and the calls themselves."""

from collections.abc import Iterable
from typing import Any

import pytest
from machines import CODE, DATA_0, MEMORY, TABLES, SmallMachine

from minihv.hypervisor.hypercalls import SELF, THIS_VP, call_name, perform
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.privileges import CHILD, Privilege
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, SegmentValue, VirtualProcessor, VpState
from minihv.hypervisor.vp import TABLES as TABLE_REGISTERS
from minihv.spec.hypercalls import CallCode, HypercallInput, PartitionProperty, RegisterName, Status
from minihv.spec.x86_exceptions import Vector
from minihv.terms import PAGE_BYTES, Gpa

INPUT, OUTPUT, PAGE = 0x8000, 0x9000, Gpa(0x10_3000)
GET_ID, NEXT_CHILD, PROPERTY = (
    CallCode.GET_PARTITION_ID,
    CallCode.GET_NEXT_CHILD_PARTITION,
    CallCode.GET_PARTITION_PROPERTY,
)
GET, SET, TRANSLATE = CallCode.GET_VP_REGISTERS, CallCode.SET_VP_REGISTERS, CallCode.TRANSLATE_VIRTUAL_ADDRESS
SPIN_WAIT = CallCode.NOTIFY_LONG_SPIN_WAIT
FAST = 1 << 16
NOT_THERE = 77
NUMBERS = sorted(set(REGISTER_NAMES) - {RegisterName[name.upper()] for name in (*SEGMENTS, *TABLE_REGISTERS)})
MAKE = "mov rcx, rsi; mov edx, 0x8000; mov r8d, 0x9000; call 0x103000; mov rbx, rax; hlt"
"""Makes the call whose input value is in RSI, through the hypercall page; the result is in RBX."""


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


def call(
    machine: SmallMachine, value: int, block: bytes = b"", *, at: int = INPUT, to: int = OUTPUT
) -> tuple[Status, int]:
    """VP 0 makes a call with ``block`` as its input; the status and the reps that are done."""
    machine.partition.gpa_space.write(INPUT if at % PAGE_BYTES else at, block)
    return ask(machine, value, at=at, to=to)


def ask(machine: SmallMachine, value: int, *, at: int = INPUT, to: int = OUTPUT) -> tuple[Status, int]:
    """The same with the memory as it is."""
    machine.vp.write("rdx", at)
    machine.vp.write("r8", to)
    return perform(machine.hypervisor, machine.vp, HypercallInput(value))


def reps(code: int, count: int, start: int = 0) -> int:
    return code | count << 32 | start << 48


def family() -> tuple[SmallMachine, Partition]:
    """A machine whose small partition has a child, number 2, that runs ``hlt``."""
    machine = SmallMachine(partitions=3)
    child = machine.add_partition("child", "hlt")
    child.parent_id = machine.partition.id
    return machine, child


def get(machine: SmallMachine, partition_id: int, names: Iterable[int], vp: int = 0) -> list[bytes]:
    """What HvGetVpRegisters answers, one element a register."""
    listed = list(names)
    block = words(partition_id, vp) + b"".join(name.to_bytes(4, "little") for name in listed)
    assert call(machine, reps(GET, len(listed)), block) == (Status.SUCCESS, len(listed))
    output = machine.partition.gpa_space.read(OUTPUT, 16 * len(listed))
    return [output[at : at + 16] for at in range(0, len(output), 16)]


def element(name: int, value: bytes) -> bytes:
    return name.to_bytes(16, "little") + value.ljust(16, b"\0")


def set_one(
    machine: SmallMachine, partition_id: int, name: int, value: bytes, vp: int = 0
) -> tuple[Status, int]:
    return call(machine, reps(SET, 1), words(partition_id, vp) + element(name, value))


def translated(
    vp: VirtualProcessor, machine: SmallMachine, gva: int, control: int = 1
) -> tuple[Status, int, int]:
    block = words(vp.partition.id, vp.index, control, gva >> 12)
    status, _ = call(machine, TRANSLATE, block)
    return status, machine.read(OUTPUT), machine.read(OUTPUT + 8)


# The form of a call.


@pytest.mark.parametrize("code", [0, 0x3, 0x40, 0x5C, 0xFFFF])
def test_code_that_is_not_there_is_answered_so_whatever_else_is_wrong(code: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, code | 1 << 63, at=1) == (Status.INVALID_HYPERCALL_CODE, 0)


@pytest.mark.parametrize("bit", [*range(27, 31), *range(44, 48), *range(60, 64)])
def test_reserved_bit_is_an_invalid_input(bit: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, GET_ID | 1 << bit) == (Status.INVALID_HYPERCALL_INPUT, 0)


@pytest.mark.parametrize("bit", [17, 26, 31])
def test_variable_header_and_nested_target_are_invalid_inputs(bit: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, GET_ID | 1 << bit) == (Status.INVALID_HYPERCALL_INPUT, 0)


@pytest.mark.parametrize(
    "value",
    [reps(GET_ID, 1), reps(GET_ID, 0, 1), reps(GET, 0), reps(GET, 2, 2), reps(GET, 2, 3), reps(SPIN_WAIT, 1)],
)
def test_rep_count_and_start_that_do_not_fit_the_call_are_invalid_inputs(value: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, value) == (Status.INVALID_HYPERCALL_INPUT, 0)


@pytest.mark.parametrize("code", [GET_ID, NEXT_CHILD, PROPERTY, TRANSLATE, reps(GET, 1), reps(SET, 1)])
def test_call_with_output_or_a_list_cannot_be_fast(code: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, code | FAST) == (Status.INVALID_HYPERCALL_INPUT, 0)


@pytest.mark.parametrize("fast", [0, FAST])
def test_long_spin_wait_succeeds_in_both_forms(fast: int) -> None:
    with SmallMachine() as machine:
        assert ask(machine, SPIN_WAIT | fast) == (Status.SUCCESS, 0)


def test_fast_call_looks_at_no_memory() -> None:
    with SmallMachine() as machine:
        assert ask(machine, SPIN_WAIT | FAST, at=1 << 60 | 3, to=5) == (Status.SUCCESS, 0)


@pytest.mark.parametrize(
    "gpa", [0x8004, 0x8FF8, MEMORY - 8, MEMORY, PAGE, PAGE + 0xFF0, 1 << 63, (1 << 64) - 8], ids=hex
)
@pytest.mark.parametrize("side", ["at", "to"])
def test_block_must_be_aligned_within_a_page_and_in_memory_that_nothing_hides(side: str, gpa: int) -> None:
    with SmallMachine() as machine:
        machine.partition.set_hypercall_page(PAGE)
        block = words(SELF, 0) + RegisterName.RAX.to_bytes(4, "little")
        machine.partition.gpa_space.write(INPUT, block)
        assert ask(machine, reps(GET, 1), **{side: gpa}) == (Status.INVALID_ALIGNMENT, 0)


def test_list_that_runs_into_the_next_page_is_an_invalid_alignment() -> None:
    with SmallMachine() as machine:
        assert ask(machine, reps(SET, 128)) == (Status.INVALID_ALIGNMENT, 0)
        assert ask(machine, reps(GET, 257)) == (Status.INVALID_ALIGNMENT, 0)


def test_block_may_fill_its_page_to_the_last_byte() -> None:
    with SmallMachine() as machine:
        block = words(SELF, 0) + RegisterName.RIP.to_bytes(4, "little") * 256
        assert call(machine, reps(GET, 256), block) == (Status.SUCCESS, 256)
        assert machine.read(OUTPUT + 0xFF0) == CODE


def test_call_without_a_block_looks_at_no_pointer_for_it() -> None:
    with SmallMachine() as machine:
        assert ask(machine, GET_ID, at=3) == (Status.SUCCESS, 0)
        assert (
            call(machine, reps(SET, 1), words(NOT_THERE, 0) + bytes(32), to=3)[0]
            is Status.INVALID_PARTITION_ID
        )


def test_call_without_its_privilege_is_denied_before_anything_else_is_looked_at() -> None:
    with SmallMachine() as machine:
        machine.partition.privileges = CHILD & ~Privilege.ACCESS_PARTITION_ID
        assert ask(machine, GET_ID) == (Status.ACCESS_DENIED, 0)
        assert ask(machine, reps(GET_ID, 1), to=3) == (Status.ACCESS_DENIED, 0)


def test_output_is_written_only_on_success() -> None:
    with SmallMachine() as machine:
        machine.write(OUTPUT, 0x1234)
        assert call(machine, PROPERTY, words(SELF, NOT_THERE)) == (Status.UNKNOWN_PROPERTY, 0)
        assert machine.read(OUTPUT) == 0x1234


@pytest.mark.parametrize(
    ("code", "name"), [(0x46, "HvGetPartitionId"), (0x52, "HvTranslateVirtualAddress"), (0x999, "unknown")]
)
def test_call_code_has_the_name_of_the_tlfs(code: int, name: str) -> None:
    assert call_name(code) == name


# Who may be named.


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (SELF, Status.SUCCESS), (1, Status.SUCCESS), (2, Status.SUCCESS), (3, Status.ACCESS_DENIED),
        (0, Status.INVALID_PARTITION_ID), (NOT_THERE, Status.INVALID_PARTITION_ID),
    ],
)  # fmt: skip
def test_call_may_name_the_caller_and_its_children_only(target: int, status: Status) -> None:
    machine, _ = family()
    with machine:
        machine.add_partition("stranger", "hlt")
        property_of = words(target, PartitionProperty.PRIVILEGE_FLAGS)
        assert call(machine, PROPERTY, property_of)[0] is status
        assert call(machine, NEXT_CHILD, words(target, 0))[0] is status
        assert call(machine, TRANSLATE, words(target, 0, 1, 0))[0] is status
        assert call(machine, reps(GET, 1), words(target, 0) + b"\0\0\2\0")[0] is status


def test_child_may_not_name_its_parent() -> None:
    machine, child = family()
    with machine:
        machine.partition.parent_id, child.parent_id = child.id, 0
        assert call(machine, NEXT_CHILD, words(child.id, 0)) == (Status.ACCESS_DENIED, 0)


@pytest.mark.parametrize("index", [1, 64, THIS_VP - 1, 0xFFFF_FFFF])
def test_vp_that_is_not_there_is_an_invalid_index(index: int) -> None:
    with SmallMachine() as machine:
        assert call(machine, TRANSLATE, words(SELF, index, 1, 0)) == (Status.INVALID_VP_INDEX, 0)


def test_callers_own_vp_has_a_number_of_its_own_that_means_nothing_for_a_child() -> None:
    machine, child = family()
    with machine:
        assert get(machine, SELF, [RegisterName.RIP], vp=THIS_VP) == [words(CODE, 0)]
        assert call(machine, TRANSLATE, words(child.id, THIS_VP, 1, 0)) == (Status.INVALID_VP_INDEX, 0)


# The calls.


def test_partition_asks_for_its_own_id() -> None:
    with SmallMachine() as machine:
        assert ask(machine, GET_ID) == (Status.SUCCESS, 0)
        assert machine.read(OUTPUT) == machine.partition.id == 1


def test_children_are_listed_one_after_the_other_until_zero() -> None:
    machine, child = family()
    with machine:
        second = machine.add_partition("second", "hlt")
        second.parent_id = 1
        listed = [0]
        while len(listed) == 1 or listed[-1]:
            assert call(machine, NEXT_CHILD, words(SELF, listed[-1])) == (Status.SUCCESS, 0)
            listed.append(machine.read(OUTPUT))
        assert listed == [0, child.id, second.id, 0]


@pytest.mark.parametrize("previous", [1, NOT_THERE, SELF])
def test_list_of_children_goes_on_only_after_a_child(previous: int) -> None:
    machine, _ = family()
    with machine:
        assert call(machine, NEXT_CHILD, words(SELF, previous)) == (Status.INVALID_PARTITION_ID, 0)


@pytest.mark.parametrize(
    ("code", "value"),
    [(PartitionProperty.PRIVILEGE_FLAGS, int(CHILD)), (PartitionProperty.PROCESSOR_VENDOR, 0)],
)
def test_property_of_a_partition_is_told(code: int, value: int) -> None:
    machine, child = family()
    with machine:
        machine.write(OUTPUT, SELF)
        assert call(machine, PROPERTY, words(child.id, code)) == (Status.SUCCESS, 0)
        assert machine.read(OUTPUT) == value


@pytest.mark.parametrize("name", NUMBERS, ids=lambda name: RegisterName(name).name)
def test_parent_sets_a_register_of_its_child_and_gets_it_back(name: int) -> None:
    machine, child = family()
    with machine:
        value = words(0x1234_5678_9ABC_DEF0)
        assert set_one(machine, child.id, name, value) == (Status.SUCCESS, 1)
        assert get(machine, child.id, [name]) == [value.ljust(16, b"\0")]


@pytest.mark.parametrize("name", SEGMENTS)
def test_parent_sets_a_segment_of_its_child_and_gets_it_back(name: str) -> None:
    machine, child = family()
    with machine:
        number, value = RegisterName[name.upper()], SegmentValue(0x1000, 0xFFFF, DATA_0, 0x4093).to_bytes()
        assert set_one(machine, child.id, number, value) == (Status.SUCCESS, 1)
        assert get(machine, child.id, [number]) == [value]


@pytest.mark.parametrize("name", TABLE_REGISTERS)
def test_parent_sets_a_table_register_of_its_child_and_gets_it_back(name: str) -> None:
    machine, child = family()
    with machine:
        number, value = RegisterName[name.upper()], bytes(6) + b"\x23\x01" + words(0xFFFF_8000_0000_1000)
        assert set_one(machine, child.id, number, value) == (Status.SUCCESS, 1)
        assert get(machine, child.id, [number]) == [value]


def test_child_runs_on_with_the_registers_that_its_parent_set() -> None:
    machine, child = family()
    with machine:
        child.gpa_space.write(CODE + 0x100, b"\x48\x89\xd8\xf4")  # mov rax, rbx; hlt
        for name, value in ((RegisterName.RIP, CODE + 0x100), (RegisterName.RBX, 0x55)):
            set_one(machine, child.id, name, words(value))
        machine.run()
        assert child.vps[0].read("rax") == 0x55 and child.vps[0].read("rip") == CODE + 0x104


def test_own_registers_are_not_set_by_a_hypercall() -> None:
    with SmallMachine(vps=2) as machine:
        assert set_one(machine, SELF, RegisterName.RAX, b"", vp=1) == (Status.ACCESS_DENIED, 0)


def test_rep_call_begins_at_its_start_index_and_counts_from_zero() -> None:
    with SmallMachine(registers={"rbx": 0xB, "rsi": 0x51}) as machine:
        names = (RegisterName.CR8, RegisterName.RBX, RegisterName.RSI)
        block = words(SELF, 0) + b"".join(name.to_bytes(4, "little") for name in names)
        assert call(machine, reps(GET, 3, 1), block) == (Status.SUCCESS, 3)
        assert [machine.read(OUTPUT + at) for at in (0, 16, 32)] == [0, 0xB, 0x51]


def test_get_that_meets_an_unknown_register_has_done_those_before_it() -> None:
    with SmallMachine(registers={"rbx": 0xB}) as machine:
        names = (RegisterName.CR8, RegisterName.RBX, RegisterName.CR8)
        block = words(SELF, 0) + b"".join(name.to_bytes(4, "little") for name in names)
        assert call(machine, reps(GET, 3, 1), block) == (Status.INVALID_PARAMETER, 2)
        assert machine.read(OUTPUT + 16) == 0xB


def test_set_that_meets_an_unknown_register_has_done_those_before_it() -> None:
    machine, child = family()
    with machine:
        elements = (
            element(RegisterName.RBX, words(0xB))
            + element(0x1234_5678, b"")
            + element(RegisterName.RSI, b"x")
        )
        assert call(machine, reps(SET, 3), words(child.id, 0) + elements) == (Status.INVALID_PARAMETER, 1)
        assert (child.vps[0].read("rbx"), child.vps[0].read("rsi")) == (0xB, 0)


# HvTranslateVirtualAddress.


def with_entry(code: str, gva: int, entry: int) -> tuple[SmallMachine, Any]:
    """A machine that ran ``code`` with ``entry`` in its PD for ``gva``, and its VP 0."""
    machine = SmallMachine(code)
    machine.write(TABLES + 0x2000 + 8 * (gva >> 21), entry)
    machine.run()
    return machine, machine.vp


@pytest.mark.parametrize(
    ("entry", "control", "result"),
    [
        (0x87, 1, 0), (0x87, 2, 0), (0x87, 4, 0), (0x85, 1, 0), (0x85, 2, 2), (0, 1, 1), (0x86, 2, 1),
        (0x2000 | 0x87, 1, 3), (1 << 63 | 0x87, 4, 2), (1 << 45 | 0x87, 1, 3), (0x4000_0087, 1, 4),
    ],
)  # fmt: skip
def test_translation_says_what_the_tables_allow(entry: int, control: int, result: int) -> None:
    machine, vp = with_entry("hlt", 0x20_0000, entry)
    with machine:
        status, found, page = translated(vp, machine, 0x20_3000, control)
        assert (status, found) == (Status.SUCCESS, result)
        assert page == 3 or result


def test_translation_of_an_address_that_is_not_canonical_finds_no_page() -> None:
    machine, vp = with_entry("hlt", 0, 0x87)
    with machine:
        assert translated(vp, machine, 1 << 47) == (Status.SUCCESS, 1, 0)


# As guests make them.


def guest_call(value: int, block: bytes = b"", *, ring: int = 0, page: Gpa | None = PAGE) -> SmallMachine:
    machine = SmallMachine(MAKE, ring=ring, registers={"rsi": value})
    machine.partition.gpa_space.write(INPUT, block)
    machine.partition.set_hypercall_page(page)
    machine.run()
    return machine


def test_guest_gets_its_partition_id_through_the_hypercall_page() -> None:
    with guest_call(GET_ID) as machine:
        assert (machine.vp.read("rbx"), machine.read(OUTPUT)) == (0, 1)
        assert machine.vp.state is VpState.HALTED and machine.vp.counters.hypercalls[GET_ID] == 1


def test_guest_finds_status_and_reps_in_rax_and_its_inputs_as_they_were() -> None:
    value = reps(GET, 2)
    names = b"".join(name.to_bytes(4, "little") for name in (RegisterName.RCX, RegisterName.R8))
    with guest_call(value, words(SELF, THIS_VP) + names) as machine:
        assert machine.vp.read("rbx") == 2 << 32
        assert [machine.read(OUTPUT), machine.read(OUTPUT + 16)] == [value, OUTPUT]
        assert [machine.vp.read(name) for name in ("rcx", "rdx", "r8")] == [value, INPUT, OUTPUT]


@pytest.mark.parametrize(
    ("value", "status"), [(0x999, 2), (GET_ID | 1 << 63, 3), (reps(GET, 300), 4), (PROPERTY, 0xD)]
)
def test_guest_finds_the_status_of_a_call_that_failed(value: int, status: int) -> None:
    with guest_call(value) as machine:
        assert machine.vp.read("rbx") == status


@pytest.mark.parametrize("value", [GET_ID, SPIN_WAIT, SPIN_WAIT | FAST])
def test_call_from_ring_3_is_an_undefined_instruction(value: int) -> None:
    with guest_call(value, ring=3) as machine:
        assert machine.vector() == Vector.UD and machine.frame().rip == PAGE
        assert not any(machine.vp.counters.hypercalls)


@pytest.mark.parametrize("value", [GET_ID, SPIN_WAIT | FAST])
def test_vmmcall_without_a_hypercall_page_is_an_undefined_instruction(value: int) -> None:
    with SmallMachine("vmmcall; hlt", registers={"rcx": value}) as machine:
        machine.run()
        assert machine.vector() == Vector.UD and machine.frame().rip == CODE


def test_calls_are_counted_by_their_codes_and_the_large_ones_together() -> None:
    with guest_call(0x8001) as machine:
        assert machine.vp.counters.hypercalls[255] == 1


def test_fast_spin_wait_is_counted_whoever_answers_it() -> None:
    fast, slow = "mov ecx, 0x10008; call 0x103000;", "mov ecx, 8; mov edx, 0x8000; call 0x103000;"
    with SmallMachine(f"mov r9d, 5; again: {fast} {slow} dec r9d; jnz again; hlt") as machine:
        machine.partition.set_hypercall_page(PAGE)
        machine.run()
        assert machine.vp.counters.hypercalls[8] == 10 and machine.vp.read("rax") == 0


def test_guest_that_writes_to_its_hypercall_page_meets_a_general_protection_fault() -> None:
    with SmallMachine("nop; mov byte ptr [0x103000], 1; hlt") as machine:
        machine.partition.set_hypercall_page(PAGE)
        machine.run()
        assert machine.vector() == Vector.GP and machine.frame(error_code=True).rip == CODE + 1
