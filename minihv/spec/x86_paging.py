"""Entries of x86-64 page tables at all levels, and the error code of a page fault.

Stands for: what the page-miss handler of the processor reads.
Spec: AMD APM vol. 2, "Long-Mode Page Translation", "Page-Translation-Table Entry Fields" and "Page-Fault
    (#PF) Error Code"; Intel SDM vol. 3A, "4-Level Paging and 5-Level Paging".
Twin: ``native/core/include/minihv/x86.h``, held equal by ``tests/layouts/test_x86.py``.
Next: ``minihv.paging.formats``
"""

from minihv.spec.bits import Bits, field, flag


class TableEntry(Bits, width=64):
    """An entry that names the next table: PML5E and PML4E always, PDPTE and PDE when ``large`` is 0.

    Spec: AMD APM vol. 2, "4-Kbyte Page Translation" (the formats of PML4E, PDPE and PDE) and, for the PML5E,
    "5-Level Paging". Bit 7 must be 0 in a PML5E and a PML4E.
    """

    present = flag(0)
    writable = flag(1)
    user = flag(2)
    write_through = flag(3)
    cache_disable = flag(4)
    accessed = flag(5)
    large = flag(7)
    available = field(11, 9)
    frame = field(51, 12)
    available_high = field(62, 52)
    no_execute = flag(63)


class PageEntry(Bits, width=64):
    """A PTE: it names a page of 4 KiB.  Spec: AMD APM vol. 2, "4-Kbyte Page Translation"."""

    present = flag(0)
    writable = flag(1)
    user = flag(2)
    write_through = flag(3)
    cache_disable = flag(4)
    accessed = flag(5)
    dirty = flag(6)
    attribute = flag(7)
    global_page = flag(8)
    available = field(11, 9)
    frame = field(51, 12)
    available_high = field(58, 52)
    protection_key = field(62, 59)
    no_execute = flag(63)


class LargePageEntry2M(Bits, width=64):
    """A PDE with ``large`` = 1: a page of 2 MiB.  Spec: AMD APM vol. 2, "2-Mbyte Page Translation"."""

    present = flag(0)
    writable = flag(1)
    user = flag(2)
    write_through = flag(3)
    cache_disable = flag(4)
    accessed = flag(5)
    dirty = flag(6)
    large = flag(7)
    global_page = flag(8)
    available = field(11, 9)
    attribute = flag(12)
    frame = field(51, 21)
    available_high = field(58, 52)
    protection_key = field(62, 59)
    no_execute = flag(63)


class LargePageEntry1G(Bits, width=64):
    """A PDPTE with ``large`` = 1: a page of 1 GiB.  Spec: AMD APM vol. 2, "1-Gbyte Page Translation"."""

    present = flag(0)
    writable = flag(1)
    user = flag(2)
    write_through = flag(3)
    cache_disable = flag(4)
    accessed = flag(5)
    dirty = flag(6)
    large = flag(7)
    global_page = flag(8)
    available = field(11, 9)
    attribute = flag(12)
    frame = field(51, 30)
    available_high = field(58, 52)
    protection_key = field(62, 59)
    no_execute = flag(63)


class PageFaultCode(Bits, width=32):
    """What #PF pushes.  Spec: AMD APM vol. 2, "Page-Fault (#PF) Error Code"."""

    present = flag(0)
    write = flag(1)
    user = flag(2)
    reserved = flag(3)
    fetch = flag(4)
    protection_key = flag(5)
    shadow_stack = flag(6)
    rmp = flag(31)


PRESENT = PageEntry.present.mask
WRITABLE = PageEntry.writable.mask
USER = PageEntry.user.mask
WRITE_THROUGH = PageEntry.write_through.mask
CACHE_DISABLE = PageEntry.cache_disable.mask
ACCESSED = PageEntry.accessed.mask
DIRTY = PageEntry.dirty.mask
LARGE = TableEntry.large.mask
GLOBAL = PageEntry.global_page.mask
FRAME = PageEntry.frame.mask
NO_EXECUTE = PageEntry.no_execute.mask
LARGE_ATTRIBUTE = LargePageEntry2M.attribute.mask

PF_PRESENT = PageFaultCode.present.mask
PF_WRITE = PageFaultCode.write.mask
PF_USER = PageFaultCode.user.mask
PF_RESERVED = PageFaultCode.reserved.mask
PF_FETCH = PageFaultCode.fetch.mask
