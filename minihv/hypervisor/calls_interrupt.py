"""The calls by which the parent raises interrupts in a child: what its emulated chips need.

Stands for: ring -1's interrupt calls.
Spec: TLFS, "Virtual Interrupt Control", "HvCallAssertVirtualInterrupt", "HvCallClearVirtualInterrupt".
Simplified: lowest priority goes to the first VP of the destination. An external interrupt
    has no INTR line of its own: it waits in the APIC of VP 0 beside the others.
Next: ``minihv.hypervisor.apic``
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from minihv.hypervisor import startup
from minihv.hypervisor.apic import FIRST_VECTOR, VECTORS
from minihv.hypervisor.call_form import Answer, Call, Request, child
from minihv.spec.hypercalls import CallCode, Status

if TYPE_CHECKING:
    from minihv.hypervisor.partition import Partition
    from minihv.hypervisor.vp import VirtualProcessor

LEVEL, LOGICAL = 1 << 32, 1 << 33
"""In the control quadword, whose lower half is the type."""
DEASSERT = 0xFFFF_FFFF
"""For a vector: a level interrupt, or the external one, is asserted no more."""
ALL_VPS = 0xFF
"""As a destination."""


class InterruptType(IntEnum):
    """Spec: TLFS, "HV_INTERRUPT_TYPE"."""

    FIXED = 0
    LOWEST_PRIORITY = 1
    NMI = 4
    INIT = 5
    SIPI = 6
    EXTERNAL = 7


SIGNALS: "dict[int, Callable[[VirtualProcessor, int], None]]" = {
    InterruptType.NMI: lambda vp, _vector: vp.request_nmi(),
    InterruptType.INIT: lambda vp, _vector: startup.initialize(vp),
    InterruptType.SIPI: startup.start,
}
"""What goes past the priorities of the APIC."""


def assert_virtual_interrupt(request: Request) -> Answer:
    """HvAssertVirtualInterrupt."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    return Answer(assert_interrupt(partition, request.u64(8), request.u64(16), request.u32(24)))


def assert_interrupt(partition: "Partition", control: int, address: int, vector: int) -> Status:
    """An interrupt of the type in the lower half of ``control``, for the VPs that ``address`` names."""
    kind = control & 0xFFFF_FFFF
    if kind == InterruptType.EXTERNAL:
        return assert_external(partition, vector)
    if kind not in InterruptType.__members__.values():
        return Status.INVALID_PARAMETER
    vps = list(destination(partition, address, logical=bool(control & LOGICAL)))
    if not vps:
        return Status.INVALID_VP_INDEX
    if kind == InterruptType.LOWEST_PRIORITY:
        vps = vps[:1]
    if kind in SIGNALS:
        for vp in vps:
            SIGNALS[kind](vp, vector & 0xFF)
        return Status.SUCCESS
    if not FIRST_VECTOR <= vector < VECTORS:
        return Status.INVALID_PARAMETER
    for vp in vps:
        vp.apic.request(vector, level=bool(control & LEVEL))
    return Status.SUCCESS


def destination(partition: "Partition", address: int, *, logical: bool) -> "Iterable[VirtualProcessor]":
    """The VPs that a destination names: an APIC id, or a bit for each of the first eight, or all."""
    for vp in partition.vps:
        named = address >> vp.index & 1 if logical and vp.index < 8 else address == vp.index
        if named or address == ALL_VPS:
            yield vp


def assert_external(partition: "Partition", vector: int) -> Status:
    """The interrupt of an emulated PIC, always to VP 0; one that was delivered must be cleared first."""
    if not partition.vps:
        return Status.INVALID_VP_INDEX
    apic, held = partition.vps[0].apic, partition.external_vector
    if held is not None and not apic.requested >> held & 1:
        return Status.ACKNOWLEDGED
    if held is not None:
        apic.withdraw(held)
        partition.external_vector = None
    if vector == DEASSERT:
        return Status.SUCCESS
    if not FIRST_VECTOR <= vector < VECTORS:
        return Status.INVALID_PARAMETER
    apic.request(vector, auto_eoi=True)
    partition.external_vector = vector
    return Status.SUCCESS


def clear_virtual_interrupt(request: Request) -> Answer:
    """HvClearVirtualInterrupt: the external interrupt was delivered, and the next may come."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    return Answer(clear_external(partition))


def clear_external(partition: "Partition") -> Status:
    """The same, for whoever is in ring -1."""
    held = partition.external_vector
    if held is not None and partition.vps and partition.vps[0].apic.requested >> held & 1:
        return Status.NOT_ACKNOWLEDGED
    partition.external_vector = None
    return Status.SUCCESS


ASSERT = Call(assert_virtual_interrupt, header_bytes=32)
CALLS: dict[int, Call] = {
    CallCode.ASSERT_VIRTUAL_INTERRUPT: ASSERT,
    CallCode.ASSERT_VIRTUAL_INTERRUPT_V2: ASSERT,
    CallCode.CLEAR_VIRTUAL_INTERRUPT: Call(clear_virtual_interrupt, header_bytes=8),
}
