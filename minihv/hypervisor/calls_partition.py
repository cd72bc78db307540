"""The calls about partitions: their ids, their children, their properties.

Stands for: ring -1's partition calls.
Spec: TLFS, "Partition Management"; the reference of the calls by their names.
Simplified: two properties.
"""

from minihv.hypervisor.call_form import Answer, Call, Request, target
from minihv.hypervisor.privileges import Privilege
from minihv.spec.hypercalls import CallCode, Status


def get_partition_id(request: Request) -> Answer:
    """HvGetPartitionId: the caller's own id."""
    return Answer(Status.SUCCESS, request.caller.partition.id.to_bytes(8, "little"))


def get_next_child_partition(request: Request) -> Answer:
    """HvGetNextChildPartition: the id after ``previous child`` among the children of ``parent``, or 0."""
    parent = target(request, request.u64(0))
    if isinstance(parent, Status):
        return Answer(parent)
    children = sorted(p.id for p in request.hypervisor.partitions.values() if p.parent_id == parent.id)
    previous = request.u64(8)
    if previous and previous not in children:
        return Answer(Status.INVALID_PARTITION_ID)
    following = [child for child in children if child > previous]
    return Answer(Status.SUCCESS, (following[0] if following else 0).to_bytes(8, "little"))


PROPERTY_PRIVILEGES, PROPERTY_VENDOR = 0x10000, 0x60000


def get_partition_property(request: Request) -> Answer:
    """HvGetPartitionProperty: the privilege mask and the processor vendor (0 is AMD)."""
    partition = target(request, request.u64(0))
    if isinstance(partition, Status):
        return Answer(partition)
    known = {PROPERTY_PRIVILEGES: int(partition.privileges), PROPERTY_VENDOR: 0}
    value = known.get(request.u32(8))
    if value is None:
        return Answer(Status.UNKNOWN_PROPERTY)
    return Answer(Status.SUCCESS, value.to_bytes(8, "little"))


CALLS: dict[int, Call] = {
    CallCode.GET_PARTITION_PROPERTY: Call(get_partition_property, header_bytes=16, output_bytes=8),
    CallCode.GET_PARTITION_ID: Call(
        get_partition_id, output_bytes=8, privilege=Privilege.ACCESS_PARTITION_ID
    ),
    CallCode.GET_NEXT_CHILD_PARTITION: Call(get_next_child_partition, header_bytes=16, output_bytes=8),
}
