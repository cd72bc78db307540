"""The picture of a walk in lines of text: what a screen reader, a pipe and a narrow terminal can show.

Next: ``minihv.eyes.walk_svg``
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minihv.eyes.lines import Line, Role, aligned, size_text, wrapped
from minihv.paging.access import AccessKind, StageName
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.walk import Mapping, NotCanonical, PageFault

if TYPE_CHECKING:
    from minihv.eyes.walk_picture import Row, SeenEntry, WalkPicture

KIND_WORDS = {AccessKind.READ: "a read", AccessKind.WRITE: "a write", AccessKind.EXECUTE: "a fetch"}
COLUMNS = ("#", "table", "no", "entry at SPA", "eight bytes", "flags", "leads to")
LINE_LETTERS, FACT_LETTERS = 108, 86
NUMBER, INDEX = 0, 2
"""Columns of numbers."""


def walk_lines(picture: "WalkPicture") -> list[Line]:
    """All of it: what was asked, every reference, and how it ended."""
    lines = [Line(line, Role.HEADING) for line in heading(picture)]
    return [*lines, Line(""), *reference_lines(picture), Line(""), *result_lines(picture)]


def heading(picture: "WalkPicture") -> list[str]:
    """Whose walk of which address it is."""
    asked = f"GVA {picture.gva:#x}: {access_words(picture)}"
    return [picture.title, asked] if picture.title else [asked]


def access_words(picture: "WalkPicture") -> str:
    """The access, and what else decides on it."""
    access, paging = picture.access, picture.first
    ring = 3 if access.by_user else 0
    states = [("CR0.WP", paging.wp), ("EFER.NXE", paging.nxe), ("CR4.SMEP", paging.smep)]
    states += [("CR4.SMAP", paging.smap), ("RFLAGS.AC", access.ac)]
    on = (
        ", ".join(name for name, is_set in states if is_set) or "none of CR0.WP, EFER.NXE, CR4.SMEP, CR4.SMAP"
    )
    return f"{KIND_WORDS[access.kind]} by ring {ring}, with {on}"


def reference_lines(picture: "WalkPicture") -> list[Line]:
    """A heading for every GPA that is translated, and below it the references of its translation."""
    rows = list(picture.rows)
    if not rows:
        return [Line("No table is read.", Role.PLAIN)]
    cells, kinds = [columns_of(picture)], [Role.ASIDE]
    at: list[int] = []
    for row in rows:
        at.append(len(cells))
        entries = [*row.second, *([row.first] if row.first else [])]
        cells += [cells_of(entry) for entry in entries]
        kinds += [Role.REFUSED if entry.is_refused else Role.PLAIN for entry in entries]
    texts = aligned(cells, right=(NUMBER, INDEX))
    lines = [Line(text, kind) for text, kind in zip(texts, kinds, strict=True)]
    for row, place in reversed(list(zip(rows, at, strict=True))):
        if row.gpa is not None and picture.second is not None:
            lines.insert(place, Line(row_heading(row), Role.HEADING))
    return lines


def columns_of(picture: "WalkPicture") -> tuple[str, ...]:
    """The heads of the columns; without a second stage the guest's addresses are all there are."""
    entry_at = "entry at GPA" if picture.second is None and picture.stage is StageName.GUEST else COLUMNS[3]
    return (*COLUMNS[:3], entry_at, *COLUMNS[4:])


def row_heading(row: "Row") -> str:
    """Which GPA is translated, and what lies there."""
    if row.level is None:
        return f"GPA {row.gpa:#x}, the byte itself:"
    return f"GPA {row.gpa:#x}, the entry in the guest's {row.level.name}:"


def cells_of(entry: "SeenEntry") -> tuple[str, ...]:
    """One reference."""
    return (
        str(entry.number),
        f"{entry.stage.value} {entry.level.name}",
        str(entry.index),
        f"{entry.place:#x}",
        f"{entry.entry:016x}",
        " ".join(entry.flags) or "-",
        leads_to(entry),
    )


def leads_to(entry: "SeenEntry") -> str:
    """The table or the page that the entry names; what was refused leads nowhere."""
    if entry.is_refused or entry.target is None:
        return "REFUSED"
    page = f"{size_text(entry.level.page_bytes)} page at " if entry.is_page else ""
    return f"{page}{entry.target_space} {entry.target:#x}"


