"""The calls about partitions: their life, their ids, their children, their properties.

Stands for: ring -1's partition calls.
Spec: TLFS, "Partition Management", "Partition States"; the reference of the calls by their names.
Simplified: children have no children; a partition that was never initialized may be deleted at once. Deleting
    gives what is left of the memory pool back to the parent. Of the properties, those of timers are unknown.
"""

from minihv.errors import ConfigurationError
from minihv.hypervisor.call_form import Answer, Call, Request, child, target
from minihv.hypervisor.privileges import Privilege
from minihv.hypervisor.states import PartitionState
from minihv.spec.hypercalls import CallCode, PartitionProperty, Status

UNINITIALIZED, ACTIVE, FINALIZED = PartitionState
SET_LATER: dict[int, tuple[int, range]] = {
    PartitionProperty.CPU_RESERVE: (0, range(0x10001)),
    PartitionProperty.CPU_CAP: (0x10000, range(0x10001)),
    PartitionProperty.CPU_WEIGHT: (100, range(1, 10001)),
}
"""Properties that are a number: the default, and what they may be."""


def create_partition(request: Request) -> Answer:
    """HvCreatePartition: an uninitialized child; flags and proximity are not looked at."""
    parent = request.caller.partition
    if parent.parent_id:
        return Answer(Status.PARTITION_TOO_DEEP)
    made = request.hypervisor.create_child(parent)
    if made is None:
        return Answer(Status.NO_RESOURCES)
    return Answer(Status.SUCCESS, made.id.to_bytes(8, "little"))


def initialize_partition(request: Request) -> Answer:
    """HvInitializePartition: the child is active, if its memory pool can pay."""
    partition = child(request, UNINITIALIZED)
    if isinstance(partition, Status):
        return Answer(partition)
    try:
        request.hypervisor.initialize(partition)
    except ConfigurationError:
        return Answer(Status.INSUFFICIENT_MEMORY)
    return Answer(Status.SUCCESS)


def finalize_partition(request: Request) -> Answer:
    """HvFinalizePartition: everything in the child is gone, but for its memory pool."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    request.hypervisor.finalize(partition)
    return Answer(Status.SUCCESS)


def delete_partition(request: Request) -> Answer:
    """HvDeletePartition: its id is free of meaning, and its memory pool the parent's again."""
    partition = child(request, UNINITIALIZED, FINALIZED)
    if isinstance(partition, Status):
        return Answer(partition)
    request.hypervisor.delete_partition(partition.id)
    return Answer(Status.SUCCESS)


def get_partition_id(request: Request) -> Answer:
    """HvGetPartitionId: the caller's own id."""
    return Answer(Status.SUCCESS, request.caller.partition.id.to_bytes(8, "little"))


def get_next_child_partition(request: Request) -> Answer:
    """HvGetNextChildPartition: the id after ``previous child`` among the children of ``parent``, or 0."""
    parent = target(request, request.u64(0), *PartitionState)
    if isinstance(parent, Status):
        return Answer(parent)
    children = sorted(p.id for p in request.hypervisor.partitions.values() if p.parent_id == parent.id)
    previous = request.u64(8)
    if previous and previous not in children:
        return Answer(Status.INVALID_PARTITION_ID)
    following = [child for child in children if child > previous]
    return Answer(Status.SUCCESS, (following[0] if following else 0).to_bytes(8, "little"))


def get_partition_property(request: Request) -> Answer:
    """HvGetPartitionProperty: the privilege mask, the processor vendor (0 is AMD), and shares of a CPU."""
    partition = target(request, request.u64(0))
    if isinstance(partition, Status):
        return Answer(partition)
    known = {number: default for number, (default, _) in SET_LATER.items()} | partition.properties
    known |= {
        PartitionProperty.PRIVILEGE_FLAGS: int(partition.privileges),
        PartitionProperty.PROCESSOR_VENDOR: 0,
    }
    value = known.get(request.u32(8))
    if value is None:
        return Answer(Status.UNKNOWN_PROPERTY)
    return Answer(Status.SUCCESS, value.to_bytes(8, "little"))


def set_partition_property(request: Request) -> Answer:
    """HvSetPartitionProperty: of a child; its privileges only while it has no VP, and of the parent's own."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    number, value = request.u32(8), request.u64(16)
    if number == PartitionProperty.PRIVILEGE_FLAGS:
        if value & ~int(request.caller.partition.privileges):
            return Answer(Status.ACCESS_DENIED)
        if partition.vps:
            return Answer(Status.OBJECT_IN_USE)
        partition.privileges = Privilege(value)
        return Answer(Status.SUCCESS)
    if number == PartitionProperty.PROCESSOR_VENDOR:
        return Answer(Status.OPERATION_DENIED)
    if number not in SET_LATER:
        return Answer(Status.UNKNOWN_PROPERTY)
    if value not in SET_LATER[number][1]:
        return Answer(Status.PROPERTY_VALUE_OUT_OF_RANGE)
    partition.properties[number] = value
    return Answer(Status.SUCCESS)


CALLS: dict[int, Call] = {
    CallCode.CREATE_PARTITION: Call(
        create_partition, header_bytes=16, output_bytes=8, privilege=Privilege.CREATE_PARTITIONS
    ),
    CallCode.INITIALIZE_PARTITION: Call(initialize_partition, header_bytes=8),
    CallCode.FINALIZE_PARTITION: Call(finalize_partition, header_bytes=8),
    CallCode.DELETE_PARTITION: Call(delete_partition, header_bytes=8),
    CallCode.GET_PARTITION_PROPERTY: Call(get_partition_property, header_bytes=16, output_bytes=8),
    CallCode.SET_PARTITION_PROPERTY: Call(set_partition_property, header_bytes=24),
    CallCode.GET_PARTITION_ID: Call(
        get_partition_id, output_bytes=8, privilege=Privilege.ACCESS_PARTITION_ID
    ),
    CallCode.GET_NEXT_CHILD_PARTITION: Call(get_next_child_partition, header_bytes=16, output_bytes=8),
}
