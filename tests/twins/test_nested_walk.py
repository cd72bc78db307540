"""The C two-stage walk answers as the Python one, counts as many references, and leaves the same bytes."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from two_stages import RAM_SPA, TwoStages

from minihv.paging import native
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging, StageName
from minihv.paging.nested import NestedMapping, nested_walk
from minihv.testing import (
    CrowdedWorld,
    Shares,
    copy_of,
    crowded_worlds,
    observed,
    observed_second,
    outcome_of,
)
from minihv.testing.crowds import SECOND_FRAMES

FLOORS = {
    "mapped: 4 KiB by 4 KiB": 0.01,
    "mapped: 4 KiB by 2 MiB": 0.0003,
    "mapped: 2 MiB by": 0.001,
    "page fault: absent": 0.005,
    "page fault: reserved": 0.005,
    "page fault: R/W": 0.0002,
    "page fault: U/S": 0.0002,
    "page fault: NX": 0.0002,
    "page fault: SMEP": 0.0002,
    "page fault: SMAP": 0.0002,
    "violation on a table: absent": 0.01,
    "violation on a table: reserved": 0.01,
    "violation on a table: R/W": 0.005,
    "violation on a table: U/S": 0.005,
    "violation on the page: absent": 0.001,
    "violation on the page: reserved": 0.001,
    "violation on the page: R/W": 0.0005,
    "violation on the page: U/S": 0.0005,
    "violation on the page: NX": 0.0005,
    "not canonical": 0.005,
}


def test_native_nested_walk_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        for _ in range(200):
            walked = world.guest(nested=True), world.second(), world.gva(), world.access()
            for _ in range(3):  # once more where it was mapped, with one bit of the last entry turned over
                found = both_walks(world.memory, twin, *walked, shares)
                if not isinstance(found, NestedMapping):
                    break
                world.spoil(found.second_leaf_pa, world.memory, twin)
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors(FLOORS)


def test_native_walk_of_a_guest_without_tables_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        guest = replace(world.guest(nested=True), levels=0)
        for _ in range(100):
            both_walks(world.memory, twin, guest, world.second(), world.gva(), world.access(), shares)
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors({name: FLOORS[name] for name in FLOORS if "violation on the page" in name})


def test_address_without_paging_is_a_gpa_of_32_bits() -> None:
    world = TwoStages()
    unpaged, second = Paging(0, levels=0), world.second.paging
    for walked in (nested_walk, native.nested_walk):
        found = walked(world.memory, unpaged, second, 0xF_0000_5678, Access())
        assert isinstance(found, NestedMapping)
        assert (found.gpa, found.spa, found.page_bytes, found.level) == (0x5678, RAM_SPA + 0x5678, 0, 0)


def both_walks(
    memory: BufferMemory,
    twin: BufferMemory,
    guest: Paging,
    second: Paging,
    gva: int,
    access: Access,
    shares: Shares,
) -> object:
    """What the reference finds; the twin finds the same."""
    walked = observed(memory, guest, gva, access, second)
    assert native.nested_walk(twin, guest, second, gva, access) == walked.found
    assert getattr(walked.found, "references", 0) == len(walked.seen)
    shares.add(outcome_of(walked))
    return walked.found


def test_walk_that_remembers_earlier_ones_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin, cache, second = copy_of(world.memory), native.walk_cache(), world.second()
        guests, gvas = [world.guest(nested=True) for _ in range(3)], [world.gva() for _ in range(8)]
        of_second: set[int] = set()  # where the entries lie that it read: crowded tables serve both stages
        for number in range(200):
            guest = replace(world.guest(nested=True), root=world.random.choice(guests).root)
            gva, access = world.random.choice(gvas), world.access()
            walked = observed(world.memory, guest, gva, access, second)
            assert native.nested_walk(twin, guest, second, gva, access, cache) == walked.found
            shares.add(outcome_of(walked) + (" again" if number > 100 else ""))
            of_second.update(read.entry_pa for read in walked.seen if read.stage is StageName.SECOND)
            if isinstance(walked.found, NestedMapping) and world.random.random() < 0.1:
                world.spoil(walked.found.leaf_pa, world.memory, twin)
                if walked.found.leaf_pa in of_second:
                    cache = native.walk_cache()
                else:
                    native.forget(cache)
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors({"mapped: 4 KiB by 4 KiB": 0.001, "page fault: absent": 0.001, "again": 0.4})


def test_walk_forgets_earlier_ones_when_the_second_stage_is_another() -> None:
    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin, cache = copy_of(world.memory), native.walk_cache()
        first, guest = world.second(), world.guest(nested=True)
        for _ in range(60):
            frame = world.random.choice(SECOND_FRAMES[first.levels])
            second, gva, access = replace(first, root=frame << 12), world.gva(), world.access()
            walked = observed(world.memory, guest, gva, access, second)
            assert native.nested_walk(twin, guest, second, gva, access, cache) == walked.found

    walks_agree()


def test_native_second_walk_answers_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def walks_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        for _ in range(50):
            second, kind, gpa = world.second(), world.access().kind, world.gpa()
            walked = observed_second(world.memory, second, gpa, kind)
            assert native.second_walk(twin, second, gpa, kind) == walked.found
            shares.add(outcome_of(walked))
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors(
        {"mapped: 4 KiB": 0.05, "mapped: 2 MiB": 0.01, "mapped: 1 GiB": 0.01}
        | {f"violation on the page: {why}": 0.005 for why in ("absent", "reserved", "R/W", "U/S", "NX")}
    )


def test_native_walks_many_addresses_in_one_call() -> None:
    @given(crowded_worlds())
    def counts_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        guest, second = world.guest(nested=True), world.second()
        gvas, access = [world.gva() for _ in range(10)], Access(AccessKind.READ)
        found = [nested_walk(world.memory, guest, second, gva, access) for gva in gvas]
        expected = sum(getattr(one, "references", 0) for one in found)
        assert native.walk_each(twin, guest, second, gvas, access) == expected

    counts_agree()
