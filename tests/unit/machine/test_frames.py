"""The frame allocator, held against a dict: no frame has two owners, and the first run that fits is taken."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from minihv.errors import ConfigurationError, InternalError
from minihv.machine.frames import FREE, HYPERVISOR, FrameAllocator
from minihv.terms import MIB, PAGE_BYTES

OWNERS = st.sampled_from((1, 0xFFFE, HYPERVISOR))
FRAMES = 48
seen: Counter[str] = Counter()
"""How often each thing happened to the machines below."""


def note(outcome: str) -> None:
    event(outcome)
    seen[outcome] += 1


class FramesAsADict(RuleBasedStateMachine):
    """``owner[frame]`` for every frame that has one."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = FrameAllocator(FRAMES)
        self.owner: dict[int, int] = {}
        self.given_back: set[int] = set()

    def first_fit(self, count: int, align: int) -> int | None:
        """The slow way to find a run."""
        starts = range(0, FRAMES - count + 1, align)
        fits = (start for start in starts if not self.owner.keys() & range(start, start + count))
        return next(fits, None)

    @rule(
        owner=OWNERS, count=st.sampled_from((1, 1, 1, 2, 3, 8, 17)), align=st.sampled_from((1, 1, 2, 4, 16))
    )
    def allocate(self, owner: int, count: int, align: int) -> None:
        first = self.first_fit(count, align)
        if first is None:
            with pytest.raises(ConfigurationError):
                self.frames.allocate(owner, count, align=align)
        else:
            assert self.frames.allocate(owner, count, align=align) == first * PAGE_BYTES
            self.owner |= dict.fromkeys(range(first, first + count), owner)
        note("refused" if first is None else "allocated")

    @precondition(lambda self: self.owner)
    @rule(number=st.integers(0, FRAMES - 1), count=st.integers(1, 4))
    def give_back(self, number: int, count: int) -> None:
        first = sorted(self.owner)[number % len(self.owner)]
        owner = self.owner[first]
        run = [frame for frame in range(first, first + count) if self.owner.get(frame) == owner]
        count = len(run) if run[-1] - first < len(run) else 1
        self.frames.free(owner, first * PAGE_BYTES, count)
        self.forget(run[:count])
        note("given back")

    @rule(
        owner=OWNERS, first=st.integers(0, FRAMES - 1), count=st.integers(1, 4), into=st.sampled_from((0, 8))
    )
    def give_back_what_is_not_all_its_own(self, owner: int, first: int, count: int, into: int) -> None:
        if into or any(self.owner.get(frame) != owner for frame in range(first, first + count)):
            with pytest.raises(InternalError):
                self.frames.free(owner, first * PAGE_BYTES + into, count)
            note("foreign")

    @precondition(lambda self: len(self.owner) > FRAMES // 3)
    @rule(owner=OWNERS)
    def give_all_back(self, owner: int) -> None:
        mine = [frame for frame, other in self.owner.items() if other == owner]
        assert self.frames.free_all(owner) == len(mine)
        self.forget(mine)
        note("all given back" if mine else "nothing to give back")

    def forget(self, run: list[int]) -> None:
        self.given_back.update(run)
        for frame in run:
            del self.owner[frame]

    @invariant()
    def every_frame_has_the_owner_of_the_dict(self) -> None:
        expected = [self.owner.get(frame, FREE) for frame in range(FRAMES)]
        assert [self.frames.owner_of(frame * PAGE_BYTES) for frame in range(FRAMES)] == expected
        assert self.frames.free_count == FRAMES - len(self.owner)
        for owner in {1, *self.owner.values()}:
            assert self.frames.owned_by(owner) == list(self.owner.values()).count(owner)

    @invariant()
    def frame_is_used_when_somebody_gave_it_back(self) -> None:
        assert set(np.flatnonzero(self.frames.used)) == self.given_back


def test_allocator_answers_as_a_dict_of_owners() -> None:
    seen.clear()
    run_state_machine_as_test(FramesAsADict)
    shares = {name: number / seen.total() for name, number in seen.items()}
    floors = {"allocated": 0.1, "foreign": 0.1, "given back": 0.05, "refused": 0.01, "all given back": 0.005}
    assert all(shares[name] > floor for name, floor in floors.items()), shares


def test_allocation_that_does_not_fit_says_what_is_left() -> None:
    frames = FrameAllocator(8)
    frames.allocate(1, 6)
    with pytest.raises(ConfigurationError) as refusal:
        frames.allocate(2, 3)
    assert str(refusal.value) == (
        "The machine has 8 KiB of system memory left and no run of 12 KiB in it: "
        "give the machine more, or its partitions less."
    )


def test_allocation_from_a_full_memory_says_that_nothing_is_left() -> None:
    frames = FrameAllocator(4)
    frames.allocate(1, 4)
    with pytest.raises(ConfigurationError) as refusal:
        frames.allocate(2)
    assert str(refusal.value) == (
        "The machine has 0 KiB of system memory left and no run of 4 KiB in it: "
        "give the machine more, or its partitions less."
    )


@pytest.mark.parametrize("owner", [-1, FREE, 0x1_0000])
def test_owner_must_be_a_number_that_the_table_can_keep(owner: int) -> None:
    with pytest.raises(InternalError) as refusal:
        FrameAllocator(4).allocate(owner)
    assert str(refusal.value) == f"An owner of frames must be 1 to 0xffff, not {owner:#x}."


@pytest.mark.parametrize(
    ("owner", "spa", "count"),
    [(2, 0, 1), (1, 0x10, 1), (1, 0, 3), (1, 0x1000, 2), (1, 0x3000, 2), (1, 0x9000, 1), (HYPERVISOR, 0, 4)],
)
def test_frames_that_are_not_all_the_owners_are_not_taken_back(owner: int, spa: int, count: int) -> None:
    frames = FrameAllocator(4)
    frames.allocate(1, 2)
    with pytest.raises(InternalError) as refusal:
        frames.free(owner, spa, count)
    assert str(refusal.value) == (
        f"Owner {owner:#x} gives back {count} frames at SPA {spa:#x} that are not all its own."
    )
    assert frames.owned_by(1) == 2 and frames.free_count == 2


def test_first_frame_of_a_run_is_a_multiple_of_its_alignment() -> None:
    frames = FrameAllocator(2048)
    frames.allocate(1)
    assert frames.allocate(2, 512, align=512) == 2 * MIB
    assert frames.allocate(3, 2) == PAGE_BYTES


def test_single_frames_of_a_large_memory_are_found_without_walking_over_those_before() -> None:
    frames = FrameAllocator(1 << 20)
    frames.allocate(1, 1 << 19)
    frames.free(1, 0)
    looked = [frames.allocate(HYPERVISOR) >> 12 for _ in range(20_000)]
    assert looked == [0, *range(1 << 19, (1 << 19) + 19_999)]


def test_last_frame_of_a_memory_is_found_behind_all_the_others() -> None:
    frames = FrameAllocator(100_001)
    frames.allocate(1, 100_000)
    frames.free(1, 0)
    assert [frames.allocate(2), frames.allocate(2)] == [0, 100_000 * PAGE_BYTES]
