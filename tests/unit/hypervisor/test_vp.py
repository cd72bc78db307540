"""A VP: registers by name, segments as the TLFS packs them, events to deliver."""

import pytest
from machines import CODE, EXCEPTION, RING_0_CODE, SmallMachine, event

from minihv.hypervisor.register_values import GENERAL, SegmentValue
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, SYSCALL, TABLES
from minihv.spec.hypercalls import RegisterName
from minihv.spec.x86_exceptions import Vector

NUMBERS = sorted(set(REGISTER_NAMES.values()) - set(SEGMENTS) - set(TABLES))


def test_new_vp_is_ready_and_knows_its_place() -> None:
    with SmallMachine(vps=2) as machine:
        second = machine.partition.vps[1]
        assert (second.index, second.partition, second.state) == (1, machine.partition, VpState.READY)
        assert second.why == "" and second.control.guest_asid == machine.partition.id


@pytest.mark.parametrize("name", NUMBERS)
def test_register_that_was_written_is_read_back(name: str) -> None:
    with SmallMachine() as machine:
        machine.vp.write(name, 0x1234_5678_9ABC_DEF0)
        assert machine.vp.read(name) == 0x1234_5678_9ABC_DEF0


@pytest.mark.parametrize("name", GENERAL)
def test_guest_finds_a_general_register_as_it_was_written(name: str) -> None:
    with SmallMachine(f"mov [0x8000], {name}; hlt", registers={name: 0x1122_3344_5566_7788}) as machine:
        machine.run()
        assert machine.read(0x8000) == 0x1122_3344_5566_7788


@pytest.mark.parametrize("name", GENERAL)
def test_register_that_the_guest_set_is_read_by_its_name(name: str) -> None:
    with SmallMachine(f"mov {name}, 0x1122334455667788; hlt") as machine:
        machine.run()
        assert machine.vp.read(name) == 0x1122_3344_5566_7788


@pytest.mark.parametrize("name", ["cr2", "cr3"])
def test_control_register_that_the_guest_set_is_read_by_its_name(name: str) -> None:
    with SmallMachine(f"mov rax, cr3; mov {name}, rax; hlt") as machine:
        machine.run()
        assert machine.vp.read(name) == 0x3000


def test_names_of_the_tlfs_cover_what_the_vmcb_keeps() -> None:
    assert len(REGISTER_NAMES) == len(set(REGISTER_NAMES.values())) == 16 + 11 + 3 + 4 + 8 + 2
    assert REGISTER_NAMES[RegisterName.PAT] == "g_pat" and REGISTER_NAMES[RegisterName.R15] == "r15"
    assert {REGISTER_NAMES[RegisterName[name.upper()]] for name in SYSCALL} == set(SYSCALL)


@pytest.mark.parametrize("name", SEGMENTS)
def test_segment_that_was_written_is_read_back_without_its_reserved_attributes(name: str) -> None:
    with SmallMachine() as machine:
        machine.vp.write_segment(name, SegmentValue(0x1000, 0xFFFF, 0x18, 0xFFFF))
        assert machine.vp.read_segment(name) == SegmentValue(0x1000, 0xFFFF, 0x18, 0xF0FF)


@pytest.mark.parametrize("name", TABLES)
def test_table_register_has_a_base_and_a_limit(name: str) -> None:
    with SmallMachine() as machine:
        machine.vp.write_segment(name, SegmentValue(0xFFFF_8000_0000_0000, 0x123, 0, 0))
        assert machine.vp.read_segment(name) == SegmentValue(0xFFFF_8000_0000_0000, 0x123, 0, 0)


def test_code_segment_after_a_run_is_the_one_of_the_gdt() -> None:
    with SmallMachine() as machine:
        machine.run()
        assert machine.vp.read_segment("cs") == RING_0_CODE


def test_edx_eax_holds_64_bits_with_clear_upper_halves() -> None:
    with SmallMachine(registers={"rax": (1 << 64) - 1, "rdx": (1 << 64) - 1}) as machine:
        machine.vp.write_edx_eax(0x1122_3344_5566_7788)
        assert (machine.vp.read("rdx"), machine.vp.read("rax")) == (0x1122_3344, 0x5566_7788)


@pytest.mark.parametrize("error_code", [None, 0, 0xFFFF])
def test_event_for_delivery_says_its_vector_type_and_error_code(error_code: int | None) -> None:
    with SmallMachine() as machine:
        machine.vp.inject(Vector.GP, EXCEPTION, error_code)
        assert machine.vp.control.event_injection == event(Vector.GP, EXCEPTION, error_code)


def test_vp_that_advances_goes_on_behind_the_instruction_that_exited() -> None:
    with SmallMachine("out 0x10, al; hlt") as machine:
        machine.enter()
        assert machine.vp.read("rip") == CODE
        machine.vp.advance()
        assert machine.vp.read("rip") == CODE + 2
