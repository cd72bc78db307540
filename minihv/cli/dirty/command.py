"""``minihv dirty``: runs a guest, and shows which pages it writes over time.

Next: ``minihv.cli.dirty.recorder``
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from minihv.cli.contained import INTERRUPTED, Beat, contained
from minihv.cli.dirty.dirty_map import DirtyMap
from minihv.cli.dirty.drawing import PLAIN_SIGNS, SIGNS, svg, text
from minihv.cli.dirty.recorder import Recorder
from minihv.cli.output import Progress, blocks_told, is_plain, print_json, signs_for
from minihv.cli.run import parse_size, status_of, tell_of_interruption
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy


@dataclass(frozen=True, slots=True)
class DirtyOptions:
    """What was asked for on the command line."""

    guest: str
    every: int | None
    blocks: int | None
    memory: str | None
    vps: int | None
    lps: int
    paging: str
    policy: str
    svg: Path | None
    as_json: bool
    plain: bool


def dirty(options: DirtyOptions) -> int:
    """Runs the guest in a process of its own; the status of the command."""
    if options.blocks is not None and options.blocks < 1:
        raise ConfigurationError(
            f"A budget is at least one block, not {options.blocks}: leave --blocks out for none."
        )
    return contained(lambda beat: perform(options, beat))


def perform(options: DirtyOptions, beat: Beat) -> int:
    """The run itself."""
    session = GuestSession(
        options.guest,
        memory_bytes=parse_size(options.memory) if options.memory is not None else None,
        vps=options.vps,
        lps=options.lps,
        paging=PagingMode.named(options.paging),
        shadow=ShadowOptions(ShadowPolicy.named(options.policy)),
    )
    with session:
        recorder = Recorder(session, options.every)
        check_can_be_drawn(options)
        progress, interrupted = Progress(plain=options.plain or options.as_json), False
        try:
            recorder.run(options.blocks, blocks_told(beat, progress))
        except KeyboardInterrupt:
            interrupted = True
        progress.clear()
        drawn, report = recorder.finished(), session.report()
    if interrupted:
        tell_of_interruption(report)
        drawn.why = report.why
    show(drawn, options)
    return INTERRUPTED if interrupted else status_of(report)


def check_can_be_drawn(options: DirtyOptions) -> None:
    """Refuses, before anything runs, a file that cannot be made, or that is the guest."""
    if options.svg is None:
        return
    guest = Path(options.guest)
    if guest.exists() and options.svg.exists() and options.svg.samefile(guest):
        raise ConfigurationError(
            f"A drawing may not be written over the guest that it tells of, and {options.svg} is that guest: "
            "choose another name."
        )
    try:
        options.svg.write_text("", encoding="utf-8")
    except OSError as reason:
        raise ConfigurationError(
            f"A drawing is written to a file that can be made, and {options.svg} cannot ({reason.strerror}): "
            "choose another name."
        ) from reason


def show(drawn: DirtyMap, options: DirtyOptions) -> None:
    """Prints the map, and writes the drawing if one was asked for."""
    if options.svg is not None:
        options.svg.write_text(svg(drawn), encoding="utf-8")
    if options.as_json:
        print_json(drawn.report())
    else:
        plain, encoding = is_plain(options.plain), sys.stdout.encoding
        print(text(drawn, signs_for(SIGNS, PLAIN_SIGNS, plain=plain, encoding=encoding)))
