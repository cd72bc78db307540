"""The C two-stage walk answers as the Python one, counts as many references, and leaves the same bytes."""

import numpy as np
from builders import copy_of
from hypothesis import given
from random_tables import Shares, World, outcome_of, worlds

from minihv.paging import native
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging, Reference
from minihv.paging.nested import NestedMapping, nested_walk, second_walk

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

    @given(worlds())
    def walks_agree(world: World) -> None:
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
    seen: list[Reference] = []
    expected = nested_walk(memory, guest, second, gva, access, seen.append)
    assert native.nested_walk(twin, guest, second, gva, access) == expected
    assert getattr(expected, "references", 0) == len(seen)
    shares.add(outcome_of(expected, guest, second, access, seen))
    return expected


def test_walk_that_remembers_earlier_ones_answers_as_the_reference() -> None:
    shares = Shares()

    @given(worlds())
    def walks_agree(world: World) -> None:
        twin, cache, second = copy_of(world.memory), native.walk_cache(), world.second()
        for _ in range(200):
            guest, gva, access = world.guest(nested=True), world.gva(), world.access()
            seen: list[Reference] = []
            expected = nested_walk(world.memory, guest, second, gva, access, seen.append)
            assert native.nested_walk(twin, guest, second, gva, access, cache) == expected
            shares.add(outcome_of(expected, guest, second, access, seen))
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors({"mapped: 4 KiB by 4 KiB": 0.001, "page fault: absent": 0.001})


def test_native_second_walk_answers_as_the_reference() -> None:
    shares = Shares()

    @given(worlds())
    def walks_agree(world: World) -> None:
        twin = copy_of(world.memory)
        for _ in range(50):
            second, kind, seen = world.second(), world.access().kind, list[Reference]()
            gpa = world.gpa()
            expected = second_walk(world.memory, second, gpa, kind, seen.append)
            assert native.second_walk(twin, second, gpa, kind) == expected
            shares.add(outcome_of(expected, second, second, Access(kind, user=True), seen))
        assert np.array_equal(twin.view, world.memory.view)

    walks_agree()
    shares.assert_floors(
        {"mapped: 4 KiB": 0.05, "mapped: 2 MiB": 0.01, "mapped: 1 GiB": 0.01}
        | {f"violation on the page: {why}": 0.005 for why in ("absent", "reserved", "R/W", "U/S", "NX")}
    )


def test_native_walks_many_addresses_in_one_call() -> None:
    @given(worlds())
    def counts_agree(world: World) -> None:
        twin = copy_of(world.memory)
        guest, second = world.guest(nested=True), world.second()
        gvas, access = [world.gva() for _ in range(10)], Access(AccessKind.READ)
        found = [nested_walk(world.memory, guest, second, gva, access) for gva in gvas]
        expected = sum(getattr(one, "references", 0) for one in found)
        assert native.walk_each(twin, guest, second, gvas, access) == expected

    counts_agree()
