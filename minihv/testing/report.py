"""The report of a disagreement: the tables as drawn, the walk step by step, both answers, and the rule.

Stands for: what an instructor writes under a wrong solution.
Simplified: plain text; for tables that Hypothesis has shrunk, which have few entries.
Next: ``minihv.testing.check``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from minihv.paging.access import Access, Paging, Reference, StageName
from minihv.paging.formats import X86_64
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.walk import Mapping, NotCanonical, PageFault
from minihv.spec.x86_paging import (
    ACCESSED,
    DIRTY,
    FRAME,
    LARGE,
    NO_EXECUTE,
    PF_FETCH,
    PF_PRESENT,
    PF_RESERVED,
    PF_USER,
    PF_WRITE,
    PRESENT,
    USER,
    WRITABLE,
)
from minihv.terms import PAGE_BYTES
from minihv.testing.candidate import Exit, Fault, Page, Trouble
from minihv.testing.forgotten import KIND_NAMES, Again, explanations
from minihv.testing.memory import ALL_ONES
from minihv.testing.outcomes import SIZE_NAMES, Walked, cause_of, deciding
from minihv.testing.worlds import Ask, World

FLAGS = {PRESENT: "P", WRITABLE: "W", USER: "U", ACCESSED: "A", DIRTY: "D", LARGE: "PS", NO_EXECUTE: "NX"}
CODE_NAMES = {
    PF_PRESENT: "present",
    PF_WRITE: "write",
    PF_USER: "user",
    PF_RESERVED: "reserved",
    PF_FETCH: "fetch",
}
RULES = {
    "absent": '"Present (P) Bit": an entry that is not present ends the walk',
    "reserved": '"Reserved Bits": they must be 0, whatever the access',
    "R/W": '"Read/Write (R/W) Bit": every level must grant writing',
    "U/S": '"User/Supervisor (U/S) Bit": every level must grant ring 3 the page',
    "NX": '"No Execute (NX) Bit": no level may forbid to fetch',
    "SMEP": '"Supervisor-Mode Execution Prevention": ring 0 does not fetch from pages of ring 3',
    "SMAP": '"Supervisor-Mode Access Prevention": ring 0 does not touch pages of ring 3 unless AC is set',
    "SMAP, implicit": '"Supervisor-Mode Access Prevention": AC does not help an implicit access',
}
"""The rule that decides where the reference refuses, by the cause that ``outcome_of`` names."""
DENIED = {"R/W": (WRITABLE, 0), "U/S": (USER, 0), "NX": (NO_EXECUTE, NO_EXECUTE)}
"""By cause the bit of an entry that decides, and its value where it denies."""


@dataclass(frozen=True)
class Disagreement:
    """One access on which a candidate and the reference do not agree."""

    world: World
    ask: Ask
    walked: Walked
    answer: Any
    marks: tuple[str, ...] = ()
    """In words, the entries that a candidate with the right answer left otherwise than the reference."""
    agreed: Sequence[Again] = field(default=(), repr=False)
    """Accesses on which it was right before."""

    @property
    def forgot(self) -> tuple[str, ...]:
        """The rules any of which explains the answer, in words; see ``minihv.testing.forgotten``."""
        if self.marks or isinstance(self.answer, Trouble):
            return ()
        return explanations(Again(self.world.memory, self.walked), self.answer, self.agreed)

    def __str__(self) -> str:
        """The whole report."""
        return "\n".join(lines_of(self))


def lines_of(found: Disagreement) -> Iterator[str]:
    """The report, line by line."""
    yield "The walk does not agree with the reference."
    yield ""
    yield f"asked       {described_access(found.ask.access)} at GVA {found.ask.gva:#x}"
    yield f"registers   {described_registers(found.world)}"
    yield f"candidate   {described_answer(found.answer)}"
    yield f"reference   {described_answer(found.walked.found)}"
    yield ""
    yield "The tables, every entry that is not 0:"
    yield from described_tables(found.world)
    yield ""
    yield "The walk of the reference, one line for each entry that it reads:"
    yield from described_steps(found.walked)
    yield ""
    yield f"The rule: {described_rule(found.walked) if not found.marks else MARKS_RULE}."
    yield from (f"    {mark}" for mark in found.marks)
    yield from described_guess(found)


MARKS_RULE = '"Accessed (A) Bit" and "Dirty (D) Bit": a walk leaves them as the processor does'


def described_access(access: Access) -> str:
    """As in "a write by ring 3"."""
    words = f"a {KIND_NAMES[access.kind]} by ring {3 if access.user else 0}"
    words += ", implicit" if access.implicit else ""
    return words + (", with RFLAGS.AC" if access.ac else "")


def described_registers(world: World) -> str:
    """CR3, and what else steers the walk."""

    def one(paging: Paging, name: str) -> str:
        return f"{name} = {paging.root:#x}, {paging.levels} levels, NXE = {int(paging.nxe)}"

    guest = world.guest
    words = f"{one(guest, 'CR3')}, WP = {int(guest.wp)}, SMEP = {int(guest.smep)}, SMAP = {int(guest.smap)}"
    words += f", physical addresses of {guest.physical_bits} bits"
    return words if world.second is None else f"{words}; {one(world.second, 'nested CR3')}"


def described_answer(answer: Any) -> str:
    """An answer of either side, as far as it says anything."""
    match answer:
        case Trouble(words=words):
            return words
        case Mapping(gpa=address, page_bytes=size) | NestedMapping(spa=address, page_bytes=size):
            return f"address {address:#x}, in a page of {SIZE_NAMES[size]}"
        case Page(address=address, page_bytes=size):
            return f"address {address:#x}" + (f", in a page of {size:#x} bytes" if size else "")
        case PageFault(error_code=code, level=level) | Fault(error_code=code, level=level):
            return f"page fault with {described_code(code)}" + (f", at level {level}" if level else "")
        case (
            Violation(error_code=code, gpa=gpa, on_table=on_table)
            | Exit(error_code=code, gpa=gpa, on_table=on_table)
        ):
            words = f"exit (#NPF) with {described_code(code)}" + (
                "" if gpa is None else f", for GPA {gpa:#x}"
            )
            return words + {None: "", True: " of a table", False: " of the page"}[on_table]
        case NotCanonical():
            return "the GVA is not canonical"
        case int() if not isinstance(answer, bool):
            return f"address {answer:#x}"
    return f"{answer!r}, which is no answer: return an address, Page, Fault, Exit or NotCanonical"


def described_code(code: int) -> str:
    """As in "error code 0x7 (present, write, user)"."""
    names = [name for bit, name in CODE_NAMES.items() if code & bit]
    return f"error code {code:#x}" + (f" ({', '.join(names)})" if names else "")


def described_tables(world: World) -> Iterator[str]:
    """Every drawn entry with its place, its flags, and what was twisted about it."""
    for entry_pa, entry in sorted(world.entries.items()):
        value = world.memory.read_u64(entry_pa)
        name = X86_64[5].levels[5 - entry.level].name
        stage = "second " if entry.stage is StageName.SECOND else "guest " if world.second else ""
        place = f"{stage}{name}[{entry_pa % PAGE_BYTES // 8}]"
        twisted = f"   <- {', '.join(entry.twists)}" if entry.twists else ""
        yield f"    {entry_pa:#9x}  {place:<18} {described_entry(value)}{twisted}"


def described_entry(entry: int) -> str:
    """The eight bytes, the address in them, and the flags."""
    flags = " ".join(name for bit, name in FLAGS.items() if entry & bit)
    return f"{entry:#018x}  {entry & FRAME:#x} {flags or 'absent'}"


def described_steps(walked: Walked) -> Iterator[str]:
    """What was read, in order, and what it led to."""
    if not walked.seen:
        yield "    none"
    for reference in walked.seen:
        level = X86_64[5].levels[5 - reference.level]
        stage = "second " if reference.stage is StageName.SECOND else "guest " if walked.second else ""
        step = f"{reference.number:2}  {stage}{level.name}"
        leads = described_step(walked, reference)
        yield f"    {step:<15} at {reference.entry_pa:#x}: {described_entry(reference.entry)}: {leads}"


def described_step(walked: Walked, reference: Reference) -> str:
    """What the walk makes of one entry."""
    paging = walked.guest if reference.stage is StageName.GUEST else walked.second
    assert paging is not None
    level, entry = X86_64[5].levels[5 - reference.level], reference.entry
    if not entry & PRESENT:
        return "absent"
    reserved = entry & (paging.reserved | level.reserved(entry))
    if reserved:
        nowhere = "all ones, no memory is there: " if entry == ALL_ONES else ""
        return f"{nowhere}reserved bits {reserved:#x}"
    return f"a page of {SIZE_NAMES[level.page_bytes]}" if level.is_page(entry) else "a table"


def described_rule(walked: Walked) -> str:
    """What decides the answer of the reference, and the entries that it decides by."""
    found = walked.found
    if isinstance(found, NotCanonical):
        return '"Canonical Address Form": bits above the translated ones repeat the highest of them'
    if not isinstance(found, PageFault | Violation):
        return "every level grants the access, so the address is that of the page and the offset in it"
    cause = cause_of(walked)
    levels = sorted({reference.level for reference in deciders(walked, cause)}, reverse=True)
    stage = " of the second stage" if isinstance(found, Violation) else ""
    where = f"level {' and '.join(map(str, levels))}{stage}" if levels else "no entry"
    return f"{RULES[cause]}; decided by {where}"


def deciders(walked: Walked, cause: str) -> list[Reference]:
    """The entries that made ``cause`` the verdict."""
    own = deciding(walked)
    if cause in DENIED:
        bit, denied = DENIED[cause]
        return [reference for reference in own if reference.entry & bit == denied]
    return own[-1:]


def described_guess(found: Disagreement) -> Iterator[str]:
    """What the candidate forgot, if one rule explains its answer."""
    if found.marks or isinstance(found.answer, Trouble):
        return
    forgot = found.forgot
    if not forgot:
        yield "No single forgotten rule explains the candidate's answer."
        return
    yield "The candidate answers like a walk that"
    yield from (f"    {'or ' if i else ''}{words}" for i, words in enumerate(forgot))
