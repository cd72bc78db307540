"""Two-stage page walk: GVA to GPA to SPA. The guest's tables are themselves found through the second stage.

Stands for: the page-miss handler of a processor with nested paging.
Spec: AMD APM vol. 2, "Nested Paging": "Traversing the Nested Page Tables" and "Nested Page Faults".
Simplified: as ``minihv.paging.walk``.
Twin: ``native/core/src/nested.c``, held equal by ``tests/twins/test_nested_walk.py``. Like a processor with
    paging-structure caches it fetches no second-level entry twice in one walk, but it counts it twice.
Next: ``minihv.paging.tables``
"""

from dataclasses import dataclass

from minihv.paging.access import Access, AccessKind, Observe, Paging, PhysicalMemory, StageName
from minihv.paging.formats import NESTED, X86_64, Level
from minihv.paging.walk import Leaf, NotCanonical, PageFault, Refusal, Rights, Stage, Trail, follow
from minihv.spec.x86_paging import DIRTY, PF_FETCH, PF_USER, PF_WRITE
from minihv.terms import Gpa, Gva

UNPAGED = 0xFFFF_FFFF
"""The bits of an address while CR0.PG is 0: long mode needs paging."""


@dataclass(frozen=True, slots=True)
class NestedMapping:
    """Both stages reached a page, and both allow the access."""

    gpa: int
    spa: int
    page_bytes: int
    second_page_bytes: int
    leaf_entry: int
    """The guest's entry as it is in memory after the walk; ``second_leaf_entry`` likewise."""
    second_leaf_entry: int
    leaf_pa: int
    """The SPA at which that entry lies; ``second_leaf_pa`` likewise."""
    second_leaf_pa: int
    level: int
    second_level: int
    references: int
    readable: bool
    """``readable``, ``writable``, ``executable``: what the same accessor may do, if both stages agree."""
    writable: bool
    executable: bool
    user: bool
    """A page of ring 3 in the guest's tables."""
    dirty: bool
    """D is set in the leaves of both stages."""


@dataclass(frozen=True, slots=True)
class SecondMapping:
    """The second stage alone reached a page, and allows the access."""

    gpa: int
    spa: int
    second_page_bytes: int
    second_leaf_entry: int
    second_leaf_pa: int
    second_level: int
    references: int
    readable: bool
    writable: bool
    executable: bool
    dirty: bool


@dataclass(frozen=True, slots=True)
class Violation(Refusal):
    """The second stage refused ``gpa``: an exit to the hypervisor, of which the guest learns nothing."""

    gpa: int
    kind: AccessKind
    on_table: bool
    """It was refused on the way to the guest's table of ``level``, not to the page itself."""
    level: int
    second_level: int
    references: int
    error_code: int
    """As in #PF; for #NPF these are the low bits of EXITINFO1."""


def nested_walk(  # noqa: PLR0913 - the walk of two stages has the inputs of two
    memory: PhysicalMemory,
    guest: Paging,
    second: Paging,
    gva: Gva | int,
    access: Access,
    observe: Observe | None = None,
) -> NestedMapping | PageFault | NotCanonical | Violation:
    """What the processor makes of ``access`` to ``gva`` in a guest. ``observe`` sees every entry read."""
    if guest.levels == 0:
        found = second_walk(memory, second, gva & UNPAGED, access.kind, observe)
        return found if isinstance(found, Violation) else without_first_stage(found)
    trail = Trail(observe)
    guest_stage = Stage(StageName.GUEST, memory, X86_64[guest.levels], guest, trail)
    second_stage = Stage(StageName.SECOND, memory, NESTED[second.levels], second, trail)

    # 1. "Traversing the Nested Page Tables": the guest's tables, CR3 included, are named by GPAs. Each is
    #    translated before it is read, and as if it were written: its A bit may have to be.
    def reach_table(entry_gpa: int, level: Level) -> int | Violation:
        found = translate(second_stage, entry_gpa, AccessKind.WRITE, level.number, on_table=True)
        return found.address if isinstance(found, Leaf) else found

    first = follow(guest_stage, gva, access, reach_table)
    if not isinstance(first, Leaf):
        return first

    # 2. The page itself, with the access as it is.
    last = translate(second_stage, first.address, access.kind, first.level.number, on_table=False)
    if not isinstance(last, Leaf):
        return last

    # 3. A right is one that both stages grant.
    return combined(first, last, trail.references)


