"""A page walk as an object that can be looked at: every reference, what it read, and how it all ended.

Stands for: a logic analyser on the bus between the page-miss handler and memory.
Spec: AMD APM vol. 2, "Long-Mode Page Translation", "Nested Paging" and "Nested Page Faults".
First reading: ``picture_walk``; then ``minihv.eyes.walk_text``.
Next: ``minihv.eyes.reasons``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from minihv.eyes.reasons import ErrorBit, Reason, Rule, error_bits, nested_error_bits, reason_of
from minihv.paging.access import (
    Access,
    Paging,
    PhysicalMemory,
    Reference,
    StageName,
    WritesAside,
)
from minihv.paging.formats import ENTRY_BYTES, NESTED, X86_64, Level
from minihv.paging.nested import NestedMapping, Violation, nested_walk
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.spec.vmcb import NestedFaultInfo
from minihv.spec.x86_paging import (
    ACCESSED,
    CACHE_DISABLE,
    DIRTY,
    FRAME,
    GLOBAL,
    LARGE,
    NO_EXECUTE,
    PRESENT,
    USER,
    WRITABLE,
    WRITE_THROUGH,
)
from minihv.terms import PAGE_BYTES

FLAG_NAMES = {
    PRESENT: "P",
    WRITABLE: "W",
    USER: "U",
    ACCESSED: "A",
    DIRTY: "D",
    LARGE: "PS",
    GLOBAL: "G",
    NO_EXECUTE: "NX",
    WRITE_THROUGH: "PWT",
    CACHE_DISABLE: "PCD",
}
"""Where an entry names a page of 4 KiB, bit 7 is PAT and no PS; D and G mean something in pages alone."""
PAGE_FLAGS = DIRTY | GLOBAL

Found = Mapping | NestedMapping | PageFault | NotCanonical | Violation
OUTCOMES: dict[type, str] = {
    Mapping: "mapped",
    NestedMapping: "mapped",
    PageFault: "page_fault",
    NotCanonical: "not_canonical",
    Violation: "violation",
}


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """One reference: where the entry lies in each space, and what it says."""

    number: int
    stage: StageName
    level: Level
    gpa: int | None
    """Of the entry, as the guest names it; ring -1's own tables have none."""
    spa: int | None
    """Of the entry; none where the tables are not those of a partition."""
    entry: int
    """As it was before the walk set A or D in it."""
    is_refused: bool
    """The walk ended here, and not well."""

    @property
    def place(self) -> int:
        """Where it was read, in the memory of the machine."""
        return self.spa if self.spa is not None else self.gpa or 0

    @property
    def table(self) -> int:
        """Where its table begins."""
        return self.place & -PAGE_BYTES

    @property
    def index(self) -> int:
        """Which of the 512 entries it is."""
        return self.place % PAGE_BYTES // ENTRY_BYTES

    @property
    def is_page(self) -> bool:
        """Whether it names a page; else a table, or nothing."""
        return bool(self.entry & PRESENT) and self.level.is_page(self.entry)

    @property
    def target(self) -> int | None:
        """The page or the table that it names, in the space that its stage leads to."""
        if not self.entry & PRESENT:
            return None
        return self.entry & FRAME & (-self.level.page_bytes if self.is_page else -1)

    @property
    def target_space(self) -> str:
        """The space of ``target``."""
        return "GPA" if self.stage is StageName.GUEST else "SPA"

    @property
    def flags(self) -> tuple[str, ...]:
        """The bits that are set, by the names of the manuals."""
        masks = [mask for mask in FLAG_NAMES if self.is_page or not mask & PAGE_FLAGS]
        names = {LARGE: "PAT" if self.level.number == 1 else "PS"}
        return tuple(names.get(mask, FLAG_NAMES[mask]) for mask in masks if self.entry & mask)


@dataclass(frozen=True, slots=True)
class Row:
    """A step of the first stage: how its table, or the page, was found, and the entry there.

    A walk of one stage has no ``second``, and no row for the page.
    """

    level: Level | None
    """Of the first stage's table; ``None`` in the row of the page."""
    gpa: int | None
    """What the second stage translates, if there is one."""
    second: tuple[SeenEntry, ...]
    first: SeenEntry | None

    @property
    def spa(self) -> int | None:
        """Where the second stage leads; ``None`` if it refuses."""
        last = self.second[-1] if self.second else None
        if last is None or self.gpa is None or last.is_refused or last.target is None or not last.is_page:
            return None
        return last.target | self.gpa & last.level.page_bytes - 1


