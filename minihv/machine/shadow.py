"""The shadow tables of one partition, as the processor's run loop asks for them.

Stands for: the seam between ring -1's shadow tables and the exits that need them.
Spec: none.
Simplified: none known.
Twin: ``native/core/src/shadow_service.c``; both run a guest in ``tests/unit/machine/test_shadow.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.machine.processor import Core, Processor
from minihv.machine.reference import access_of, paging_of, struct_of
from minihv.paging import native_shadow
from minihv.paging.access import BufferMemory, Paging
from minihv.paging.shadow import Shadow, ShadowPolicy
from minihv.paging.shadow_pages import ShadowCounters, ShadowPages
from minihv.terms import LARGE_PAGE_BYTES, Spa

PAGING, ACCESS, RESULT = "const struct mhv_paging *", "const struct mhv_access *", "struct mhv_walk_result *"
SIGNATURES = {
    "root": f"uint64_t(void *, {PAGING})",
    "fill": f"void(void *, {PAGING}, uint64_t, {ACCESS}, {RESULT})",
    "written": "void(void *, uint64_t, uint64_t)",
    "invalidate_page": f"void(void *, {PAGING}, uint64_t)",
    "invalidate_all": "void(void *)",
    "drop": "void(void *)",
    "take_stale": "_Bool(void *)",
}
"""Of the functions of ``struct mhv_shadow_service``."""


@dataclass(frozen=True, slots=True)
class ShadowOptions:
    """How the shadow tables of a partition are kept."""

    policy: ShadowPolicy = ShadowPolicy.UNSYNC
    frame_count: int | None = None
    """Frames for shadow pages; None: enough for two sets of tables over all of the partition's RAM."""
    keep_large: bool = True
    """Pages of 2 MiB stay whole where they can; else all are made of small ones."""

    def frames_for(self, memory_bytes: int) -> int:
        """Frames for shadow pages of a partition with ``memory_bytes`` of RAM."""
        return 64 + 2 * (memory_bytes // LARGE_PAGE_BYTES) if self.frame_count is None else self.frame_count


class ShadowTables:
    """Shadow tables in ``frame_count`` frames at ``base``, over the second-level tables at ``second``.

    ``handle`` is a ``struct mhv_shadow_service``. Close it before the processor.
    """

    def __init__(
        self, processor: Processor, second: Paging, base: Spa, frame_count: int, options: ShadowOptions
    ) -> None:
        self._processor = processor
        self._tables: Shadow | native_shadow.Shadow
        self.handle = ffi.new("struct mhv_shadow_service *")
        policy, keep_large = options.policy, options.keep_large
        if processor.core is Core.REFERENCE:
            self._tables = reference(processor.memory, second, base, frame_count, options)
            self._callbacks = Callbacks(self._tables, processor.walk_failed, self.handle)
        else:
            self._tables = native_shadow.Shadow(
                processor.memory, second, base, frame_count, policy, keep_large=keep_large
            )
            lib.mhv_shadow_serve(self._tables.handle, self.handle)
        lib.mhv_processor_add_shadow(processor.handle, self.handle)

    @property
    def counters(self) -> ShadowCounters:
        """Shadow pages in use, the most that were, and those that had to go."""
        return self._tables.counters

    def root(self, guest: Paging) -> int | None:
        """The SPA of the top shadow table for the guest's registers."""
        return self._tables.root(guest)

    def drop(self) -> None:
        """Forgets everything; flush the processor too."""
        self._tables.drop()

    def take_writes(self) -> None:
        """No page may be written any more before ring -1 hears of it; flush the processor too."""
        self._tables.take_writes()

    def close(self) -> None:
        """The processor no longer asks."""
        lib.mhv_processor_remove_shadow(self._processor.handle, self.handle)


def reference(
    memory: SystemMemory, second: Paging, base: Spa, frame_count: int, options: ShadowOptions
) -> Shadow:
    """The Python shadow tables over the machine's memory."""
    view = BufferMemory(memory.view)
    pages = ShadowPages(view, base, frame_count)
    return Shadow(view, second, pages, options.policy, keep_large=options.keep_large)


class Callbacks:
    """Fills a ``struct mhv_shadow_service`` with the methods of the Python shadow tables."""

    def __init__(self, shadow: Shadow, failed: Callable[[BaseException], None], service: Any) -> None:
        self._shadow, self._failed = shadow, failed
        self._kept = []
        for name, signature in SIGNATURES.items():
            callback = ffi.callback(signature, getattr(self, f"_{name}"), onerror=self._on_error)
            self._kept.append(callback)
            setattr(service, name, callback)

    def _on_error(self, _kind: object, failure: BaseException, _where: object) -> None:
        self._failed(failure)

    def _root(self, _user: Any, guest: Any) -> int:
        root = self._shadow.root(paging_of(guest))
        return native_shadow.NOWHERE if root is None else root

    def _fill(self, _user: Any, guest: Any, gva: int, access: Any, ret: Any) -> None:
        ret.outcome = lib.MHV_NOT_CANONICAL
        ret[0] = struct_of(self._shadow.fill(paging_of(guest), gva, access_of(access)))[0]

    def _written(self, _user: Any, spa: int, byte_count: int) -> None:
        self._shadow.written(spa, byte_count)

    def _invalidate_page(self, _user: Any, guest: Any, gva: int) -> None:
        self._shadow.invalidate_page(paging_of(guest), gva)

    def _invalidate_all(self, _user: Any) -> None:
        self._shadow.invalidate_all()

    def _drop(self, _user: Any) -> None:
        self._shadow.drop()

    def _take_stale(self, _user: Any) -> bool:
        return self._shadow.take_stale()
