"""The verbs of ``minihv disk`` and their options. What they do is imported only when they are used.

Next: ``minihv.cli.disk.command``
"""

from pathlib import Path
from typing import Annotated

import typer

from minihv.cli.options import Json, Plain, command_of_verbs, whole_number

File = Annotated[Path, typer.Argument(metavar="FILE", help="The image.")]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="What FILE is, if not what it says: raw or vhd."),
]
To = Annotated[
    int | None,
    typer.Option(
        "--to", metavar="PID", parser=whole_number, help="The machine, by its process (`minihv top`)."
    ),
]
Size = Annotated[str, typer.Option("--size", metavar="SIZE", help="Of the disk: 64M, 127G, up to 2040G.")]

disk = command_of_verbs("Make, look at, check and change images of disks.")


@disk.command()
def new(
    file: File,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="fixed, dynamic, or differencing over a parent.")
    ] = "dynamic",
    size: Annotated[
        str | None, typer.Option("--size", metavar="SIZE", help="Of the disk: 64M, 127G, up to 2040G.")
    ] = None,
    parent: Annotated[
        Path | None, typer.Option("--parent", metavar="FILE", help="Of a differencing image: a VHD.")
    ] = None,
) -> None:
    """Make a new image: a VHD."""
    from minihv.cli.disk.command import make

    make(file, kind, size, parent)


@disk.command()
def info(file: File, format: Format = None, as_json: Json = False, plain: Plain = False) -> None:
    """Say what an image is, and what its parents are."""
    from minihv.cli.disk.command import tell_of

    tell_of(file, format, as_json=as_json, plain=plain)


@disk.command()
def check(
    file: File,
    repair: Annotated[
        bool, typer.Option("--repair", help="Do about it what can be done; data may be given up.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with an image; status 1 if its data is harmed."""
    from minihv.cli.disk.command import check_image

    raise typer.Exit(check_image(file, repairs=repair, as_json=as_json))


@disk.command()
def convert(
    file: File,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The new image.")],
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="Of the new image: raw, fixed or dynamic.")
    ] = "dynamic",
    format: Format = None,
    plain: Plain = False,
) -> None:
    """Make an image of another kind with the same sectors; a chain of parents becomes one image."""
    from minihv.cli.disk.command import convert_image

    convert_image(file, target, kind, format, plain=plain)


@disk.command()
def resize(file: File, size: Size, format: Format = None) -> None:
    """Make the disk larger, or cut off what is empty at its end."""
    from minihv.cli.disk.command import resize_image

    resize_image(file, size, format)


@disk.command()
def compact(file: File, plain: Plain = False) -> None:
    """Give back the space of blocks that hold nothing."""
    from minihv.cli.disk.command import compact_image

    compact_image(file, plain=plain)


@disk.command()
def merge(
    file: File,
    keep: Annotated[bool, typer.Option("--keep", help="Leave FILE there afterwards.")] = False,
    plain: Plain = False,
) -> None:
    """Write a differencing image into its parent, and remove it."""
    from minihv.cli.disk.command import merge_image

    merge_image(file, keep=keep, plain=plain)


@disk.command("map")
def map_blocks(file: File, as_json: Json = False, plain: Plain = False) -> None:
    """Draw which blocks of an image are there."""
    from minihv.cli.disk.command import draw

    draw(file, as_json=as_json, plain=plain)


@disk.command()
def attach(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The image; FILE:scsi0 to FILE:scsi3 names the controller, too."),
    ],
    to: To = None,
    as_json: Json = False,
) -> None:
    """Give a disk to a guest that runs."""
    from minihv.cli.disk.hot_plug import change

    change("attach", file, to, as_json=as_json)


@disk.command()
def detach(file: File, to: To = None, as_json: Json = False) -> None:
    """Take a disk from a guest that runs."""
    from minihv.cli.disk.hot_plug import change

    change("detach", str(file), to, as_json=as_json)
