"""Options of the commands: those that several have, and those of a guest that is run.

Next: ``minihv.cli.run``
"""

from pathlib import Path
from typing import Annotated

import typer


def whole_number(text: str | int) -> int:
    """The number of an option, or a refusal of what is none."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"a whole number is asked for, not {text!r}: write 1 or 2.") from None


def command_of_verbs(words: str) -> typer.Typer:
    """A command that does nothing by itself; ``words`` say what its verbs are about."""
    return typer.Typer(
        help=words,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


# How a command prints.

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Plain text: no colour, no progress. Also by NO_COLOR, and in pipes.")
]
Svg = Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the drawing to FILE too.")]

# The machine.

Guest = Annotated[
    str, typer.Argument(metavar="GUEST", help="An ELF file, or a built-in program (`minihv guests`).")
]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="RAM of the guest: 64M, 1G (2M to 8G).")
]
Vps = Annotated[
    int | None, typer.Option("--vps", metavar="N", parser=whole_number, help="Virtual processors, 1 to 32.")
]
Lps = Annotated[
    int,
    typer.Option(
        "--lps", metavar="N", parser=whole_number, help="Logical processors of the machine, 1 to 32."
    ),
]
Blocks = Annotated[
    int | None,
    typer.Option("--blocks", metavar="N", parser=whole_number, help="Stop after so many executed blocks."),
]

# Translation.

Paging = Annotated[
    str,
    typer.Option(
        "--paging",
        metavar="MODE",
        help="slat: minihv walks two stages; shadow: one of its own; hardware: the engine's MMU walks.",
    ),
]
Mode = Annotated[str, typer.Option("--paging", metavar="MODE", help="Who serves a TLB miss, as in `run`.")]
LoggedMode = Annotated[
    str,
    typer.Option(
        "--paging", metavar="MODE", help="How memory is translated; the engine's own MMU has no log."
    ),
]
Policy = Annotated[
    str,
    typer.Option(
        "--policy", metavar="NAME", help="How shadow tables follow the guest's: trap, unsync or flush."
    ),
]
ShadowFrames = Annotated[
    int | None,
    typer.Option(
        "--shadow-frames", metavar="N", parser=whole_number, help="Frames for shadow tables, at least 16."
    ),
]
LargePages = Annotated[
    str,
    typer.Option(
        "--large-pages", metavar="HOW", help="In shadow tables: keep, or split into pages of 4 KiB."
    ),
]
Tlb = Annotated[
    str | None,
    typer.Option(
        "--tlb", metavar="SHAPE", help="Model a TLB: 64x4 is 64 sets of 4 ways; 64x4,pdes=32,nested=64."
    ),
]

# Where a guest is looked at.

At = Annotated[
    list[str] | None,
    typer.Option(
        "--at", metavar="POINT", help="After so many blocks, or at a SYMBOL or 0xADDRESS; else at the end."
    ),
]
Vp = Annotated[
    int, typer.Option("--vp", metavar="N", parser=whole_number, help="Whose tables; 0 is the first VP.")
]

# The parent, and what the guest has of it.

Parent = Annotated[
    bool,
    typer.Option(
        "--parent/--no-parent", help="Boot a parent partition first; the guest is its child, or alone."
    ),
]
ShutdownAfter = Annotated[
    float | None,
    typer.Option(
        "--shutdown-after",
        metavar="SECONDS",
        help="Have the parent ask the guest to shut down, in virtual time.",
    ),
]
Disks = Annotated[
    list[str] | None,
    typer.Option(
        "--disk",
        metavar="FILE[:ide|:scsi|:passthrough|:cd]",
        help="A disk or a CD of the guest, an image; again for another one.",
    ),
]
Limits = Annotated[
    str,
    typer.Option(
        "--disk-limits",
        metavar="HOW",
        help="Disks behind a SCSI controller: announced (256) or shipped (64).",
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        "--architecture",
        metavar="HOW",
        help="Devices are in the parent: microkernel; or in ring -1: monolithic.",
    ),
]
Arguments = Annotated[
    str,
    typer.Option("--append", metavar="TEXT", help="Arguments of the guest, which it finds in its info page."),
]
Crash = Annotated[
    str | None,
    typer.Option(
        "--crash",
        metavar="DEVICE@N",
        help="Have a device model crash at its N-th operation: ide@100.",
    ),
]

# The run itself.

Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace", metavar="FILE", help="Write every event: FILE.json for Perfetto, else JSON lines."
    ),
]
Paced = Annotated[
    bool,
    typer.Option("--pace", help="While all VPs idle, let time pass no faster than the host's clock."),
]
