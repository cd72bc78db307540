"""What may be rare about an entry, one twist at a time; a plain entry is open to every access.

Stands for: the entries that kernels seldom write, and that a walk must know.
Spec: AMD APM vol. 2, "Page-Translation-Table Entry Fields"; Intel SDM vol. 3A, "4-Level Paging and 5-Level
    Paging".
Simplified: no protection keys and no memory types; their bits are turned, and must change nothing.
Next: ``minihv.testing.accesses``
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st

from minihv.paging.formats import X86_64
from minihv.spec.x86_paging import (
    ACCESSED,
    CACHE_DISABLE,
    DIRTY,
    FRAME,
    GLOBAL,
    LARGE,
    LARGE_ATTRIBUTE,
    NO_EXECUTE,
    PRESENT,
    USER,
    WRITABLE,
    WRITE_THROUGH,
)
from minihv.terms import HUGE_PAGE_BYTES, PAGE_BYTES

OPEN = PRESENT | WRITABLE | USER
WIDEST = 52
"""Bits of the widest physical address that an entry has room for."""
IGNORED = 0x7FF << 52 | 0x7 << 9 | GLOBAL | CACHE_DISABLE | WRITE_THROUGH
"""Bits that say nothing of where a page is and who may touch it."""
MARKS = ACCESSED | DIRTY
LEVELS = {level.number: level for level in X86_64[5].levels}


@dataclass(frozen=True, slots=True)
class Twist:
    """One thing about an entry that is not plain: bits to clear, and then bits to set."""

    name: str
    set: int = 0
    clear: int = 0

    def of(self, entry: int) -> int:
        """``entry`` with the twist in it."""
        return entry & ~self.clear | self.set


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """Which entry is twisted: its level (5 = PML5 … 1 = PT), and whether it names a page."""

    level: int
    is_page: bool
    physical_bits: int = WIDEST
    root: int = 0x1000
    """The address of the first table, for an entry that leads back to it."""


Make = Callable[[EntryPlace], st.SearchStrategy[Twist] | None]


def _always(name: str, *, set: int = 0, clear: int = 0) -> Make:
    return lambda place: st.just(Twist(name, set, clear))


def _too_wide(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    if place.physical_bits == WIDEST:
        return None
    bits = st.integers(place.physical_bits, WIDEST - 1)
    return bits.map(lambda bit: Twist(f"too wide, bit {bit}", set=1 << bit))


def _misaligned(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    if not place.is_page or place.level == 1:
        return None
    bits = st.integers(13, LEVELS[place.level].shift - 1)
    return bits.map(lambda bit: Twist(f"misaligned, bit {bit}", set=1 << bit))


def _large(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    """PS: reserved at the top, a page further down, and in a PTE nothing but PAT."""
    if place.is_page and place.level > 1:
        return st.just(Twist("PAT", set=LARGE_ATTRIBUTE))
    return st.just(Twist("PAT" if place.level == 1 else "PS", set=LARGE))


def _ignored(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    bits = st.integers(1, IGNORED).map(lambda bits: bits & IGNORED).filter(bool)
    return bits.map(lambda bits: Twist(f"ignored bits {bits:#x}", set=bits))


def _used(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    return st.sampled_from([ACCESSED, MARKS] if place.is_page else [ACCESSED]).map(
        lambda marks: Twist("used, and written" if marks == MARKS else "used", set=marks)
    )


def _elsewhere(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    """Where no memory is: a read of a table there gives all ones."""
    if place.is_page:
        return None
    bits = st.sampled_from([30, place.physical_bits - 1])
    return bits.map(lambda bit: Twist(f"outside memory, bit {bit}", set=1 << bit))


def _recursive(place: EntryPlace) -> st.SearchStrategy[Twist] | None:
    if place.is_page:
        return None
    return st.just(Twist(RECURSIVE, set=place.root & FRAME, clear=FRAME))


RECURSIVE = "names the first table again"
KINDS: dict[str, tuple[int, Make]] = {
    "read-only": (5, _always("read-only", clear=WRITABLE)),
    "supervisor": (5, _always("supervisor", clear=USER)),
    "no execute": (5, _always("no execute", set=NO_EXECUTE)),
    "absent": (2, _always("absent", clear=PRESENT)),
    "large": (2, _large),
    "misaligned": (2, _misaligned),
    "too wide": (2, _too_wide),
    "used": (2, _used),
    "ignored": (1, _ignored),
    "elsewhere": (1, _elsewhere),
    "recursive": (1, _recursive),
}
"""Each kind of twist with how often it is drawn, in parts of their sum, and how it is made."""


@cache
def twists(place: EntryPlace) -> st.SearchStrategy[Twist]:
    """Any twist that the entry at ``place`` can have; the rights come first, and shrink last."""
    made: list[st.SearchStrategy[Twist]] = []
    for often, make in KINDS.values():
        strategy = make(place)
        made += [] if strategy is None else [strategy] * often
    return st.sampled_from(made).flatmap(lambda strategy: strategy)


@st.composite
def entries(draw: st.DrawFn, place: EntryPlace, *, max_twists: int = 2) -> int:
    """An entry of eight bytes for ``place``: present and open, with at most ``max_twists`` twists in it.

    A page lies at a multiple of its size below 4 GiB, a table in one of the 16 frames
    from 0x1000 on.
    """
    page_bytes = LEVELS[place.level].page_bytes
    if place.is_page:
        address = draw(st.integers(0, max(1, 4 * HUGE_PAGE_BYTES // page_bytes) - 1)) * page_bytes
    else:
        address = draw(st.integers(1, 16)) * PAGE_BYTES
    entry = address | OPEN | (LARGE if place.is_page and place.level > 1 else 0)
    for twist in draw(st.lists(twists(place), max_size=max_twists)):
        entry = twist.of(entry)
    return entry
