"""The C walk answers as the Python walk, and leaves the same bytes in memory."""

from dataclasses import replace

import numpy as np
from hypothesis import given

from minihv.paging import native
from minihv.paging.walk import Mapping
from minihv.testing import CrowdedWorld, Shares, copy_of, crowded_worlds, observed, outcome_of

FLOORS = {
    "mapped: 4 KiB": 0.05,
    "mapped: 2 MiB": 0.005,
    "mapped: 1 GiB": 0.005,
    "absent at level 5": 0.001,
    "absent at level 4": 0.002,
    "absent at level 3": 0.002,
    "absent at level 2": 0.002,
    "absent at level 1": 0.002,
    "reserved at level 5": 0.001,
    "reserved at level 4": 0.002,
    "reserved at level 3": 0.002,
    "reserved at level 2": 0.002,
    "reserved at level 1": 0.0005,
    "R/W": 0.002,
    "U/S": 0.002,
    "NX": 0.002,
    "SMEP": 0.002,
    "SMAP at": 0.002,
    "SMAP, implicit": 0.0005,
    "not canonical": 0.005,
}


def test_native_walk_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        for _ in range(100):
            paging, access, gva = world.guest(), world.access(), world.gva()
            walked = observed(world.memory, paging, gva, access)
            assert native.walk(twin, paging, gva, access) == walked.found
            shares.add(outcome_of(walked))
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors(FLOORS)


def test_walk_that_knows_ways_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin, cache, tables = copy_of(world.memory), native.walk_cache(), world.guest()
        gvas = [world.gva() for _ in range(12)]
        for number in range(200):
            paging = replace(world.guest(), root=tables.root, levels=tables.levels)
            gva, access = world.random.choice(gvas), world.access()
            found = observed(world.memory, paging, gva, access).found
            assert native.walk(twin, paging, gva, access, cache) == found
            shares.add(type(found).__name__ + (" again" if number > 100 else ""))
            if isinstance(found, Mapping) and world.random.random() < 0.1:
                world.spoil(found.leaf_pa, world.memory, twin)
                native.forget(cache)
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors({"Mapping again": 0.02, "PageFault again": 0.02})
