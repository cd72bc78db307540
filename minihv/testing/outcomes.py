"""What a walk met, in the words of the manuals, so that a property can report the share of each outcome.

Stands for: the reader of a test, who asks what was tested.
Spec: AMD APM vol. 2, "Page-Protection Checks", "Page-Fault (#PF) Error Code" and "Nested Page Faults".
Simplified: a refusal has one cause here, the first that the manuals would name.
Next: ``minihv.testing.check``
"""

from collections import Counter
from dataclasses import dataclass

from hypothesis import event

from minihv.paging.access import Access, AccessKind, Paging, PhysicalMemory, Reference, StageName
from minihv.paging.nested import NestedMapping, SecondMapping, Violation, nested_walk, second_walk
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.spec.x86_paging import NO_EXECUTE, PF_PRESENT, PF_RESERVED, USER
from minihv.terms import HUGE_PAGE_BYTES, LARGE_PAGE_BYTES, PAGE_BYTES

SIZE_NAMES = {0: "unpaged", PAGE_BYTES: "4 KiB", LARGE_PAGE_BYTES: "2 MiB", HUGE_PAGE_BYTES: "1 GiB"}
Found = Mapping | NestedMapping | SecondMapping | PageFault | NotCanonical | Violation


@dataclass(frozen=True, slots=True)
class Walked:
    """What the reference made of one access, with all that decided it."""

    found: Found
    guest: Paging
    second: Paging | None
    gva: int
    access: Access
    seen: tuple[Reference, ...]
    """Every entry that was read, in order."""


def observed(
    memory: PhysicalMemory, guest: Paging, gva: int, access: Access, second: Paging | None = None
) -> Walked:
    """Walks, in two stages if there is a ``second``; A and D are set in ``memory``."""
    seen: list[Reference] = []
    found: Found
    if second is None:
        found = walk(memory, guest, gva, access, seen.append)
    else:
        found = nested_walk(memory, guest, second, gva, access, seen.append)
    return Walked(found, guest, second, gva, access, tuple(seen))


def observed_second(memory: PhysicalMemory, second: Paging, gpa: int, kind: AccessKind) -> Walked:
    """Walks the second stage alone, as for a guest without page tables of its own."""
    seen: list[Reference] = []
    found = second_walk(memory, second, gpa, kind, seen.append)
    return Walked(found, second, second, gpa, Access(kind, user=True), tuple(seen))


def outcome_of(walked: Walked) -> str:
    """What the walk met, as in ``"mapped: 2 MiB"``, ``"page fault: R/W at level 1"`` or ``"not canonical"``.

    A page of two stages has two sizes, as in ``"mapped: 4 KiB by 2 MiB"``. A refusal of the second stage is a
    ``"violation on a table"`` or ``"violation on the page"``. Causes are ``absent``, ``reserved``, ``R/W``,
    ``U/S``, ``NX``, ``SMEP``, ``SMAP``, and ``SMAP, implicit`` where AC is set and does not help.
    """
    match walked.found:
        case NotCanonical():
            return "not canonical"
        case PageFault(level=level):
            return f"page fault: {cause_of(walked)} at level {level}"
        case Violation(on_table=on_table):
            return f"violation on {'a table' if on_table else 'the page'}: {cause_of(walked)}"
        case Mapping(page_bytes=page_bytes):
            return f"mapped: {SIZE_NAMES[page_bytes]}"
        case NestedMapping(page_bytes=page_bytes, second_page_bytes=second):
            return f"mapped: {SIZE_NAMES[page_bytes]} by {SIZE_NAMES[second]}"
        case SecondMapping(second_page_bytes=page_bytes):
            return f"mapped: {SIZE_NAMES[page_bytes]}"


def deciding(walked: Walked) -> list[Reference]:
    """The entries of the stage that refused, from its first table to the entry where it stopped."""
    match walked.found:
        case Violation(second_level=level):
            assert walked.second is not None
            own = [reference for reference in walked.seen if reference.stage is StageName.SECOND]
            return own[level - walked.second.levels - 1 :]
        case NotCanonical():
            return []
    return [reference for reference in walked.seen if reference.stage is StageName.GUEST]


def cause_of(walked: Walked) -> str:
    """Why a stage refused, as far as its error code and its entries tell."""
    found = walked.found
    assert isinstance(found, PageFault | Violation)
    if not found.error_code & PF_PRESENT:
        return "absent"
    if found.error_code & PF_RESERVED:
        return "reserved"
    together = (1 << 64) - 1
    for reference in deciding(walked):
        together &= reference.entry ^ NO_EXECUTE
    if isinstance(found, Violation):
        assert walked.second is not None
        return _refused_right(walked.second, Access(found.kind, user=True), together)
    return _refused_right(walked.guest, walked.access, together)


def _refused_right(paging: Paging, access: Access, together: int) -> str:
    """Why an access to a present page is refused, where all levels together grant ``together``."""
    user_page = bool(together & USER)
    if access.by_user and not user_page:
        return "U/S"
    if not access.by_user and user_page:
        if access.kind is AccessKind.EXECUTE and paging.smep:
            return "SMEP"
        if access.kind is not AccessKind.EXECUTE and paging.smap and (not access.ac or access.implicit):
            return "SMAP, implicit" if access.ac else "SMAP"
    return "NX" if access.kind is AccessKind.EXECUTE else "R/W"


class Shares:
    """Counts outcomes over a whole property, reports them to Hypothesis, and asserts floors at the end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, outcome: str) -> None:
        """One more of ``outcome``. To be called while Hypothesis runs an example."""
        event(outcome)
        self.counts[outcome] += 1

    def share(self, part: str) -> float:
        """The share of outcomes whose words contain ``part``, from 0 to 1."""
        return sum(n for words, n in self.counts.items() if part in words) / max(1, self.counts.total())

    def missed(self, floors: dict[str, float]) -> dict[str, float]:
        """Those of ``floors`` that are not reached, with the share in place of the floor."""
        return {part: self.share(part) for part, floor in floors.items() if self.share(part) < floor}

    def assert_floors(self, floors: dict[str, float]) -> None:
        """Each of ``floors`` is reached: a property that tests easy cases only fails here."""
        missed = self.missed(floors)
        assert not missed, f"shares below their floor: {missed} in {self.counts}"

    def __str__(self) -> str:
        """One line for each outcome, the most frequent first, with its share in per cent."""
        total = max(1, self.counts.total())
        return "\n".join(f"{100 * n / total:6.2f} %  {words}" for words, n in self.counts.most_common())
