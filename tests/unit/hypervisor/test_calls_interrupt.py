"""The calls by which a parent raises interrupts in a child."""

import pytest
from calling_parent import Child, Parent
from calls_made import words

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.calls_interrupt import ALL_VPS, DEASSERT, LEVEL, LOGICAL, InterruptType
from minihv.hypervisor.states import VpState
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.x86_exceptions import Vector

ASSERT, CLEAR = CallCode.ASSERT_VIRTUAL_INTERRUPT, CallCode.CLEAR_VIRTUAL_INTERRUPT
FIXED, EXTERNAL = InterruptType.FIXED, InterruptType.EXTERNAL


def raised(
    parent: Parent, child: Child, control: int, vector: int = 0x45, to: int = 0, code: CallCode = ASSERT
) -> Status:
    return parent.status(code, child.id, control, to, vector)


def second_vp(parent: Parent, child: Child) -> None:
    assert parent.status(CallCode.CREATE_VP, child.id, 1, 0, 0) is Status.SUCCESS


@pytest.mark.parametrize("code", [ASSERT, CallCode.ASSERT_VIRTUAL_INTERRUPT_V2])
def test_fixed_interrupt_wakes_the_vp_that_it_names(code: CallCode) -> None:
    with Parent() as parent:
        child = parent.boot("sti; hlt")
        child.run()
        assert raised(parent, child, FIXED, code=code) is Status.SUCCESS
        parent.run()
        assert child.vp.counters.interrupts == 1 and child.vp.apic.in_service == 1 << 0x45


@pytest.mark.parametrize(
    ("control", "to", "vps"),
    [
        (FIXED, 1, [1]), (FIXED, ALL_VPS, [0, 1]), (FIXED | LOGICAL, 0b10, [1]), (FIXED | LOGICAL, 3, [0, 1]),
        (InterruptType.LOWEST_PRIORITY | LOGICAL, 3, [0]),
    ],
)  # fmt: skip
def test_destination_is_an_apic_id_or_a_bit_for_each(control: int, to: int, vps: list[int]) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        second_vp(parent, child)
        assert raised(parent, child, control | LEVEL, to=to) is Status.SUCCESS
        assert [vp.index for vp in child.partition.vps if vp.apic.requested] == vps
        assert all(vp.apic.level == 1 << 0x45 for vp in child.partition.vps if vp.index in vps)


def test_nmi_is_an_event_of_its_own() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert raised(parent, child, InterruptType.NMI) is Status.SUCCESS
        child.run()
        assert child.vp.counters.exceptions[Vector.NMI] == 1 or child.vp.read("rip") != 0


def test_parent_starts_a_vp_of_its_child_by_init_and_sipi() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        second_vp(parent, child)
        child.partition.gpa_space.write(0x9000, bytes.fromhex("bb0700 fa f4"))  # mov bx, 7; cli; hlt
        vp = child.partition.vps[1]
        assert raised(parent, child, InterruptType.SIPI, 9, to=1) is Status.SUCCESS
        assert raised(parent, child, InterruptType.INIT, to=1) is Status.SUCCESS
        assert vp.activity is VpState.STARTUP
        assert raised(parent, child, InterruptType.SIPI, 9, to=1) is Status.SUCCESS
        assert parent.start(child.id, 1) is Status.SUCCESS
        child.run()
        assert (vp.state, vp.read("rbx")) == (VpState.HALTED, 7)


@pytest.mark.parametrize(
    ("control", "vector", "to", "status"),
    [
        (2, 0x45, 0, Status.INVALID_PARAMETER), (3, 0x45, 0, Status.INVALID_PARAMETER),
        (FIXED, 15, 0, Status.INVALID_PARAMETER), (FIXED, 256, 0, Status.INVALID_PARAMETER),
        (FIXED, 0x45, 1, Status.INVALID_VP_INDEX), (EXTERNAL, 15, 0, Status.INVALID_PARAMETER),
    ],
)  # fmt: skip
def test_interrupt_that_cannot_be_is_refused(control: int, vector: int, to: int, status: Status) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert raised(parent, child, control, vector, to) is status
        assert not child.vp.apic.requested


def test_external_interrupt_is_cleared_before_the_next_one() -> None:
    with Parent() as parent:
        child = parent.boot("sti; hlt")
        child.run()
        assert raised(parent, child, EXTERNAL, 0x31) is Status.SUCCESS
        assert parent.status(CLEAR, child.id) is Status.NOT_ACKNOWLEDGED
        assert raised(parent, child, EXTERNAL, 0x30) is Status.SUCCESS  # instead of the first
        assert child.vp.apic.requested == 1 << 0x30
        parent.run()
        assert child.vp.counters.interrupts == 1 and child.vp.apic.in_service == 0
        assert raised(parent, child, EXTERNAL, 0x32) is Status.ACKNOWLEDGED
        assert parent.status(CLEAR, child.id) is Status.SUCCESS
        assert raised(parent, child, EXTERNAL, 0x32) is Status.SUCCESS


def test_external_interrupt_may_be_taken_back_until_it_is_delivered() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        raised(parent, child, EXTERNAL, 0x31)
        assert raised(parent, child, EXTERNAL, DEASSERT) is Status.SUCCESS
        assert not child.vp.apic.requested and parent.status(CLEAR, child.id) is Status.SUCCESS


def test_child_without_a_vp_and_oneself_are_refused() -> None:
    with Parent() as parent:
        child = parent.active()
        assert parent.status(ASSERT, child, EXTERNAL, 0, 0x31) is Status.INVALID_VP_INDEX
        assert parent.status(ASSERT, SELF, FIXED, 0, 0x45) is Status.ACCESS_DENIED
        assert parent.status(CLEAR, SELF) is Status.ACCESS_DENIED
        assert parent.call(CLEAR, words(99))[0] is Status.INVALID_PARTITION_ID
