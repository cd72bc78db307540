"""The registers of a VP by their TLFS names: read as they were written, and refused where they cannot be."""

from collections import Counter

import pytest
from calling_parent import Parent
from calls_made import words
from hypothesis import event, given
from hypothesis import strategies as st

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.registers import REGISTERS, Register
from minihv.hypervisor.states import Suspension, VpState
from minihv.machine.frames import HYPERVISOR
from minihv.machine.processor import PagingMode
from minihv.spec.hypercalls import RegisterName, Status
from minihv.spec.x86_exceptions import Vector

FIXED = {RegisterName.VP_INDEX, RegisterName.INITIAL_APIC_ID}
EXPLICIT, INTERCEPT = RegisterName.EXPLICIT_SUSPEND, RegisterName.INTERCEPT_SUSPEND
ACTIVITY = RegisterName.INTERNAL_ACTIVITY_STATE
PENDING, CR0, CR4 = RegisterName.PENDING_INTERRUPTION, RegisterName.CR0, RegisterName.CR4


def test_vp_begins_suspended_and_runs_when_the_register_is_cleared() -> None:
    with Parent() as parent:
        child = parent.boot("mov ebx, 1; hlt")
        parent.run()
        assert child.vp.state is VpState.SUSPENDED and parent.register(child.id, 0, EXPLICIT) == 1
        assert parent.start(child.id) is Status.SUCCESS
        parent.run()
        assert child.vp.read("rbx") == 1 and parent.register(child.id, 0, EXPLICIT) == 0


def test_running_vp_is_suspended_and_goes_on_where_it_was() -> None:
    with Parent() as parent:
        child = parent.boot("1: inc rbx; jmp 1b")
        child.run()
        assert parent.registers(child.id, 0, (EXPLICIT, 1)) == (Status.SUCCESS, 1)
        counted = child.vp.read("rbx")
        parent.run()
        assert child.vp.read("rbx") == counted > 0
        child.run()
        assert child.vp.read("rbx") > counted


