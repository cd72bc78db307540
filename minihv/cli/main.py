"""The command ``minihv``: its verbs and their options. What they do is imported only when they are used.

Next: ``minihv.cli.run``
"""

import io
import os
import sys
from typing import Annotated, TextIO

import typer

from minihv.cli.compare.verbs import compare
from minihv.cli.disk.verbs import disk
from minihv.cli.options import (
    Architecture,
    Arguments,
    At,
    Blocks,
    Crash,
    Disks,
    Guest,
    Json,
    LargePages,
    Limits,
    LoggedMode,
    Lps,
    Memory,
    Mode,
    Paced,
    Paging,
    Parent,
    Plain,
    Policy,
    ShadowFrames,
    ShutdownAfter,
    Svg,
    Tlb,
    Trace,
    Vp,
    Vps,
    whole_number,
)
from minihv.errors import InternalError, MinihvError

REFUSED, FAILED, UNWRITABLE, INTERRUPTED, BROKEN_PIPE = 2, 70, 74, 130, 141
"""Exit statuses: it cannot be done, minihv is wrong, output cannot be written, Ctrl-C, nobody reads it."""


app = typer.Typer(
    help="A hypervisor that can be read, run and stepped through.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(asked: bool) -> None:
    """Prints the version and ends."""
    if asked:
        from minihv import __version__

        typer.echo(f"minihv {__version__}")
        raise typer.Exit


@app.callback()
def minihv(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A hypervisor that can be read, run and stepped through."""


@app.command()
def run(  # noqa: PLR0913 - one parameter for each option
    guest: Guest,
    memory: Memory = None,
    vps: Vps = None,
    lps: Lps = 1,
    paging: Paging = "slat",
    policy: Policy = "unsync",
    shadow_frames: ShadowFrames = None,
    large_pages: LargePages = "keep",
    tlb: Tlb = None,
    blocks: Blocks = None,
    trace: Trace = None,
    parent: Parent = True,
    shutdown_after: ShutdownAfter = None,
    disks: Disks = None,
    disk_limits: Limits = "announced",
    pace: Paced = False,
    architecture: Architecture = None,
    crash: Crash = None,
    append: Arguments = "",
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Run a guest in a partition of its own, and count what happens."""
    from minihv.cli.run import RunOptions, run_guest

    options = RunOptions(
        guest,
        memory,
        vps,
        lps,
        paging,
        policy,
        shadow_frames,
        large_pages,
        tlb,
        blocks,
        trace,
        as_json,
        plain,
        parent,
        shutdown_after,
        tuple(disks or ()),
        disk_limits,
        pace,
        architecture,
        crash,
        append,
    )
    raise typer.Exit(run_guest(options))


@app.command()
def walk(  # noqa: PLR0913 - one parameter for each option
    guest: Guest,
    gva: Annotated[
        str, typer.Argument(metavar="GVA", help="0xADDRESS, a decimal number, or SYMBOL; +OFFSET may follow.")
    ],
    at: At = None,
    access: Annotated[str, typer.Option(metavar="r|w|x", help="Read, write or execute.")] = "r",
    ring: Annotated[
        int | None,
        typer.Option(metavar="0|3", parser=whole_number, help="Who accesses; else the ring the VP is in."),
    ] = None,
    vp: Vp = 0,
    memory: Memory = None,
    vps: Vps = None,
    paging: Mode = "slat",
    policy: Policy = "unsync",
    svg: Svg = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Show every reference of a page walk, at a point of a guest's run."""
    from minihv.cli.eyes import LookOptions, show_walk

    options = LookOptions(guest, memory, vps, paging, policy, at or [], vp, svg, as_json, plain)
    raise typer.Exit(show_walk(options, gva, access, ring))


@app.command(name="map")
def map_(  # noqa: PLR0913 - one parameter for each option
    guest: Guest,
    at: At = None,
    vp: Vp = 0,
    memory: Memory = None,
    vps: Vps = None,
    paging: Mode = "slat",
    policy: Policy = "unsync",
    svg: Svg = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """List what is mapped where, at a point of a guest's run."""
    from minihv.cli.eyes import LookOptions, show_map

    options = LookOptions(guest, memory, vps, paging, policy, at or [], vp, svg, as_json, plain)
    raise typer.Exit(show_map(options))


@app.command()
def dirty(  # noqa: PLR0913 - one parameter for each option
    guest: Guest,
    every: Annotated[
        int | None,
        typer.Option(
            metavar="BLOCKS",
            parser=whole_number,
            help="Length of an interval; without it one is chosen that gives a few dozen.",
        ),
    ] = None,
    blocks: Blocks = None,
    memory: Memory = None,
    vps: Vps = None,
    lps: Lps = 1,
    paging: LoggedMode = "slat",
    policy: Policy = "unsync",
    svg: Svg = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Run a guest, and show which pages it writes, over time."""
    from minihv.cli.dirty.command import DirtyOptions
    from minihv.cli.dirty.command import dirty as show_map

    options = DirtyOptions(guest, every, blocks, memory, vps, lps, paging, policy, svg, as_json, plain)
    raise typer.Exit(show_map(options))


@app.command()
def top(  # noqa: PLR0913 - one parameter for each option
    guest: Annotated[
        str | None,
        typer.Argument(metavar="[GUEST]", help="Run this guest, and look at it; else at what runs already."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look, 0.1 to 3600.")] = 1.0,
    blocks: Annotated[
        int | None,
        typer.Option(metavar="N", parser=whole_number, help="Stop the guest after so many blocks."),
    ] = None,
    parent: Annotated[
        bool, typer.Option("--parent/--no-parent", help="As in `run`: boot a parent partition first.")
    ] = True,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Show the partitions, VPs and channels of machines that run."""
    from minihv.cli.top.command import TopOptions
    from minihv.cli.top.command import top as show_machines

    raise typer.Exit(show_machines(TopOptions(guest, once, every, blocks, parent, as_json, plain)))


@app.command()
def guests(as_json: Json = False, plain: Plain = False) -> None:
    """List the built-in guest programs and what each shows."""
    from minihv.cli.guests import list_guests

    raise typer.Exit(list_guests(as_json=as_json, plain=plain))


@app.command()
def doctor(as_json: Json = False, plain: Plain = False) -> None:
    """Say what is installed, what works, and how to get the rest."""
    from minihv.cli.doctor import examine

    raise typer.Exit(examine(as_json=as_json, plain=plain))


@app.command()
def tour(
    act: Annotated[
        int | None,
        typer.Argument(
            metavar="[ACT]",
            help="1: what ring -1 sees, 2: parent and VMBus; both without.",
            show_default=False,
        ),
    ] = None,
    plain: Plain = False,
    pause: Annotated[bool, typer.Option("--pause", help="Wait for Enter between the scenes.")] = False,
) -> None:
    """Show, on machines that run, how a hypervisor works."""
    from minihv.cli.tour import play

    raise typer.Exit(play(act, plain=plain, pause=pause))


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Groups or rows; all without any.")
    ] = None,
    as_json: Json = False,
    plain: Plain = False,
    rounds: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number, help="Interleaved rounds of each pair; the median counts."
        ),
    ] = 5,
) -> None:
    """Measure minihv against the bare engine, both sides in one run."""
    from minihv.cli.bench.command import bench as measure

    raise typer.Exit(measure(names or [], as_json, plain, rounds))


app.add_typer(compare, name="compare")
app.add_typer(disk, name="disk")


def main() -> None:
    """The entry point: a refusal is one sentence on standard error, and status 2; a bug, 70."""
    prepare_streams()
    try:
        try:
            app(prog_name="minihv")
        finally:
            sys.stdout.flush()
    except MinihvError as refusal:
        fail(f"minihv: {refusal}", FAILED if isinstance(refusal, InternalError) else REFUSED)
    except KeyboardInterrupt:
        fail("minihv: interrupted", INTERRUPTED)
    except BrokenPipeError:
        fail("", BROKEN_PIPE)
    except OSError as reason:
        fail(
            f"minihv: Output must be written somewhere, and it cannot be here ({reason.strerror}): "
            "free some space, or send it elsewhere.",
            UNWRITABLE,
        )


def prepare_streams() -> None:
    """Both can be written whole: where nobody opened one it leads nowhere, and a letter it lacks is escaped.

    A stream without a buffer (PYTHONUNBUFFERED) would drop the rest of a write that a signal cut short.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        if stream is None or is_unbuffered(stream, descriptor):
            encoding = stream.encoding if stream else "utf-8"
            setattr(sys, name, os.fdopen(descriptor, "w", buffering=1, encoding=encoding, closefd=False))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def is_unbuffered(stream: TextIO, descriptor: int) -> bool:
    """Whether ``stream`` writes to ``descriptor`` with nothing between."""
    return isinstance(stream.buffer, io.RawIOBase) and stream.fileno() == descriptor


def fail(message: str, status: int) -> None:
    """Ends the process. What standard output still holds nobody can take, so it goes nowhere."""
    if message:
        typer.echo(message, err=True)
    if status in (BROKEN_PIPE, UNWRITABLE):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
