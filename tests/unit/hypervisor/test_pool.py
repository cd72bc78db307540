"""Memory pools: what was deposited pays, and comes back as it was."""

from collections.abc import Iterator

import pytest

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor.pool import MachineFrames, MemoryPool
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.terms import MIB, PAGE_BYTES


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(1 * MIB)
    yield made
    made.close()


def filled(memory: SystemMemory, count: int) -> MemoryPool:
    pool, spa = MemoryPool(memory), memory.frames.allocate(HYPERVISOR, count)
    for index in range(count):
        pool.deposit((spa >> 12) + index, 0x100 + index)
    return pool


def test_frames_are_taken_until_the_pool_is_empty(memory: SystemMemory) -> None:
    pool = filled(memory, 2)
    assert len({pool.take(), pool.take()}) == 2 and (pool.available, pool.in_use) == (0, 2)
    with pytest.raises(ConfigurationError) as refusal:
        pool.take()
    assert str(refusal.value) == (
        "A partition's memory pool has to pay for this, and is empty: deposit more memory."
    )


def test_frame_of_a_pool_holds_nothing_of_the_donor(memory: SystemMemory) -> None:
    memory.write(0, b"\xff" * PAGE_BYTES)
    pool = filled(memory, 1)
    assert memory.read(pool.take(), PAGE_BYTES) == bytes(PAGE_BYTES)


def test_frame_given_back_may_be_taken_again(memory: SystemMemory) -> None:
    pool = filled(memory, 1)
    spa = pool.take()
    pool.give(spa)
    assert (pool.available, pool.in_use) == (1, 0) and pool.take() == spa


def test_frame_given_back_twice_is_a_bug(memory: SystemMemory) -> None:
    pool = filled(memory, 1)
    spa = pool.take()
    pool.give(spa)
    with pytest.raises(InternalError) as refusal:
        pool.give(spa)
    assert str(refusal.value) == "A frame goes back to its memory pool once, and SPA 0x0 is there already."


def test_frames_are_withdrawn_with_the_pages_they_were(memory: SystemMemory) -> None:
    pool = filled(memory, 3)
    pool.take()
    assert pool.withdraw(5) == [(1, 0x101), (0, 0x100)]
    assert (pool.available, pool.in_use) == (0, 1)


def test_frame_that_was_never_deposited_goes_back_to_the_machine(memory: SystemMemory) -> None:
    pool, spa = filled(memory, 1), memory.frames.allocate(HYPERVISOR)
    pool.give(spa)
    assert memory.frames.owned_by(HYPERVISOR) == 1 and pool.available == 1


def test_machine_gives_what_is_free_and_zero(memory: SystemMemory) -> None:
    source, free = MachineFrames(memory), memory.frames.free_count
    spa = source.take()
    assert source.available == free - 1 and memory.read(spa, PAGE_BYTES) == bytes(PAGE_BYTES)
    source.give(spa)
    assert source.available == free
