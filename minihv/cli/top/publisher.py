"""A machine publishes what it does, once so that it can be found, and then when somebody asks.

Next: ``minihv.cli.top.drawing``
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from minihv.cli.top.board import board, process_start, question
from minihv.cli.top.machine_view import (
    FORMAT,
    Channels,
    MachineView,
    no_channels,
    view_partitions,
    virtual_time_ns,
)
from minihv.guests.session import GuestSession
from minihv.parent.session import ChildSession

PERIOD_SECONDS = 0.1
"""So often a machine looks whether somebody asks; one that ends before the first time is never seen."""


def view_session(session: GuestSession) -> MachineView:
    """The machine of a session, now."""
    hypervisor, pid = session.hypervisor, os.getpid()
    return MachineView(
        format=FORMAT,
        pid=pid,
        process_start=process_start(pid),
        guest=session.guest,
        paging=hypervisor.processor.paging.value,
        lps=len(hypervisor.scheduler.lps),
        virtual_time_ns=virtual_time_ns(hypervisor),
        published_at=time.time(),
        partitions=view_partitions(hypervisor, channels_of(session)),
    )


def channels_of(session: GuestSession) -> Channels:
    """Where the channels of a session's partitions are found."""
    if not isinstance(session, ChildSession):
        return no_channels
    buses = session.vmbus.buses
    return lambda number: buses[number].server.channels if number in buses else ()


class Publisher:
    """Publishes a machine. ``beat`` is called often, and mostly does nothing.

    As a context manager it takes the machine off the board at the end.
    """

    def __init__(self, look: Callable[[], MachineView], now: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._now = now
        self._next = now() + PERIOD_SECONDS
        self._folder: Path | None = None
        self._answered = -1

    def beat(self) -> None:
        """Publishes, if it is time to look and somebody has asked since."""
        now = self._now()
        if now < self._next:
            return
        self._next = now + PERIOD_SECONDS
        if self._folder is None:
            self._folder = board()
        if self._folder is not None and (number := question(self._folder)) > self._answered:
            self._answered = number
            self._publish(self._folder, number)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):
                own_file(self._folder).unlink(missing_ok=True)

    def _publish(self, folder: Path, number: int) -> None:
        view = self._look()
        view.asked = number
        fresh = own_file(folder).with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_bytes(msgspec.json.encode(view))
            fresh.replace(own_file(folder))


def own_file(folder: Path) -> Path:
    """Where this process publishes."""
    return folder / f"{os.getpid()}.json"
