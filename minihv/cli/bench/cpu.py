"""Rows ``cpu.*``: how fast a guest computes between its exits, in million instructions a second.

minihv counts every block and marks every page that is written; the bare engine does neither. Both execute
in SVM guest mode with W^X fills, so that stores are as fast as the engine has them.

Next: ``minihv.cli.bench.qemu``
"""

import time
from collections.abc import Callable

from minihv.cli.bench import qemu
from minihv.cli.bench.loops import ALU, MEMORY, TIGHT, Listing
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, Side, nanoseconds, row
from minihv.cli.bench.sides import Bare, Child

UNIT = "million instructions/s"
NEARLY_ALL = Goal("ratio", ">=", 0.95)
LOOPS: dict[str, tuple[Listing, int]] = {
    "alu": (ALU, 300_000),
    "memory": (MEMORY, 350_000),
    "tight": (TIGHT, 4_000_000),
}
"""Each with the iterations of one turn, some 20 ms."""


def speed(
    listing: Listing, count: int, run: Callable[[int], None], clock: Callable[[], int] = time.thread_time_ns
) -> Side:
    """A side that executes ``count`` iterations and says how many million instructions a second that were."""
    return lambda: 1000 * listing.instructions / nanoseconds(lambda: run(count), count, clock)


def against_engine(name: str) -> Measure:
    """Measures loop ``name`` beside the engine alone."""

    def measure(effort: Effort) -> Row | str:
        listing, iterations = LOOPS[name]
        count = effort.times(iterations)
        with Child(listing) as child, Bare(listing) as bare:
            pairs = effort.pairs(
                f"cpu.{name}", speed(listing, count, child.run), speed(listing, count, bare.run), turns=6
            )
        return row(f"cpu.{name}", UNIT, "the engine alone, trivial W^X fills", pairs, NEARLY_ALL)

    return measure


def against_qemu(name: str) -> Measure:
    """Measures loop ``name`` beside QEMU's translator, where that is installed. No goal was set."""

    def measure(effort: Effort) -> Row | str:
        program = qemu.find()
        if program is None:
            return f"cpu.{name}-qemu is left out: {qemu.PROGRAM} is not installed."
        listing, iterations = LOOPS[name]
        count = effort.times(5 * iterations)
        peer = qemu.Qemu(program, listing)
        if peer.seconds(1) is None:
            return f"cpu.{name}-qemu is left out: {qemu.PROGRAM} does not start the loop here."
        with Child(listing) as child:
            pairs = effort.pairs(
                f"cpu.{name}-qemu",
                speed(listing, count, child.run, time.perf_counter_ns),
                lambda: listing.instructions * count / 1e6 / (peer.seconds(count) or float("nan")),
            )
        return row(f"cpu.{name}-qemu", UNIT, "qemu-system-x86_64 -accel tcg", pairs)

    return measure


ROWS: dict[str, Measure] = {name: against_engine(name) for name in LOOPS} | {
    f"{name}-qemu": against_qemu(name) for name in LOOPS
}
