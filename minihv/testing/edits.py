"""Sequences of edits to page tables, each with the invalidation that the architecture demands after it.

Stands for: a kernel that changes tables while they are in use.
Spec: Intel SDM vol. 3A, "Caching Translation Information": "Recommended Invalidation" and "Optional
    Invalidation"; AMD APM vol. 2, "Translation-Lookaside Buffer (TLB)".
Simplified: no process-context identifiers; a flush leaves nothing, global pages included. What the manuals
    call optional is not demanded: a stale entry may refuse, but never allow what the tables do not.
Next: ``minihv.testing.calls``
"""

from dataclasses import dataclass
from enum import Enum

from hypothesis import strategies as st

from minihv.paging.access import PhysicalMemory, StageName
from minihv.spec.x86_paging import DIRTY, FRAME, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE
from minihv.testing.twists import LEVELS, RECURSIVE, EntryPlace, Twist, twists
from minihv.testing.worlds import Ask, DrawnEntry, World, asks


class Invalidation(Enum):
    """What a processor must be told after an edit."""

    NONE = "nothing"
    PAGE = "INVLPG"
    """Of the page that the entry names; ``Edit.address`` is in it."""
    ALL = "flush"
    """Of the whole TLB and of everything that the processor remembers of tables."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry is written by software: bits are cleared, and then bits are set."""

    entry_pa: int
    entry: DrawnEntry
    twist: Twist
    shared: bool = False
    """The entry may be reached by more ways than the one that it was drawn for."""

    @property
    def address(self) -> int:
        """For ``Invalidation.PAGE``: an address that the entry is for, a GVA."""
        return self.entry.address

    def apply(self, memory: PhysicalMemory) -> Invalidation:
        """Writes the entry, as the walks left it but for the edit; what must be told to the processor."""
        was = memory.read_u64(self.entry_pa)
        becomes = self.twist.of(was)
        memory.write_u64(self.entry_pa, becomes)
        demanded = demanded_by(self.entry.level, was, becomes)
        by_page = not self.shared and self.entry.stage is StageName.GUEST  # INVLPG names no GPA
        return demanded if by_page or demanded is Invalidation.NONE else Invalidation.ALL


def demanded_by(level: int, was: int, becomes: int) -> Invalidation:
    """What a processor must be told, or else it may use what an entry of ``level`` no longer says."""
    lost = was & ~becomes
    gained = becomes & ~was
    if not was & PRESENT:
        return Invalidation.NONE  # what is absent is not remembered
    only_more = not (lost & (PRESENT | WRITABLE | DIRTY) or gained & NO_EXECUTE)
    same_kind = not (was ^ becomes) & (FRAME | LARGE | USER)  # a page of ring 3 is less to ring 0 under SMAP
    if only_more and same_kind:
        return Invalidation.NONE
    names_page = level == 1 or (LEVELS[level].may_be_page and was & LARGE)
    return Invalidation.PAGE if names_page else Invalidation.ALL


@st.composite
def edits(draw: st.DrawFn, world: World) -> Edit:
    """One edit of an entry that ``world`` has: its rights become plain in one of four, else a twist comes.

    A page entry may also come to name another page. No edit makes tables recursive.
    """
    entry_pa = draw(st.sampled_from(sorted(world.entries)))
    entry = world.entries[entry_pa]
    paging = world.guest if entry.stage is StageName.GUEST else world.second
    assert paging is not None
    place = EntryPlace(entry.level, entry.is_page, paging.physical_bits, paging.root)
    plain = [Twist("plain again", set=PRESENT | WRITABLE | USER, clear=NO_EXECUTE)]
    if entry.is_page:
        plain.append(Twist("names another page", set=LEVELS[entry.level].page_bytes))
    twisted = twists(place).filter(lambda twist: twist.name != RECURSIVE)
    twist = draw(st.one_of(st.sampled_from(plain), twisted, twisted, twisted))
    return Edit(entry_pa, entry, twist, shared=world.recursive)


def histories(world: World, *, max_size: int = 12) -> st.SearchStrategy[list[Edit | Ask]]:
    """Up to ``max_size`` edits and accesses, half of each; what to invalidate is what ``Edit.apply`` returns.

    Of five edits two demand nothing, two a flush, and one INVLPG of a page.
    """
    return st.lists(st.one_of(asks(world), edits(world)), max_size=max_size)