def result_lines(picture: "WalkPicture") -> list[Line]:
    """How the walk ended."""
    role = Role.HEADING if picture.outcome == "mapped" else Role.REFUSED
    facts = [
        (f"  {name if number == 0 else ''}", part)
        for name, text in facts_of(picture)
        for number, part in enumerate(wrapped(text, FACT_LETTERS))
    ]
    verdicts = [Line(part, role) for part in wrapped(verdict(picture), LINE_LETTERS)]
    return [*verdicts, *map(Line, aligned(facts))]


def verdict(picture: "WalkPicture") -> str:
    """The end in a sentence."""
    match picture.found:
        case Mapping() | NestedMapping():
            spaces = [("GVA", picture.gva), ("GPA", picture.gpa), ("SPA", picture.spa)]
            return "Mapped: " + " -> ".join(f"{name} {at:#x}" for name, at in spaces if at is not None)
        case NotCanonical():
            return f"Not canonical: GVA {picture.gva:#x} raises #GP, or #SS through the stack segment."
        case PageFault() if picture.stage is StageName.SHADOW:
            told = "ring -1 gets an EXCP14 exit, and fills the entry or hands the fault on"
            return f"Shadow page fault: {stopped_at(picture)}; {told}."
        case PageFault():
            return f"Page fault: {stopped_at(picture)}; the guest gets #PF, CR2 = {picture.gva:#x}."
        case Violation(gpa=gpa):
            what = violated(picture)
            return f"Violation: GPA {gpa:#x}, {what}; ring -1 gets an NPF exit, the guest learns nothing."


def violated(picture: "WalkPicture") -> str:
    """What lies at the GPA that the second level refused, and where it was refused if an entry was read."""
    row = picture.rows[-1]
    what = "the byte itself" if row.level is None else f"the guest's {row.level.name} entry"
    return f"{what}: {stopped_at(picture)}" if row.second else f"{what}, is refused before a table is read"


def stopped_at(picture: "WalkPicture") -> str:
    """Which reference was the last, and where."""
    last = picture.references[-1]
    whose = {
        StageName.GUEST: "the guest's",
        StageName.SECOND: "the second-level",
        StageName.SHADOW: "the shadow",
    }
    return f"the walk stops at reference {last.number}, in {whose[last.stage]} {last.level.name}"


def facts_of(picture: "WalkPicture") -> Iterator[tuple[str, str]]:
    """What else there is to say, with a name for each."""
    if picture.reason is not None:
        yield "why", picture.reason.sentence
    if picture.error_code is not None:
        name = "EXITINFO1" if isinstance(picture.found, Violation) else "error code"
        yield name, f"{picture.error_code:#x}"
        for one in picture.error_bits:
            yield "", f"bit {one.bit} ({one.name}) is {int(one.value)}: {one.says}"
    if isinstance(picture.found, Mapping | NestedMapping):
        yield "page", page_words(picture.found)
        yield "rights", rights_words(picture.found, ring=3 if picture.access.by_user else 0)
    yield "references", count_words(picture)


def page_words(found: Mapping | NestedMapping) -> str:
    """The sizes of the page in both stages."""
    own = size_text(found.page_bytes)
    if isinstance(found, NestedMapping):
        return f"{own} in the first stage, {size_text(found.second_page_bytes)} in the second"
    return own


def rights_words(found: Mapping | NestedMapping, ring: int) -> str:
    """What the same accessor may do, and whose page it is."""
    rights = {"read": found.readable, "write": found.writable, "execute": found.executable}
    may = ", ".join(name for name, granted in rights.items() if granted)
    return f"ring {ring} may {may}; a page of {'both rings' if found.user else 'ring 0'}"


def count_words(picture: "WalkPicture") -> str:
    """How many entries were read, and of which stage."""
    every = picture.references
    counts = {stage: sum(one.stage is stage for one in every) for stage in StageName}
    parts = ", ".join(f"{count} {stage.value}" for stage, count in counts.items() if count)
    return f"{len(every)}" + (f": {parts}" if parts else "")
