"""A picture shows what the walk reads, says why it was refused, and leaves no mark."""

from typing import Any
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings

from minihv.eyes.reasons import Rule
from minihv.eyes.walk_picture import WalkPicture, picture_walk
from minihv.paging import native
from minihv.paging.access import Access, AccessKind, Paging, Reference, StageName
from minihv.paging.nested import NestedMapping, Violation, nested_walk
from minihv.paging.walk import walk
from minihv.testing import CrowdedWorld, Shares, copy_of, crowded_worlds, observed, outcome_of

FLOORS = {
    "mapped: 4 KiB by": 0.005,
    "mapped: 2 MiB by": 0.001,
    "page fault: absent": 0.005,
    "page fault: reserved": 0.005,
    "violation on a table": 0.01,
    "violation on the page": 0.002,
    "not canonical": 0.005,
}
WORDS = {
    Rule.CANONICAL: "not canonical", Rule.WIDTH: "absent", Rule.PRESENT: "absent", Rule.RESERVED: "reserved",
    Rule.USER: "U/S", Rule.SMEP: "SMEP", Rule.SMAP: "SMAP", Rule.WRITE: "R/W", Rule.EXECUTE: "NX",
}  # fmt: skip
"""Each rule in the words of ``outcome_of``, which has its own way to find it."""
Walked = tuple[Paging, Paging, int, Access]


def check_two_stages(world: CrowdedWorld, walked: Walked, shares: Shares) -> WalkPicture:
    """The picture of a walk in two stages, held against the walk itself and its C twin."""
    guest, second, gva, access = walked
    seen: list[Reference] = []
    before = world.memory.view.copy()
    picture = picture_walk(world.memory, guest, gva, access, second=second)
    assert np.array_equal(before, world.memory.view), "the tables have a mark"
    assert native.nested_walk(copy_of(world.memory), guest, second, gva, access) == picture.found
    assert nested_walk(copy_of(world.memory), guest, second, gva, access, seen.append) == picture.found
    check_references(picture, seen)
    outcome = outcome_of(observed(copy_of(world.memory), guest, gva, access, second))
    shares.add(outcome)
    assert picture.reason is None or WORDS[picture.reason.rule] in outcome
    assert (picture.reason is None) == isinstance(picture.found, NestedMapping)
    return picture


def check_references(picture: WalkPicture, seen: list[Reference]) -> None:
    """Every reference is there, in its order; the last of a refused walk alone is the refused one."""
    shown = picture.references
    assert [(one.number, one.stage, one.level.number, one.place, one.entry) for one in shown] == [
        (one.number, one.stage, one.level, one.entry_pa, one.entry) for one in seen
    ]
    refused = [one.number for one in shown if one.is_refused]
    too_wide = picture.reason is not None and picture.reason.rule in (Rule.WIDTH, Rule.CANONICAL)
    assert refused == ([] if picture.reason is None or too_wide else [len(seen)])


def check_spaces(picture: WalkPicture) -> None:
    """The second stage's row leads where the guest's entry was read."""
    for row in picture.rows:
        if row.first is not None:
            assert (row.spa, row.gpa) == (row.first.spa, row.first.gpa)
    if isinstance(picture.found, NestedMapping):
        assert (picture.rows[-1].spa, picture.rows[-1].gpa) == (picture.spa, picture.gpa)
    if isinstance(picture.found, Violation):
        assert picture.rows[-1].spa is None and picture.rows[-1].gpa == picture.found.gpa


def look_again_and_again(world: CrowdedWorld, shares: Shares) -> None:
    """One access; and where it was mapped, once more with a bit of the last entry turned over."""
    walked = world.guest(nested=True), world.second(), world.gva(), world.access()
    for _ in range(3):
        picture = check_two_stages(world, walked, shares)
        check_spaces(picture)
        if not isinstance(picture.found, NestedMapping):
            return
        world.spoil(picture.found.second_leaf_pa, world.memory)


def test_picture_of_two_stages_shows_what_the_walk_and_its_twin_read() -> None:
    shares = Shares()

    @settings(max_examples=50)
    @given(crowded_worlds())
    def shows(world: CrowdedWorld) -> None:
        for _ in range(60):
            look_again_and_again(world, shares)

    shows()
    shares.assert_floors(FLOORS)


@settings(max_examples=50)
@given(crowded_worlds())
def test_picture_of_one_stage_shows_what_the_walk_read(world: CrowdedWorld) -> None:
    for stage in (StageName.GUEST, StageName.SHADOW) * 10:
        guest, gva, access = world.guest(), world.gva(), world.access()
        seen: list[Reference] = []
        picture = picture_walk(world.memory, guest, gva, access, stage=stage)
        assert walk(copy_of(world.memory), guest, gva, access, seen.append) == picture.found
        assert all(one.stage is stage for one in picture.references)
        assert [(one.place, one.entry) for one in picture.references] == [
            (one.entry_pa, one.entry) for one in seen
        ]


@settings(max_examples=25)
@given(crowded_worlds())
def test_every_picture_can_be_shown_in_every_way(world: CrowdedWorld) -> None:
    for _ in range(10):
        second = world.second() if world.random.random() < 0.8 else None
        guest = world.guest(nested=second is not None)
        kind = world.random.choice(list(AccessKind))
        picture = picture_walk(world.memory, guest, world.gva(), Access(kind), second=second)
        assert max(map(len, str(picture).splitlines())) <= 120
        ElementTree.fromstring(picture._repr_svg_())
        shown: list[Any] = picture.to_json()["references"]
        assert [one["number"] for one in shown] == list(range(1, len(shown) + 1))
