"""The calls about virtual processors: registers and translation."""

from typing import Any

import pytest
from calling_parent import Parent
from calls_made import GET, OUTPUT, SET, TRANSLATE, call, element, family, get, reps, set_one, words
from machines import CODE, DATA_0, TABLES, SmallMachine

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, VirtualProcessor
from minihv.hypervisor.vp import TABLES as TABLE_REGISTERS
from minihv.spec.hypercalls import CallCode, RegisterName, Status

NUMBERS = sorted(set(REGISTER_NAMES) - {RegisterName[name.upper()] for name in (*SEGMENTS, *TABLE_REGISTERS)})


def translated(
    vp: VirtualProcessor, machine: SmallMachine, gva: int, control: int = 1
) -> tuple[Status, int, int]:
    block = words(vp.partition.id, vp.index, control, gva >> 12)
    status, _ = call(machine, TRANSLATE, block)
    return status, machine.read(OUTPUT), machine.read(OUTPUT + 8)


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
        names = (0x1234_5678, RegisterName.RBX, 0x1234_5678)
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


# HvCreateVp and HvDeleteVp.


def test_vps_come_in_the_order_of_their_numbers_and_go_in_the_reverse() -> None:
    with Parent() as parent:
        child = parent.active()
        create, delete = CallCode.CREATE_VP, CallCode.DELETE_VP
        assert parent.status(create, child, 1, 0, 0) is Status.INVALID_VP_INDEX
        for index in (0, 1):
            assert parent.status(create, child, index, 0, 0) is Status.SUCCESS
        assert parent.status(create, child, 1, 0, 0) is Status.INVALID_VP_INDEX
        assert parent.status(delete, child, 0) is Status.OPERATION_DENIED
        assert parent.status(delete, child, 2) is Status.INVALID_VP_INDEX
        assert [parent.status(delete, child, index) for index in (1, 0)] == [Status.SUCCESS] * 2
        assert parent.status(create, SELF, 1, 0, 0) is Status.ACCESS_DENIED


def test_partition_has_64_vps_at_most() -> None:
    with Parent() as parent:
        child = parent.active(80)
        statuses = [parent.status(CallCode.CREATE_VP, child, index, 0, 0) for index in range(65)]
        assert statuses == [*[Status.SUCCESS] * 64, Status.INVALID_VP_INDEX]


def test_vp_that_is_deleted_runs_no_more() -> None:
    with Parent() as parent:
        child = parent.boot("1: inc rbx; jmp 1b")
        child.run()
        vp = child.vp
        assert parent.status(CallCode.DELETE_VP, child.id, 0) is Status.SUCCESS
        assert vp.state is VpState.CLOSED and vp not in parent.hypervisor.scheduler.queue
        parent.run()
