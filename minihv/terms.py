"""The words that every floor uses: addresses of three spaces, and the page.

Spec: Intel SDM vol. 3A, "Hierarchical Paging Structures: an Overview"; TLFS, "Guest Physical Address Spaces".
Next: ``minihv.errors``
"""

from typing import NewType

Gva = NewType("Gva", int)
"""Guest virtual address: what an instruction of a guest names."""

Gpa = NewType("Gpa", int)
"""Guest physical address: what the guest's page tables lead to."""

Spa = NewType("Spa", int)
"""System physical address: where the byte lies in the memory of the machine."""

PAGE_SHIFT = 12
PAGE_BYTES = 1 << PAGE_SHIFT
LARGE_PAGE_BYTES = 1 << 21
HUGE_PAGE_BYTES = 1 << 30

MIB = 1 << 20


def page_align_up(address: int) -> int:
    """The first multiple of 4096 that is not below ``address``."""
    return (address + PAGE_BYTES - 1) & -PAGE_BYTES
