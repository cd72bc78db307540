"""One-stage page walk: GVA to GPA, one table at a time, as the processor does it.

Stands for: the page-miss handler of an x86-64 logical processor (hardware, not ring -1).
Spec: AMD APM vol. 2, "Long-Mode Page Translation" and "Page-Protection Checks"; Intel SDM vol. 3A, "4-Level
    Paging and 5-Level Paging".
Simplified: no TLB and no paging-structure caches, which ``minihv.paging.tlb`` adds: every entry is read each
    time. Some processors set A in a leaf although the access then faults; this walk does not.
Twin: ``native/core/src/walk.c`` and ``stage.h``, held equal by ``tests/twins/test_walk.py``.
Next: ``minihv.paging.nested``
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from minihv.paging.access import Access, AccessKind, Observe, Paging, PhysicalMemory, Reference, StageName
from minihv.paging.formats import X86_64, Format, Level
from minihv.spec.x86_paging import (
    ACCESSED,
    DIRTY,
    FRAME,
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
from minihv.terms import Gva


class Refusal:
    """What ``reach`` answers when it does not lead to an entry."""

    __slots__ = ()


Refused = TypeVar("Refused", bound=Refusal)


@dataclass(frozen=True, slots=True)
class Mapping:
    """The walk reached a page, and the access is allowed."""

    gpa: int
    page_bytes: int
    leaf_entry: int
    """The entry as it is in memory after the walk."""
    leaf_pa: int
    """Where that entry lies."""
    level: int
    references: int
    readable: bool
    """``readable``, ``writable``, ``executable``: what the same accessor may do with this page."""
    writable: bool
    executable: bool
    user: bool
    """A page of ring 3: U/S is set at every level."""
    dirty: bool


@dataclass(frozen=True, slots=True)
class PageFault:
    """The walk stopped at ``level`` (5 = PML5 ... 1 = PT). #PF pushes ``error_code`` and CR2 is ``gva``."""

    gva: int
    level: int
    references: int
    error_code: int


@dataclass(frozen=True, slots=True)
class NotCanonical:
    """No table was read: bits above the translated ones do not repeat the highest of them."""

    gva: int


@dataclass(frozen=True, slots=True)
class Rights:
    """What an accessor may do with a page."""

    readable: bool
    writable: bool
    executable: bool

    def allow(self, kind: AccessKind) -> bool:
        """Whether an access of ``kind`` may go on."""
        return (self.readable, self.writable, self.executable)[kind]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where one stage of a walk ended well."""

    address: int
    entry: int
    entry_pa: int
    level: Level
    rights: Rights
    together: int
    """What all levels grant together: W, U, and bit 63 for "may be executed"; the same for whoever asks."""

    @property
    def user(self) -> bool:
        """A page of ring 3."""
        return bool(self.together & USER)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a walk begins: at the table of ``level`` at ``table``, with what the levels above it grant."""

    level: int
    table: int
    together: int


class Trail:
    """Counts the references of a walk over all its stages, and shows each to the observer."""

    def __init__(self, observe: Observe | None) -> None:
        self.references = 0
        self._observe = observe

    def add(self, stage: StageName, level: Level, entry_pa: int, entry: int) -> None:
        """One more entry was read."""
        self.references += 1
        if self._observe is not None:
            self._observe(Reference(self.references, stage, level.number, entry_pa, entry))


@dataclass(frozen=True, slots=True)
class Stage:
    """One set of tables: where it lies, and how it is steered."""

    name: StageName
    memory: PhysicalMemory
    format: Format
    paging: Paging
    trail: Trail


def walk(
    memory: PhysicalMemory, paging: Paging, gva: Gva | int, access: Access, observe: Observe | None = None
) -> Mapping | PageFault | NotCanonical:
    """What the processor makes of ``access`` to ``gva``. ``observe`` sees every entry read, in order."""
    trail = Trail(observe)
    stage = Stage(StageName.GUEST, memory, X86_64[paging.levels], paging, trail)
    leaf = follow(stage, gva, access, reach=lambda entry_pa, level: entry_pa)
    return mapping(leaf, trail.references) if isinstance(leaf, Leaf) else leaf


def mapping(leaf: Leaf, references: int) -> Mapping:
    """What a leaf makes of a page."""
    return Mapping(
        gpa=leaf.address,
        page_bytes=leaf.level.page_bytes,
        leaf_entry=leaf.entry,
        leaf_pa=leaf.entry_pa,
        level=leaf.level.number,
        references=references,
        readable=leaf.rights.readable,
        writable=leaf.rights.writable,
        executable=leaf.rights.executable,
        user=leaf.user,
        dirty=bool(leaf.entry & DIRTY),
    )


