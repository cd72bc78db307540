"""Orders reach a machine that runs or are withdrawn, and nothing is left of them."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machine_views import machine

from minihv.cli.top import orders
from minihv.cli.top.board import board, machines
from minihv.cli.top.orders import PERIOD_SECONDS, Answer, Order, OrderTaker, carry
from minihv.errors import ConfigurationError

ATTACH = Order(verb="attach", path=b"/disks/\xff.vhd", controller="scsi1")
DONE = Answer(controller=1, place=2, where="SCSI controller 1, LUN 2", guest_was="told", virtual_time_ns=5)
US = f"01_hello (process {os.getpid()})"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += PERIOD_SECONDS  # it is time to look whenever the machine is asked
        return self.now


@contextmanager
def taking(do: Callable[[Order], Answer]) -> Iterator[None]:
    """A machine of this process takes orders meanwhile."""
    is_over = threading.Event()

    def run() -> None:
        with OrderTaker(do, Clock()) as taker:
            while not is_over.wait(0.001):
                taker.beat()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def left() -> list[str]:
    folder = board()
    assert folder is not None
    return sorted(path.name for path in folder.iterdir())


def refusal(order: Order = ATTACH, patience: float = 60.0) -> str:
    with pytest.raises(ConfigurationError) as refused:
        carry(machine(), order, patience)
    return str(refused.value)


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_order_is_carried_out_and_answered() -> None:
    heard: list[Order] = []
    with taking(lambda order: heard.append(order) or DONE):  # type: ignore[func-returns-value]
        assert carry(machine(), ATTACH) == DONE
    assert (heard, left()) == ([ATTACH], [])


def test_refusal_of_the_machine_comes_back_whole() -> None:
    def refuse(_: Order) -> Answer:
        raise ConfigurationError("IDE has no hot plug: use SCSI.")

    with taking(refuse):
        assert refusal() == "IDE has no hot plug: use SCSI."
    assert left() == []


def test_order_that_nobody_takes_is_withdrawn() -> None:
    assert refusal(patience=0.05) == (
        f"A machine takes orders between its rounds, and {US} took none for 0.05 seconds: "
        "try again, or see what it does by `minihv top`."
    )
    assert left() == []


def test_machine_that_ends_meanwhile_answers_nothing() -> None:
    ended = machine(pid=dead_process())
    with pytest.raises(ConfigurationError) as refused:
        carry(ended, ATTACH, 60.0)
    assert str(refused.value) == (
        f"A machine carries orders out while it runs, and 01_hello (process {ended.pid}) has ended before it "
        "answered: its disks are free."
    )
    assert left() == []


def test_order_that_was_taken_is_waited_for_longer_and_then_no_more() -> None:
    go_on = threading.Event()

    def wait(_: Order) -> Answer:
        go_on.wait()
        return DONE

    with taking(wait):
        said = refusal(patience=0.2)
        go_on.set()
    assert said == (
        f"An order that was taken is answered, and {US} has not answered for 0.2 seconds: "
        "see what it does by `minihv top`."
    )


def test_interrupt_withdraws_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Answer:
        raise KeyboardInterrupt

    monkeypatch.setattr(orders, "poll", interrupt)
    with pytest.raises(KeyboardInterrupt):
        carry(machine(), ATTACH)
    assert left() == []


def test_interrupt_comes_too_late_for_an_order_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, poll, interrupts = board(), orders.poll, iter([True])
    assert folder is not None
    answer = folder / f"{os.getpid()}-{os.getpid()}.answer"

    def interrupted_once(*arguments: object) -> Answer | None:
        if next(interrupts, False):
            while not answer.exists():
                pass
            raise KeyboardInterrupt
        return poll(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(orders, "poll", interrupted_once)
    with taking(lambda _: DONE):
        assert carry(machine(), ATTACH) == DONE
    assert left() == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"verb": 1, "path": ""}', b"[" * 70_000])
def test_order_of_another_form_is_refused(content: bytes) -> None:
    folder, done = board(), list[Order]()
    assert folder is not None
    path = folder / f"{os.getpid()}-{os.getpid()}.order"
    path.write_bytes(content)
    taker = OrderTaker(lambda order: done.append(order) or DONE, Clock())  # type: ignore[func-returns-value]
    assert taker.beat() and not taker.beat()
    assert b"came from another" in path.with_suffix(".answer").read_bytes()
    assert (done, left()) == ([], [path.with_suffix(".answer").name])


def test_orders_to_others_are_left_alone() -> None:
    folder = board()
    assert folder is not None
    (folder / "1-2.order").write_bytes(b"{}")
    with OrderTaker(lambda _: DONE, Clock()) as taker:
        assert not taker.beat()
    assert left() == ["1-2.order"]


def test_machine_that_ends_leaves_answers_only_for_those_who_live() -> None:
    folder, me = board(), os.getpid()
    assert folder is not None
    names = [f"{me}-{me}.order", f"{me}-{me}.answer", f"{me}-{dead_process()}.answer", f"{me}-{me}.taken"]
    with OrderTaker(lambda _: DONE, Clock()) as taker:
        taker.beat()
        for name in names:
            (folder / name).touch()
    assert left() == [f"{me}-{me}.answer"]


def test_orders_to_a_dead_machine_are_removed_by_whoever_looks() -> None:
    folder, gone = board(), dead_process()
    assert folder is not None
    for name in (f"{gone}.json", f"{gone}-{gone}.order", f"{gone}-{gone}.taken"):
        (folder / name).touch()
    assert (machines(), left()) == ([], [])


def test_looking_is_rare_and_needs_a_board(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    times = iter([0.0, 0.05, 0.1])
    monkeypatch.setattr(orders, "board", lambda: None)
    taker = OrderTaker(lambda _: DONE, lambda: next(times))
    assert [taker.beat(), taker.beat()] == [False, False]
    assert list(runtime.iterdir()) == []
    assert refusal() == (
        "Orders go through a folder of your own, and there is none that is safe: set XDG_RUNTIME_DIR to one."
    )


def test_orders_on_a_board_where_others_may_write_are_not_heard(runtime: Path) -> None:
    (runtime / "minihv").mkdir()
    (runtime / "minihv").chmod(0o777)
    path = runtime / "minihv" / f"{os.getpid()}-1.order"
    path.write_bytes(b"{}")
    with OrderTaker(lambda _: DONE, Clock()) as taker:
        assert not taker.beat()
    assert path.exists()