@dataclass(frozen=True, slots=True)
class WalkPicture:
    """The walk of one access, as the tables were when it was made; the tables have no mark of it."""

    gva: int
    access: Access
    stage: StageName
    """Of the tables that translate the GVA: the guest's, or shadow tables."""
    first: Paging
    second: Paging | None
    rows: tuple[Row, ...]
    found: Found
    title: str = ""
    """Whose walk it is, and when."""

    @property
    def outcome(self) -> str:
        """``mapped``, ``page_fault``, ``not_canonical`` or ``violation``."""
        return OUTCOMES[type(self.found)]

    @property
    def references(self) -> tuple[SeenEntry, ...]:
        """All references in their order."""
        return tuple(self._in_order())

    @property
    def gpa(self) -> int | None:
        """What the guest's tables lead to, if they do."""
        if self.stage is StageName.SHADOW or not isinstance(self.found, Mapping | NestedMapping | Violation):
            return None
        return None if isinstance(self.found, Violation) and self.found.on_table else self.found.gpa

    @property
    def spa(self) -> int | None:
        """Where the byte lies, if the walk came so far."""
        if isinstance(self.found, NestedMapping):
            return self.found.spa
        return self.found.gpa if self.stage is StageName.SHADOW and isinstance(self.found, Mapping) else None

    @property
    def error_code(self) -> int | None:
        """What #PF pushes, or EXITINFO1 of the NPF exit."""
        if isinstance(self.found, PageFault):
            return self.found.error_code
        if isinstance(self.found, Violation):
            info = NestedFaultInfo
            where = info.on_table if self.found.on_table else info.on_final_page
            return self.found.error_code | where.mask
        return None

    @property
    def error_bits(self) -> list[ErrorBit]:
        """``error_code`` bit by bit."""
        if self.error_code is None:
            return []
        nested = isinstance(self.found, Violation)
        return nested_error_bits(self.error_code) if nested else error_bits(self.error_code)

    @property
    def reason(self) -> Reason | None:
        """Why the access was refused, if it was."""
        match self.found:
            case NotCanonical():
                bits = X86_64[self.first.levels].address_bits
                return Reason(
                    Rule.CANONICAL, f"Bits 63:{bits} of a GVA repeat bit {bits - 1}, and here they do not."
                )
            case PageFault(error_code=error_code):
                entries = [row.first for row in self.rows if row.first is not None]
                return reason_of(entries, self.first, self.access, error_code)
            case Violation(kind=kind, error_code=error_code) if self.second is not None:
                if not self.rows[-1].second:
                    bits = NESTED[self.second.levels].address_bits
                    return Reason(
                        Rule.WIDTH,
                        f"The second level translates {bits} bits of a GPA, and this one has more.",
                    )
                return reason_of(self.rows[-1].second, self.second, Access(kind, user=True), error_code)
        return None

    def to_json(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists; addresses and entries in hexadecimal."""
        from minihv.eyes.walk_json import walk_json

        return walk_json(self)

    def __str__(self) -> str:
        """The picture in lines of text."""
        from minihv.eyes.walk_text import walk_lines

        return "\n".join(str(line) for line in walk_lines(self))

    def _repr_svg_(self) -> str:
        """The drawing, for notebooks and for the book."""
        from minihv.eyes.walk_svg import walk_svg

        return walk_svg(self)

    def _repr_html_(self) -> str:
        """The drawing, with the text behind it."""
        from minihv.eyes.svg import figure

        return figure(self._repr_svg_(), str(self))

    def _in_order(self) -> Iterator[SeenEntry]:
        for row in self.rows:
            yield from row.second
            if row.first is not None:
                yield row.first


def picture_walk(  # noqa: PLR0913 - the walk of two stages has the inputs of two
    memory: PhysicalMemory,
    first: Paging,
    gva: int,
    access: Access,
    *,
    second: Paging | None = None,
    stage: StageName = StageName.GUEST,
    title: str = "",
) -> WalkPicture:
    """The walk of ``access`` to ``gva``: in one stage, or in two if there is a ``second``.

    ``stage`` says whose the first tables are. ``memory`` stays as it is: A and D are set aside.
    """
    seen: list[Reference] = []
    aside = WritesAside(memory)
    found: Found
    if second is None:
        found = walk(aside, first, gva, access, seen.append)
    else:
        found = nested_walk(aside, first, second, gva, access, seen.append)
    rows = tuple(Builder(first, second, gva, stage, found).rows(seen))
    return WalkPicture(gva, access, stage, first, second, rows, found, title)


@dataclass(frozen=True, slots=True)
class Builder:
    """Puts references where they belong."""

    first: Paging
    second: Paging | None
    gva: int
    stage: StageName
    found: Found

    def rows(self, seen: Sequence[Reference]) -> Iterator[Row]:
        """A row for each step of the first stage that the walk came to."""
        if isinstance(self.found, NotCanonical):
            return
        refused = len(seen) if self._last_refuses() else None
        table, left = self.first.root & FRAME, list(seen)
        for level in X86_64[self.first.levels].levels:
            gpa = level.entry_address(table, self.gva)
            second = self._take_second(left, refused)
            if not left:
                yield Row(level, gpa, second, None)
                return
            entry = self._first_entry(left.pop(0), level, gpa, refused)
            yield Row(level, gpa if self.second else None, second, entry)
            if entry.is_refused:
                return
            if entry.is_page:
                break
            table = entry.entry & FRAME
        if self.second is not None and isinstance(self.found, NestedMapping | Violation):
            yield Row(None, self.found.gpa, self._take_second(left, refused), None)

    def _last_refuses(self) -> bool:
        """Whether the last entry that was read is what ended the walk. A GPA can be too wide to read any."""
        if isinstance(self.found, Violation) and self.second is not None:
            return NESTED[self.second.levels].translates(self.found.gpa)
        return isinstance(self.found, PageFault)

    def _first_entry(self, one: Reference, level: Level, gpa: int, refused: int | None) -> SeenEntry:
        is_guest = self.stage is StageName.GUEST
        return SeenEntry(
            one.number,
            self.stage,
            level,
            gpa if is_guest else None,
            one.entry_pa if self.second or not is_guest else None,
            one.entry,
            one.number == refused,
        )

    def _take_second(self, left: list[Reference], refused: int | None) -> tuple[SeenEntry, ...]:
        """The references of the second stage at the head of ``left``, which loses them."""
        taken = []
        levels = {level.number: level for level in NESTED[self.second.levels].levels} if self.second else {}
        while left and left[0].stage is StageName.SECOND:
            one = left.pop(0)
            level, refuses = levels[one.level], one.number == refused
            taken.append(
                SeenEntry(one.number, StageName.SECOND, level, None, one.entry_pa, one.entry, refuses)
            )
            if refuses or taken[-1].is_page:
                break
        return tuple(taken)
