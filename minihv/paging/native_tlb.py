"""The C TLB, behind the signatures of the reference.

Stands for: ``native/core/include/minihv/tlb.h``.
Simplified: no observer: it shows its results, not its steps.
Twin: ``minihv.paging.tlb``; held equal by ``tests/twins/test_tlb.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minihv.errors import ConfigurationError
from minihv.paging.access import Access
from minihv.paging.native import MemoryView, c_access, c_paging, c_ram, ffi, lib, mapping, nested_answer
from minihv.paging.nested import NestedMapping, Violation
from minihv.paging.tlb_parts import AddressSpace, Entry, Held, TlbCounters, TlbShape, each_access
from minihv.paging.walk import Mapping, NotCanonical, PageFault


class Tlb:
    """As ``minihv.paging.tlb.Tlb``, without an observer."""

    def __init__(self, memory: MemoryView, shape: TlbShape) -> None:
        self.memory, self.shape = memory, shape
        members = {name: getattr(shape, name) for name in TlbShape.__slots__}
        found = lib.mhv_tlb_create(ffi.new("struct mhv_tlb_shape *", members))
        if not found:
            raise ConfigurationError(
                f"A TLB takes as much memory as it has entries, and there is none for {shape.sets} sets of "
                f"{shape.ways} ways: choose fewer."
            )
        self.handle = ffi.gc(found, lib.mhv_tlb_destroy)

    @property
    def counters(self) -> TlbCounters:
        """What happened since it was made."""
        return tlb_counters(self.handle.counters)

    def translate(
        self, space: AddressSpace, gva: int, access: Access
    ) -> Mapping | NestedMapping | PageFault | NotCanonical | Violation:
        """What the processor makes of ``access`` to ``gva``."""
        found = ffi.new("struct mhv_walk_result *")
        inputs = c_ram(self.memory), c_space(space), gva, c_access(access)[0]
        lib.mhv_tlb_translate(self.handle, *inputs, found)
        if found.outcome == lib.MHV_MAPPED and found.second_level == 0:
            return mapping(found)
        return nested_answer(found, gva, access)

    def translate_each(
        self,
        space: AddressSpace,
        gvas: Sequence[int] | NDArray[np.uint64],
        accesses: Access | Sequence[Access],
    ) -> TlbCounters:
        """Translates ``gvas`` in their order, each with its access or all with one. What that counted."""
        numbers = ffi.from_buffer("uint64_t[]", np.ascontiguousarray(gvas, dtype=np.uint64))
        each = ffi.new("struct mhv_access[]", len(numbers))
        for i, access in enumerate(each_access(len(numbers), accesses)):
            each[i] = c_access(access)[0]
        counted = ffi.new("struct mhv_tlb_counters *")
        inputs = c_ram(self.memory), c_space(space), numbers, each, len(numbers)
        lib.mhv_tlb_translate_each(self.handle, *inputs, counted)
        return tlb_counters(counted)

    def flush_page(self, space: AddressSpace, gva: int) -> None:
        """INVLPG."""
        lib.mhv_tlb_flush_page(self.handle, space.number, space.partition, gva)

    def flush_page_everywhere(self, space: AddressSpace, gva: int) -> None:
        """INVLPGA."""
        lib.mhv_tlb_flush_page_everywhere(self.handle, space.partition, gva)

    def flush_address_space(self, space: AddressSpace) -> None:
        """A write to CR3."""
        lib.mhv_tlb_flush_address_space(self.handle, space.number, space.partition)

    def flush_partition(self, space: AddressSpace) -> None:
        """All of the partition."""
        lib.mhv_tlb_flush_partition(self.handle, space.partition)

    def flush_all(self) -> None:
        """Everything of everybody."""
        lib.mhv_tlb_flush_all(self.handle)

    def entries(self) -> list[list[tuple[int, int, Entry]]]:
        """Everything held, bank for bank, each entry with its set and its way."""
        return [
            [
                (slot // bank.ways, slot % bank.ways, tlb_entry(entry))
                for slot in range(bank.sets * bank.ways)
                if (entry := self.handle.entries[bank.begin + slot]).used
            ]
            for bank in self.handle.banks
        ]


def tlb_counters(found: Any) -> TlbCounters:
    """``struct mhv_tlb_counters`` as the reference has it."""
    return TlbCounters(*(getattr(found, name) for name in TlbCounters.__slots__))


def tlb_entry(found: Any) -> Entry:
    """``struct mhv_tlb_entry`` as the reference has it."""
    first, last = (
        Held(one.base, one.entry, one.entry_pa, one.level, one.together) if one.level else None
        for one in (found.first, found.last)
    )
    tag = found.page, found.shift, found.space, found.partition, found.is_global
    return Entry(*tag, first, last, found.used)


def c_space(space: AddressSpace) -> Any:
    """``struct mhv_address_space``."""
    second = {} if space.second is None else {"second": c_paging(space.second)[0]}
    return ffi.new(
        "struct mhv_address_space *",
        {
            "guest": c_paging(space.guest)[0],
            "two_stages": space.second is not None,
            "global_pages": space.global_pages,
            "partition": space.partition,
            "number": space.number,
        }
        | second,
    )
