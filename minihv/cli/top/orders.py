"""Orders to a machine that runs, and its answers: files beside what it publishes on the board.

Stands for: the management interface of a host (WMI), as far as a running machine is asked to change.
Spec: none; the form is minihv's own.
Simplified: one order at a time from each process; who may write to the board's folder may give orders.
First reading: ``carry``, then ``OrderTaker``.
Next: ``minihv.cli.disk.hot_plug``

An order is ``MACHINE-CLIENT.order``, named by two processes. The machine looks between the rounds of its VPs.
It takes an order by renaming it, the client withdraws one by removing it: one of both succeeds, so a client
that gives up knows whether its order was carried out. The board is its user's alone, and so are the orders.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from minihv.cli.top.board import board, is_alive, sweep
from minihv.cli.top.machine_view import MachineView
from minihv.errors import ConfigurationError, MinihvError

MOST_ORDER_BYTES = 1 << 16
PERIOD_SECONDS, POLL_SECONDS = 0.1, 0.02
"""So often a machine looks for orders, and a client for its answer."""
PATIENCE_SECONDS = 10.0
"""So long may pass until a machine takes an order."""


class Order(msgspec.Struct, kw_only=True):
    """A disk is to come or to go. ``path`` is absolute, as the host has its bytes."""

    verb: str
    """``attach`` or ``detach``."""
    path: bytes
    controller: str = ""


class Answer(msgspec.Struct, kw_only=True):
    """What became of an order: ``refusal`` is empty, or the sentence that says why nothing did."""

    refusal: str = ""
    controller: int = 0
    place: int = 0
    where: str = ""
    guest_was: str = ""
    """``told``, ``offered`` a new controller, or ``not listening``."""
    virtual_time_ns: int = 0


class OrderTaker:
    """A machine's side. ``beat`` is called often, and mostly does nothing; ``do`` carries an order out.

    As a context manager it drops the orders that it did not take.
    """

    def __init__(self, do: Callable[[Order], Answer], now: Callable[[], float] = time.monotonic) -> None:
        self._do, self._now = do, now
        self._next = now() + PERIOD_SECONDS
        self._folder: Path | None = None

    def beat(self) -> bool:
        """Takes the orders that are there, if it is time to look; whether there were any."""
        now = self._now()
        if now < self._next:
            return False
        self._next = now + PERIOD_SECONDS
        if self._folder is None:
            self._folder = board()
        if self._folder is None:
            return False
        found = [self._take(path) for path in sorted(self._folder.glob(f"{os.getpid()}-*.order"))]
        return any(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            sweep(self._folder, str(os.getpid()))

    def _take(self, path: Path) -> bool:
        taken = path.with_suffix(".taken")
        try:
            path.rename(taken)
            with taken.open("rb") as file:
                content = file.read(MOST_ORDER_BYTES + 1)
        except OSError:
            return False
        answer = self._answer(content)
        with contextlib.suppress(OSError):  # nobody waits for it any more
            write_whole(path.with_suffix(".answer"), answer)
            taken.unlink(missing_ok=True)
        return True

    def _answer(self, content: bytes) -> Answer:
        try:
            return self._do(msgspec.json.decode(content, type=Order))
        except msgspec.MsgspecError:
            return Answer(
                refusal="A machine takes orders of its own minihv, and this one came from another: use the "
                "same version for both."
            )
        except MinihvError as refusal:
            return Answer(refusal=str(refusal))


def carry(machine: MachineView, order: Order, patience: float = PATIENCE_SECONDS) -> Answer:
    """Gives an order to a machine, and waits for its answer. Nothing is left behind, whatever happens.

    Raises:
        ConfigurationError: there is no board; the machine ended, took the order not in time, or refuses it.
    """
    folder = board()
    if folder is None:
        raise ConfigurationError(
            "Orders go through a folder of your own, and there is none that is safe: set "
            "XDG_RUNTIME_DIR to one."
        )
    path = folder / f"{machine.pid}-{os.getpid()}.order"
    try:
        write_whole(path, order)
        answer = wait_for(path, machine, patience)
    finally:
        for suffix in (".order", ".new", ".answer"):
            path.with_suffix(suffix).unlink(missing_ok=True)
    if answer.refusal:
        raise ConfigurationError(answer.refusal)
    return answer


def wait_for(path: Path, machine: MachineView, patience: float) -> Answer:
    """The answer to the order at ``path``. The first Ctrl-C withdraws it, if it was not taken yet."""
    try:
        answer = poll(path, machine, time.monotonic() + patience)
    except KeyboardInterrupt:
        if withdraw(path):
            raise
        answer = None
    if answer is not None:
        return answer
    if withdraw(path):
        raise ConfigurationError(
            f"A machine takes orders between its rounds, and {name(machine)} took none for {patience:g} "
            "seconds: try again, or see what it does by `minihv top`."
        )
    answer = poll(path, machine, time.monotonic() + patience)
    if answer is None:
        raise ConfigurationError(
            f"An order that was taken is answered, and {name(machine)} has not answered for {patience:g} "
            "seconds: see what it does by `minihv top`."
        )
    return answer


def poll(path: Path, machine: MachineView, deadline: float) -> Answer | None:
    """The answer, or None when ``deadline`` has come.

    Raises:
        ConfigurationError: the machine has ended without one.
    """
    while time.monotonic() < deadline:
        lives = is_alive(machine)
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(path.with_suffix(".answer").read_bytes(), type=Answer)
        if not lives:
            raise ConfigurationError(
                f"A machine carries orders out while it runs, and {name(machine)} has ended before it "
                "answered: its disks are free."
            )
        time.sleep(POLL_SECONDS)
    return None


def withdraw(path: Path) -> bool:
    """The order is not there any more; false: the machine has taken it."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def name(machine: MachineView) -> str:
    """How people tell a machine from others."""
    return f"{machine.guest} (process {machine.pid})"


def write_whole(path: Path, value: Order | Answer) -> None:
    """What a reader finds at ``path`` is all of it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(value))
    fresh.replace(path)
