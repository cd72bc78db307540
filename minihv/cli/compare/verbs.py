"""The verbs of ``minihv compare`` and their options. What they do is imported only when they are used.

Next: ``minihv.cli.compare.modes``
"""

from pathlib import Path
from typing import Annotated

import typer

from minihv.cli.options import Json, Plain, command_of_verbs, whole_number

compare = command_of_verbs("Run the same guests in several ways, and compare.")


@compare.command()
def paging(  # noqa: PLR0913 - one parameter for each option
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GUEST]...", help="ELF files or built-in programs; without any, six of them."
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Runs in each mode, in turns.")
    ] = 3,
    blocks: Annotated[
        int | None,
        typer.Option(metavar="N", parser=whole_number, help="Stop each run after so many blocks."),
    ] = None,
    tlb: Annotated[
        str | None,
        typer.Option(metavar="SHAPE", help="Model a TLB, as `run` does: 64x4, or more."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML with costs of your own in cycles, as `exit = 1500`."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the modelled cycles: FILE.svg or FILE.png.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the costs, their sources, and what each adds.")
    ] = False,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Compare SLAT with shadow paging, by what is counted."""
    from minihv.cli.compare.paging import PagingOptions, compare_paging

    options = PagingOptions(tuple(names or ()), rounds, blocks, tlb, costs, plot, explain, as_json, plain)
    raise typer.Exit(compare_paging(options))


@compare.command(name="io")
def compare_ways(  # noqa: PLR0913 - one parameter for each option
    paths: Annotated[
        list[str] | None, typer.Option("--path", metavar="NAME", help="A way to a disk; again for another.")
    ] = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="SIZE", help="Of a request: 512 to 1M; again for another."),
    ] = None,
    depths: Annotated[
        list[int] | None,
        typer.Option("--depth", metavar="N", help="Requests on their way at once: 1 to 32; again."),
    ] = None,
    architectures: Annotated[
        list[str] | None,
        typer.Option("--architecture", metavar="HOW", help="As in `run`; both unless one is named."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Runs of each kind, in turns.")
    ] = 3,
    everything: Annotated[
        bool, typer.Option("--all", help="Large requests word by word too: many minutes.")
    ] = False,
    timeline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The life of one read each way: FILE.txt, .svg or .json (Perfetto)."
        ),
    ] = None,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Compare the ways to a disk: emulated, synthetic, passed through."""
    from minihv.cli.compare.io import IoOptions, compare_io

    options = IoOptions(
        tuple(paths or ()),
        tuple(sizes or ()),
        tuple(depths or ()),
        tuple(architectures or ()),
        rounds,
        everything,
        timeline,
        as_json,
        plain,
    )
    raise typer.Exit(compare_io(options))


@compare.command()
def architecture(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GUEST]...", help="ELF files or built-in programs; without any, three."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Runs in each architecture, in turns.")
    ] = 3,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Compare devices in the parent with devices in ring -1: costs, sizes, crashes."""
    from minihv.cli.compare.architecture import ArchitectureOptions, compare_architecture

    raise typer.Exit(compare_architecture(ArchitectureOptions(tuple(names or ()), rounds, as_json, plain)))
