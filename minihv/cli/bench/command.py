"""``minihv bench``: chooses rows, measures them, and shows what came out.

Next: ``minihv.cli.bench.rows``
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from minihv.cli.bench import cpu, density, dirty, disk, exits, paging, ring, startup, walk
from minihv.cli.bench.rows import Effort, Measure, Row
from minihv.cli.output import Progress, is_plain, print_json, print_table
from minihv.errors import ConfigurationError, nearest

GROUPS: dict[str, dict[str, Measure]] = {
    "exits": exits.ROWS,
    "cpu": cpu.ROWS,
    "walk": walk.ROWS,
    "paging": paging.ROWS,
    "dirty": dirty.ROWS,
    "ring": ring.ROWS,
    "disk": disk.ROWS,
    "startup": startup.ROWS,
    "density": density.ROWS,
}
COLUMNS = ("row", "value", "unit", "against", "its value", "ratio", "goal", "holds")


def bench(names: list[str], as_json: bool, plain: bool, rounds: int) -> int:
    """Measures the rows called ``names``, all without any, and prints them; the status of the command.

    A goal that does not hold is a result and no failure.

    Raises:
        ConfigurationError: a name is unknown, or there are no rounds.
    """
    if rounds < 1:
        raise ConfigurationError(
            f"A measurement takes at least one round, not {rounds}: leave --rounds out for 5."
        )
    chosen = choose(names)
    progress = Progress(plain=plain)
    rows = measure(chosen, Effort(rounds=rounds, tell=progress.tell), progress)
    progress.clear()
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(f"minihv bench, medians of {rounds}", COLUMNS, cells(rows), plain=is_plain(plain))
    return 0


def all_rows() -> dict[str, Measure]:
    """Every row by its full name, ``group.row``."""
    return {f"{group}.{name}": found for group, rows in GROUPS.items() for name, found in rows.items()}


def choose(names: Sequence[str]) -> dict[str, Measure]:
    """The rows that ``names``, of groups or of rows, stand for, in the order of the groups."""
    every = all_rows()
    for name in names:
        if name not in GROUPS and name not in every:
            raise ConfigurationError(
                f"The bench has the groups {', '.join(GROUPS)} and no {name!r}"
                f"{nearest(name, [*GROUPS, *every]) or ': leave the name out to measure all.'}"
            )
    wanted = set(names or GROUPS)
    return {name: found for name, found in every.items() if wanted & {name, name.split(".")[0]}}


def measure(chosen: dict[str, Measure], effort: Effort, progress: Progress) -> list[Row]:
    """The rows that could be measured here; why one could not be goes to standard error."""
    rows: list[Row] = []
    for found in chosen.values():
        outcome = found(effort)
        if isinstance(outcome, Row):
            rows.append(outcome)
        else:
            progress.clear()
            print(outcome, file=sys.stderr)
    return rows


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows as people read them."""
    return [
        (
            row.name,
            amount(row.value),
            row.unit,
            row.against,
            amount(row.against_value),
            f"{row.ratio:.2f}",
            row.goal or "",
            {True: "yes", False: "no", None: ""}[row.holds],
        )
        for row in rows
    ]


def amount(value: float) -> str:
    """Three digits at least, and never an exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
