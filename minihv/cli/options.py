"""Options that several commands have.

Next: ``minihv.cli.run``
"""

from typing import Annotated

import typer


def whole_number(text: str | int) -> int:
    """The number of an option, or a refusal of what is none."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"a whole number is asked for, not {text!r}: write 1 or 2.") from None


Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Plain text: no colour, no progress. Also by NO_COLOR, and in pipes.")
]


Policy = Annotated[
    str,
    typer.Option(
        "--policy", metavar="NAME", help="How shadow tables follow the guest's: trap, unsync or flush."
    ),
]
