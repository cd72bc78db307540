"""The Python walk as the processor's MMU: with ``MINIHV_CORE=reference`` every TLB miss comes here.

Stands for: the page-miss handler of the processor.
Spec: AMD APM vol. 2, "Nested Paging".
Simplified: none known.
Twin: ``native_walk`` in ``native/core/src/processor.c``.
"""

from dataclasses import fields
from typing import Any

from minihv.errors import InternalError
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.paging.access import Access, AccessKind, BufferMemory, Paging
from minihv.paging.nested import NestedMapping, Violation, nested_walk
from minihv.paging.shadow import Emulated, Filled
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk

SIGNATURE = (
    "void(void *, const struct mhv_paging *, const struct mhv_paging *, uint64_t, "
    "const struct mhv_access *, struct mhv_walk_result *)"
)
OUTCOMES = {
    Mapping: lib.MHV_MAPPED,
    NestedMapping: lib.MHV_MAPPED,
    Filled: lib.MHV_MAPPED,
    Emulated: lib.MHV_EMULATE,
    PageFault: lib.MHV_PAGE_FAULT,
    NotCanonical: lib.MHV_NOT_CANONICAL,
    Violation: lib.MHV_VIOLATION,
}
NOT_IN_THE_RESULT = {"gva", "kind"}
"""What the Python results say and the C struct leaves to its caller."""


class ReferenceWalker:
    """A ``struct mhv_walker`` that asks ``minihv.paging``. It must outlive the processor."""

    def __init__(self, memory: SystemMemory) -> None:
        self._memory = BufferMemory(memory.view)
        self._failure: BaseException | None = None
        self._callback = ffi.callback(SIGNATURE, self._walk)
        self.handle = ffi.new("struct mhv_walker *", {"walk": self._callback, "user": ffi.NULL})

    def raise_if_failed(self) -> None:
        """Raises what the Python walk raised while the processor was running, if it did."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise InternalError("The Python walk raised an exception, where a walk is total.") from failure

    def failed(self, failure: BaseException) -> None:
        """Python that the processor called has raised ``failure``."""
        self._failure = failure

    def _walk(self, _user: Any, guest: Any, second: Any, gva: int, access: Any, ret: Any) -> None:
        try:
            ret[0] = ffi.new("struct mhv_walk_result *", {"outcome": lib.MHV_NOT_CANONICAL})[0]
            inputs = gva, access_of(access)
            if second == ffi.NULL:
                ret[0] = struct_of(walk(self._memory, paging_of(guest), *inputs))[0]
            else:
                ret[0] = struct_of(nested_walk(self._memory, paging_of(guest), paging_of(second), *inputs))[0]
        except BaseException as failure:
            self.failed(failure)


RESULT_NAMES = {
    kind: [field.name for field in fields(kind) if field.name not in NOT_IN_THE_RESULT] for kind in OUTCOMES
}


def struct_of(found: object) -> Any:
    """What a walk found, as a new ``struct mhv_walk_result *``."""
    values = {name: getattr(found, name) for name in RESULT_NAMES[type(found)]}
    return ffi.new("struct mhv_walk_result *", values | {"outcome": OUTCOMES[type(found)]})


def paging_of(paging: Any) -> Paging:
    """A ``struct mhv_paging`` as the reference has it."""
    return Paging(
        root=paging.root,
        levels=paging.levels,
        physical_bits=paging.physical_bits,
        nxe=paging.nxe,
        wp=paging.wp,
        smep=paging.smep,
        smap=paging.smap,
    )


def access_of(access: Any) -> Access:
    """A ``struct mhv_access`` as the reference has it."""
    return Access(AccessKind(access.kind), user=access.user, ac=access.ac, implicit=access.implicit)
