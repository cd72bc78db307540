"""Which rule a wrong answer forgot: the reference walks again without one, and the answers are compared.

Stands for: the instructor who looks at a wrong answer and knows what the student did not.
Spec: AMD APM vol. 2, "Long-Mode Page Translation", "Page-Protection Checks" and "Nested Paging".
Simplified: one rule at a time; an answer that two forgotten rules make together is not explained.
Next: ``minihv.testing.report``

Nothing is guessed: a rule is named only if the reference without it says of this access, over these tables,
exactly what the candidate said; and if that walk would have been right wherever the candidate was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from minihv.paging.access import Access, AccessKind, Paging, PhysicalMemory, Reference, StageName
from minihv.paging.formats import X86_64, Format, Level
from minihv.paging.nested import NestedMapping, Violation, nested_walk
from minihv.paging.walk import Leaf, Mapping, NotCanonical, PageFault, Stage, Trail, follow, walk
from minihv.spec.x86_paging import (
    FRAME,
    LARGE,
    LARGE_ATTRIBUTE,
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
from minihv.testing.candidate import Exit, Fault, Page, agrees
from minihv.testing.memory import ALL_ONES
from minihv.testing.outcomes import SIZE_NAMES, Found, Walked
from minihv.testing.tables import canonical
from minihv.testing.twists import IGNORED, MARKS, WIDEST

CODE_BITS = {
    PF_PRESENT: "bit 0 (present)",
    PF_WRITE: "bit 1 (write)",
    PF_USER: "bit 2 (user)",
    PF_RESERVED: "bit 3 (reserved)",
    PF_FETCH: "bit 4 (fetch)",
}
KIND_NAMES = {AccessKind.READ: "read", AccessKind.WRITE: "write", AccessKind.EXECUTE: "fetch"}
HIGH = (1 << 64) - (1 << WIDEST)
Guess = tuple[str, Callable[[], Found | Page | None]]
"""What was forgotten, and the answer of a walk that forgets it; None where there is none."""


@dataclass
class Altered:
    """``memory`` in which some entries read as something else. Nothing that is written stays."""

    memory: PhysicalMemory
    entries: dict[int, int] = field(default_factory=dict)

    def read_u64(self, pa: int) -> int:
        """Eight bytes, or what stands in their place."""
        return self.entries[pa] if pa in self.entries else self.memory.read_u64(pa)

    def write_u64(self, pa: int, value: int) -> None:
        """Vanishes: the walks here are asked for their answer only."""


@dataclass(frozen=True)
class Again:
    """One access over the memory that it met, to be walked again in other ways."""

    memory: PhysicalMemory
    walked: Walked

    def walk(
        self,
        entries: dict[int, int] | None = None,
        guest: Paging | None = None,
        second: Paging | None = None,
        access: Access | None = None,
        gva: int | None = None,
    ) -> Found:
        """What the reference says where something is not as it was."""
        was = self.walked
        memory = Altered(self.memory, entries or {})
        guest, access, gva = guest or was.guest, access or was.access, was.gva if gva is None else gva
        if was.second is None:
            return walk(memory, guest, gva, access)
        return nested_walk(memory, guest, second or was.second, gva, access)


def explanations(wrong: Again, answer: Any, agreed: Sequence[Again] = ()) -> tuple[str, ...]:
    """Every single rule without which the reference gives ``answer``; the broad ones only if no other does.

    Args:
        wrong: the access on which the candidate is wrong.
        answer: what it said.
        agreed: accesses on which it was right: they refute a rule whose absence would have shown there.
    """
    possible = [[words for words, again in tier if is_it(again(), answer)] for tier in tiers(wrong, answer)]
    for found in ([words for words in tier if not refuted(words, agreed)] for tier in possible):
        if found:
            return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys(next(filter(None, possible), [])))


def tiers(again: Again, answer: Any) -> list[list[Guess]]:
    """All guesses, the closest first."""
    narrow = [*entries(again), *second_stage(again), *registers(again), *ends(again)]
    return [[*closest(again.walked, answer)], narrow, [*broad(again)]]


def refuted(words: str, agreed: Sequence[Again]) -> bool:
    """Whether a walk that forgets this would have been wrong where the candidate was right."""
    for right in agreed:
        for _, walk_again in (guess for tier in tiers(right, None) for guess in tier if guess[0] == words):
            found = walk_again()
            if found is not None and not agrees(answer_of(found), right.walked.found):
                return True
    return False


def answer_of(found: Found | Page) -> Any:
    """What a candidate would say that found this."""
    match found:
        case PageFault(error_code=code, level=level):
            return Fault(code, level)
        case Mapping(gpa=address) | NestedMapping(spa=address):
            return Page(address)
        case Violation(error_code=code, gpa=gpa, on_table=on_table):
            return Exit(code, gpa, on_table)
    return found


def is_it(found: Found | Page | None, answer: Any) -> bool:
    """Whether a walk that forgets something found what the candidate says."""
    return found is not None and agrees(answer, found)


def closest(walked: Walked, answer: Any) -> Iterator[Guess]:
    """The right kind of answer with one wrong part."""
    found = walked.found
    match answer, found:
        case Fault(level=int() as level), PageFault():
            yield f"says that the walk stops at level {level}", partial(replace, found, level=level)
        case Exit(), Violation():
            gpa = found.gpa if answer.gpa is None else answer.gpa
            yield f"names GPA {gpa:#x}", partial(replace, found, gpa=gpa)
            on_table = not found.on_table
            words = f"takes {'the page for a table' if on_table else 'a table for the page'}"
            yield words, partial(replace, found, on_table=on_table)
    if isinstance(answer, Fault | Exit) and isinstance(found, PageFault | Violation):
        wrong = answer.error_code ^ found.error_code
        names = " and ".join(name for bit, name in CODE_BITS.items() if wrong & bit)
        if wrong and not wrong & ~sum(CODE_BITS):
            verb = "leaves out" if found.error_code & wrong == wrong else "gets wrong"
            changed = partial(replace, found, error_code=answer.error_code)
            yield f"{verb} {names} of the error code", changed


def entries(again: Again) -> Iterator[Guess]:
    """One bit of one entry is not looked at, or one is that should not be."""
    seen = again.walked.seen
    for number, reference in enumerate(seen):
        paging, entry = paging_of(again, reference), reference.entry
        level = X86_64[paging.levels].levels[paging.levels - reference.level]
        where = f"in the entry of level {level.number}"
        where += " of the second stage" if reference.stage is StageName.SECOND else ""
        for words, bits in unseen(level, entry, paging):
            yield f"ignores {words} {where}", partial(again.walk, {reference.entry_pa: entry ^ bits})
        if entry & paging.reserved & FRAME:
            words = f"ignores that address bits above the processor's are reserved {where}"
            yield words, partial(again.walk, {reference.entry_pa: entry & ~(paging.reserved & FRAME)})
            yield words, partial(wider, again)
        if entry & (IGNORED | MARKS | LARGE | LARGE_ATTRIBUTE | NO_EXECUTE):
            yield f"takes bits {where} for reserved that are not", partial(refused, again, reference)
        if entry & HIGH and number + 1 < len(seen):
            beyond = {seen[number + 1].entry_pa: ALL_ONES}
            yield f"leaves bits 63:52 {where} in the address of the next table", partial(again.walk, beyond)


def unseen(level: Level, entry: int, paging: Paging) -> Iterator[tuple[str, int]]:
    """What a walk may overlook in ``entry``, with the bits that it then has the other way round."""
    reserved_here = entry & level.reserved(entry)
    large = entry & LARGE and level.number > 1
    found = {
        "P = 0": ~entry & PRESENT,
        "R/W = 0": ~entry & WRITABLE,
        "U/S = 0": ~entry & USER,
        "NX = 1": entry & NO_EXECUTE if paging.nxe else 0,
        "that NX is reserved without EFER.NXE": entry & NO_EXECUTE if not paging.nxe else 0,
        "that PS is reserved": entry & LARGE if not level.may_be_page else 0,
        "that the low address bits of a large page are reserved": reserved_here & ~LARGE,
        "PS = 1, and looks for a table,": entry & LARGE if large and level.may_be_page else 0,
    }
    yield from ((words, bits) for words, bits in found.items() if bits)


def wider(again: Again) -> Found:
    """The walk of one who takes every address bit of an entry for one."""
    guest, second = again.walked.guest, again.walked.second
    below = None if second is None else replace(second, physical_bits=WIDEST)
    return again.walk(guest=replace(guest, physical_bits=WIDEST), second=below)


def refused(again: Again, reference: Reference) -> Found:
    """The walk that meets a reserved bit in ``reference``: the highest one of the address is one then."""
    guest, second = again.walked.guest, again.walked.second
    return again.walk(
        {reference.entry_pa: reference.entry | 1 << WIDEST - 1},
        replace(guest, physical_bits=min(WIDEST - 1, guest.physical_bits)),
        None if second is None else replace(second, physical_bits=min(WIDEST - 1, second.physical_bits)),
    )


def paging_of(again: Again, reference: Reference) -> Paging:
    """The registers of the stage in which an entry was read."""
    paging = again.walked.guest if reference.stage is StageName.GUEST else again.walked.second
    assert paging is not None
    return paging


def second_stage(again: Again) -> Iterator[Guess]:
    """What is special about the second stage is not known."""
    was = again.walked
    if was.second is None:
        return
    on_table = isinstance(was.found, Violation) and was.found.on_table
    last_table = max((r.number for r in was.seen if r.stage is StageName.GUEST), default=0)
    before = [r for r in was.seen if r.stage is StageName.SECOND and (on_table or r.number < last_table)]
    readable = {reference.entry_pa: reference.entry | WRITABLE for reference in before}
    yield (
        "takes a read of the guest's tables for a mere read in the second stage",
        partial(again.walk, readable),
    )
    if not was.access.by_user:
        users = {r.entry_pa: r.entry | USER for r in was.seen if r.stage is StageName.SECOND}
        yield "holds U/S of the second stage against the ring of the guest", partial(again.walk, users)


def registers(again: Again) -> Iterator[Guess]:
    """One register, or one part of the access, is taken for something else."""
    guest, access, first = again.walked.guest, again.walked.access, again.walked.seen[:1]
    for name, said in (("wp", "CR0.WP"), ("nxe", "EFER.NXE"), ("smep", "CR4.SMEP"), ("smap", "CR4.SMAP")):
        value = bool(getattr(guest, name))
        other = replace(guest, **{name: not value})
        yield f"ignores that {said} is {int(value)}", partial(again.walk, guest=other)
    for name, said in (("ac", "that RFLAGS.AC is set"), ("implicit", "that the access is implicit")):
        without = replace(access, **{name: False})  # type: ignore[arg-type]
        if without != access:
            yield f"ignores {said}", partial(again.walk, access=without)
    ring = f"takes ring {3 if access.user else 0} for ring {0 if access.user else 3}"
    yield ring, partial(again.walk, access=replace(access, user=not access.user))
    kind = AccessKind.WRITE if access.kind is AccessKind.READ else AccessKind.READ
    words = f"takes a {KIND_NAMES[access.kind]} for a {KIND_NAMES[kind]}"
    yield words, partial(again.walk, access=replace(access, kind=kind))
    levels = 9 - guest.levels
    yield (
        f"walks {levels} levels and not {guest.levels}",
        partial(again.walk, guest=replace(guest, levels=levels)),
    )
    sound = canonical(again.walked.gva, guest.levels)
    yield "does not ask whether the GVA is canonical", partial(again.walk, gva=sound)
    beside = {each.entry_pa: again.memory.read_u64(each.entry_pa + (guest.root & 0xFF8)) for each in first}
    yield "leaves the low bits of CR3 in the address of the first table", partial(again.walk, beside)


def ends(again: Again) -> Iterator[Guess]:
    """The tables are walked as they should be, and the last step goes wrong."""
    was = again.walked
    yield "takes an entry of the first level with PS = 1 for a page", partial(top_page, again)
    if not isinstance(was.found, Mapping):
        return
    page_bytes, entry = was.found.page_bytes, was.found.leaf_entry
    base, size = was.found.gpa & -page_bytes, SIZE_NAMES[page_bytes]
    for bits in (0, 12, 21, 30):
        offset = was.gva & (1 << bits) - 1
        words = f"takes {bits} bits of the GVA for the offset in a page of {size}"
        yield words, partial(Page, base | offset)
    low = was.gva & page_bytes - 1
    yield (
        f"leaves low bits of the entry in the address of a page of {size}",
        partial(Page, entry & FRAME | low),
    )
    yield (
        f"adds low bits of the entry to the address of a page of {size}",
        partial(Page, (entry & FRAME) + low),
    )
    high = entry & -page_bytes
    yield "leaves bits 63:52 of the page's entry in the address", partial(Page, high | low)


class TopPage(Level):
    """A level that may name pages, which no processor has, as one believes who looks at PS everywhere."""

    def reserved(self, entry: int) -> int:
        """Nothing: to such a reader no bit of a page is."""
        return 0


def top_page(again: Again) -> Found | Page | None:
    """The walk of one who looks at PS in every entry."""
    was = again.walked
    if was.second is not None:
        return None
    levels = tuple(
        level if level.may_be_page else TopPage(level.number, level.name, level.shift, may_be_page=True)
        for level in X86_64[was.guest.levels].levels
    )
    own = Format("pages at every level", levels, sign_extended=True)
    stage = Stage(StageName.GUEST, Altered(again.memory), own, was.guest, Trail(None))
    leaf = follow(stage, was.gva, was.access, reach=lambda entry_pa, level: entry_pa)
    match leaf:
        case Leaf():
            return Page(leaf.address, leaf.level.page_bytes)
        case PageFault() | NotCanonical():
            return leaf
    raise AssertionError(leaf)


def broad(again: Again) -> Iterator[Guess]:
    """A right is not looked at anywhere, or in the last entry only."""
    seen = again.walked.seen
    for stage, of_stage in ((StageName.GUEST, ""), (StageName.SECOND, " of the second stage")):
        own = [reference for reference in seen if reference.stage is stage]
        for name, granted, denied in (("R/W", WRITABLE, 0), ("U/S", USER, 0), ("NX", 0, NO_EXECUTE)):
            opened = {each.entry_pa: each.entry & ~denied | granted for each in own}
            above = {pa: entry for pa, entry in opened.items() if pa != seen[-1].entry_pa}
            yield f"looks at {name} in the last entry{of_stage} only", partial(again.walk, above)
            yield f"ignores {name} at every level{of_stage}", partial(again.walk, opened)
