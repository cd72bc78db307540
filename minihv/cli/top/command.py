"""``minihv top``: looks at the machines that run, or runs a guest and looks at it.

Next: ``minihv.cli.top.board``
"""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from minihv.cli.contained import INTERRUPTED, Beat, contained
from minihv.cli.output import is_plain, print_json, print_table, rich_table
from minihv.cli.run import status_of, tell_of_interruption
from minihv.cli.top.board import answers, ask
from minihv.cli.top.drawing import Rates, lines, sheets
from minihv.cli.top.machine_view import MachineView
from minihv.cli.top.publisher import view_session
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession
from minihv.parent.session import ParentSession

NOTHING_RUNS = 1
SHORTEST, LONGEST = 0.1, 3600.0


@dataclass(frozen=True, slots=True)
class TopOptions:
    """What was asked for on the command line."""

    guest: str | None
    once: bool
    every: float
    blocks: int | None
    parent: bool
    as_json: bool
    plain: bool


def top(options: TopOptions) -> int:
    """Shows machines; the status of the command."""
    if not SHORTEST <= options.every <= LONGEST:
        raise ConfigurationError(
            f"One looks every {SHORTEST} to {LONGEST:.0f} seconds, not every {options.every:g}: "
            "choose --every in that range."
        )
    if options.guest is not None:
        if options.blocks is not None and options.blocks < 1:
            raise ConfigurationError(
                f"A budget is at least one block, not {options.blocks}: leave --blocks out for none."
            )
        guest = options.guest
        return contained(lambda beat: run_and_look(options, guest, beat))
    if options.blocks is not None:
        raise ConfigurationError(
            "A budget is for a guest that `minihv top` runs itself: name one, or leave --blocks out."
        )
    return look_at_others(options)


def look_at_others(options: TopOptions) -> int:
    """Shows the machines of other processes, until there are none or Ctrl-C ends it."""
    question = ask()
    found = answers(question)
    if options.as_json:
        print_json({"machines": found})
    if not found:
        print(
            "minihv: No machine runs here: start one by `minihv run GUEST` elsewhere, or write "
            "`minihv top GUEST`.",
            file=sys.stderr,
        )
        return NOTHING_RUNS
    if options.as_json:
        return 0
    if options.once:
        show_once(found, question, plain=is_plain(options.plain))
        return 0
    try:
        with Screen(options) as screen:
            while found:
                screen.show(found, question)
                time.sleep(options.every)
                question = ask()
                found = answers(question)
    except KeyboardInterrupt:
        return 0
    print("No machine runs any more.")
    return 0


def run_and_look(options: TopOptions, guest: str, beat: Beat) -> int:
    """Runs a guest, and shows its machine meanwhile and at the end."""
    with (ParentSession if options.parent else GuestSession)(guest) as session:
        quiet = options.once or options.as_json
        interrupted = False
        with Screen(options) as screen:
            next_look = time.monotonic() + options.every

            def progress(_blocks: int) -> None:
                nonlocal next_look
                beat()
                if not quiet and time.monotonic() >= next_look:
                    next_look = time.monotonic() + options.every
                    screen.show([view_session(session)])

            try:
                session.run(options.blocks, progress)
            except KeyboardInterrupt:
                interrupted = True
            last, report = view_session(session), session.report()
            if not quiet:
                screen.show([last])
    if interrupted:
        tell_of_interruption(report)
    if options.as_json:
        print_json({"machines": [last]})
    elif options.once:
        show_once([last], 0, plain=is_plain(options.plain))
    if not options.as_json:
        print(f"{report.guest}: {report.stopped} ({report.why})")
    return INTERRUPTED if interrupted else status_of(report)


def show_once(found: list[MachineView], question: int, *, plain: bool) -> None:
    """All tables, one below the other."""
    for machine in found:
        for sheet in sheets(machine, None, question, plain=plain):
            print_table(sheet.title, sheet.columns, sheet.rows, plain=plain, right=sheet.right)
            print()


class Screen:
    """Where machines are shown again and again: in place on a terminal, as lines in a pipe."""

    def __init__(self, options: TopOptions) -> None:
        self._rates = Rates()
        self._live: Any = None
        quiet = options.once or options.as_json
        self._moves = not quiet and not is_plain(options.plain)

    def __enter__(self) -> "Screen":
        if self._moves:
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, found: list[MachineView], question: int = 0) -> None:
        """Shows ``found`` in place of what was there."""
        self._rates.look(found)
        if self._live is None:
            for machine in found:
                for line in lines(machine, self._rates):
                    print(line)
            sys.stdout.flush()
            return
        from rich.console import Group

        tables = [
            rich_table(sheet.title, sheet.columns, sheet.rows, sheet.right)
            for machine in found
            for sheet in sheets(machine, self._rates, question, plain=False)
        ]
        self._live.update(Group(*tables), refresh=True)
