"""A processor that is told what an edit demands never allows what the tables no longer do."""

from dataclasses import dataclass, field

import pytest
from builders import ACCESSED, DIRTY, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE
from hypothesis import given, settings
from hypothesis import strategies as st

from minihv.paging.access import Access
from minihv.paging.nested import NestedMapping
from minihv.paging.walk import Mapping
from minihv.testing.edits import Edit, Invalidation, demanded_by, histories
from minihv.testing.outcomes import Found, Shares, observed
from minihv.testing.twists import LEVELS
from minihv.testing.worlds import Ask, World, worlds

OPEN = PRESENT | WRITABLE | USER
NONE, PAGE, ALL = Invalidation.NONE, Invalidation.PAGE, Invalidation.ALL


@pytest.mark.parametrize(
    ("level", "was", "becomes", "demanded"),
    [
        (1, 0, 0x5000 | OPEN, NONE),  # what is absent is not remembered
        (1, 0x5000 | PRESENT, 0x5000 | PRESENT | WRITABLE, NONE),  # more rights
        (1, 0x5000 | OPEN | NO_EXECUTE, 0x5000 | OPEN, NONE),
        (1, 0x5000 | OPEN | ACCESSED, 0x5000 | OPEN, NONE),
        (1, 0x5000 | OPEN, 0x5000 | PRESENT | USER, PAGE),  # fewer rights
        (1, 0x5000 | OPEN, 0x5000 | OPEN | NO_EXECUTE, PAGE),
        (1, 0x5000 | PRESENT, 0x5000 | PRESENT | USER, PAGE),  # fewer to ring 0 under SMAP
        (1, 0x5000 | OPEN | DIRTY, 0x5000 | OPEN, PAGE),  # the next write must set D again
        (1, 0x5000 | OPEN, 0x6000 | OPEN, PAGE),
        (2, 0x20_0000 | OPEN | LARGE, 0, PAGE),
        (2, 0x5000 | OPEN, 0, ALL),  # a table: INVLPG is for one page
        (2, 0x5000 | OPEN, 0x5000 | OPEN | LARGE, ALL),
        (4, 0x5000 | OPEN | LARGE, 0, ALL),
    ],
)
def test_invalidation_is_what_the_manual_recommends(
    level: int, was: int, becomes: int, demanded: Invalidation
) -> None:
    assert demanded_by(level, was, becomes) is demanded


def answer_of(found: Found) -> int | None:
    match found:
        case Mapping(gpa=address) | NestedMapping(spa=address):
            return address
    return None


@dataclass
class Hoarder:
    """A TLB that forgets nothing of itself, and does as it is told if ``obedient``."""

    obedient: bool
    kept: dict[tuple[int, Access], int] = field(default_factory=dict)
    stale: int = 0
    """Accesses that it let through to where the tables no longer lead."""

    def access(self, world: World, ask: Ask) -> None:
        found = observed(world.memory, world.guest, ask.gva, ask.access, world.second).found
        now = answer_of(found)
        key = ask.gva, ask.access
        self.stale += key in self.kept and self.kept[key] != now
        if key not in self.kept and now is not None:
            self.kept[key] = now

    def told(self, edit: Edit, demanded: Invalidation) -> None:
        shift = LEVELS[edit.entry.level].shift
        if self.obedient and demanded is not NONE:
            here = edit.address >> shift
            self.kept = {
                key: at for key, at in self.kept.items() if demanded is PAGE and key[0] >> shift != here
            }


@pytest.mark.parametrize("stages", [1, 2])
def test_demanded_invalidations_are_enough_and_needed(stages: int) -> None:
    shares, lazy = Shares(), Hoarder(obedient=False)

    @settings(max_examples=300)
    @given(worlds(stages=stages).flatmap(lambda world: st.tuples(st.just(world), histories(world))))
    def live(drawn: tuple[World, list[Edit | Ask]]) -> None:
        world, history = drawn
        tlb, lazy.kept = Hoarder(obedient=True), {}
        for _ in range(2):  # the accesses come again, after all the edits
            for step in history:
                act(world, step, (tlb, lazy), shares)
        assert tlb.stale == 0

    live()
    shares.assert_floors({"demands nothing": 0.05, "demands INVLPG": 0.005, "demands flush": 0.05})
    assert lazy.stale > 0, "no edit mattered"


def act(world: World, step: Edit | Ask, tlbs: tuple[Hoarder, ...], shares: Shares) -> None:
    demanded = step.apply(world.memory) if isinstance(step, Edit) else NONE
    for tlb in tlbs:
        if isinstance(step, Edit):
            tlb.told(step, demanded)
        else:
            tlb.access(world, step)
    if isinstance(step, Edit):
        shares.add(f"demands {demanded.value}")
