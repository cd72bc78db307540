"""The local APIC: priorities, offers, service and its end; against a model of the rules."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import CODE, SmallMachine

from minihv.hypervisor.apic import VIRTUAL_INTERRUPT, LocalApic, highest
from minihv.hypervisor.states import VpState
from minihv.machine.processor import PagingMode

V_IRQ = 1 << 8


class Core:
    """As much of a VP as an APIC sees; ``deliver`` does what the core does with V_IRQ."""

    def __init__(self) -> None:
        self.words = [0] * 16
        self.reports: list[bool] = []
        self.wakes = 0
        self.apic = LocalApic(self.words, self.reports.append, self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def deliver(self) -> int | None:
        """Lets the offered interrupt in, when the task priority does."""
        word = self.words[VIRTUAL_INTERRUPT]
        if not word & V_IRQ or word >> 16 & 15 <= word & 15:
            return None
        self.words[VIRTUAL_INTERRUPT] = word & ~V_IRQ
        if self.reports and self.reports[-1]:
            self.apic.accepted()
        return word >> 32


@pytest.mark.parametrize("vector", [-1, 0, 15, 256])
def test_vector_that_no_interrupt_has_is_refused(vector: int) -> None:
    core = Core()
    assert not core.apic.request(vector) and core.apic.requested == 0


@pytest.mark.parametrize("vector", [16, 255])
def test_vector_of_an_interrupt_is_offered_with_its_class_as_its_priority(vector: int) -> None:
    core = Core()
    assert core.apic.request(vector) and core.apic.is_offered and core.wakes == 1
    assert core.words[VIRTUAL_INTERRUPT] == 1 << 24 | V_IRQ | vector >> 4 << 16 | vector << 32


def test_disabled_apic_refuses_interrupts() -> None:
    core = Core()
    core.apic.enabled = False
    assert not core.apic.request(0x40)


def test_highest_of_an_empty_set_is_no_vector() -> None:
    assert [highest(0), highest(1), highest(0x8001)] == [-1, 0, 15]


def test_interrupt_is_in_service_from_its_delivery_to_its_end() -> None:
    core = Core()
    core.apic.request(0x41)
    assert (core.apic.requested, core.apic.in_service) == (1 << 0x41, 0)
    assert core.deliver() == 0x41
    assert (core.apic.requested, core.apic.in_service) == (0, 1 << 0x41)
    assert core.apic.eoi() == 0x41 and core.apic.in_service == 0


def test_auto_eoi_interrupt_is_never_in_service() -> None:
    core = Core()
    core.apic.request(0x41, auto_eoi=True)
    assert core.deliver() == 0x41 and core.apic.in_service == 0 and core.apic.eoi() is None


def test_lower_class_waits_for_the_end_of_the_one_in_service_and_a_higher_one_does_not() -> None:
    core = Core()
    core.apic.request(0x52)
    core.deliver()
    core.apic.request(0x51)
    core.apic.request(0x5F)
    assert core.deliver() is None
    core.apic.request(0x60)
    assert core.deliver() == 0x60
    assert [core.apic.eoi(), core.apic.eoi(), core.deliver()] == [0x60, 0x52, 0x5F]


def test_request_that_waits_already_is_not_counted_twice() -> None:
    core = Core()
    core.apic.request(0x40)
    core.apic.request(0x40)
    assert [core.deliver(), core.apic.eoi(), core.deliver()] == [0x40, 0x40, None]


def test_request_during_service_of_the_same_vector_is_delivered_after_its_end() -> None:
    core = Core()
    core.apic.request(0x40)
    core.deliver()
    core.apic.request(0x40)
    assert [core.deliver(), core.apic.eoi(), core.deliver()] == [None, 0x40, 0x40]


def test_delivery_is_reported_only_when_another_could_follow_it_at_once() -> None:
    core = Core()
    core.apic.request(0x50, auto_eoi=True)
    core.apic.request(0x60)
    assert core.reports == []
    core.apic.request(0x61, auto_eoi=True)
    assert core.reports == [True]
    assert [core.deliver(), core.deliver(), core.deliver()] == [0x61, 0x60, None]
    assert core.reports == [True, False]


def test_task_priority_is_cr8_above_four_bits_of_its_own() -> None:
    core = Core()
    core.apic.tpr = 0x5A
    assert core.words[VIRTUAL_INTERRUPT] & 0xFF == 5 and core.apic.tpr == 0x5A
    core.words[VIRTUAL_INTERRUPT] += 1  # MOV to CR8
    assert core.apic.tpr == 0x60


def test_processor_priority_is_the_higher_of_the_task_and_what_is_in_service() -> None:
    core = Core()
    core.apic.tpr = 0x42
    assert core.apic.ppr == 0x42
    core.apic.request(0x5C)
    core.deliver()
    assert core.apic.ppr == 0x50


def test_request_below_the_task_priority_wakes_nobody_until_that_sinks() -> None:
    core = Core()
    core.apic.tpr = 0x50
    core.apic.request(0x5F)
    assert core.wakes == 0 and core.deliver() is None
    core.apic.tpr = 0x4F
    assert core.wakes == 1 and core.deliver() == 0x5F


def test_request_can_be_taken_back_before_it_is_delivered() -> None:
    core = Core()
    core.apic.request(0x40)
    core.apic.request(0x50)
    core.apic.withdraw(0x50)
    assert [core.deliver(), core.deliver()] == [0x40, None]


def test_end_of_an_interrupt_is_told_to_whoever_waits_for_it() -> None:
    core, told = Core(), list[int]()
    core.apic.after_eoi = told.append
    core.apic.request(0x40)
    core.deliver()
    core.apic.eoi()
    core.apic.eoi()
    assert told == [0x40]


def test_trigger_mode_is_that_of_the_last_request() -> None:
    core = Core()
    core.apic.request(0x40, level=True)
    assert core.apic.level == 1 << 0x40
    core.apic.request(0x40)
    assert core.apic.level == 0


def test_reset_forgets_everything() -> None:
    core = Core()
    for vector in (0x40, 0x50):
        core.apic.request(vector)
    core.deliver()
    core.apic.tpr = 0x70
    core.apic.reset()
    assert (core.apic.requested, core.apic.in_service, core.apic.tpr) == (0, 0, 0)


@dataclass
class Model:
    """The rules as the manuals say them, with sets, and looked at anew each time."""

    waiting: dict[int, bool] = field(default_factory=dict)
    in_service: set[int] = field(default_factory=set)
    tpr: int = 0

    def deliver(self) -> int | None:
        if not self.waiting:
            return None
        vector = max(self.waiting)
        if vector >> 4 <= max([self.tpr >> 4, *(served >> 4 for served in self.in_service)]):
            return None
        if not self.waiting.pop(vector):
            self.in_service.add(vector)
        return vector

    def eoi(self) -> int | None:
        ended = max(self.in_service, default=None)
        self.in_service.discard(-1 if ended is None else ended)
        return ended


VECTORS = st.sampled_from([*range(0x10, 0x30), 0x80, 0x8F, 0xFE, 0xFF])
ACTIONS = st.one_of(
    st.tuples(st.just("request"), VECTORS),
    st.tuples(st.just("auto"), VECTORS),
    st.tuples(st.just("deliver"), st.just(0)),
    st.tuples(st.just("eoi"), st.just(0)),
    st.tuples(st.just("tpr"), st.sampled_from([0, 0, 0x1F]) | st.integers(0, 255)),  # most let much through
)
SHARES: Counter[str] = Counter()


def act(core: Core, model: Model, action: str, value: int) -> tuple[int | None, int | None]:
    """Does the same to both; what they say."""
    if action == "deliver":
        return core.deliver(), model.deliver()
    if action == "eoi":
        return core.apic.eoi(), model.eoi()
    if action == "tpr":
        core.apic.tpr = model.tpr = value
        return None, None
    core.apic.request(value, auto_eoi=action == "auto")
    model.waiting[value] = action == "auto"
    return None, None


def share(action: str, said: int | None, model: Model) -> str:
    """The name of what came of an action."""
    if action != "deliver":
        return action
    if said is not None:
        return "delivered" if said in model.in_service else "delivered with AutoEOI"
    return "held back" if model.waiting else "nothing to deliver"


@given(st.lists(ACTIONS, min_size=10, max_size=80))
def test_apic_delivers_in_priority_order_and_each_request_once(actions: list[tuple[str, int]]) -> None:
    core, model = Core(), Model()
    for action, value in actions:
        said, expected = act(core, model, action, value)
        assert said == expected
        SHARES[share(action, said, model)] += 1
    assert core.apic.requested == sum(1 << vector for vector in model.waiting)
    assert core.apic.in_service == sum(1 << vector for vector in model.in_service)


def test_every_outcome_of_a_delivery_was_met() -> None:
    test_apic_delivers_in_priority_order_and_each_request_once()
    total = sum(SHARES.values())
    outcomes = ("delivered", "delivered with AutoEOI", "held back", "nothing to deliver", "eoi", "tpr")
    assert min(SHARES[outcome] for outcome in outcomes) > total // 100


@pytest.mark.parametrize("mode", list(PagingMode))
def test_requests_reach_the_guest_the_higher_class_first(mode: PagingMode) -> None:
    handlers = {
        vector: f"mov eax, [0x9000]; inc dword ptr [0x9000]; mov byte ptr [0x9100 + eax], {vector}; iretq"
        for vector in (0x41, 0x52, 0x53)
    }
    with SmallMachine("nop; sti; nop; nop; hlt", handlers=handlers, paging=mode) as machine:
        for vector in (0x41, 0x53, 0x52):
            machine.vp.apic.request(vector, auto_eoi=True)
        machine.run()
        assert machine.read(0x9100, 3).to_bytes(3, "little") == bytes([0x53, 0x52, 0x41])
        assert machine.vp.state is VpState.IDLE and machine.vp.read("rip") == CODE + 5


def test_interrupt_wakes_an_idle_vp_and_hlt_is_left_behind() -> None:
    with SmallMachine("sti; hlt; inc ebx; cli; hlt", handlers={0x40: "inc ecx; iretq"}) as machine:
        machine.run()
        assert machine.vp.state is VpState.IDLE
        machine.vp.apic.request(0x40, auto_eoi=True)
        assert machine.vp.state is VpState.READY
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.read("rcx"), machine.vp.state) == (1, 1, VpState.HALTED)


def test_interrupt_does_not_wake_a_vp_that_halted_with_interrupts_disabled() -> None:
    with SmallMachine("hlt") as machine:
        machine.run()
        machine.vp.apic.request(0x40)
        assert machine.vp.state is VpState.HALTED and machine.run() == 0


def test_hlt_with_an_interrupt_pending_does_not_sleep() -> None:
    with SmallMachine("sti; hlt; inc ebx; cli; hlt", handlers={0x40: "iretq"}) as machine:
        machine.vp.apic.request(0x40, auto_eoi=True)
        machine.run()
        assert (machine.vp.read("rbx"), machine.vp.state) == (1, VpState.HALTED)


def test_stepping_delivers_what_a_run_delivers() -> None:
    def state(*, steps: bool) -> tuple[int, ...]:
        handlers = dict.fromkeys((0x40, 0x50), "shl ebx, 4; or ebx, 1; iretq")
        with SmallMachine("sti; nop; nop; nop; cli; hlt", handlers=handlers) as machine:
            for vector in handlers:
                machine.vp.apic.request(vector, auto_eoi=True)
            while steps and machine.vp.state is VpState.READY:
                machine.hypervisor.step(machine.vp)
            machine.run()
            counters = machine.vp.counters
            return machine.vp.read("rbx"), counters.interrupts, counters.blocks

    assert state(steps=True) == state(steps=False) == (0x11, 2, state(steps=False)[2])
