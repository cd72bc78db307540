"""The C shadow tables are the Python ones, byte for byte, and answer as a walk of two stages does."""

import numpy as np
import pytest
from hypothesis import given, settings
from shadow_worlds import (
    Machine,
    World,
    guest_bytes,
    native_twin,
    plain_access,
    reference,
    same_answer,
    seeds,
    table_entry,
)

from minihv.paging.access import BufferMemory, Paging
from minihv.paging.nested import NestedMapping
from minihv.paging.shadow import ShadowPolicy
from minihv.testing import Shares

FLOORS = {"Filled": 0.03, "Mapping": 0.05, "PageFault": 0.05, "Violation": 0.01, "Emulated": 0.001}


@pytest.mark.parametrize(("page_count", "keep_large"), [(16, True), (200, True), (200, False)])
@pytest.mark.parametrize("policy", list(ShadowPolicy))
def test_shadow_answers_as_two_stages_and_as_its_twin(
    policy: ShadowPolicy, page_count: int, keep_large: bool
) -> None:
    shares = Shares()

    @settings(max_examples=settings().max_examples // 2)
    @given(seeds)
    def cores_agree(seed: int) -> None:
        world = World(seed)
        plain = BufferMemory(world.memory.view.copy())
        machines = [core(world, policy, page_count, keep_large) for core in (reference, native_twin)]
        guest = world.guest()
        for _ in range(80):
            guest = step(world, machines, plain, guest, shares)
            assert machines[0].shadow.counters == machines[1].shadow.counters
            assert machines[0].shadow.take_stale() == machines[1].shadow.take_stale()
        assert np.array_equal(machines[0].memory.view, machines[1].memory.view)
        assert np.array_equal(guest_bytes(plain), guest_bytes(machines[0].memory))

    cores_agree()
    shares.assert_floors(FLOORS if policy is not ShadowPolicy.FLUSH else {**FLOORS, "Emulated": 0.0})


def step(world: World, machines: list[Machine], plain: BufferMemory, guest: Paging, shares: Shares) -> Paging:
    """One thing that the guest, or ring -1, does; the guest's registers afterwards."""
    what = world.random.choices(("access", "edit", "cr3", "remap", "clear"), (70, 20, 6, 2, 2))[0]
    if what == "access":
        access_everywhere(world, machines, plain, guest, shares)
    elif what == "edit":
        edit(world, machines, plain, guest)
    elif what == "cr3":
        guest = world.guest()
    for machine in machines:
        match what:
            case "cr3":
                machine.shadow.invalidate_all()
            case "remap":
                machine.shadow.drop()
            case "clear":
                machine.shadow.take_writes()
    return guest


def access_everywhere(
    world: World, machines: list[Machine], plain: BufferMemory, guest: Paging, shares: Shares
) -> None:
    """One access on every machine."""
    gva, access = world.gva(), world.access()
    expected = plain_access(plain, world.second, guest, gva, access)
    for machine in machines:
        found = machine.access(guest, gva, access)
        assert same_answer(found, expected), (found, expected)
    if isinstance(expected, NestedMapping):
        world.used.append(gva)
    shares.add(type(found).__name__)


def edit(world: World, machines: list[Machine], plain: BufferMemory, guest: Paging) -> None:
    """The guest stores an entry through whatever maps a table, and flushes as it must."""
    gva, user = world.gva() & -8, world.random.random() < 0.2
    value = table_entry(world.random)
    places = []
    for machine in machines:
        places.append(machine.write(guest, gva, user, value))
        machine.shadow.invalidate_all()
    places.append(Machine(Plain(plain, world.second), plain).write(guest, gva, user, value))
    assert len(set(places)) == 1


class Plain:
    """A processor with two stages in the place of one with shadow tables."""

    def __init__(self, memory: BufferMemory, second: Paging) -> None:
        self._memory, self._second = memory, second

    def root(self, _guest: Paging) -> None:
        return None

    def fill(self, guest: Paging, gva: int, access: object) -> object:
        return plain_access(self._memory, self._second, guest, gva, access)  # type: ignore[arg-type]
