"""A row of the bench: one quantity, measured on two sides in one run, and the goal it has.

Both sides take turns, so that whatever else the host does falls on both; a row's ratio is the median of
the ratios of neighbours, and not the ratio of two medians.

Next: ``minihv.cli.bench.sides``
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean, median
from typing import Literal

Side = Callable[[], float]
"""Does the work of a row once, and says how much of its unit that took or made."""

Pair = tuple[float, float]
"""Ours and theirs, measured one after the other."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row should keep: ``of`` is ``"ratio"`` or ``"value"``."""

    of: Literal["ratio", "value"]
    sign: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.sign} {self.bound:g}"

    def holds(self, value: float, ratio: float) -> bool:
        """Whether a row with this value and this ratio keeps it."""
        number = ratio if self.of == "ratio" else value
        return number <= self.bound if self.sign == "<=" else number >= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """``ratio`` is ``value`` to ``against_value``. ``goal`` and ``holds`` are ``None`` where none was set."""

    name: str
    value: float
    unit: str
    against: str
    against_value: float
    ratio: float
    goal: str | None
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: ``rounds`` pairs of each row, each ``scale`` times as long as it is by itself.

    ``tell`` is called with a line whenever something longer begins.
    """

    rounds: int = 5
    scale: float = 1.0
    tell: Callable[[str], None] = lambda _line: None

    def times(self, count: int) -> int:
        """``count``, scaled; at least one."""
        return max(1, int(count * self.scale))

    def pairs(self, name: str, ours: Side, theirs: Side, turns: int = 1) -> list[Pair]:
        """``rounds`` pairs, each the mean of ``turns`` turns; who begins alternates.

        A first pair only warms up and is not counted.
        """
        found: list[Pair] = []
        for number in range(-1, self.rounds):
            self.tell(
                f"{name}: round {number + 1} of {self.rounds}" if number >= 0 else f"{name}: warming up"
            )
            taken = [both(ours, theirs, ours_first=turn % 2 == 0) for turn in range(turns)]
            pair = mean(mine for mine, _ in taken), mean(other for _, other in taken)
            if number >= 0:
                found.append(pair)
        return found


def both(ours: Side, theirs: Side, *, ours_first: bool) -> Pair:
    """One turn of each side."""
    if ours_first:
        return ours(), theirs()
    other = theirs()
    return ours(), other


def row(name: str, unit: str, against: str, pairs: Iterable[Pair], goal: Goal | None = None) -> Row:
    """The row that ``pairs`` make."""
    measured = list(pairs)
    value, against_value = (median(side) for side in zip(*measured, strict=True))
    ratio = median(ours / theirs for ours, theirs in measured)
    holds = None if goal is None else goal.holds(value, ratio)
    return Row(name, value, unit, against, against_value, ratio, None if goal is None else str(goal), holds)


def nanoseconds(
    work: Callable[[], object], count: int = 1, clock: Callable[[], int] = time.thread_time_ns
) -> float:
    """What one of ``count`` parts of ``work`` costs. Time of this thread: waiting for others is not in it."""
    start = clock()
    work()
    return (clock() - start) / count


Measure = Callable[[Effort], Row | str]
"""Measures a row, or says in a sentence why it is left out."""