def test_vp_that_was_not_suspended_is_resumed_without_effect() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.registers(child.id, 0, (INTERCEPT, 0)) == (Status.SUCCESS, 1)
        assert child.vp.suspensions is Suspension.EXPLICIT
        assert parent.registers(child.id, 0, (INTERCEPT, 3)) == (Status.SUCCESS, 1)
        assert parent.register(child.id, 0, INTERCEPT) == 1
        assert parent.start(child.id) is Status.SUCCESS and child.vp.state is VpState.SUSPENDED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (CR0, 0), (CR0, 0x33), (CR0, 1 << 40 | 0x8001_0033), (CR4, 0), (CR4, 1 << 13 | 0x620),
        (RegisterName.EFER, 0), (RegisterName.EFER, 0x1D00), (RegisterName.RFLAGS, 0),
        (RegisterName.RFLAGS, 1 << 17 | 2), (RegisterName.CR3, 1 << 60), (RegisterName.DR7, 1 << 32),
        (RegisterName.DR6, 1 << 32),
    ],
)  # fmt: skip
def test_vp_with_registers_that_no_mode_has_is_not_started(name: int, value: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        parent.registers(child.id, 0, (name, value))
        assert parent.start(child.id) is Status.INVALID_REGISTER_VALUE
        assert child.vp.suspensions is Suspension.EXPLICIT


def test_shadow_tables_are_there_when_the_first_vp_starts_or_it_does_not() -> None:
    with Parent(paging=PagingMode.SHADOW) as parent:
        child, frames = parent.boot("hlt"), parent.hypervisor.memory.frames
        assert child.partition.shadow is None
        spare = [frames.allocate(HYPERVISOR) for _ in range(frames.free_count)]
        assert parent.start(child.id) is Status.INSUFFICIENT_MEMORY
        for spa in spare:
            frames.free(HYPERVISOR, spa)
        child.run()
        assert child.partition.shadow is not None and child.vp.state is VpState.HALTED


# Events.


@pytest.mark.parametrize(
    ("value", "event_injection"),
    [
        (1 | 0x40 << 16, 0x8000_0040), (1 | 2 << 1 | 2 << 16, 0x8000_0202),
        (1 | 3 << 1 | 6 << 16, 0x8000_0306), (0, 0),
        (1 | 3 << 1 | 1 << 4 | 13 << 16 | 8 << 32, 0x8_8000_0B0D),
    ],
)  # fmt: skip
def test_pending_interruption_is_the_event_of_the_next_entry(value: int, event_injection: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.registers(child.id, 0, (PENDING, value)) == (Status.SUCCESS, 1)
        assert child.vp.control.event_injection == event_injection
        assert parent.register(child.id, 0, PENDING) == value
        child.run()
        delivered = child.vp.counters.interrupts + sum(child.vp.counters.exceptions)
        assert delivered == (value != 0)


@pytest.mark.parametrize(
    "value", [1 | 1 << 1, 1 | 4 << 1, 1 | 7 << 1, 1 | 3 << 1 | 32 << 16, 1 | 0x100 << 16]
)
def test_event_that_cannot_be_is_refused(value: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.registers(child.id, 0, (PENDING, value)) == (Status.INVALID_PARAMETER, 0)
        assert child.vp.control.event_injection == 0


def test_interrupt_shadow_holds_an_interrupt_back_for_an_instruction() -> None:
    with Parent() as parent:
        child = parent.boot("inc rbx; inc rbx; hlt")
        parent.registers(child.id, 0, (RegisterName.INTERRUPT_STATE, 1), (RegisterName.RFLAGS, 0x202))
        assert parent.register(child.id, 0, RegisterName.INTERRUPT_STATE) == 1
        child.vp.apic.request(0x40)
        child.run()
        assert child.vp.read("rbx") == 1


# What is written is read.


def is_number(name: int, register: Register) -> bool:
    return register.write is not None and name not in (EXPLICIT, INTERCEPT, PENDING)


SIMPLE = [name for name, register in REGISTERS.items() if is_number(name, register) and name < 0x80000]


@pytest.mark.parametrize("name", SIMPLE, ids=lambda name: f"{name:#x}")
def test_register_is_read_as_it_was_written(name: int) -> None:
    unit = 1 << 64 | 1 << 48 if name in (RegisterName.IDTR, RegisterName.GDTR) else 1
    with Parent() as parent:
        child = parent.boot("hlt")
        for value in (unit, 0):
            assert parent.registers(child.id, 0, (name, value.to_bytes(16, "little"))) == (Status.SUCCESS, 1)
            assert parent.register(child.id, 0, name) == value
        assert child.vp.state is VpState.SUSPENDED


@pytest.mark.parametrize("name", sorted(FIXED))
def test_register_that_is_fixed_is_not_written(name: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.register(child.id, 0, name) == 0
        assert parent.registers(child.id, 0, (name, 1)) == (Status.ACCESS_DENIED, 0)


def test_task_priority_is_that_of_the_apic() -> None:
    with Parent() as parent:
        child = parent.boot("mov rbx, cr8; hlt")
        assert parent.registers(child.id, 0, (RegisterName.CR8, 16)) == (Status.INVALID_PARAMETER, 0)
        assert parent.registers(child.id, 0, (RegisterName.CR8, 9)) == (Status.SUCCESS, 1)
        child.run()
        assert child.vp.read("rbx") == 9 == parent.register(child.id, 0, RegisterName.CR8)


def test_synthetic_registers_are_those_of_the_msrs() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        simp, sint = RegisterName.SIMP, RegisterName.SINT0 + 2
        assert parent.registers(child.id, 0, (simp, 0x9001), (sint, 0x52)) == (Status.SUCCESS, 2)
        assert (child.vp.synic.simp, child.vp.synic.sints[2]) == (0x9001, 0x52)
        assert parent.register(child.id, 0, sint) == 0x52
        assert parent.registers(child.id, 0, (sint, 1)) == (Status.INVALID_PARAMETER, 0)
        assert parent.registers(child.id, 0, (RegisterName.VP_RUNTIME, 1)) == (Status.INVALID_PARAMETER, 0)
        assert parent.register(child.id, 0, RegisterName.GUEST_OS_ID) == 0


# Whatever a parent writes.

VALUES = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.integers(0, 63).map(lambda bit: 1 << bit),
    st.sampled_from((0, 1, 2, 0x8001_0033, 0x620, 0xD00, 0x10_0000)),
)
WRITES = st.lists(st.tuples(st.sampled_from(sorted(REGISTERS)), VALUES), max_size=6)


def test_no_value_of_a_register_harms_the_machine() -> None:
    seen: Counter[str] = Counter()

    @given(WRITES)
    def check(writes: list[tuple[int, int]]) -> None:
        with Parent() as parent:
            child = parent.boot("mov eax, 1; cpuid; mov rax, [0x9000]; push rax; hlt")
            for name, value in writes:
                parent.registers(child.id, 0, (name, value.to_bytes(16, "little")))
            started = parent.start(child.id)
            parent.run()
            outcome = f"{started.name}, {child.vp.state.value}"
            event(outcome)
            seen[outcome] += 1

    check()
    assert sum(count for outcome, count in seen.items() if "SUCCESS" in outcome) > 20, seen


def test_element_of_set_vp_registers_is_32_bytes() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.registers(child.id, 0, (RegisterName.RBX, words(5, 9))) == (Status.SUCCESS, 1)
        assert parent.register(child.id, 0, RegisterName.RBX) == 5 and Vector.UD == 6


def test_vp_without_paging_is_started() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        child.partition.gpa_space.write(0x9000, bytes.fromhex("bb0700 fa f4"))  # mov bx, 7; cli; hlt
        sets = [(CR0, 0x10), (CR4, 0), (RegisterName.EFER, 0), (RegisterName.RIP, 0x9000)]
        assert parent.registers(child.id, 0, *sets) == (Status.SUCCESS, 4)
        child.vp.write_segment("cs", SegmentValue(0, 0xFFFF, 0, 0x9B))
        assert parent.start(child.id) is Status.SUCCESS
        child.run()
        assert (child.vp.state, child.vp.read("rbx")) == (VpState.HALTED, 7)


def test_vp_that_waits_to_be_started_is_one_bit_of_a_register() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.register(child.id, 0, ACTIVITY) == 0
        assert parent.registers(child.id, 0, (ACTIVITY, 1)) == (Status.SUCCESS, 1)
        assert parent.register(child.id, 0, ACTIVITY) == 1 and child.vp.read("rip") == 0xFFF0
        assert parent.start(child.id) is Status.SUCCESS
        parent.run()
        assert child.vp.state is VpState.STARTUP
        assert parent.registers(child.id, 0, (ACTIVITY, 4)) == (Status.INVALID_PARAMETER, 0)
        assert parent.registers(child.id, 0, (ACTIVITY, 0)) == (Status.SUCCESS, 1)
        assert child.vp.state is VpState.READY


def test_halted_vp_says_so_in_its_activity() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        child.run()
        assert parent.register(child.id, 0, ACTIVITY) == 2
