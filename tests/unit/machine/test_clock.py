"""Virtual time: units of the reference counter, and the blocks that reach them."""

from collections import Counter

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from machines import SmallMachine

from minihv.machine.clock import (
    NS_PER_BLOCK,
    NS_PER_REFERENCE_UNIT,
    REFERENCE_HZ,
    TSC_HZ,
    blocks_until,
    reference_time,
)

NUMBERS = st.one_of(st.integers(0, 1000), st.integers(0, 1 << 64))


def test_units_are_those_of_the_documentation() -> None:
    assert (NS_PER_BLOCK, NS_PER_REFERENCE_UNIT, REFERENCE_HZ, TSC_HZ) == (4, 100, 10_000_000, 1_000_000_000)


@pytest.mark.parametrize(("blocks", "units"), [(0, 0), (24, 0), (25, 1), (49, 1), (250_000_000, 10_000_000)])
def test_reference_counter_counts_whole_units(blocks: int, units: int) -> None:
    assert reference_time(blocks) == units


@given(NUMBERS)
def test_blocks_until_a_time_reach_it_and_one_less_does_not(units: int) -> None:
    blocks = blocks_until(units)
    assert reference_time(blocks) == units
    assert units == 0 or reference_time(blocks - 1) < units


def test_time_never_reached_later_than_it_is_read() -> None:
    seen: Counter[str] = Counter()

    @given(NUMBERS)
    def check(blocks: int) -> None:
        outcome = "exact" if blocks_until(reference_time(blocks)) == blocks else "within a unit"
        event(outcome)
        seen[outcome] += 1
        assert 0 <= blocks - blocks_until(reference_time(blocks)) < NS_PER_REFERENCE_UNIT / NS_PER_BLOCK

    check()
    assert seen["exact"] > 0 and seen["within a unit"] / seen.total() > 0.3, seen


@given(NUMBERS, NUMBERS)
def test_time_goes_on_as_blocks_do(first: int, second: int) -> None:
    earlier, later = sorted((first, second))
    assert reference_time(earlier) <= reference_time(later)
    assert 0 <= reference_time(earlier + later) - reference_time(earlier) - reference_time(later) <= 1


def test_tsc_of_a_guest_counts_the_nanoseconds_of_its_blocks() -> None:
    read = "rdtsc; mov rbx, rax; mov ecx, 500; again: dec ecx; jnz again; rdtsc; sub rax, rbx; hlt"
    with SmallMachine(read) as machine:
        machine.run()
        assert machine.vp.read("rax") % NS_PER_BLOCK == 0
        assert 500 <= machine.vp.read("rax") // NS_PER_BLOCK <= 502
