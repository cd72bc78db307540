"""What a map lists is what walks find, and what walks find is on the map: for tables of every kind."""

from collections.abc import Iterator
from random import Random
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings

from minihv.eyes.address_map import AddressMap, Limits, MappedRange, StageMap, map_stage
from minihv.paging.access import AccessKind, Paging, StageName, WritesAside
from minihv.paging.nested import NestedMapping, SecondMapping, Violation, nested_walk, second_walk
from minihv.paging.walk import NotCanonical, PageFault
from minihv.spec.x86_paging import PF_PRESENT, PF_RESERVED
from minihv.testing import CrowdedWorld, Shares, crowded_worlds

LIMITS = Limits(tables=48, ranges=4000)
"""The tables of ``worlds`` lead into each other: listing all of them would take for ever."""
FLOORS = {"on the map: mapped": 0.05, "on the map: refused": 0.01, "not there: absent": 0.015,
          "not there: table": 0.003, "not there: reserved": 0.01}  # fmt: skip


def is_complete_at(stage: StageMap, address: int) -> bool:
    """Whether the map promises to say what is at ``address``."""
    return stage.complete_below is None or address < stage.complete_below


def addresses(random: Random, stage: StageMap) -> Iterator[int]:
    """Inside of ranges, at both sides of their edges, and between them."""
    for one in random.sample(stage.ranges, min(12, len(stage.ranges))):
        inside = one.begin + random.randrange(one.byte_count)
        yield from (one.begin, one.end - 1, inside, one.end % (1 << 64), max(0, one.begin - 1))
    end = stage.ranges[-1].end if stage.ranges else 1 << 47
    yield from (random.randrange(end) for _ in range(6))
    yield from (random.getrandbits(48) for _ in range(6))


def check_guest(world: CrowdedWorld, guest: Paging, second: Paging, shares: Shares) -> None:
    """The map of a guest's tables against walks of both stages."""
    stage = map_stage(world.memory, guest, StageName.GUEST, second=second, limits=LIMITS)
    assert [one.begin for one in stage.ranges] == sorted({one.begin for one in stage.ranges})
    for gva in addresses(world.random, stage):
        if is_complete_at(stage, gva):
            access = world.access()
            found = nested_walk(WritesAside(world.memory), guest, second, gva, access)
            shares.add(check_page(stage.find(gva), stage.target_of(gva), gva, found))


def check_page(
    one: MappedRange | None,
    target: int | None,
    address: int,
    found: NestedMapping | PageFault | NotCanonical | Violation | SecondMapping,
) -> str:
    """One address; what was met, in words."""
    match found:
        case PageFault(error_code=error_code) if not error_code & PF_PRESENT or error_code & PF_RESERVED:
            assert one is None, f"{address:#x} is on the map, and the walk finds {found}"
            return "not there: " + ("reserved" if error_code & PF_RESERVED else "absent")
        case NotCanonical():
            assert one is None
            return "not there: not canonical"
        case Violation(on_table=True):
            assert one is None, f"{address:#x} is on the map, and the walk finds {found}"
            return "not there: table"
        case PageFault():
            assert one is not None, f"{address:#x} is not on the map, and the walk finds {found}"
            return "on the map: refused"
    assert one is not None, f"{address:#x} is not on the map, and the walk finds {found}"
    assert target == found.gpa
    if isinstance(found, NestedMapping):
        assert (one.page_bytes, one.user) == (found.page_bytes, found.user)
        return "on the map: mapped"
    return "on the map: refused"


def test_map_of_a_guest_lists_what_walks_find_and_nothing_else() -> None:
    shares = Shares()

    @settings(max_examples=40)
    @given(crowded_worlds())
    def agrees(world: CrowdedWorld) -> None:
        before = world.memory.view.copy()
        for _ in range(4):
            check_guest(world, world.guest(nested=True), world.second(), shares)
        assert np.array_equal(before, world.memory.view)

    agrees()
    shares.assert_floors(FLOORS)


def test_map_of_the_second_level_lists_what_walks_find_and_nothing_else() -> None:
    shares = Shares()

    @settings(max_examples=40)
    @given(crowded_worlds())
    def agrees(world: CrowdedWorld) -> None:
        second = world.second()
        stage = map_stage(world.memory, second, StageName.SECOND, limits=LIMITS)
        for gpa in addresses(world.random, stage):
            if is_complete_at(stage, gpa):
                shares.add(check_second(world, second, stage, gpa))

    agrees()
    shares.assert_floors({"mapped": 0.3, "refused": 0.01, "absent": 0.005})


def check_second(world: CrowdedWorld, second: Paging, stage: StageMap, gpa: int) -> str:
    """One GPA in the second level."""
    kind = world.random.choice(list(AccessKind))
    found, one = second_walk(WritesAside(world.memory), second, gpa, kind), stage.find(gpa)
    if isinstance(found, SecondMapping):
        assert one is not None and stage.target_of(gpa) == found.spa
        assert (one.page_bytes, one.executable) == (found.second_page_bytes, found.executable)
        return "mapped"
    if found.error_code & PF_PRESENT and not found.error_code & PF_RESERVED:
        assert one is not None
        allowed = {AccessKind.READ: True, AccessKind.WRITE: one.writable, AccessKind.EXECUTE: one.executable}
        assert not (one.user and allowed[kind])
        return "refused"
    assert one is None
    return "absent"


@settings(max_examples=30)
@given(crowded_worlds())
def test_map_of_hostile_tables_ends_and_says_where(world: CrowdedWorld) -> None:
    guest, second = world.guest(nested=True), world.second()
    limits = Limits(tables=world.random.randrange(1, 40), ranges=world.random.randrange(1, 400))
    stage = map_stage(world.memory, guest, StageName.GUEST, second=second, limits=limits)
    assert stage.tables_read <= limits.tables and len(stage.ranges) <= limits.ranges
    assert bool(stage.left_out) == (stage.complete_below is not None)
    assert all(one.end <= (stage.complete_below or 1 << 64) for one in stage.ranges)
    picture = AddressMap((stage, map_stage(world.memory, second, StageName.SECOND, limits=limits)))
    ElementTree.fromstring(picture._repr_svg_())
    assert stage.left_out in str(picture)
    assert len(picture.to_json()["stages"][0]["ranges"]) == len(stage.ranges)


@settings(max_examples=20)
@given(crowded_worlds())
def test_smaller_limits_list_a_part_of_the_same(world: CrowdedWorld) -> None:
    guest = world.guest()
    few, many = (
        map_stage(world.memory, guest, StageName.GUEST, limits=Limits(tables, 4000)) for tables in (6, 24)
    )
    for address in addresses(world.random, few):
        if is_complete_at(few, address):
            assert few.target_of(address) == many.target_of(address)
