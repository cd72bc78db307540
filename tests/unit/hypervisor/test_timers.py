"""Synthetic timers: the rules of their registers, never early, exactly as often as they should."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import SmallMachine

from minihv.hypervisor.alarms import Alarms
from minihv.hypervisor.msrs import read_msr, write_msr
from minihv.hypervisor.states import VpState
from minihv.hypervisor.synic import Message
from minihv.hypervisor.timers import SyntheticTimer, timers_of
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.clock import blocks_until, reference_time
from minihv.spec.msrs import Msr, TimerConfig
from minihv.spec.synic import MessageType, TimerPayload

ENABLE, PERIODIC, LAZY, AUTO_ENABLE, DIRECT = 1, 2, 4, 8, 1 << 12
SINT_1, VECTOR = 1 << 16, 0x40 << 4


@dataclass(eq=False)
class Surroundings:
    """As much of a VP as a timer asks for."""

    partition: Any
    apic: Any
    synic: Any


class World:
    """As much of a machine as a timer sees: time, alarms, and who is told."""

    def __init__(self, created_at: int = 0) -> None:
        self.now, self.alarms = 0, Alarms()
        self.told: list[tuple[str, int]] = []
        self.messages: list[TimerPayload] = []
        vp = Surroundings(
            partition=SimpleNamespace(hypervisor=self, created_at=created_at),
            apic=SimpleNamespace(request=lambda vector: self.told.append(("vector", vector))),
            synic=SimpleNamespace(post=self._post),
        )
        self.timer = SyntheticTimer(cast("VirtualProcessor", vp), 2)

    def _post(self, sint: int, message: Message, _buffers: Any) -> None:
        assert (message.type, message.origin) == (MessageType.TIMER_EXPIRED, 0)
        self.told.append(("sint", sint))
        self.messages.append(TimerPayload(message.payload))

    def go_to(self, reference_units: int) -> None:
        """Lets time go on, alarm by alarm, as an idle machine does."""
        end = blocks_until(reference_units)
        while self.alarms.next_due <= end:
            self.now = self.alarms.next_due
            self.alarms.go_off(self.now)
        self.now = end


def test_one_shot_expires_once_at_its_time_and_is_disabled() -> None:
    world = World()
    world.timer.write_count(1000)
    world.timer.write_config(ENABLE | SINT_1)
    world.go_to(999)
    assert world.told == [] and world.timer.config.enable
    world.go_to(5000)
    assert world.told == [("sint", 1)] and not world.timer.config.enable
    payload = world.messages[0]
    assert (payload.timer, payload.expiration_time, payload.delivery_time) == (2, 1000, 1000)


def test_one_shot_in_the_past_expires_at_once() -> None:
    world = World()
    world.go_to(1000)
    world.timer.write_config(AUTO_ENABLE | DIRECT | VECTOR)
    world.timer.write_count(10)
    assert world.told == [("vector", 0x40)] and not world.timer.config.enable


def test_enabled_timer_without_a_count_does_not_expire() -> None:
    world = World()
    world.timer.write_config(ENABLE | AUTO_ENABLE | SINT_1)
    world.go_to(10_000)
    assert world.told == [] and world.timer.config.enable


def test_count_of_zero_stops_a_timer() -> None:
    world = World()
    world.timer.write_config(ENABLE | SINT_1)
    world.timer.write_count(1000)
    world.timer.write_count(0)
    world.go_to(10_000)
    assert world.told == [] and not world.timer.config.enable


def test_enable_is_cleared_for_sint_0_unless_the_mode_is_direct() -> None:
    world = World()
    world.timer.write_config(ENABLE)
    assert not world.timer.config.enable
    world.timer.write_config(ENABLE | DIRECT | VECTOR)
    assert world.timer.config.enable


def test_auto_enable_does_not_enable_a_timer_of_sint_0() -> None:
    world = World()
    world.timer.write_config(AUTO_ENABLE)
    world.timer.write_count(100)
    assert not world.timer.config.enable


@pytest.mark.parametrize("value", [1 << 13, 1 << 20, 1 << 63, DIRECT | 15 << 4], ids=hex)
def test_reserved_bit_or_direct_vector_below_16_is_refused_and_changes_nothing(value: int) -> None:
    world = World()
    world.timer.write_config(SINT_1)
    assert not world.timer.write_config(value) and world.timer.config == TimerConfig(SINT_1)


def test_periodic_timer_expires_after_each_period() -> None:
    world = World()
    world.go_to(50)
    world.timer.write_count(100)
    world.timer.write_config(ENABLE | PERIODIC | SINT_1)
    world.go_to(349)
    assert [payload.expiration_time for payload in world.messages] == [150, 250]
    assert world.timer.config.enable


@pytest.mark.parametrize(("lazy", "expected"), [(0, [100, 200, 300]), (LAZY, [100])])
def test_timer_that_is_late_catches_up_and_a_lazy_one_forgets(lazy: int, expected: list[int]) -> None:
    world = World()
    world.timer.write_config(ENABLE | PERIODIC | lazy | SINT_1)
    world.timer.write_count(100)
    world.now = blocks_until(310)
    world.alarms.go_off(world.now)
    assert [payload.expiration_time for payload in world.messages] == expected
    assert world.alarms.next_due == blocks_until(400)


def test_time_beyond_all_moments_never_comes() -> None:
    world = World()
    world.timer.write_config(ENABLE | SINT_1)
    world.timer.write_count((1 << 64) - 1)
    assert world.timer.config.enable and not world.alarms.is_set(world.timer._key)


def test_time_of_a_timer_begins_with_its_partition() -> None:
    world = World(created_at=7)
    world.timer.write_config(ENABLE | SINT_1)
    world.timer.write_count(100)
    assert world.alarms.next_due == blocks_until(107)


SHARES: Counter[str] = Counter()


@given(
    start=st.integers(0, 10_000), count=st.integers(1, 2000), span=st.integers(0, 20_000),
    periodic=st.booleans(), created_at=st.integers(0, 100),
)  # fmt: skip
def test_timer_is_never_early_and_expires_as_often_as_its_count_says(
    start: int, count: int, span: int, periodic: bool, created_at: int
) -> None:
    world = World(created_at)
    world.now = blocks_until(created_at) + start
    began = reference_time(world.now) - created_at
    world.timer.write_config(ENABLE | (PERIODIC if periodic else 0) | SINT_1)
    world.timer.write_count(count)
    world.go_to(created_at + began + span)
    due = [began + count * n for n in range(1, span // count + 1)] if periodic else [count]
    if not periodic and count > began + span:
        due = []
    assert [payload.expiration_time for payload in world.messages] == due
    assert all(payload.delivery_time >= payload.expiration_time for payload in world.messages)
    SHARES["none" if not due else "once" if len(due) == 1 else "often"] += 1


def test_every_number_of_expirations_was_met() -> None:
    test_timer_is_never_early_and_expires_as_often_as_its_count_says()
    assert min(SHARES[outcome] for outcome in ("none", "once", "often")) > sum(SHARES.values()) // 50


def test_vp_has_four_timers_and_each_its_registers() -> None:
    with SmallMachine() as machine:
        assert len(timers_of(machine.vp)) == 4
        for number in range(4):
            assert write_msr(machine.vp, Msr.STIMER0_CONFIG + 2 * number, SINT_1 | number << 16)
            assert write_msr(machine.vp, Msr.STIMER0_COUNT + 2 * number, 100 + number)
        assert [read_msr(machine.vp, Msr.STIMER0_COUNT + 2 * n) for n in range(4)] == [100, 101, 102, 103]
        assert read_msr(machine.vp, Msr.STIMER2_CONFIG) == SINT_1 | 2 << 16


SLEEP = f"""
mov ecx, {int(Msr.STIMER0_CONFIG)}; mov eax, {AUTO_ENABLE | DIRECT | VECTOR}; xor edx, edx; wrmsr
mov ecx, {int(Msr.STIMER0_COUNT)}; mov eax, 50000; wrmsr
sti; hlt; cli
mov ecx, {int(Msr.TIME_REF_COUNT)}; rdmsr; mov rbx, rax; hlt
"""


@pytest.mark.parametrize("lps", [1, 3])
def test_guest_sleeps_until_its_timer_interrupts_it(lps: int) -> None:
    ack = f"mov ecx, {int(Msr.EOI)}; xor eax, eax; xor edx, edx; wrmsr; iretq"
    with SmallMachine(SLEEP, vps=3, lps=lps, handlers={0x40: ack}) as machine:
        machine.run()
        for vp in machine.partition.vps:
            assert vp.state is VpState.HALTED and 50_000 <= vp.read("rbx") < 50_020
            assert vp.counters.interrupts == 1 and vp.apic.in_service == 0


def test_timers_of_a_partition_that_is_deleted_do_not_expire() -> None:
    with SmallMachine(SLEEP, partitions=2) as machine:
        machine.run(1)
        machine.vp.timers[0].write_config(ENABLE | DIRECT | VECTOR)
        machine.vp.timers[0].write_count(10_000)
        machine.hypervisor.delete_partition(machine.partition.id)
        assert machine.hypervisor.alarms.next_due == 1 << 60
