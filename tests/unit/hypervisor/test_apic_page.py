"""The page of the APIC, reached by the instructions of a guest in every paging mode."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from machines import PRESENT_WRITABLE_USER, TABLES, SmallMachine

from minihv.hypervisor.instructions import names_of
from minihv.hypervisor.msrs import write_msr
from minihv.hypervisor.register_values import GENERAL
from minihv.hypervisor.states import VpState
from minihv.machine.processor import Core, PagingMode
from minihv.spec.apic import APIC_PAGE, VERSION, ApicBase, ApicRegister, ErrorStatus
from minihv.spec.msrs import Msr

DIRECTORY, LARGE = 0x8000, 0x80
R = ApicRegister
IN_RBX = f"mov ebx, {APIC_PAGE:#x};"


@contextmanager
def mapped(code: str, **machine: Any) -> Iterator[SmallMachine]:
    """A machine whose guest has mapped the page, GVA = GPA, and runs ``code``."""
    with SmallMachine(IN_RBX + code, **machine) as made:
        entry = APIC_PAGE & -(1 << 21) | PRESENT_WRITABLE_USER | LARGE
        made.partition.gpa_space.write(DIRECTORY, bytes(0x1000))
        made.write(DIRECTORY + 8 * (APIC_PAGE >> 21 & 511), entry)
        made.write(TABLES + 0x1000 + 8 * (APIC_PAGE >> 30), DIRECTORY | PRESENT_WRITABLE_USER)
        yield made


@pytest.mark.parametrize("core", list(Core))
@pytest.mark.parametrize("paging", list(PagingMode))
def test_loads_and_stores_reach_the_registers(core: Core, paging: PagingMode) -> None:
    code = "mov eax, [rbx+0x30]; mov dword ptr [rbx+0x80], 0x20; mov ecx, 0x40; xchg ecx, [rbx+0x80]; hlt"
    with mapped(code, core=core, paging=paging) as machine:
        machine.run()
        assert machine.vp.state is VpState.HALTED
        assert (machine.vp.read("rax"), machine.vp.read("rcx")) == (VERSION, 0x20)
        assert machine.vp.apic.tpr == 0x40


@pytest.mark.parametrize("register", [name for name in GENERAL if name not in ("rsp", "rbx")])
def test_any_general_register_takes_and_gives_32_bits(register: str) -> None:
    half = names_of(register)[1]
    there, back = f"mov [rbx+0x80], {half}", f"mov {half}, [rbx+0x80]"
    with mapped(f"mov {half}, 0x30; {there}; not {register}; {back}; hlt") as machine:
        machine.run()
        assert (machine.vp.apic.tpr, machine.vp.read(register)) == (0x30, 0x30)


def test_moffs_form_reaches_the_page() -> None:
    with mapped(f"movabs eax, [{APIC_PAGE + R.VERSION:#x}]; hlt") as machine:
        machine.run()
        assert machine.vp.read("rax") == VERSION


def test_ipi_by_the_page_interrupts_the_other_vp_and_its_eoi_ends_it() -> None:
    send = "mov dword ptr [rbx+0x310], 0x01000000; mov dword ptr [rbx+0x300], 0x4041"
    code = f"cmp dword ptr [0xC000], 1; je 1f; mov dword ptr [0xC000], 1; {send}; hlt; 1: sti; hlt; hlt"
    with mapped(code, vps=2, handlers={0x41: "mov dword ptr [rbx+0xB0], 0; mov r8d, 7; iretq"}) as machine:
        machine.run()
        other = machine.partition.vps[1]
        assert other.read("r8") == 7 and other.counters.interrupts == 1
        assert (other.apic.in_service, other.apic.requested) == (0, 0)


@pytest.mark.parametrize(("offset", "value"), [(0x3D0, 0), (0x34, 0), (0xB0, 0), (0x7F0, 0)], ids=hex)
def test_read_where_nothing_can_be_read_is_0_and_noted(offset: int, value: int) -> None:
    code = f"mov eax, [rbx+{offset}]; mov dword ptr [rbx+0x280], 0; mov ecx, [rbx+0x280]; hlt"
    with mapped(code, registers={"rax": 99}) as machine:
        machine.run()
        assert (machine.vp.read("rax"), machine.vp.read("rcx")) == (
            value,
            ErrorStatus.illegal_register.mask,
        )


@pytest.mark.parametrize(
    "instruction",
    [
        "mov rax, [rbx+0x80]",
        "mov al, [rbx+0x80]",
        "inc dword ptr [rbx+0x80]",
        "xchg rax, [rbx+0x80]",
        "jmp rbx",
    ],
)
def test_other_accesses_meet_no_memory(instruction: str) -> None:
    with mapped(f"{instruction}; hlt") as machine:
        machine.run()
        assert machine.vp.state is VpState.SUSPENDED
        assert "where its partition has no memory and no parent answers" in machine.vp.why
        assert machine.vp.apic.tpr == 0


@pytest.mark.parametrize("base", [ApicBase.x2apic.mask | ApicBase.enable.mask, 0], ids=["x2apic", "disabled"])
def test_page_is_there_only_in_xapic_mode(base: int) -> None:
    with mapped("mov eax, [rbx+0x30]; hlt") as machine:
        held = int(machine.vp.apic_registers.base) & ~ApicBase.enable.mask
        assert write_msr(machine.vp, Msr.APIC_BASE, held | base)
        machine.run()
        assert machine.vp.state is VpState.SUSPENDED


def test_trap_flag_stops_behind_the_access() -> None:
    with mapped("pushf; or dword ptr [rsp], 0x100; popf; mov eax, [rbx+0x30]; nop; hlt") as machine:
        machine.run()
        assert machine.vector() == 1 and machine.vp.read("rax") == VERSION


def test_page_tables_in_the_page_are_none() -> None:
    with mapped("mov rax, [rbx]; hlt") as machine:
        machine.write(TABLES + 0x1000 + 8 * (APIC_PAGE >> 30), APIC_PAGE | PRESENT_WRITABLE_USER)
        machine.run()
        assert "while the processor walked its page tables" in machine.vp.why
