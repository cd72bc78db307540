"""Small worlds meet every outcome, keep what is fixed, and shrink to one plain page."""

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from minihv.paging.access import StageName
from minihv.paging.formats import X86_64
from minihv.spec.x86_paging import NO_EXECUTE, PRESENT, USER, WRITABLE
from minihv.testing.outcomes import Shares, observed, outcome_of
from minihv.testing.twists import RECURSIVE
from minihv.testing.worlds import Ask, World, asks, offsets, worlds

ONE_STAGE = {
    **{f"mapped: {size}": 0.02 for size in ("4 KiB", "2 MiB", "1 GiB")},
    **dict.fromkeys(("absent", "reserved", "not canonical"), 0.005),
    **dict.fromkeys(("R/W", "U/S", "NX", "SMAP"), 0.0005),
}
TWO_STAGES = {
    **dict.fromkeys(("mapped: 4 KiB by", "by 2 MiB", "by 1 GiB", "not canonical"), 0.001),
    **{f"page fault: {cause}": 0.001 for cause in ("absent", "reserved")},
    **{f"violation on {where}": 0.01 for where in ("a table", "the page")},
}


@pytest.mark.parametrize(("stages", "floors"), [(1, ONE_STAGE), (2, TWO_STAGES)])
def test_walks_through_small_worlds_meet_every_outcome(stages: int, floors: dict[str, float]) -> None:
    shares = Shares()

    @settings(max_examples=300)
    @given(worlds(stages=stages).flatmap(with_asks))
    def walk_all(drawn: tuple[World, list[Ask]]) -> None:
        world, wanted = drawn
        for ask in wanted:
            shares.add(outcome_of(observed(world.memory, world.guest, ask.gva, ask.access, world.second)))

    walk_all()
    shares.assert_floors(floors)


def with_asks(world: World) -> st.SearchStrategy[tuple[World, list[Ask]]]:
    return st.tuples(st.just(world), st.lists(asks(world), min_size=5, max_size=12))


@pytest.mark.parametrize(("stages", "entry_count"), [(1, 4), (2, 4 + 4 + 2)])
def test_smallest_world_is_one_plain_page(stages: int, entry_count: int) -> None:
    world = find(worlds(stages=stages), lambda world: True)
    assert [(way.address, way.page_bytes) for way in world.ways] == [(0, 0x1000)]
    assert not any(entry.twists for entry in world.entries.values())
    assert len(world.entries) >= entry_count
    walked = observed(world.memory, world.guest, 0, find(asks(world), lambda ask: True).access, world.second)
    assert outcome_of(walked) == ("mapped: 4 KiB" if stages == 1 else "mapped: 4 KiB by 4 KiB")


def test_one_twist_is_left_when_one_is_needed() -> None:
    def has_twist(world: World) -> bool:
        return any("no execute" in entry.twists for entry in world.entries.values())

    world = find(worlds(), has_twist)
    assert [entry.twists for entry in world.entries.values() if entry.twists] == [("no execute",)]
    assert len(world.ways) == 1


@given(worlds(levels=4, nxe=False, physical_bits=40))
def test_registers_that_are_given_stay(world: World) -> None:
    assert (world.guest.levels, world.guest.nxe, world.guest.physical_bits) == (4, False, 40)
    assert world.second is None


@given(worlds(stages=2, levels=4, second_levels=5, second_nxe=False))
def test_second_stage_has_registers_of_its_own(world: World) -> None:
    assert world.second is not None
    assert (world.guest.levels, world.second.levels, world.second.nxe) == (4, 5, False)


@given(worlds(stages=2))
def test_every_word_in_memory_is_an_entry_that_was_noted(world: World) -> None:
    assert set(world.memory.words) <= set(world.entries)
    assert {entry.stage for entry in world.entries.values()} == {StageName.GUEST, StageName.SECOND}


@given(worlds())
def test_entry_without_a_twist_is_open(world: World) -> None:
    for entry_pa, entry in world.entries.items():
        value = world.memory.read_u64(entry_pa)
        if not entry.twists:
            assert value & (PRESENT | WRITABLE | USER | NO_EXECUTE) == PRESENT | WRITABLE | USER


def test_most_addresses_hit_a_page_that_was_mapped() -> None:
    shares = Shares()

    @given(worlds().flatmap(with_asks))
    def look(drawn: tuple[World, list[Ask]]) -> None:
        world, wanted = drawn
        for gva in (ask.gva for ask in wanted):
            inside = any(way.address <= gva < way.address + way.page_bytes for way in world.ways)
            sound = X86_64[world.guest.levels].translates(gva)
            shares.add("inside" if inside else "beside" if sound else "not canonical")

    look()
    shares.assert_floors({"inside": 0.4, "beside": 0.02, "not canonical": 0.02})


@given(st.sampled_from([0x1000, 1 << 21]).flatmap(lambda size: st.tuples(st.just(size), offsets(size))))
def test_offset_is_inside_of_the_page(drawn: tuple[int, int]) -> None:
    page_bytes, offset = drawn
    assert 0 <= offset < page_bytes


def test_recursive_tables_are_told() -> None:
    world = find(worlds(), lambda world: world.recursive)
    assert (RECURSIVE,) in [entry.twists for entry in world.entries.values()]
    assert not find(worlds(), lambda world: len(world.ways) == 2).recursive
