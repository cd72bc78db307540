"""The sentences about a guest are computed: who wins, by how much, and which price would turn it."""

from dataclasses import replace

import pytest
from comparisons import UNSYNC, result
from hypothesis import given
from hypothesis import strategies as st

from minihv.cli.compare.costs import Costs, modelled_cycles
from minihv.cli.compare.measure import Result
from minihv.cli.compare.modes import SLAT, Mode
from minihv.cli.compare.verdict import sides, turning_point, verdict

MISSES = [result(SLAT, fills=10_000), result(UNSYNC, {"IOIO": 1, "EXCP14": 100}, 10_000, each=4)]
CHANGES = [result(SLAT, fills=100), result(UNSYNC, {"IOIO": 1, "EXCP14": 100, "INVLPG": 50}, 100, each=4)]
COSTS = Costs()


def said(results: list[Result]) -> list[str]:
    return list(verdict(results, COSTS))


def test_shadow_paging_wins_where_misses_dominate() -> None:
    assert said(MISSES) == [
        "shadow/unsync wins: slat takes 2.91 times its modelled cycles.",
        "That would turn if an exit cost more than 17,000 cycles and not 2000, "
        "or if a reference cost less than 2 cycles and not 12.",
        "A miss is 180 cycles cheaper in shadow tables, and each exit more costs 3,000: "
        "it pays if it saves 16.7 misses.",
    ]


def test_slat_wins_where_tables_change() -> None:
    assert said(CHANGES) == [
        "slat wins: shadow/unsync takes 14.66 times its modelled cycles.",
        "That would turn if a reference cost more than 283 cycles and not 12.",
        "A miss is 180 cycles cheaper in shadow tables, and each exit more costs 2,833: "
        "it pays if it saves 15.7 misses.",
    ]


def test_nobody_wins_by_two_per_cent() -> None:
    equal = [result(SLAT, fills=0), result(UNSYNC, fills=0)]
    assert said(equal) == [
        "Nobody wins: slat and shadow/unsync are within 2 % of each other in modelled cycles."
    ]


def test_verdict_that_no_price_turns_says_so() -> None:
    blocks = replace_blocks(result(UNSYNC, fills=10, each=19), 100)
    assert said([result(SLAT, fills=10), blocks])[1] == (
        "No price of an exit, and none of a reference, would turn that alone."
    )


def replace_blocks(one: Result, blocks: int) -> Result:
    one.blocks = blocks
    one.modelled_cycles = modelled_cycles(one, COSTS)
    return one


def test_one_way_is_no_comparison() -> None:
    assert said([result(SLAT)]) == ["There is nothing to compare: this machine pages in one way."]


def test_shadow_paging_is_judged_by_its_best_policy() -> None:
    trap = result(Mode("shadow", "trap"), {"EXCP14": 1000})
    found = sides([result(SLAT), trap, result(UNSYNC)])
    assert found is not None and [one.name for one in found] == ["slat", "shadow/unsync"]


@pytest.mark.parametrize("results", [MISSES, CHANGES], ids=["misses", "changes"])
@pytest.mark.parametrize("name", ["exit", "walk_reference"])
def test_at_the_turning_point_both_cost_the_same(results: list[Result], name: str) -> None:
    winner, loser = sorted(results, key=lambda one: one.modelled_cycles)
    price = turning_point(winner, loser, name, COSTS)
    if price is not None:
        at = replace(COSTS, **{name: price})
        assert modelled_cycles(winner, at) == pytest.approx(modelled_cycles(loser, at), rel=1e-6)


@given(st.integers(0, 5000), st.integers(0, 20_000))
def test_sentence_names_the_mode_with_fewer_cycles(exits: int, fills: int) -> None:
    results = [result(SLAT, fills=fills), result(UNSYNC, {"EXCP14": exits}, fills, each=4)]
    least = min(results, key=lambda one: one.modelled_cycles)
    first = said(results)[0]
    assert first.startswith((f"{least.name} wins: ", "Nobody wins: "))
