"""Checks somebody's walker against the reference, on drawn worlds; the first disagreement is a report.

Stands for: the instructor's test of a student's page walk.
Simplified: A and D are compared only for a walker that asks for ``write_u64``.
First reading: ``check_walker``.
Next: ``minihv.testing.candidate``
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from minihv.errors import ConfigurationError, MinihvError
from minihv.paging.access import AccessKind
from minihv.testing.accesses import accesses
from minihv.testing.candidate import OTHERWISE, Candidate, agrees, candidate_of
from minihv.testing.forgotten import Again
from minihv.testing.memory import WordMemory
from minihv.testing.outcomes import Shares, observed, outcome_of
from minihv.testing.report import Disagreement
from minihv.testing.worlds import Ask, World, asks, worlds

FLOORS: dict[int, dict[str, tuple[float, tuple[str, ...]]]] = {
    1: {
        "mapped: 4 KiB": (0.05, ()),
        "mapped: 2 MiB": (0.02, ()),
        "mapped: 1 GiB": (0.02, ()),
        "not canonical": (0.02, ()),
        "absent": (0.03, ()),
        "reserved": (0.003, ()),
        "R/W": (0.001, ("write",)),
        "U/S": (0.003, ("user",)),
        "NX": (0.001, ("execute",)),
        "SMEP": (0.0005, ("smep", "execute")),
        "SMAP": (0.001, ("smap",)),
    },
    2: {
        "mapped": (0.05, ()),
        "not canonical": (0.02, ()),
        "page fault: absent": (0.01, ()),
        "page fault: reserved": (0.001, ()),
        "page fault: R/W": (0.0005, ("write",)),
        "page fault: U/S": (0.0005, ("user",)),
        "page fault: NX": (0.0005, ("execute",)),
        "violation on a table": (0.03, ()),
        "violation on the page": (0.01, ()),
    },
}
"""By the number of stages: the words of an outcome, its floor, and the inputs without which it cannot be."""


MOST_AGREED = 500
"""Right answers to remember: they tell which rule a wrong answer forgot."""


class WalkerDisagrees(AssertionError):
    """A candidate's walk is wrong; the message is the report of the smallest case that was found."""

    def __init__(self, disagreement: Disagreement) -> None:
        super().__init__(str(disagreement))
        self.disagreement = disagreement


class VacuousCheck(MinihvError):
    """No disagreement was found, and too little was tried to say so."""


class Differs(Exception):
    """Carries one disagreement out of an example, for Hypothesis to make it smaller."""

    def __init__(self, disagreement: Disagreement) -> None:
        super().__init__()
        self.disagreement = disagreement


@dataclass(frozen=True)
class Agreement:
    """A candidate agreed with the reference in every walk."""

    examples: int
    """Worlds that were drawn."""
    shares: Shares
    """What the walks over them met."""

    def __str__(self) -> str:
        """The shares, under one line that says how many walks they are of."""
        walks = self.shares.counts.total()
        return (
            f"The walk agrees with the reference: {walks} walks over {self.examples} worlds.\n{self.shares}"
        )


def check_walker(
    walk: Callable[..., Any], *, stages: int = 1, examples: int = 300, seed: int | None = None
) -> Agreement:
    """``walk`` agrees with the reference on every access to ``examples`` drawn worlds, and met every outcome.

    Args:
        walk: as ``minihv.testing.candidate`` says; it is asked only for what its signature names.
        stages: 1, or 2 for a walk of nested paging.
        examples: worlds to draw, each with 1 to 12 accesses; 300 take some seconds.
        seed: other draws for each number; without one all walkers are asked the same.

    Raises:
        WalkerDisagrees: with the report of the first disagreement, made as small as Hypothesis can.
        VacuousCheck: some outcome was met too seldom.
        ConfigurationError: the signature or a number does not fit.
    """
    __tracebackhide__ = True
    candidate = candidate_of(walk, stages)
    if examples < 1:
        raise ConfigurationError(
            f"A check draws at least one world, not {examples}: give examples=1 or more."
        )
    shares = Shares()
    disagreement = first_disagreement(Comparison(candidate, shares), examples, seed)
    if disagreement is not None:
        raise WalkerDisagrees(disagreement)
    missed = shares.missed(floors_of(candidate))
    if missed:
        raise VacuousCheck(
            f"A check that passes has met every outcome, and of {shares.counts.total()} walks too few met "
            f"{', '.join(missed)}: draw more than {examples} examples."
        )
    return Agreement(examples, shares)


