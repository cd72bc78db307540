"""Who wins, by how much, and which price would turn that: sentences that are computed from results.

Next: ``minihv.cli.compare.paging``
"""

from collections.abc import Iterator, Sequence

from minihv.cli.compare.costs import Costs, contributions, events, modelled_cycles
from minihv.cli.compare.measure import Result

REMARK = (
    "Fills are those of the engine's TLB, which keeps large pages in pieces of 4 KiB: where a guest's pages "
    "are large, a processor would miss less often, and what a walk costs would count for less. With --tlb "
    "64x4 they are those of a TLB of that size, which does not."
)
NEARLY_EQUAL = 1.02
"""Below this ratio nobody wins."""
OF_EXITS = ("exit", "shadow_fault", "control_write", "invalidation")
PRICES = {"exit": "an exit", "walk_reference": "a reference"}
"""The two costs that the argument is about: shadow paging pays more of the first, SLAT of the second."""


def remark(tlb: str | None) -> str:
    """What a reader has to know of the misses."""
    return REMARK if tlb is None else f"Fills are misses of a modelled TLB of {tlb}, the same in every run."


def sides(results: Sequence[Result]) -> tuple[Result, Result] | None:
    """SLAT and the best policy of shadow paging, if both are there."""
    slat = [one for one in results if one.mode == "slat"]
    shadow = [one for one in results if one.mode == "shadow"]
    if not slat or not shadow:
        return None
    return slat[0], min(shadow, key=lambda one: one.modelled_cycles)


def verdict(results: Sequence[Result], costs: Costs) -> Iterator[str]:
    """The sentences for one guest, whose results are given."""
    found = sides(results)
    if found is None:
        yield "There is nothing to compare: this machine pages in one way."
        return
    winner, loser = sorted(found, key=lambda one: one.modelled_cycles)
    ratio = loser.modelled_cycles / max(1, winner.modelled_cycles)
    if ratio < NEARLY_EQUAL:
        yield f"Nobody wins: {winner.name} and {loser.name} are within 2 % of each other in modelled cycles."
    else:
        yield f"{winner.name} wins: {loser.name} takes {ratio:.2f} times its modelled cycles."
        yield turning_points(winner, loser, costs)
    line = exchange_rate(*found, costs)
    if line is not None:
        yield line


def turning_points(winner: Result, loser: Result, costs: Costs) -> str:
    """At which price of an exit, and at which of a reference, the verdict would turn."""
    found = []
    for name, what in PRICES.items():
        now, price = float(getattr(costs, name)), turning_point(winner, loser, name, costs)
        if price is not None:
            than = "more" if price > now else "less"
            found.append(f"{what} cost {than} than {amount(price)} cycles and not {now:g}")
    if not found:
        return "No price of an exit, and none of a reference, would turn that alone."
    return f"That would turn if {', or if '.join(found)}."


def amount(cycles: float) -> str:
    """A price in digits that matter."""
    return f"{cycles:,.0f}" if cycles >= 100 else f"{cycles:.3g}"


def turning_point(winner: Result, loser: Result, name: str, costs: Costs) -> float | None:
    """The value of the cost ``name`` at which both take the same; ``None`` if that is no price."""
    more_often = events(winner)[name] - events(loser)[name]
    if more_often == 0:
        return None
    ahead = modelled_cycles(loser, costs) - modelled_cycles(winner, costs)
    price = float(getattr(costs, name)) + ahead / more_often
    return price if price >= 0 else None


def exchange_rate(slat: Result, shadow: Result, costs: Costs) -> str | None:
    """How many TLB misses an exit must save: where the line between the two lies for this guest."""
    more = shadow.exits_total - slat.exits_total
    saved = (slat.references_per_fill - shadow.references_per_fill) * costs.walk_reference
    paid = sum(contributions(shadow, costs)[name] - contributions(slat, costs)[name] for name in OF_EXITS)
    if saved <= 0 or more <= 0 or paid <= 0:
        return None
    return (
        f"A miss is {saved:,.0f} cycles cheaper in shadow tables, and each exit more costs "
        f"{paid / more:,.0f}: it pays if it saves {paid / more / saved:.1f} misses."
    )
