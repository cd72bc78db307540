"""The timer of the parent's kernel: one moment for all that waits for a time in the parent.

Stands for: the timer queue of the parent's kernel.
Spec: TLFS, "Synthetic Timers": the kernel has one of them, and it expires once.
Next: ``minihv.parent.wires``
"""

from collections.abc import Callable, Hashable

from minihv.parent.gate import Gate, GateCall, GateCode
from minihv.parent.orders import Orders, Tick

Callback = Callable[[], object]


class KernelTimer:
    """What is to be done when; of each key there is one thing at most. ``now`` is in units of 100 ns."""

    def __init__(self, gate: Gate, orders: Orders, now: Callable[[], int]) -> None:
        self._orders, self._now = orders, now
        self._due: dict[Hashable, tuple[int, Callback]] = {}
        self._set_for: int | None = None
        """What the kernel was told."""
        gate.serve(GateCode.TICK, self._tick)

    def set(self, key: Hashable, due_100ns: int | None, callback: Callback) -> None:
        """``callback`` is called at ``due_100ns``, instead of what ``key`` had; with None nothing is."""
        if due_100ns is None:
            self.cancel(key)
        else:
            self._due[key] = due_100ns, callback
            self._tell()

    def cancel(self, key: Hashable) -> None:
        """Nothing is done on behalf of ``key``; the kernel may wake once for nothing."""
        self._due.pop(key, None)

    def _tick(self, _call: GateCall) -> int:
        """The moment came that something waited for."""
        self._set_for = None
        now = self._now()
        for key, (due, callback) in list(self._due.items()):
            if due <= now and self._due.get(key) == (due, callback):
                del self._due[key]
                callback()
        self._tell()
        return self._orders.place()

    def _tell(self) -> None:
        """The kernel knows the first moment."""
        due = min((due for due, _ in self._due.values()), default=None)
        if due is not None and due != self._set_for:
            self._set_for = due
            self._orders.post(Tick(due))