def first_disagreement(comparison: "Comparison", examples: int, seed: int | None) -> Disagreement | None:
    """The smallest case that Hypothesis finds."""

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=seed is None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(cases(comparison.candidate))
    def agree(case: tuple[World, list[Ask]]) -> None:
        world, wanted = case
        for ask in wanted:
            found = comparison.of(world, ask)
            if found is not None:
                raise Differs(found)

    try:
        agree()
    except Differs as wrong:
        return wrong.disagreement
    return None


def seeded(number: int | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Hypothesis's ``seed``, or nothing when there is no number."""
    return (lambda test: test) if number is None else seed(number)


@st.composite
def cases(draw: st.DrawFn, candidate: Candidate) -> tuple[World, list[Ask]]:
    """A world and accesses in it; what the candidate does not ask for is as ``OTHERWISE`` says."""
    held = {name: value for name, value in OTHERWISE.items() if name not in candidate.wants}
    kinds = [AccessKind.READ]
    kinds += [AccessKind.WRITE] if "write" in candidate.wants else []
    kinds += [AccessKind.EXECUTE] if "execute" in candidate.wants else []
    of_access = {name: held.pop(name) for name in ("user", "ac", "implicit") if name in held}
    access = accesses(kind=st.sampled_from(kinds), **of_access)
    registers = {
        name: value
        for name, value in held.items()
        if name not in ("write", "execute") and (candidate.stages == 2 or not name.startswith("second_"))
    }
    world = draw(worlds(stages=candidate.stages, **registers))
    return world, draw(st.lists(asks(world, access), min_size=1, max_size=12))


@dataclass
class Comparison:
    """A candidate beside the reference, and what both met so far."""

    candidate: Candidate
    shares: Shares
    agreed: list[Again] = field(default_factory=list)
    """Some of the accesses on which they agreed."""

    def of(self, world: World, ask: Ask) -> Disagreement | None:
        """Lets both walk, each in its own copy of the memory, in which the reference sets A and D."""
        ours, theirs = world.memory.copy(), world.memory.copy()
        walked = observed(ours, world.guest, ask.gva, ask.access, world.second)
        self.shares.add(outcome_of(walked))
        answer = self.candidate.answer(theirs, world, ask)
        if not agrees(answer, walked.found):
            return Disagreement(world, ask, walked, answer, agreed=self.agreed)
        writes = "write_u64" in self.candidate.wants
        marks = tuple(different_marks(ours, theirs)) if writes else ()
        if marks:
            return Disagreement(world, ask, walked, answer, marks)
        if len(self.agreed) < MOST_AGREED:
            self.agreed.append(Again(world.memory, walked))
        return None


def different_marks(ours: WordMemory, theirs: WordMemory) -> Iterator[str]:
    """Every word that the candidate left otherwise than the reference, in words."""
    for pa in sorted(ours.words | theirs.words):
        left, expected = theirs.read_u64(pa), ours.read_u64(pa)
        if left != expected:
            yield f"the entry at {pa:#x} is left as {left:#x} and not as {expected:#x}"


def floors_of(candidate: Candidate) -> dict[str, float]:
    """The floors of the outcomes that the candidate's inputs can lead to."""
    return {
        words: floor
        for words, (floor, needed) in FLOORS[candidate.stages].items()
        if candidate.wants.issuperset(needed)
    }
