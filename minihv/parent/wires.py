"""The wires between a child's mainboard and its VPs: time goes in, interrupts come out.

Stands for: what carries the lines of emulated chips from a worker process to virtual processors.
Spec: TLFS, "Virtual Interrupt Control"; Intel, "MultiProcessor Specification": "Virtual Wire Mode".
Simplified: the interrupt of the PIC has its vector when it is raised, and not when a VP takes it.
First reading: ``Wires.after``, ``ParentWires._raise``.
Next: ``minihv.parent.timer``

An external interrupt waits in the VP until it is taken, and the next one must not come before that. So the
board is asked for a vector only when the last one is known to be taken.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

from minihv.devices.emulated.io_apic import Delivery
from minihv.devices.emulated.mainboard import Mainboard
from minihv.hypervisor import calls_interrupt
from minihv.hypervisor.alarms import Alarms
from minihv.hypervisor.calls_interrupt import LEVEL, LOGICAL, InterruptType
from minihv.machine import clock
from minihv.parent import calls
from minihv.parent.children import Child
from minihv.parent.orders import Job, Orders, Steps
from minihv.parent.timer import KernelTimer
from minihv.spec.hypercalls import Status

RESET_STATUS = 1
"""The exit status of a guest that pulled the reset line of its machine."""


class Wires(ABC):
    """The board of one child, which has its partition. ``now`` is the time in units of 100 ns.

    Whoever lets the child use a chip says so ``before`` and ``after``.
    """

    def __init__(self, child: Child, now: Callable[[], int]) -> None:
        self.child, self._now = child, now
        self.board = Mainboard(
            child.plan.ports, self._send, output=child.partition.console.extend, on_reset=self._reset
        )
        self._is_held = False
        """An external interrupt was raised, and nobody knows yet whether it was taken."""
        self._due: int | None = None

    def before(self) -> None:
        """The board knows how late it is."""
        self.board.tick(self._now())

    def after(self) -> None:
        """Something happened on the board: its interrupts are on their way, its next moment is known."""
        if self.board.pic.interrupts:
            self._raise()
        due = None if self.child.partition.has_stopped else self.board.due_100ns
        if due != self._due:
            self._due = due
            self._set_alarm(due)

    def expire(self) -> None:
        """The moment came that the board waited for."""
        self._due = None
        self.before()
        self.after()

    def end_of_interrupt(self, vector: int) -> None:
        """A VP ended a level-triggered interrupt."""
        self.board.io_apic.end_of_interrupt(vector)

    def close(self) -> None:
        """The board waits for nothing any more."""
        self._set_alarm(None)

    @abstractmethod
    def _send(self, delivery: Delivery) -> None:
        """A message of the I/O APIC goes to the VPs."""

    @abstractmethod
    def _raise(self) -> None:
        """The interrupt of the PIC goes to VP 0, if the last one was taken."""

    @abstractmethod
    def _set_alarm(self, due_100ns: int | None) -> None:
        """``expire`` is called then."""

    def _reset(self) -> None:
        self.child.partition.shut_down(RESET_STATUS, "it reset its machine by the keyboard controller")


class ParentWires(Wires):
    """They lead through hypercalls of the parent."""

    def __init__(self, child: Child, now: Callable[[], int], orders: Orders, timer: KernelTimer) -> None:
        super().__init__(child, now)
        self._orders, self._timer = orders, timer
        self._job: Job | None = None

    def _send(self, delivery: Delivery) -> None:
        order = calls.assert_interrupt(
            self.child.id, control_of(delivery), delivery.destination, delivery.vector
        )
        self._orders.post(order)

    def _raise(self) -> None:
        if self._job is None or self._job.is_done:
            self._job = self._orders.submit(f"interrupt of {self.child.name}", self._steps())

    def _steps(self) -> Steps:
        if self._is_held and (yield calls.clear_interrupt(self.child.id)).status == Status.NOT_ACKNOWLEDGED:
            return
        self._is_held = False
        vector = self.board.take_external()
        if vector is not None:
            self._is_held = True
            yield calls.assert_interrupt(self.child.id, InterruptType.EXTERNAL, 0, vector)

    def _set_alarm(self, due_100ns: int | None) -> None:
        self._timer.set(self, due_100ns, self.expire)

    def close(self) -> None:
        """The board waits for nothing, and no hypercall is left to be made."""
        super().close()
        if self._job is not None:
            self._orders.cancel(self._job)


class InnerWires(Wires):
    """They are inside ring -1."""

    def __init__(self, child: Child, now: Callable[[], int], alarms: Alarms) -> None:
        super().__init__(child, now)
        self._alarms = alarms

    def _send(self, delivery: Delivery) -> None:
        calls_interrupt.assert_interrupt(
            self.child.partition, control_of(delivery), delivery.destination, delivery.vector
        )

    def _raise(self) -> None:
        partition = self.child.partition
        if self._is_held and calls_interrupt.clear_external(partition) is Status.NOT_ACKNOWLEDGED:
            return
        vector = self.board.take_external()
        self._is_held = vector is not None
        if vector is not None:
            calls_interrupt.assert_external(partition, vector)

    def _set_alarm(self, due_100ns: int | None) -> None:
        if due_100ns is None:
            self._alarms.cancel(self)
        else:
            self._alarms.set(self, clock.blocks_until(due_100ns), lambda _: self.expire())


def control_of(delivery: Delivery) -> int:
    """The control quadword of HvAssertVirtualInterrupt."""
    return int(delivery.mode) | (LEVEL if delivery.level else 0) | (LOGICAL if delivery.logical else 0)
