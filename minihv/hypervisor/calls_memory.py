"""The calls about memory: the memory pools of partitions, their GPA maps, and accesses to a few bytes.

Stands for: ring -1's memory calls.
Spec: TLFS, "Partition Memory Pools", "Guest Physical Address Spaces"; the reference of the calls by names.
Simplified: a page is deposited once, and is the donor's own page again when it comes back. A partition
    without a parent has no pool. No proximity; no intercepts by HvReadGpa and HvWriteGpa.
First reading: ``deposit_memory``, ``map_gpa_pages``.
Next: ``minihv.hypervisor.pool``
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minihv.errors import ConfigurationError
from minihv.hypervisor.call_form import Answer, Call, Request, child
from minihv.hypervisor.gpa_map import NOWHERE, READ, VALID_RIGHTS, WRITE, runs
from minihv.hypervisor.gpa_space import MOST_PAGES
from minihv.hypervisor.pool import MemoryPool
from minihv.hypervisor.privileges import Privilege
from minihv.hypervisor.states import PartitionState
from minihv.spec.hypercalls import CallCode, Status
from minihv.terms import PAGE_BYTES, PAGE_SHIFT

if TYPE_CHECKING:
    from minihv.hypervisor.gpa_space import GpaSpace

UNINITIALIZED, ACTIVE, FINALIZED = PartitionState
MOST_ACCESS_BYTES = 16
ACCESS_SUCCESS, ACCESS_UNMAPPED, ACCESS_READ, ACCESS_WRITE, ACCESS_OVERLAY = range(5)
"""Results of HvReadGpa and HvWriteGpa.  Spec: TLFS, "HV_ACCESS_GPA_RESULT_CODE"."""


def pool_of(request: Request, *states: PartitionState) -> MemoryPool | Status:
    """The memory pool of the child that a call names."""
    partition = child(request, *states)
    if isinstance(partition, Status):
        return partition
    return partition.pool if isinstance(partition.pool, MemoryPool) else Status.OPERATION_DENIED


def deposit_memory(request: Request) -> Answer:
    """HvDepositMemory: pages of the caller's own RAM pay for what ring -1 will keep about a child.

    They are not there any more in the caller's GPA space. A page that a partition is made of is refused.
    """
    pool = pool_of(request, UNINITIALIZED, ACTIVE)
    if isinstance(pool, Status):
        return Answer(pool)
    donor = request.caller.partition.gpa_space
    for done, element in enumerate(request.elements):
        gpn = int.from_bytes(element, "little")
        refusal = undepositable(request, gpn)
        if refusal is not None:
            return Answer(refusal, done=done)
        try:
            spn = donor.take_out(gpn)
        except ConfigurationError:
            return Answer(Status.NO_RESOURCES, done=done)  # ring -1 has no frame to split a large page with
        pool.deposit(spn, gpn)
    return Answer(Status.SUCCESS, done=len(request.elements))


def undepositable(request: Request, gpn: int) -> Status | None:
    """Why page ``gpn`` of the caller cannot be deposited."""
    space, frames = request.caller.partition.gpa_space, request.hypervisor.memory.frames
    spa = space.spa_of(gpn << PAGE_SHIFT)
    if spa is None or frames.owner_of(spa) != request.caller.partition.id:
        return Status.INVALID_PARAMETER
    is_in_use = frames.shares[spa >> PAGE_SHIFT] or space.overlay_at(gpn << PAGE_SHIFT) is not None
    return Status.OBJECT_IN_USE if is_in_use else None


def withdraw_memory(request: Request) -> Answer:
    """HvWithdrawMemory: unused pages of the pool are the caller's again, zeroed, where they were."""
    pool = pool_of(request, *PartitionState)
    if isinstance(pool, Status):
        return Answer(pool)
    donor, output = request.caller.partition.gpa_space, b""
    taken = pool.withdraw(len(request.reps))
    for spn, gpn in taken:
        donor.put_back(gpn, spn)
        output += gpn.to_bytes(8, "little")
    status = Status.SUCCESS if len(taken) == len(request.reps) else Status.NO_RESOURCES
    return Answer(status, output, len(taken))


def get_memory_balance(request: Request) -> Answer:
    """HvGetMemoryBalance: how many pages of the pool are unused, and how many in use."""
    pool = pool_of(request, *PartitionState)
    if isinstance(pool, Status):
        return Answer(pool)
    return Answer(Status.SUCCESS, pool.available.to_bytes(8, "little") + pool.in_use.to_bytes(8, "little"))


def map_gpa_pages(request: Request) -> Answer:
    """HvMapGpaPages: pages of a child, one behind the other, are those of the caller that are listed."""
    first, sources = request.u64(8) + request.reps.start, numbers(request)
    targets = np.arange(len(sources), dtype=np.uint64) + np.uint64(min(first, MOST_PAGES))
    return map_listed(request, request.u32(16), targets, sources)


