"""Every kind of twist is drawn, is what its name says, and is told by the reference."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging.access import Paging
from minihv.spec.x86_paging import FRAME, LARGE, PRESENT
from minihv.testing.outcomes import Shares
from minihv.testing.twists import IGNORED, LEVELS, OPEN, RECURSIVE, EntryPlace, Twist, entries, twists

PLACES = [EntryPlace(level, is_page=True) for level in (3, 2, 1)]
PLACES += [EntryPlace(level, is_page=False) for level in (5, 4, 3, 2)]


def kind_of(name: str) -> str:
    return name.split(",")[0].split(" bits")[0]


def test_twist_clears_and_then_sets() -> None:
    assert Twist("moved", set=0x3000, clear=FRAME).of(0x5007) == 0x3007


@pytest.mark.parametrize(
    ("place", "kinds"),
    [
        (EntryPlace(4, False, 40), {"PS", "too wide", "outside memory", "used", RECURSIVE}),
        (EntryPlace(2, True, 40), {"PAT", "misaligned", "too wide", "used", "used, and written"}),
        (EntryPlace(1, True, 52), {"PAT", "used", "used, and written"}),
    ],
    ids=["PML4E", "PDE of a page", "PTE"],
)
def test_each_place_has_its_twists(place: EntryPlace, kinds: set[str]) -> None:
    always = {"read-only", "supervisor", "no execute", "absent", "ignored"}
    drawn: Counter[str] = Counter()

    @given(twists(place))
    def draw(twist: Twist) -> None:
        drawn[twist.name if twist.name == "used, and written" else kind_of(twist.name)] += 1

    draw()
    assert set(drawn) <= always | kinds
    assert len(drawn) > len(always | kinds) - 3, drawn


@given(st.sampled_from(PLACES), st.sampled_from([36, 52]), st.data())
def test_bits_are_reserved_where_the_name_says_so(place: EntryPlace, bits: int, data: st.DataObject) -> None:
    twist = data.draw(twists(replace(place, physical_bits=bits)))
    entry = twist.of(OPEN | (LARGE if place.is_page and place.level > 1 else 0))
    level, paging = LEVELS[place.level], Paging(0x1000, physical_bits=bits)
    named = kind_of(twist.name) in ("misaligned", "too wide") or (twist.name == "PS" and place.level > 3)
    assert bool(entry & (paging.reserved | level.reserved(entry))) == named


@given(st.integers(1, IGNORED))
def test_ignored_bits_are_no_bits_that_a_walk_reads(bits: int) -> None:
    entry = OPEN | bits & IGNORED
    assert entry & (FRAME | LARGE | 1 << 63 | 0x67) == OPEN


def test_half_of_the_drawn_entries_can_be_used_as_they_are() -> None:
    shares = Shares()

    @given(st.sampled_from(PLACES).flatmap(lambda place: st.tuples(st.just(place), entries(place))))
    def draw(drawn: tuple[EntryPlace, int]) -> None:
        place, entry = drawn
        level = LEVELS[place.level]
        if not entry & PRESENT:
            shares.add("absent")
        else:
            kind = "page" if level.is_page(entry) else "table"
            shares.add("reserved" if entry & level.reserved(entry) else kind)
        if place.is_page and entry & PRESENT:
            assert level.is_page(entry)

    draw()
    shares.assert_floors({"absent": 0.005, "reserved": 0.005, "page": 0.15, "table": 0.15})
