"""The dispatcher of hypercalls: the form of a call, and every status it may end with."""

import pytest
from calls_made import (
    FAST,
    GET,
    GET_ID,
    INPUT,
    NEXT_CHILD,
    NOT_THERE,
    OUTPUT,
    PAGE,
    PROPERTY,
    SET,
    SPIN_WAIT,
    TRANSLATE,
    ask,
    call,
    reps,
    words,
)
from machines import CODE, MEMORY, SmallMachine

from minihv.hypervisor.call_form import SELF, THIS_VP
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.privileges import CHILD, Privilege
from minihv.hypervisor.states import VpState
from minihv.spec.hypercalls import RegisterName, Status
from minihv.spec.x86_exceptions import Vector
from minihv.terms import Gpa

MAKE = "mov rcx, rsi; mov edx, 0x8000; mov r8d, 0x9000; call 0x103000; mov rbx, rax; hlt"
"""Makes the call whose input value is in RSI, through the hypercall page; the result is in RBX."""


# The form of a call.


@pytest.mark.parametrize("code", [0, 0x3, 0x30, 0x1234, 0xFFFF])
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
