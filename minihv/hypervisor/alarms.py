"""Alarms: what is to happen at a moment of virtual time, in order.

Stands for: the timer hardware that ring -1 keeps for itself.
Spec: TLFS, "Timers".
Simplified: none known.
Next: ``minihv.hypervisor.timers``

Moments are counted in blocks of the machine's virtual time. A turn of a VP ends at the next alarm, so one is
never early, and late only by what cannot be interrupted: a block. While no VP has anything to do, virtual
time skips from alarm to alarm. In a round that several LPs share, an alarm goes off when the first of them
gets there; those that had their turn before hear of it in their next one.
"""

import heapq
from collections.abc import Callable, Hashable

NEVER = 1 << 60
"""A moment that does not come: the TSC would be at its end before."""

Callback = Callable[[int], object]
"""Called with the moment at which the alarm goes off, in blocks: never before it is due."""


class Alarms:
    """Each alarm has a key of its owner's choice, and of each key there is one at most.

    ``sooner`` is told when the next alarm is due sooner than the next was until then.
    """

    def __init__(self, sooner: Callable[[int], None] | None = None) -> None:
        self.next_due = NEVER
        """When the next alarm is due, in blocks."""
        self._sooner = sooner
        self._heap: list[tuple[int, int, Hashable]] = []
        self._set: dict[Hashable, tuple[int, Callback]] = {}
        self._number = 0

    def set(self, key: Hashable, due_blocks: int, callback: Callback) -> None:
        """Has ``callback`` called when virtual time reaches ``due_blocks``, instead of what ``key`` had."""
        if due_blocks >= NEVER:
            self.cancel(key)
            return
        self._number += 1
        self._set[key] = self._number, callback
        heapq.heappush(self._heap, (due_blocks, self._number, key))
        before = self.next_due
        self._find_next()
        if self.next_due < before and self._sooner is not None:
            self._sooner(self.next_due)

    def cancel(self, key: Hashable) -> None:
        """Has nothing happen on behalf of ``key``."""
        if self._set.pop(key, None) is not None:
            self._find_next()

    def is_set(self, key: Hashable) -> bool:
        """Whether something is to happen on behalf of ``key``."""
        return key in self._set

    def go_off(self, now: int) -> None:
        """Calls back all that is due at ``now``: the soonest first, and equal ones as they were set."""
        while self.next_due <= now:
            _, _, key = heapq.heappop(self._heap)
            _, callback = self._set.pop(key)
            self._find_next()
            callback(now)

    def _find_next(self) -> None:
        """Forgets those at the front that were cancelled or set anew."""
        heap = self._heap
        while heap and self._set.get(heap[0][2], (0,))[0] != heap[0][1]:
            heapq.heappop(heap)
        self.next_due = heap[0][0] if heap else NEVER
