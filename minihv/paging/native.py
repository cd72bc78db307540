"""The C twins of this floor, behind the signatures of the reference. Nothing else here imports the core.

Stands for: ``native/core/include/minihv/walk.h``, ``tables.h``, ``shadow.h``, ``dirty.h`` and ``tlb.h``.
Simplified: no observer: C walks show their results, not their steps.
Twin: ``minihv.paging.walk``, ``nested``, ``tables``, ``shadow``, ``dirty`` and ``tlb``; held equal by
    ``tests/twins``.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minihv._core import ffi, lib
from minihv.errors import InternalError
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.dirty import PageBitmap, refuse_harvest
from minihv.paging.formats import INDEX_BITS, Format
from minihv.paging.nested import NestedMapping, SecondMapping, Violation
from minihv.paging.tables import TableLeaf, TableStatus, refuse
from minihv.paging.walk import Mapping, NotCanonical, PageFault
from minihv.terms import PAGE_BYTES

__all__ = [
    "MemoryView",
    "PageTables",
    "c_access",
    "c_paging",
    "c_ram",
    "ffi",
    "first_refusal",
    "forget",
    "harvest",
    "lib",
    "mapping",
    "nested_answer",
    "nested_walk",
    "second_walk",
    "violation",
    "walk",
    "walk_cache",
    "walk_each",
]


class MemoryView(Protocol):
    """Physical memory from address 0 whose bytes C can reach."""

    @property
    def view(self) -> Any:
        """A writable buffer, a multiple of 8 bytes long."""


def walk(
    memory: MemoryView, paging: Paging, gva: int, access: Access, cache: Any = None
) -> Mapping | PageFault | NotCanonical:
    """As ``minihv.paging.walk.walk``; with what earlier walks left in ``cache``, if there is one."""
    found = ffi.new("struct mhv_walk_result *")
    inputs = c_ram(memory), c_paging(paging), gva, c_access(access)[0]
    if cache is None:
        lib.mhv_walk(*inputs, found)
    else:
        lib.mhv_walk_cached(*inputs, cache, found)
    return mapping(found) if found.outcome == lib.MHV_MAPPED else first_refusal(found, gva)


def nested_walk(  # noqa: PLR0913 - the walk of two stages has the inputs of two
    memory: MemoryView, guest: Paging, second: Paging, gva: int, access: Access, cache: Any = None
) -> NestedMapping | PageFault | NotCanonical | Violation:
    """As ``minihv.paging.nested.nested_walk``; with what earlier walks left in ``cache``, if there is one."""
    found = ffi.new("struct mhv_walk_result *")
    inputs = c_ram(memory), c_paging(guest), c_paging(second), gva, c_access(access)[0]
    if cache is None:
        lib.mhv_nested_walk(*inputs, found)
    else:
        lib.mhv_nested_walk_cached(*inputs, cache, found)
    return nested_answer(found, gva, access)


def second_walk(memory: MemoryView, second: Paging, gpa: int, kind: AccessKind) -> SecondMapping | Violation:
    """As ``minihv.paging.nested.second_walk``."""
    found = ffi.new("struct mhv_walk_result *")
    lib.mhv_second_walk(c_ram(memory), c_paging(second), gpa, kind, found)
    if found.outcome == lib.MHV_VIOLATION:
        return violation(found, kind)
    return SecondMapping(
        gpa=found.gpa,
        spa=found.spa,
        second_page_bytes=found.second_page_bytes,
        second_leaf_entry=found.second_leaf_entry,
        second_leaf_pa=found.second_leaf_pa,
        second_level=found.second_level,
        references=found.references,
        readable=found.readable,
        writable=found.writable,
        executable=found.executable,
        dirty=found.dirty,
    )


def walk_cache() -> Any:
    """An empty ``struct mhv_walk_cache``: what a processor remembers from one walk to the next.

    It is for one set of second-level tables, for as long as nobody changes them; when the guest's were
    changed, ``forget`` their ways.
    """
    return ffi.new("struct mhv_walk_cache *")


def forget(cache: Any) -> None:
    """The guest has invalidated: no way down its tables is known any more."""
    lib.mhv_walk_cache_forget(cache)


def walk_each(
    memory: MemoryView,
    guest: Paging,
    second: Paging | None,
    gvas: Sequence[int] | NDArray[np.uint64],
    access: Access,
) -> int:
    """Walks every one of ``gvas`` in a single call, with a second stage if there is one; all references."""
    numbers = ffi.from_buffer("uint64_t[]", np.ascontiguousarray(gvas, dtype=np.uint64))
    table = ffi.NULL if second is None else c_paging(second)
    return int(
        lib.mhv_walk_each(c_ram(memory), c_paging(guest), table, numbers, len(numbers), c_access(access)[0])
    )


def harvest(memory: MemoryView, second: Paging, gpn: int, page_count: int, mark: int) -> PageBitmap:
    """As ``minihv.paging.dirty.harvest``."""
    asked = ffi.new("struct mhv_harvest *", (second.root, gpn, page_count, mark, second.levels))
    status = lib.mhv_harvest_check(asked)
    if status != lib.MHV_OK:
        refuse_harvest(TableStatus(status), second, gpn, page_count, mark)
    found = PageBitmap(gpn, page_count)
    bits, count = ffi.from_buffer("uint8_t[]", found.bits), ffi.new("uint64_t *")
    lib.mhv_harvest_marks(c_ram(memory), asked, bits, count)
    return found


def mark_page(ram: Any, root: int, levels: int, gpn: int, mark: int) -> bool:
    """As ``minihv.paging.dirty.mark_page``, in what ``c_ram`` made of the memory."""
    return bool(lib.mhv_mark_page(ram, root, levels, gpn, mark))


class PageTables:
    """As ``minihv.paging.tables.PageTables``, with frames from a list: the last is the first to be used."""

    def __init__(
        self, memory: MemoryView, format: Format, frames: Sequence[int], root: int | None = None
    ) -> None:
        self.memory, self.format = memory, format
        ram = c_ram(memory)
        self._frames = ffi.new("uint64_t[]", int(ram.byte_count) // PAGE_BYTES)
        self._frames[0 : len(frames)] = list(frames)
        self._tables = ffi.new("struct mhv_tables *")
        self._tables.ram = ram[0]
        self._tables.pool = {"frames": self._frames, "count": len(frames)}
        self._tables.levels = len(format.levels)
        self._tables.sign_extended = format.sign_extended
        if root is None:
            self._check(lib.mhv_tables_begin(self._tables), va=0)
        else:
            self._tables.root = root

    @property
    def root(self) -> int:
        """The SPA of the first table."""
        return int(self._tables.root)

    @property
    def frames(self) -> list[int]:
        """The frames that are left."""
        return list(self._frames[0 : self._tables.pool.count])

    def find(self, va: int) -> TableLeaf | None:
        """The page that ``va`` lies in."""
        found = ffi.new("struct mhv_table_leaf *")
        if lib.mhv_tables_find(self._tables, va, found) != lib.MHV_OK:
            return None
        return TableLeaf(found.va, found.pa, found.page_bytes, found.entry, found.entry_pa)

    def map(self, va: int, pa: int, page_bytes: int, flags: int) -> None:
        """Maps one page."""
        self._check(lib.mhv_tables_map(self._tables, va, pa, page_bytes, flags), va, pa, page_bytes, flags)

    def unmap(self, va: int, byte_count: int) -> int:
        """Unmaps every page of a range. Bytes unmapped."""
        unmapped = ffi.new("uint64_t *")
        self._check(lib.mhv_tables_unmap(self._tables, va, byte_count, unmapped), va, 0, byte_count)
        return int(unmapped[0])

    def protect(self, va: int, byte_count: int, flags: int) -> int:
        """Gives every page of a range new ``flags``. Bytes changed."""
        changed = ffi.new("uint64_t *")
        status = lib.mhv_tables_protect(self._tables, va, byte_count, flags, changed)
        self._check(status, va, 0, byte_count, flags)
        return int(changed[0])

    def split(self, va: int) -> None:
        """Replaces a large page by a table of smaller ones."""
        self._check(lib.mhv_tables_split(self._tables, va), va, 0, PAGE_BYTES >> INDEX_BITS)

    def merge(self, va: int) -> None:
        """Replaces the table around ``va`` by one large page."""
        self._check(lib.mhv_tables_merge(self._tables, va), va, 0, self.format.levels[-4].page_bytes)

    def _check(self, status: int, va: int, pa: int = 0, byte_count: int = 0, flags: int = 0) -> None:
        if status != lib.MHV_OK:
            refuse(TableStatus(status), self.format, va, pa, byte_count, flags)


def mapping(found: Any) -> Mapping:
    """Where a walk of one stage ended well."""
    return Mapping(
        gpa=found.gpa,
        page_bytes=found.page_bytes,
        leaf_entry=found.leaf_entry,
        leaf_pa=found.leaf_pa,
        level=found.level,
        references=found.references,
        readable=found.readable,
        writable=found.writable,
        executable=found.executable,
        user=found.user,
        dirty=found.dirty,
    )


def nested_answer(
    found: Any, gva: int, access: Access
) -> NestedMapping | PageFault | NotCanonical | Violation:
    """Where a walk of two stages ended."""
    if found.outcome == lib.MHV_VIOLATION:
        return violation(found, AccessKind.WRITE if found.on_table else access.kind)
    if found.outcome != lib.MHV_MAPPED:
        return first_refusal(found, gva)
    return NestedMapping(
        gpa=found.gpa,
        spa=found.spa,
        page_bytes=found.page_bytes,
        second_page_bytes=found.second_page_bytes,
        leaf_entry=found.leaf_entry,
        second_leaf_entry=found.second_leaf_entry,
        leaf_pa=found.leaf_pa,
        second_leaf_pa=found.second_leaf_pa,
        level=found.level,
        second_level=found.second_level,
        references=found.references,
        readable=found.readable,
        writable=found.writable,
        executable=found.executable,
        user=found.user,
        dirty=found.dirty,
    )


def first_refusal(found: Any, gva: int) -> PageFault | NotCanonical:
    """What stopped a walk in the guest's own tables."""
    if found.outcome == lib.MHV_NOT_CANONICAL:
        return NotCanonical(gva)
    if found.outcome == lib.MHV_PAGE_FAULT:
        return PageFault(gva, found.level, found.references, found.error_code)
    raise InternalError(f"A walk of the C core ended in outcome {found.outcome}, which is none.")


def violation(found: Any, kind: AccessKind) -> Violation:
    """What stopped a walk in the second stage."""
    return Violation(
        gpa=found.gpa,
        kind=kind,
        on_table=found.on_table,
        level=found.level,
        second_level=found.second_level,
        references=found.references,
        error_code=found.error_code,
    )


def c_ram(memory: MemoryView) -> Any:
    """``struct mhv_ram`` over ``memory``; it lives as long as the result does."""
    buffer = ffi.from_buffer("uint8_t[]", memory.view, require_writable=True)
    return ffi.new("struct mhv_ram *", {"bytes": buffer, "byte_count": len(buffer)})


def c_paging(paging: Paging) -> Any:
    """``struct mhv_paging``."""
    return ffi.new(
        "struct mhv_paging *",
        {
            "root": paging.root,
            "levels": paging.levels,
            "physical_bits": paging.physical_bits,
            "nxe": paging.nxe,
            "wp": paging.wp,
            "smep": paging.smep,
            "smap": paging.smap,
        },
    )


def c_access(access: Access) -> Any:
    """``struct mhv_access``."""
    members = {"kind": access.kind, "user": access.user, "ac": access.ac, "implicit": access.implicit}
    return ffi.new("struct mhv_access *", members)
