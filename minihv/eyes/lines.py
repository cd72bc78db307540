"""Lines of text with a role: what is a heading, what went wrong, what is said beside it.

Next: ``minihv.eyes.walk_text``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a line is in its picture."""

    PLAIN = "plain"
    HEADING = "heading"
    REFUSED = "refused"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Its role is never said by colour alone."""

    text: str
    role: Role = Role.PLAIN

    def __str__(self) -> str:
        return self.text


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), gap: str = "  ") -> list[str]:
    """``rows`` in columns of equal width; cells of the columns in ``right`` are moved to the right."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        gap.join(
            cell.rjust(widths[at]) if at in right else cell.ljust(widths[at]) for at, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def wrapped(words: str, width: int) -> list[str]:
    """``words`` in lines of at most ``width`` characters."""
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def counted(number: int, noun: str) -> str:
    """``1 table``, ``2,000 tables``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def printable(text: str) -> str:
    """``text`` from a guest or from its file, without power over whoever shows it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def size_text(byte_count: int) -> str:
    """``4 KiB``, ``2 MiB``, ``1 GiB``: in the largest unit that divides it."""
    for shift, unit in ((50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if byte_count and byte_count % (1 << shift) == 0:
            return f"{byte_count >> shift:,} {unit}"
    return f"{byte_count:,} bytes"