def map_sparse_gpa_pages(request: Request) -> Answer:
    """HvMapSparseGpaPages: each element names the page of the child, and the caller's that it shall be."""
    pairs = numbers(request).reshape(-1, 2)
    return map_listed(request, request.u32(8), pairs[:, 0], pairs[:, 1])


def map_listed(
    request: Request, rights: int, targets: NDArray[np.uint64], sources: NDArray[np.uint64]
) -> Answer:
    """Maps pages up to the first that cannot be; those before it stay."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    if rights not in VALID_RIGHTS:
        return Answer(Status.INVALID_PARAMETER)
    frames = request.caller.partition.gpa_space.frames_of(sources)
    bad = np.flatnonzero((frames == NOWHERE) | (targets >= np.uint64(MOST_PAGES)))
    count = int(bad[0]) if len(bad) else len(sources)
    done = 0
    for begin, length in runs(targets[:count]):
        spns = frames[begin : begin + length] - np.uint32(1)
        try:
            partition.gpa_space.map_pages(int(targets[begin]), spns, rights)
        except ConfigurationError:
            return Answer(Status.INSUFFICIENT_MEMORY, done=done)
        done += length
    return Answer(Status.SUCCESS if count == len(sources) else Status.INVALID_PARAMETER, done=count)


def unmap_gpa_pages(request: Request) -> Answer:
    """HvUnmapGpaPages: pages of a child are not there any more."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    first, count = request.u64(8) + request.reps.start, len(request.reps)
    if first + count > MOST_PAGES:
        return Answer(Status.INVALID_PARAMETER)
    try:
        partition.gpa_space.unmap_pages(first, count)
    except ConfigurationError:
        return Answer(Status.INSUFFICIENT_MEMORY)
    return Answer(Status.SUCCESS, done=count)


def read_gpa(request: Request) -> Answer:
    """HvReadGpa: up to 16 bytes of a child's memory, within a page, behind a result code."""
    found = accessed(request, READ, ACCESS_READ)
    if isinstance(found, Status):
        return Answer(found)
    space, code = found
    data = space.read(request.u64(16), request.u32(12)) if code == ACCESS_SUCCESS else b""
    return Answer(Status.SUCCESS, code.to_bytes(8, "little") + data.ljust(MOST_ACCESS_BYTES, b"\0"))


def write_gpa(request: Request) -> Answer:
    """HvWriteGpa: up to 16 bytes into a child's memory."""
    found = accessed(request, READ | WRITE, ACCESS_WRITE)
    if isinstance(found, Status):
        return Answer(found)
    space, code = found
    if code == ACCESS_SUCCESS:
        space.write(request.u64(16), request.header[32 : 32 + request.u32(12)])
    return Answer(Status.SUCCESS, code.to_bytes(8, "little"))


def accessed(request: Request, rights: int, refusal: int) -> "tuple[GpaSpace, int] | Status":
    """The GPA space that HvReadGpa and HvWriteGpa are about, and the result code of the access."""
    partition = child(request)
    if isinstance(partition, Status):
        return partition
    if request.u32(8) >= len(partition.vps):
        return Status.INVALID_VP_INDEX
    gpa, byte_count = request.u64(16), request.u32(12)
    if byte_count > MOST_ACCESS_BYTES or gpa % PAGE_BYTES + byte_count > PAGE_BYTES:
        return Status.INVALID_PARAMETER
    space = partition.gpa_space
    held = space.rights_of(gpa)
    if space.overlay_at(gpa) is not None:
        return space, ACCESS_OVERLAY
    if held is None:
        return space, ACCESS_UNMAPPED
    return space, ACCESS_SUCCESS if held & rights == rights else refusal


def numbers(request: Request) -> NDArray[np.uint64]:
    """The elements, as numbers of eight bytes each."""
    return np.frombuffer(b"".join(request.elements), dtype="<u8").astype(np.uint64)


POOL = Privilege.ACCESS_MEMORY_POOL
CALLS: dict[int, Call] = {
    CallCode.DEPOSIT_MEMORY: Call(deposit_memory, 8, element_bytes=8, privilege=POOL),
    CallCode.WITHDRAW_MEMORY: Call(withdraw_memory, 16, counted=True, output_element_bytes=8, privilege=POOL),
    CallCode.GET_MEMORY_BALANCE: Call(get_memory_balance, 16, output_bytes=16, privilege=POOL),
    CallCode.MAP_GPA_PAGES: Call(map_gpa_pages, 24, element_bytes=8),
    CallCode.MAP_SPARSE_GPA_PAGES: Call(map_sparse_gpa_pages, 16, element_bytes=16),
    CallCode.UNMAP_GPA_PAGES: Call(unmap_gpa_pages, 16, counted=True),
    CallCode.READ_GPA: Call(read_gpa, 32, output_bytes=24),
    CallCode.WRITE_GPA: Call(write_gpa, 48, output_bytes=8),
}