def root_of(paging: Paging) -> Start:
    """Where walks begin: nothing has been refused yet, and bit 63 means "may be executed"."""
    return Start(paging.levels, paging.root & FRAME, WRITABLE | USER | NO_EXECUTE)


def follow(
    stage: Stage,
    address: int,
    access: Access,
    reach: Callable[[int, Level], int | Refused],
    start: Start | None = None,
) -> Leaf | PageFault | NotCanonical | Refused:
    """Follows ``address`` through the tables of one stage, from the root to a leaf or to a fault.

    ``reach`` says where the memory holds an entry whose address the tables give; or it refuses, and so does
    the walk. With one stage it is the identity; with two it is the other stage. ``start`` is a table further
    down, for one who knows the way to it.
    """
    memory, paging, trail = stage.memory, stage.paging, stage.trail
    start = start or root_of(paging)
    table, together = start.table, start.together

    # 1. "Canonical Address Form": bits above the translated ones say nothing new.
    if not stage.format.translates(address):
        return NotCanonical(address)

    for level in stage.format.levels[-start.level :]:
        # 2. Nine bits of the address choose the entry of this level's table.
        reached = reach(level.entry_address(table, address), level)
        if isinstance(reached, Refusal):
            return reached
        entry_pa: int = reached

        # 3. Read it. This is one reference.
        entry = memory.read_u64(entry_pa)
        trail.add(stage.name, level, entry_pa, entry)

        # 4. "Present (P) Bit": a 0 says that no other bit means anything.
        if not entry & PRESENT:
            return fault(stage, address, access, level, 0)

        # 5. "Reserved Bits" must be 0, whatever the access.
        if entry & (paging.reserved | level.reserved(entry)):
            return fault(stage, address, access, level, PF_PRESENT | PF_RESERVED)

        # 6. "Page-Protection Checks": every level must grant a right for the page to have it.
        together &= entry ^ NO_EXECUTE
        if level.is_page(entry):
            break

        # 7. "Accessed (A) Bit": set in each table entry as it is used, even if a later one faults.
        if not entry & ACCESSED:
            memory.write_u64(entry_pa, entry | ACCESSED)
        table = entry & FRAME

    # 8. Hold the access against the rights of the page.
    rights = rights_of(paging, together, access)
    if not rights.allow(access.kind):
        return fault(stage, address, access, level, PF_PRESENT)

    # 9. "Accessed (A) Bit" and "Dirty (D) Bit" of the page itself.
    marked = entry | ACCESSED | (DIRTY if access.kind is AccessKind.WRITE else 0)
    if marked != entry:
        memory.write_u64(entry_pa, marked)

    # 10. The entry gives the upper bits of the result, the address the rest.
    offset_mask = level.page_bytes - 1
    target = marked & FRAME & ~offset_mask | address & offset_mask
    return Leaf(target, marked, entry_pa, level, rights, together)


def rights_of(paging: Paging, together: int, access: Access) -> Rights:
    """What the accessor may do with a page whose levels together grant ``together``."""
    user_page = bool(together & USER)
    if access.by_user:
        # "User/Supervisor (U/S) Bit": ring 3 touches nothing else.
        data = fetch = user_page
        write = bool(together & WRITABLE)
    else:
        # "Supervisor-Mode Access Prevention" and "Supervisor-Mode Execution Prevention"; CR0.WP.
        lets_through = access.ac and not access.implicit
        data = not (paging.smap and user_page) or lets_through
        fetch = not (paging.smep and user_page)
        write = bool(together & WRITABLE) or not paging.wp
    return Rights(readable=data, writable=data and write, executable=fetch and bool(together & NO_EXECUTE))


def fault(stage: Stage, address: int, access: Access, level: Level, refusal: int) -> PageFault:
    """The page fault of ``access``, where the entry itself accounts for the bits of ``refusal``.

    Spec: AMD APM vol. 2, "Page-Fault (#PF) Error Code": bit 4 is in use when NX or SMEP is.
    """
    error_code = refusal
    if access.kind is AccessKind.WRITE:
        error_code |= PF_WRITE
    if access.by_user:
        error_code |= PF_USER
    if access.kind is AccessKind.EXECUTE and (stage.paging.nxe or stage.paging.smep):
        error_code |= PF_FETCH
    return PageFault(address, level.number, stage.trail.references, error_code)
