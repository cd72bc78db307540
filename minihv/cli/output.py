"""How results are shown: a table on a terminal, the same table as plain text elsewhere.

Next: ``minihv.cli.contained``
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from minihv.eyes.lines import Line

CONTROL = {
    code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in (9, 10, 13)
}
"""Characters that tell a terminal to do something, each with what stands for it."""


def is_plain(asked: bool) -> bool:
    """Whether to leave colour and movement out: asked for, by NO_COLOR, or where no terminal shows them."""
    return is_asked_for_plain(asked) or not sys.stdout.isatty()


def is_asked_for_plain(asked: bool) -> bool:
    """The same without regard to where it goes: an option, NO_COLOR, or a terminal that is none."""
    return asked or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def signs_for(signs: str, plain_signs: str, *, plain: bool, encoding: str) -> str:
    """``signs`` where they can be shown, else ``plain_signs``, which every screen reader has."""
    try:
        signs.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return plain_signs
    return plain_signs if plain else signs


def harmless(text: str) -> str:
    """``text`` from a guest, without power over the terminal that shows it."""
    return text.translate(CONTROL)


class Progress:
    """One line on standard error that says what is going on, if somebody sees it."""

    def __init__(self, *, plain: bool = False) -> None:
        self._moves = sys.stderr.isatty() and not is_asked_for_plain(plain)
        self._width = 0

    def tell(self, line: str) -> None:
        """Shows ``line`` in place of the last one."""
        if self._moves:
            print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(line)

    def clear(self) -> None:
        """Takes the line away."""
        if self._width:
            print("\r" + " " * self._width, end="\r", file=sys.stderr, flush=True)
            self._width = 0


def blocks_told(beat: Callable[[], None], progress: Progress) -> Callable[[int], None]:
    """What to call between the rounds of a run, with the blocks that were executed."""

    def tell(blocks: int) -> None:
        beat()
        progress.tell(f"{blocks:,} blocks")

    return tell


def print_json(value: Any) -> None:
    """One JSON value on standard output; where that lacks a letter, all beyond ASCII are escaped."""
    import json

    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    sys.stdout.write(text + "\n")


def print_lines(lines: Sequence["Line"], *, plain: bool) -> None:
    """Lines of a picture; on a terminal headings are bold and what was refused is red too."""
    if plain or find_spec("rich") is None:
        for line in lines:
            print(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    styles = {"heading": "bold", "refused": "bold red", "aside": "dim"}
    for line in lines:
        console.print(Text(line.text, style=styles.get(line.role.value, "")), highlight=False)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    plain: bool,
    right: Sequence[bool] | None = None,
) -> None:
    """A table with a title. Columns of numbers are aligned to the right, unless ``right`` says which are."""
    texts = [[str(cell) if not isinstance(cell, int) else f"{cell:,}" for cell in row] for row in rows]
    if right is None:
        right = [all(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))]
    if plain or find_spec("rich") is None:
        print_plain_table(title, columns, texts, right)
        return
    from rich.console import Console

    Console().print(rich_table(title, columns, texts, right))


def rich_table(
    title: str, columns: Sequence[str], texts: Sequence[Sequence[str]], right: Sequence[bool]
) -> "Table":
    """The table that a terminal shows."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for column, number in zip(columns, right, strict=True):
        table.add_column(column, justify="right" if number else "left")
    for row in texts:
        table.add_row(*map(escape, row))
    return table


def print_plain_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    """The same, for pipes, screen readers and grep."""
    widths = [max([len(column), *(len(row[at]) for row in rows)]) for at, column in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, right, strict=True)
        ]
        return "  ".join(parts).rstrip()

    print(title)
    print(line(columns))
    for row in rows:
        print(line(row))
