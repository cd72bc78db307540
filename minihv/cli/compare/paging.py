"""``minihv compare paging``: chooses guests, compares them, and shows who wins.

Next: ``minihv.cli.compare.modes``
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minihv.cli.compare.costs import Costs, contributions, explained, load_costs, names
from minihv.cli.compare.measure import Comparison, Effort, Result, compare
from minihv.cli.compare.modes import MODES
from minihv.cli.compare.plot import check_plot, draw
from minihv.cli.compare.verdict import remark, verdict
from minihv.cli.contained import INTERRUPTED
from minihv.cli.output import Progress, is_plain, print_json, print_table
from minihv.cli.run import parse_tlb
from minihv.errors import ConfigurationError
from minihv.guests.session import find_image

GUESTS = ("12_sort", "13_small_pages", "14_large_pages", "15_fork", "16_remap", "17_address_spaces")
"""What a comparison runs when it is asked for nothing else: each is dominated by another cost."""


@dataclass(frozen=True, slots=True)
class PagingOptions:
    """What was asked for on the command line."""

    guests: tuple[str, ...] = ()
    rounds: int = 3
    blocks: int | None = None
    tlb: str | None = None
    costs: Path | None = None
    plot: Path | None = None
    explain: bool = False
    as_json: bool = False
    plain: bool = False


def compare_paging(options: PagingOptions) -> int:
    """Compares, and prints; the status of the command: 1 if a guest did not do the same in every mode.

    Raises:
        ConfigurationError: an option or a guest is refused.
    """
    check_numbers(options)
    costs = load_costs(options.costs) if options.costs is not None else Costs()
    if options.plot is not None:
        check_plot(options.plot)
    tlb = parse_tlb(options.tlb) if options.tlb is not None else None
    modes = [replace(mode, tlb=tlb) for mode in MODES]
    guests = options.guests or GUESTS
    for guest in guests:
        find_image(guest)
    progress = Progress(plain=options.plain)
    comparisons: list[Comparison] = []
    interrupted = False
    try:
        for comparison in compare(guests, modes, Effort(options.rounds, options.blocks, progress.tell)):
            comparisons.append(comparison)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    whole = [comparison for comparison in comparisons if comparison.is_complete]
    show([comparison.results(costs) for comparison in whole], costs, options)
    if interrupted:
        print(f"minihv: interrupted: {kept(whole, guests, options)}", file=sys.stderr)
        return INTERRUPTED
    return tell_differences(whole)


def check_numbers(options: PagingOptions) -> None:
    """Refuses no rounds, and no blocks."""
    if options.rounds < 1:
        raise ConfigurationError(
            f"A comparison takes at least one round, not {options.rounds}: leave --rounds out for 3."
        )
    if options.blocks is not None and options.blocks < 1:
        raise ConfigurationError(
            f"A budget is at least one block, not {options.blocks}: leave --blocks out for none."
        )


def kept(whole: Sequence[Comparison], guests: Sequence[str], options: PagingOptions) -> str:
    """What is left of a comparison that was not finished."""
    short = [one.guest for one in whole if any(len(runs) < options.rounds for runs in one.samples.values())]
    fewer = f", {short[0]} of fewer than {options.rounds} rounds" if short else ""
    return f"{len(whole)} of {len(guests)} guests ran in every mode{fewer}."


def tell_differences(whole: Sequence[Comparison]) -> int:
    """Says which guests did not do the same in every mode; 1 if one did not."""
    differences = [sentence for comparison in whole for sentence in comparison.differences()]
    for sentence in differences:
        print(f"minihv: {sentence}", file=sys.stderr)
    return 1 if differences else 0


def show(compared: Sequence[Sequence[Result]], costs: Costs, options: PagingOptions) -> None:
    """The results, as JSON or for people, and the plot."""
    if options.as_json:
        print_json([result for results in compared for result in results])
    else:
        plain = is_plain(options.plain)
        for results in compared:
            print_by_mode(results[0].guest, results, rows(results), plain=plain)
            if options.explain:
                print_by_mode("Cycles by cost", results, shares(results, costs), plain=plain)
            print("\n".join([*verdict(results, costs), ""]))
        if compared:
            print("\n".join([remark(options.tlb), *(explanation(costs) if options.explain else [])]))
    if options.plot is not None and compared:
        draw(compared, costs, options.plot)


def explanation(costs: Costs) -> Iterator[str]:
    """The table of costs in words."""
    yield ""
    yield "Modelled cycles are the sum of these costs, each times how often its event was counted:"
    for name, cycles, of, source in explained(costs):
        yield f"  {name} = {cycles}: {of}"
        yield f"      {source}"


def print_by_mode(
    title: str, results: Sequence[Result], rows: Sequence[tuple[str, ...]], *, plain: bool
) -> None:
    """A table whose columns are the modes of ``results``."""
    columns = ["", *(one.name for one in results)]
    print_table(title, columns, rows, plain=plain, right=[False] + [True] * len(results))


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """What was counted for one guest, a row each; the ratios are to the first mode, SLAT."""
    slat = results[0]
    return [
        ("exits", *(f"{one.exits_total:,}" for one in results)),
        ("TLB fills", *(f"{one.tlb_fills:,}" for one in results)),
        ("references a fill", *(f"{one.references_per_fill:.1f}" for one in results)),
        ("frames of tables", *(f"{one.table_frames:,}" for one in results)),
        ("blocks", *(f"{one.blocks:,}" for one in results)),
        ("ms", *(f"{1000 * one.seconds:,.1f}" for one in results)),
        ("  to slat", *(f"{one.seconds / slat.seconds:.2f}" for one in results)),
        ("modelled cycles", *(f"{one.modelled_cycles:,}" for one in results)),
        ("  to slat", *(f"{one.modelled_cycles / max(1, slat.modelled_cycles):.2f}" for one in results)),
    ]


def shares(results: Sequence[Result], costs: Costs) -> list[tuple[str, ...]]:
    """What each cost adds to the modelled cycles of one guest, a row each."""
    added = [contributions(one, costs) for one in results]
    return [(name, *(f"{cycles[name]:,.0f}" for cycles in added)) for name in names()]
