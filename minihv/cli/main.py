"""The command ``minihv``: its verbs and their options. What they do is imported only when they are used.

Next: ``minihv.cli.run``
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from minihv.errors import MinihvError

REFUSED = 2
"""Exit status of a refusal: what was asked cannot be done."""


app = typer.Typer(
    help="A hypervisor that can be read, run and stepped through.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Plain text: no colour, no progress. Also by NO_COLOR, and in pipes.")
]


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
    guest: Annotated[
        str, typer.Argument(metavar="GUEST", help="An ELF file, or a built-in program (`minihv guests`).")
    ],
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="RAM of the guest: 64M, 1G.")] = None,
    vps: Annotated[int | None, typer.Option(metavar="N", help="Virtual processors.")] = None,
    lps: Annotated[int, typer.Option(metavar="N", help="Logical processors of the machine, 1 to 32.")] = 1,
    paging: Annotated[
        str, typer.Option(metavar="MODE", help="slat: minihv walks; hardware: the engine's own MMU does.")
    ] = "slat",
    blocks: Annotated[
        int | None, typer.Option(metavar="N", help="Stop after so many executed blocks.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every event: FILE.json for Perfetto, else JSON lines."),
    ] = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Run a guest in a partition of its own, and count what happens."""
    from minihv.cli.run import RunOptions, run_guest

    options = RunOptions(guest, memory, vps, lps, paging, blocks, trace, as_json, plain)
    raise typer.Exit(run_guest(options))


@app.command()
def guests(as_json: Json = False, plain: Plain = False) -> None:
    """List the built-in guest programs and what each shows."""
    from minihv.cli.guests import list_guests

    raise typer.Exit(list_guests(as_json=as_json, plain=plain))


@app.command()
def doctor(as_json: Json = False, plain: Plain = False) -> None:
    """Say what is installed, what works, what is missing, and how to get it."""
    from minihv.cli.doctor import examine

    raise typer.Exit(examine(as_json=as_json, plain=plain))


@app.command()
def tour(
    plain: Plain = False,
    pause: Annotated[
        bool, typer.Option("--pause/--no-pause", help="Wait for Enter between the scenes.")
    ] = False,
) -> None:
    """A guided demonstration. Act one: what ring -1 sees."""
    from minihv.cli.tour import play

    raise typer.Exit(play(plain=plain, pause=pause))


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Groups or rows; all without any.")
    ] = None,
    as_json: Json = False,
    plain: Plain = False,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Interleaved rounds of each pair; the median counts.")
    ] = 5,
) -> None:
    """Measure minihv against the bare engine, both sides in one run."""
    from minihv.cli.bench.command import bench as measure

    raise typer.Exit(measure(names or [], as_json, plain, rounds))


def main() -> None:
    """The entry point: a refusal is one sentence on standard error, and status 2."""
    try:
        app()
    except MinihvError as refusal:
        typer.echo(f"minihv: {refusal}", err=True)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        typer.echo("minihv: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
