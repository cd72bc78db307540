"""One timer of the kernel serves all that waits in the parent, each at its time."""

from typing import Any

from minihv.parent.gate import Gate, GateCode
from minihv.parent.orders import Order, Tick
from minihv.parent.timer import KernelTimer


class Desk:
    """Orders that only keep what they are given, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.posted: list[Order] = []
        self.now = 0
        self.called: list[str] = []
        self.gate = Gate()
        orders: Any = self
        self.timer = KernelTimer(self.gate, orders, lambda: self.now)

    def post(self, order: Order) -> None:
        self.posted.append(order)

    def place(self) -> int:
        return len(self.posted)

    def set(self, name: str, due: int | None) -> None:
        self.timer.set(name, due, lambda: self.called.append(name))

    def tick(self, now: int) -> int:
        self.now = now
        call: Any = None
        return self.gate._services[GateCode.TICK](call)


def test_kernel_is_told_the_first_moment_and_only_when_it_changes() -> None:
    desk = Desk()
    for name, due in (("late", 90), ("soon", 50), ("middle", 70)):
        desk.set(name, due)
    assert desk.posted == [Tick(90), Tick(50)]


def test_what_is_due_is_called_once_and_the_rest_waits() -> None:
    desk = Desk()
    for name, due in (("a", 50), ("b", 90), ("c", 50)):
        desk.set(name, due)
    assert desk.tick(60) == len(desk.posted) and desk.called == ["a", "c"]
    assert desk.posted[-1] == Tick(90)
    desk.tick(90)
    assert desk.called == ["a", "c", "b"] and desk.posted[-1] == Tick(90) and len(desk.posted) == 2


def test_key_has_one_moment_which_is_moved_or_taken_away() -> None:
    desk = Desk()
    desk.set("a", 50)
    desk.set("a", 80)
    desk.set("b", 60)
    desk.set("b", None)
    desk.tick(60)
    assert desk.called == []
    desk.tick(80)
    assert desk.called == ["a"]


def test_callback_may_wait_again_or_take_another_away() -> None:
    desk = Desk()

    def first() -> None:
        desk.called.append("first")
        desk.timer.cancel("second")
        desk.timer.set("first", 70, first)

    desk.timer.set("first", 50, first)
    desk.set("second", 50)
    desk.tick(50)
    desk.tick(70)
    assert desk.called == ["first", "first"]
