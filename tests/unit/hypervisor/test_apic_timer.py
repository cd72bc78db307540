"""The APIC's timer: once, again and again, masked, and what its counter shows."""

import pytest
from machines import SmallMachine

from minihv.hypervisor.states import VpState
from minihv.spec.apic import ApicRegister as R
from minihv.spec.apic import LocalVector, TimerDivide

SPIN = "spin: inc rbx; jmp spin"
DIVIDE_BY_1 = 0b1011
PERIODIC = LocalVector.periodic.mask


def timed(machine: SmallMachine, entry: int, initial: int, divide: int = DIVIDE_BY_1) -> None:
    registers = machine.vp.apic_registers
    registers.write(R.TIMER_DIVIDE, divide)
    registers.write(R.LVT_TIMER, entry)
    registers.write(R.TIMER_INITIAL, initial)


@pytest.mark.parametrize(
    ("number", "divisor"), [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)]
)
def test_divide_configuration_is_a_power_of_two(number: int, divisor: int) -> None:
    assert TimerDivide(number).divisor == divisor


def test_one_shot_requests_its_vector_once() -> None:
    with SmallMachine(
        "sti; 1: hlt; jmp 1b", handlers={0x40: "inc ebx; mov ecx, 0x40000070; wrmsr; iretq"}
    ) as machine:
        timed(machine, 0x40, 400_000)
        machine.run()
        assert machine.vp.read("rbx") == 1 and machine.vp.state is VpState.IDLE
        assert 100_000 <= machine.hypervisor.now < 100_010
        assert machine.vp.apic_registers.read(R.TIMER_CURRENT) == 0


def test_periodic_timer_requests_its_vector_again_and_again() -> None:
    with SmallMachine(SPIN, handlers={}) as machine:
        timed(machine, 0x40 | PERIODIC, 4000)
        rang = []
        machine.vp.apic.request = lambda vector, **_: rang.append((vector, machine.hypervisor.now)) or True  # type: ignore[method-assign, func-returns-value]
        machine.run(3500)
        assert rang == [(0x40, 1000), (0x40, 2000), (0x40, 3000)]


def test_counter_counts_down_with_the_divided_clock() -> None:
    with SmallMachine(SPIN) as machine:
        timed(machine, 0x40 | PERIODIC, 1000, divide=0b0001)
        machine.run(300)
        assert machine.vp.apic_registers.read(R.TIMER_CURRENT) == 1000 - 300
        machine.run(800)
        assert machine.vp.apic_registers.read(R.TIMER_CURRENT) == 1000 - 100


def test_initial_count_of_zero_stops_it() -> None:
    with SmallMachine(SPIN) as machine:
        timed(machine, 0x40, 4000)
        machine.vp.apic_registers.write(R.TIMER_INITIAL, 0)
        machine.run(5000)
        assert machine.vp.apic.requested == 0 and machine.vp.apic_registers.read(R.TIMER_CURRENT) == 0


def test_masked_timer_counts_and_requests_nothing() -> None:
    with SmallMachine(SPIN) as machine:
        timed(machine, 0x40 | LocalVector.masked.mask, 4000)
        machine.run(500)
        assert machine.vp.apic_registers.read(R.TIMER_CURRENT) == 2000
        machine.run(5000)
        assert machine.vp.apic.requested == 0


def test_new_divisor_goes_on_with_what_is_left() -> None:
    with SmallMachine(SPIN) as machine:
        timed(machine, 0x40, 4000)
        machine.run(500)
        machine.vp.apic_registers.write(R.TIMER_DIVIDE, 0)
        assert machine.vp.apic_registers.read(R.TIMER_CURRENT) == 2000
        machine.run(999)
        assert machine.vp.apic.requested == 0
        machine.run(1)
        machine.run(1)
        assert machine.vp.apic.requested == 1 << 0x40


def test_period_below_a_block_is_a_block() -> None:
    with SmallMachine(SPIN) as machine:
        timed(machine, 0x40 | PERIODIC, 1)
        assert machine.run(100) == 100
        assert machine.vp.apic.requested == 1 << 0x40


def test_initial_count_reads_back() -> None:
    with SmallMachine() as machine:
        timed(machine, 0x40, 1234)
        assert [machine.vp.apic_registers.read(r) for r in (R.TIMER_INITIAL, R.TIMER_DIVIDE)] == [
            1234,
            0b1011,
        ]
