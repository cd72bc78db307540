"""Crowded memories are the same for the same seed; their shares are held by ``tests/twins``."""

import numpy as np
from hypothesis import given

from minihv.testing.crowds import FRAME_COUNT, CrowdedWorld, crowded_entries, crowded_worlds


@given(crowded_worlds())
def test_every_frame_but_the_first_is_full_of_entries(world: CrowdedWorld) -> None:
    frames = world.memory.view.view(np.uint64).reshape(FRAME_COUNT, 512)
    assert not frames[0].any()
    assert (frames[1:] & 1).sum(axis=1).min() > 400


@given(crowded_worlds())
def test_spoiling_turns_one_bit_over_in_every_copy(world: CrowdedWorld) -> None:
    before = world.memory.read_u64(0x1000)
    world.spoil(0x1000, world.memory)
    assert (before ^ world.memory.read_u64(0x1000)).bit_count() == 1


def test_share_of_what_refuses_is_the_one_that_is_asked_for() -> None:
    choose = np.random.default_rng(0)
    targets = np.array([7], dtype=np.uint64)
    plain = crowded_entries(choose, targets, large_share=0, few=0)
    rare = crowded_entries(choose, targets, large_share=1, few=0.5)
    assert set(plain & ~np.uint64(0x60)) == {7 << 12 | 7}
    assert 150 < int((rare >> np.uint64(63)).sum()) < 360 and (rare & np.uint64(0x80)).all()
