"""Alarms: the soonest first, equal ones in order, never early; and how a machine runs to them."""

from hypothesis import given
from hypothesis import strategies as st
from machines import SmallMachine

from minihv.hypervisor.alarms import NEVER, Alarms
from minihv.hypervisor.scheduler import ALONE_QUANTUM, SHARED_QUANTUM
from minihv.hypervisor.states import VpState

SPIN = "spin: inc rbx; jmp spin"


class Told:
    """Who was told that the next alarm is due sooner, and which went off when."""

    def __init__(self) -> None:
        self.sooner: list[int] = []
        self.rang: list[tuple[str, int]] = []
        self.alarms = Alarms(self.sooner.append)

    def set(self, key: str, due: int) -> None:
        self.alarms.set(key, due, lambda now: self.rang.append((key, now)))


def test_alarms_go_off_the_soonest_first_and_equal_ones_as_they_were_set() -> None:
    told = Told()
    for key, due in (("c", 30), ("a", 10), ("b", 10), ("d", 40)):
        told.set(key, due)
    told.alarms.go_off(30)
    assert told.rang == [("a", 30), ("b", 30), ("c", 30)] and told.alarms.next_due == 40


def test_alarm_is_never_early() -> None:
    told = Told()
    told.set("a", 10)
    told.alarms.go_off(9)
    assert told.rang == [] and told.alarms.is_set("a")
    told.alarms.go_off(10)
    assert told.rang == [("a", 10)] and not told.alarms.is_set("a")


def test_alarm_that_is_set_anew_forgets_its_first_moment() -> None:
    told = Told()
    told.set("a", 10)
    told.set("a", 20)
    assert told.alarms.next_due == 20
    told.alarms.go_off(15)
    assert told.rang == []


def test_cancelled_alarm_does_not_go_off() -> None:
    told = Told()
    told.set("a", 10)
    told.set("b", 20)
    told.alarms.cancel("a")
    told.alarms.cancel("never set")
    assert told.alarms.next_due == 20
    told.alarms.cancel("b")
    told.alarms.go_off(100)
    assert told.rang == [] and told.alarms.next_due == NEVER


def test_somebody_is_told_when_the_next_alarm_comes_sooner() -> None:
    told = Told()
    for key, due in (("a", 30), ("b", 40), ("c", 20), ("c", 50)):
        told.set(key, due)
    assert told.sooner == [30, 20]


def test_alarm_may_set_the_next_one_while_it_goes_off() -> None:
    alarms, rang = Alarms(), []

    def ring(now: int) -> None:
        rang.append(now)
        alarms.set("period", rang[-1] + 10, ring)

    alarms.set("period", 10, ring)
    for now in (10, 20, 25, 30):
        alarms.go_off(now)
    assert rang == [10, 20, 30]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50), st.booleans()), max_size=40))
def test_alarms_answer_as_a_sorted_list(changes: list[tuple[str, int, bool]]) -> None:
    told, model = Told(), dict[str, tuple[int, int]]()
    for number, (key, due, kept) in enumerate(changes):
        if kept:
            told.set(key, due)
            model[key] = due, number
        else:
            told.alarms.cancel(key)
            model.pop(key, None)
    told.alarms.go_off(25)
    left = {key: entry for key, entry in model.items() if entry[0] > 25}
    gone = sorted((entry, key) for key, entry in model.items() if key not in left)
    assert told.rang == [(key, 25) for _, key in gone]
    assert told.alarms.next_due == min(left.values(), default=(NEVER, 0))[0]


def test_time_skips_to_the_alarm_that_wakes_an_idle_vp() -> None:
    with SmallMachine("sti; hlt; inc ebx; cli; hlt", handlers={0x40: "iretq"}) as machine:
        hypervisor = machine.hypervisor
        hypervisor.alarms.set("wake", 5_000_000, lambda _now: machine.vp.apic.request(0x40))
        assert hypervisor.run() < 10
        assert machine.vp.state is VpState.HALTED and machine.vp.read("rbx") == 1
        assert 5_000_000 <= hypervisor.now < 5_000_010 and hypervisor.scheduler.lps[0].busy < 10


def test_run_ends_when_no_alarm_could_wake_anybody() -> None:
    with SmallMachine("hlt") as machine:
        machine.hypervisor.alarms.set("vain", 1000, lambda _now: None)
        assert machine.hypervisor.run() == 1 and machine.hypervisor.alarms.is_set("vain")


def test_alarms_that_wake_nobody_use_up_the_budget() -> None:
    with SmallMachine("sti; hlt") as machine:
        alarms = machine.hypervisor.alarms

        def again(now: int) -> None:
            alarms.set("vain", now + 1000, again)

        again(0)
        assert machine.run(100) == 100 and machine.hypervisor.now >= 98_000


def test_turn_ends_at_the_alarm_to_the_block() -> None:
    with SmallMachine(SPIN) as machine:
        rang: list[int] = []
        for due in (1234, 5678):
            machine.hypervisor.alarms.set(due, due, rang.append)
        machine.run(10_000)
        assert rang == [1234, 5678] and machine.vp.counters.blocks == 10_000


def test_alarm_that_an_exit_sets_within_a_turn_is_not_late() -> None:
    code = "mov ecx, 0x40000002; rdmsr; spin: inc rbx; jmp spin"
    for lps in (1, 2):
        with SmallMachine(code, vps=2, lps=lps) as machine:
            hypervisor, rang = machine.hypervisor, list[int]()

            def arm(number: int, machine: SmallMachine = machine, rang: list[int] = rang) -> None:
                machine.hypervisor.alarms.set("late?", number + 1000, rang.append)

            hypervisor.alarms.set("first", 300, arm)
            hypervisor.run(100_000)
            assert rang == [1300]


def test_alarm_that_wakes_a_vp_ends_the_turn_of_the_other() -> None:
    with SmallMachine("test esi, esi; jz 1f; sti; hlt; rdtsc; cli; hlt; 1: jmp 1b", vps=2) as machine:
        machine.partition.vps[1].write("rsi", 1)
        machine.hypervisor.run(SHARED_QUANTUM + 100)
        sleeper = machine.partition.vps[1]
        assert sleeper.state is VpState.IDLE
        machine.gate(0x40, to=0x11_0000 + 0x40 * 0x41)
        machine.partition.gpa_space.write(0x11_0000 + 0x40 * 0x41, bytes.fromhex("48cf"))
        due = machine.hypervisor.now + 300_000
        machine.hypervisor.alarms.set("wake", due, lambda _now: sleeper.apic.request(0x40))
        machine.hypervisor.run(2 * ALONE_QUANTUM)
        assert sleeper.state is VpState.HALTED
        assert due * 4 <= sleeper.read("rax") < (due + 10) * 4


def test_alarm_set_while_a_vp_is_stepped_goes_off_between_two_steps() -> None:
    with SmallMachine(SPIN) as machine:
        rang: list[int] = []
        machine.hypervisor.alarms.set("step", 3, rang.append)
        for _ in range(10):
            machine.hypervisor.step(machine.vp)
        assert rang == [3]