def without_first_stage(found: SecondMapping) -> NestedMapping:
    """What the second stage makes of a page that no table of the guest describes: everybody may use it."""
    return NestedMapping(
        gpa=found.gpa,
        spa=found.spa,
        page_bytes=0,
        second_page_bytes=found.second_page_bytes,
        leaf_entry=0,
        second_leaf_entry=found.second_leaf_entry,
        leaf_pa=0,
        second_leaf_pa=found.second_leaf_pa,
        level=0,
        second_level=found.second_level,
        references=found.references,
        readable=found.readable,
        writable=found.writable,
        executable=found.executable,
        user=True,
        dirty=found.dirty,
    )


def second_walk(
    memory: PhysicalMemory, second: Paging, gpa: Gpa | int, kind: AccessKind, observe: Observe | None = None
) -> SecondMapping | Violation:
    """GPA to SPA alone: what the processor does when a guest runs without page tables of its own."""
    trail = Trail(observe)
    stage = Stage(StageName.SECOND, memory, NESTED[second.levels], second, trail)
    leaf = translate(stage, gpa, kind, guest_level=0, on_table=False)
    if not isinstance(leaf, Leaf):
        return leaf
    return SecondMapping(
        gpa=gpa,
        spa=leaf.address,
        second_page_bytes=leaf.level.page_bytes,
        second_leaf_entry=leaf.entry,
        second_leaf_pa=leaf.entry_pa,
        second_level=leaf.level.number,
        references=trail.references,
        readable=leaf.rights.readable,
        writable=leaf.rights.writable,
        executable=leaf.rights.executable,
        dirty=bool(leaf.entry & DIRTY),
    )


def translate(
    stage: Stage, gpa: int, kind: AccessKind, guest_level: int, *, on_table: bool
) -> Leaf | Violation:
    """Follows ``gpa`` through the second stage. Every access is a user's there, whatever the guest's ring."""
    found = follow(stage, gpa, Access(kind, user=True), reach=lambda entry_pa, level: entry_pa)
    match found:
        case Leaf():
            return found
        case PageFault(level=second_level, error_code=error_code):
            pass
        case NotCanonical():  # wider than the tables translate: nothing is there
            second_level = stage.format.levels[0].number
            error_code = PF_USER | (PF_WRITE if kind is AccessKind.WRITE else 0)
    # "Nested Page Faults": bit 4 tells a fetch whether or not NX is in use.
    error_code |= PF_FETCH if kind is AccessKind.EXECUTE else 0
    return Violation(gpa, kind, on_table, guest_level, second_level, stage.trail.references, error_code)


def combined(first: Leaf, last: Leaf, references: int) -> NestedMapping:
    """What two leaves make of a page."""
    rights = Rights(
        readable=first.rights.readable and last.rights.readable,
        writable=first.rights.writable and last.rights.writable,
        executable=first.rights.executable and last.rights.executable,
    )
    return NestedMapping(
        gpa=first.address,
        spa=last.address,
        page_bytes=first.level.page_bytes,
        second_page_bytes=last.level.page_bytes,
        leaf_entry=first.entry,
        second_leaf_entry=last.entry,
        leaf_pa=first.entry_pa,
        second_leaf_pa=last.entry_pa,
        level=first.level.number,
        second_level=last.level.number,
        references=references,
        readable=rights.readable,
        writable=rights.writable,
        executable=rights.executable,
        user=first.user,
        dirty=bool(first.entry & last.entry & DIRTY),
    )
