"""Runs and results of comparisons as tests make them up: what shadow paging does is given, not measured."""

from minihv.cli.compare.costs import Costs, modelled_cycles
from minihv.cli.compare.measure import Result, Sample
from minihv.cli.compare.modes import Mode
from minihv.guests.session import Counters

UNSYNC = Mode("shadow", "unsync")


def counters(exits: dict[str, int] | None = None, fills: int = 10, each: int = 19) -> Counters:
    """Counters of a run of a thousand blocks whose ``fills`` walks read ``each`` entries."""
    exits = {"IOIO": 1} if exits is None else exits
    return Counters(
        blocks=1000,
        exits=exits,
        exits_total=sum(exits.values()),
        tlb_fills=fills,
        walk_references=fills * each,
        interrupts=0,
        exceptions={},
        hypercalls={},
        world_switches=1,
        shadow_fills=0,
        emulated_writes=0,
    )


def sample(console: str = "ok\n", stopped: str = "shutdown", fills: int = 10, seconds: float = 1.0) -> Sample:
    """A run that ended well."""
    return Sample(
        guest="guest",
        stopped=stopped,
        exit_status=0 if stopped == "shutdown" else None,
        console=console,
        counters=counters(fills=fills),
        table_frames=3,
        seconds=seconds,
    )


def result(
    mode: Mode, exits: dict[str, int] | None = None, fills: int = 10, each: int = 19, seconds: float = 1.0
) -> Result:
    """The result of a guest in ``mode``."""
    counted = counters(exits, fills, each)
    return Result(
        guest="guest",
        mode=mode.paging,
        policy=mode.policy,
        exits_total=counted.exits_total,
        exits=counted.exits,
        tlb_fills=fills,
        walk_references=counted.walk_references,
        references_per_fill=each,
        table_frames=3,
        blocks=counted.blocks,
        seconds=seconds,
        modelled_cycles=modelled_cycles(counted, Costs()),
    )
