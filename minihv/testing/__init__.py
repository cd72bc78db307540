"""Strategies for page tables, and a checker for page walks that others wrote. It needs hypothesis.

First reading: ``minihv.testing.check``.
Next: ``minihv.testing.memory``
"""

from minihv.errors import MissingPackage

try:
    from minihv.paging.walk import NotCanonical
    from minihv.testing.accesses import accesses, pagings
    from minihv.testing.calls import Change, Changes, changes
    from minihv.testing.candidate import Exit, Fault, Page
    from minihv.testing.check import Agreement, VacuousCheck, WalkerDisagrees, check_walker
    from minihv.testing.crowds import CrowdedWorld, crowded_worlds
    from minihv.testing.edits import Edit, Invalidation, edits, histories
    from minihv.testing.memory import WordMemory, copy_of, memory_of
    from minihv.testing.outcomes import Shares, Walked, observed, observed_second, outcome_of
    from minihv.testing.report import Disagreement
    from minihv.testing.tables import PageTable, canonical, page_table
    from minihv.testing.twists import EntryPlace, Twist, entries, twists
    from minihv.testing.worlds import Ask, World, asks, gvas, worlds
except ModuleNotFoundError as missing:
    if missing.name != "hypothesis":
        raise
    raise MissingPackage(
        "minihv.testing draws page tables with hypothesis, which is not installed: "
        "pip install 'minihv[testing]'."
    ) from None

__all__ = [
    "Agreement",
    "Ask",
    "Change",
    "Changes",
    "CrowdedWorld",
    "Disagreement",
    "Edit",
    "EntryPlace",
    "Exit",
    "Fault",
    "Invalidation",
    "NotCanonical",
    "Page",
    "PageTable",
    "Shares",
    "Twist",
    "VacuousCheck",
    "Walked",
    "WalkerDisagrees",
    "WordMemory",
    "World",
    "accesses",
    "asks",
    "canonical",
    "changes",
    "check_walker",
    "copy_of",
    "crowded_worlds",
    "edits",
    "entries",
    "gvas",
    "histories",
    "memory_of",
    "observed",
    "observed_second",
    "outcome_of",
    "page_table",
    "pagings",
    "twists",
    "worlds",
]
