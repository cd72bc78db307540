"""``minihv walk`` and ``minihv map``: the translation of a guest's addresses at a moment of its run.

Next: ``minihv.eyes.guest``
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from minihv.cli.contained import INTERRUPTED, Beat, contained
from minihv.cli.output import Progress, blocks_told, is_plain, print_json, print_lines
from minihv.cli.run import parse_size
from minihv.errors import ConfigurationError
from minihv.eyes.guest import go_to, look_at_map, look_at_walk, parse_address, parse_point, place_of, vp_of
from minihv.eyes.lines import Line
from minihv.eyes.map_text import map_lines
from minihv.eyes.walk_text import walk_lines
from minihv.guests.session import GuestSession
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.access import AccessKind
from minihv.paging.shadow import ShadowPolicy

KINDS = {"r": AccessKind.READ, "w": AccessKind.WRITE, "x": AccessKind.EXECUTE}
RINGS = (0, 3)


@dataclass(frozen=True, slots=True)
class LookOptions:
    """What was asked for on the command line, of any picture."""

    guest: str
    memory: str | None
    vps: int | None
    paging: str
    policy: str
    at: list[str]
    vp: int
    svg: Path | None
    as_json: bool
    plain: bool


class Picture(Protocol):
    """What can be shown in all ways."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""

    def _repr_svg_(self) -> str:
        """As a drawing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture and its lines of text."""

    picture: Picture
    lines: Sequence[Line]


Draw = Callable[[GuestSession], Callable[[], Shown]]
"""Refuses what cannot be drawn of a session before its guest runs; what it returns draws it afterwards."""


def show_walk(options: LookOptions, gva: str, access: str, ring: int | None) -> int:
    """Shows the walk of one access; the status of the command."""
    if access not in KINDS:
        raise ConfigurationError(
            f"An access reads, writes or executes, and {access!r} is none of these: write r, w or x."
        )
    if ring is not None and ring not in RINGS:
        raise ConfigurationError(
            f"An access is one of ring 0 or of ring 3, not of ring {ring}: choose one of them."
        )

    def draw(session: GuestSession) -> Callable[[], Shown]:
        address = parse_address(gva, session.image)

        def now() -> Shown:
            picture = look_at_walk(session, address, kind=KINDS[access], ring=ring, vp_index=options.vp)
            return Shown(picture, walk_lines(picture))

        return now

    return contained(lambda beat: perform(options, draw, beat))


def show_map(options: LookOptions) -> int:
    """Shows all mappings; the status of the command."""

    def draw(session: GuestSession) -> Callable[[], Shown]:
        def now() -> Shown:
            picture = look_at_map(session, options.vp)
            return Shown(picture, map_lines(picture))

        return now

    return contained(lambda beat: perform(options, draw, beat))


def perform(options: LookOptions, draw: Draw, beat: Beat) -> int:
    """Goes to the point, and shows what is there. Ctrl-C makes the point the one that was reached."""
    check_is_not_the_guest(options)
    with GuestSession(
        options.guest,
        memory_bytes=parse_size(options.memory) if options.memory is not None else None,
        vps=options.vps,
        paging=PagingMode.named(options.paging),
        shadow=ShadowOptions(ShadowPolicy.named(options.policy)),
    ) as session:
        now, point = draw(session), parse_point(options.at, session.image)
        vp = vp_of(session, options.vp)
        progress = Progress(plain=options.plain or options.as_json)
        interrupted = False
        try:
            go_to(session, point, vp, blocks_told(beat, progress))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            progress.clear()
        shown, place = now(), place_of(session, vp)
    if options.svg is not None:
        write_drawing(options.svg, shown.picture._repr_svg_())
    if options.as_json:
        print_json({"place": place.to_json(), **shown.picture.to_json()})
    else:
        print_lines(shown.lines, plain=is_plain(options.plain))
    if interrupted:
        sys.stdout.flush()
        print("minihv: interrupted: what is shown is how far the guest came", file=sys.stderr)
    return INTERRUPTED if interrupted else 0


def check_is_not_the_guest(options: LookOptions) -> None:
    """Refuses to draw over the image that runs."""
    guest, drawing = Path(options.guest), options.svg
    if drawing is not None and drawing.exists() and guest.exists() and drawing.samefile(guest):
        raise ConfigurationError(
            f"A drawing may not be written over the guest that it shows, and {drawing} is that guest: "
            "choose another name."
        )


def write_drawing(path: Path, drawing: str) -> None:
    """The file holds the drawing, whole."""
    try:
        path.write_text(drawing, encoding="utf-8")
    except OSError as reason:
        raise ConfigurationError(
            f"A drawing is written to a file that can be made, and {path} cannot ({reason.strerror}): "
            "choose another name."
        ) from reason
