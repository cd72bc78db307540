"""Rows ``paging.*``: what a miss of the TLB costs under shadow paging and under nested paging.

Every page is one of 4 KiB, in all tables. The shadow tables have every entry before anything is measured, so
that a miss is a walk of four references and no exit. The two-stage walk is measured as it is, with what it
remembers from one miss to the next, and without: then it reads all of its 24 entries.

QEMU's translator walks four levels of its own for the loop in ring 0, and both stages for the same loop under
its SVM: the same loads over tables of the same shape.

Next: ``minihv.cli.bench.dirty``
"""

import time

from minihv.cli.bench import qemu
from minihv.cli.bench.loops import STRIDE, STRIDE_PAGES
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Bare
from minihv.cli.bench.walk import MEMORY_BYTES, Strider
from minihv.errors import InternalError
from minihv.machine.native import lib
from minihv.machine.processor import PagingMode

SHADOW_REFERENCES = 4
TRIVIAL = "a fill of the engine that does not walk"
LOADS = 40_000
ENGINE_WINDOW_SECONDS = 0.11
"""A little more than the time that the size of the engine's TLB depends on."""


class ShadowStrider(Strider):
    """A child under shadow paging that has touched every page once."""

    references = SHADOW_REFERENCES

    def __init__(self) -> None:
        super().__init__(paging=PagingMode.SHADOW)
        self.run(2 * STRIDE_PAGES)
        self._shrink_tlb()

    def _shrink_tlb(self) -> None:
        """The engine's TLB grew, as it was flushed while it was full: so that loads miss, it is to be small.

        It looks back on so many seconds when it is flushed, and shrinks if it was nearly empty all the time.
        """
        for _ in range(3):
            self.hypervisor.processor.flush()
            time.sleep(ENGINE_WINDOW_SECONDS)
        self.hypervisor.processor.flush()

    def nanoseconds_per_miss(self, count: int) -> float:
        """As of any strider; an exit for a page fault would be another measurement."""
        exits = int(self.vp.counters.shadow_fills)
        taken = super().nanoseconds_per_miss(count)
        if self.vp.counters.shadow_fills != exits:
            raise InternalError(
                f"Loads from pages in the shadow tables make no exits, and {count} of them made some: "
                "please report it."
            )
        return taken


class ForgetfulStrider(Strider):
    """A child whose walks remember nothing of each other."""

    def __init__(self) -> None:
        super().__init__()
        lib.mhv_processor_set_caches(self.hypervisor.processor.handle, False)


def against_trivial(name: str, strider: type[Strider], bound: float) -> Measure:
    """Measures misses of ``strider`` beside those that the engine answers with the address itself."""

    def measure(effort: Effort) -> Row | str:
        count = effort.times(LOADS)

        def theirs() -> float:
            fills = bare.counters.fills
            taken = nanoseconds(lambda: bare.run(count))
            return taken / int(bare.counters.fills - fills)

        with strider() as child, Bare(STRIDE, MEMORY_BYTES) as bare:
            pairs = effort.pairs(name, lambda: child.nanoseconds_per_miss(count), theirs, turns=6)
        return row(name, "ns", TRIVIAL, pairs, Goal("ratio", "<=", bound))

    return measure


def against_qemu(name: str, strider: type[Strider], *, nested: bool) -> Measure:
    """Measures misses of ``strider`` beside QEMU's own, in loads a second."""

    def measure(effort: Effort) -> Row | str:
        program = qemu.find()
        if program is None:
            return f"{name} is left out: {qemu.PROGRAM} is not installed."
        count = effort.times(40 * LOADS)
        peer = qemu.Qemu(program, STRIDE, small_pages=True, nested=nested)
        if peer.seconds(1) is None:
            return f"{name} is left out: {qemu.PROGRAM} does not start the loop here."
        with strider() as child:
            pairs = effort.pairs(
                name,
                lambda: 1e3 / nanoseconds(lambda: child.run(count), count, time.perf_counter_ns),
                lambda: count / 1e6 / (peer.seconds(count) or float("nan")),
            )
        against = "qemu-system-x86_64 -accel tcg" + (", SVM with nested paging" if nested else "")
        return row(name, "million loads/s", against, pairs, Goal("ratio", ">=", 1.2))

    return measure


ROWS: dict[str, Measure] = {
    "shadow": against_trivial("paging.shadow", ShadowStrider, 1.25),
    "two-stage": against_trivial("paging.two-stage", Strider, 1.3),
    "two-stage-forgetful": against_trivial("paging.two-stage-forgetful", ForgetfulStrider, 2.0),
    "shadow-qemu": against_qemu("paging.shadow-qemu", ShadowStrider, nested=False),
    "two-stage-qemu": against_qemu("paging.two-stage-qemu", Strider, nested=True),
}
