"""The C shadow tables, behind the signatures of the reference.

Stands for: ``native/core/include/minihv/shadow.h``.
Simplified: none known.
Twin: ``minihv.paging.shadow``; held equal by ``tests/twins/test_shadow.py``.
"""

from minihv.errors import InternalError
from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.native import MemoryView, c_access, c_paging, c_ram, ffi, first_refusal, lib, violation
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.shadow import Emulated, Filled, ShadowPolicy
from minihv.paging.shadow_pages import ShadowCounters, check_count
from minihv.paging.walk import NotCanonical, PageFault

NOWHERE = (1 << 64) - 1


class Shadow:
    """As ``minihv.paging.shadow.Shadow`` over ``page_count`` frames at ``base``."""

    def __init__(  # noqa: PLR0913 - the description of a set of shadow tables
        self,
        memory: MemoryView,
        second: Paging,
        base: int,
        page_count: int,
        policy: ShadowPolicy,
        *,
        keep_large: bool = True,
    ) -> None:
        check_count(page_count)
        self._ram = c_ram(memory)
        options = ffi.new(
            "struct mhv_shadow_options *",
            {
                "second": c_paging(second)[0],
                "base": base,
                "page_count": page_count,
                "policy": list(ShadowPolicy).index(policy),
                "keep_large": keep_large,
            },
        )
        made = lib.mhv_shadow_create(self._ram, options)
        if made == ffi.NULL:
            raise InternalError(
                f"Shadow tables lie in memory, and {page_count} frames at {base:#x} do not, "
                "or the host has no more to give."
            )
        self.handle = ffi.gc(made, lib.mhv_shadow_destroy)

    def root(self, guest: Paging) -> int | None:
        """The SPA of the top shadow table."""
        found: int = lib.mhv_shadow_root(self.handle, c_paging(guest))
        return None if found == NOWHERE else found

    def fill(
        self, guest: Paging, gva: int, access: Access
    ) -> Filled | Emulated | PageFault | NotCanonical | Violation:
        """What ring -1 makes of an access that the shadow tables did not allow."""
        found = ffi.new("struct mhv_walk_result *")
        lib.mhv_shadow_fill(self.handle, c_paging(guest), gva, c_access(access)[0], found)
        if found.outcome == lib.MHV_VIOLATION:
            return violation(found, AccessKind.WRITE if found.on_table else access.kind)
        if found.outcome not in (lib.MHV_MAPPED, lib.MHV_EMULATE):
            return first_refusal(found, gva)
        kind = Emulated if found.outcome == lib.MHV_EMULATE else Filled
        return kind(**{name: getattr(found, name) for name in NestedMapping.__slots__})

    def written(self, spa: int, byte_count: int) -> None:
        """Ring -1 has written to memory."""
        lib.mhv_shadow_written(self.handle, spa, byte_count)

    def invalidate_page(self, guest: Paging, gva: int) -> None:
        """INVLPG."""
        lib.mhv_shadow_invalidate_page(self.handle, c_paging(guest), gva)

    def invalidate_all(self) -> None:
        """A write to CR3, or to a control register that flushes."""
        lib.mhv_shadow_invalidate_all(self.handle)

    def drop(self) -> None:
        """Forgets everything."""
        lib.mhv_shadow_drop(self.handle)

    def take_writes(self) -> None:
        """No slot allows to write any more."""
        lib.mhv_shadow_take_writes(self.handle)

    def take_stale(self) -> bool:
        """Whether a translation was taken away since the last call."""
        return bool(lib.mhv_shadow_take_stale(self.handle))

    @property
    def counters(self) -> ShadowCounters:
        """Pages in use, the most that were, and those that had to go."""
        found = ffi.new("struct mhv_shadow_counters *")
        lib.mhv_shadow_count(self.handle, found)
        return ShadowCounters(found.pages, found.peak, found.evicted)
