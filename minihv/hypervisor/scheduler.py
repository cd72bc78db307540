"""The scheduler: ready virtual processors take turns on the logical processors, always in the same order.

Stands for: ring -1's scheduler.
Spec: TLFS, "Virtual Processor Run Time" (what is counted as a VP's own time).
Simplified: round robin with equal shares; no weights, caps or reserves. Logical processors run one after the
    other on one emulated processor: within a round they are out of step by at most one quantum.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from minihv.errors import ConfigurationError
from minihv.hypervisor.alarms import NEVER
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import VirtualProcessor

MOST_LPS = 32
SHARED_QUANTUM = 20_000
"""Blocks in a turn while VPs wait for an LP or run beside each other."""
ALONE_QUANTUM = 1_000_000
"""Blocks in a turn of the only VP that is ready: nobody waits, so the turn is as long as Ctrl-C allows."""
SLOW_QUANTUM = 20_000
"""The same where Python walks the tables, and Ctrl-C would have to wait too long."""


@dataclass(slots=True)
class LogicalProcessor:
    """One LP: its own virtual time in blocks, of which it was busy for so many."""

    index: int
    now: int = 0
    busy: int = 0
    last: VirtualProcessor | None = None


RunTurn = Callable[[VirtualProcessor, int], int]
"""Runs a VP for at most so many blocks; says how many it used."""


class Scheduler:
    """Hands the LPs to VPs in rounds. ``rounds`` counts them.

    ``alone_quantum`` is the turn of the only VP that is ready: where it ends nothing changes for the guest.
    """

    def __init__(self, lp_count: int, alone_quantum: int = ALONE_QUANTUM) -> None:
        if not 1 <= lp_count <= MOST_LPS:
            raise ConfigurationError(
                f"A machine has 1 to {MOST_LPS} logical processors, not {lp_count}: "
                "choose --lps in that range."
            )
        self.lps = [LogicalProcessor(index) for index in range(lp_count)]
        self.queue: deque[VirtualProcessor] = deque()
        self.rounds = 0
        self._alone_quantum = alone_quantum

    @property
    def now(self) -> int:
        """Virtual time of the machine, in blocks: that of the LP that is furthest."""
        return max(lp.now for lp in self.lps)

    def add(self, vp: VirtualProcessor) -> None:
        """``vp`` takes its place at the end of the queue."""
        self.queue.append(vp)

    def remove(self, vp: VirtualProcessor) -> None:
        """``vp`` leaves for good."""
        self.queue.remove(vp)
        for lp in self.lps:
            if lp.last is vp:
                lp.last = None

    def ready(self) -> list[VirtualProcessor]:
        """The VPs that could run now, in the order of their turns."""
        return [vp for vp in self.queue if vp.state is VpState.READY and not vp.partition.has_stopped]

    def idle(self) -> list[VirtualProcessor]:
        """The VPs that an interrupt would make ready."""
        return [vp for vp in self.queue if vp.state is VpState.IDLE and not vp.partition.has_stopped]

    def skip_to(self, now: int) -> None:
        """Virtual time goes on to ``now`` without anybody running."""
        for lp in self.lps:
            lp.now = now

    def round(self, run_turn: RunTurn, budget: int | None = None, until: int = NEVER) -> int:
        """Gives each LP to the next ready VP once, for ``budget`` blocks together. How many were used.

        No turn goes beyond ``until``, a later moment of virtual time.
        """
        ready = self.ready()
        quantum = self._alone_quantum if len(ready) == 1 else SHARED_QUANTUM
        start, used_in_all = self.now, 0
        quantum = min(quantum, until - start)
        for lp, vp in zip(self.lps, ready, strict=False):
            lp.now = start
            left = quantum if budget is None else min(quantum, budget - used_in_all)
            if vp.state is not VpState.READY or vp.partition.has_stopped or left <= 0:
                continue
            vp.handle.time_base = start - vp.counters.blocks
            used = run_turn(vp, left)
            lp.now += used
            lp.busy += used
            lp.last = vp
            used_in_all += used
            self.queue.remove(vp)
            self.queue.append(vp)
        self.rounds += 1
        return used_in_all
