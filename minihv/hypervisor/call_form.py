"""What a hypercall is to those who answer it: its form, the request, the answer, and whom it may name.

Stands for: the part of ring -1's hypercall dispatcher that all calls share.
Spec: TLFS, "Hypercall Interface": "Hypercall Classes", "Hypercall Inputs".
Simplified: as in ``minihv.hypervisor.hypercalls``, which checks the form before it asks a handler.
Next: ``minihv.hypervisor.hypercalls``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from minihv.hypervisor.privileges import NONE
from minihv.hypervisor.states import PartitionState
from minihv.spec.hypercalls import Status

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.partition import Partition
    from minihv.hypervisor.vp import VirtualProcessor

ACTIVE = (PartitionState.ACTIVE,)
SELF = (1 << 64) - 1
"""The partition id that means the caller's own."""
THIS_VP = 0xFFFF_FFFE
"""The VP index that means the caller's own."""


@dataclass(frozen=True, slots=True)
class Request:
    """One hypercall as a handler sees it: checked, with its parameters copied out of the guest."""

    hypervisor: "Hypervisor"
    caller: "VirtualProcessor"
    header: bytes
    elements: tuple[bytes, ...] = ()
    reps: range = range(0)
    """Of a rep call, the numbers of the elements that are to be processed."""

    def u64(self, offset: int) -> int:
        """Eight bytes of the header."""
        return int.from_bytes(self.header[offset : offset + 8], "little")

    def u32(self, offset: int) -> int:
        """Four bytes of the header."""
        return int.from_bytes(self.header[offset : offset + 4], "little")


class Answer(NamedTuple):
    """A status, the output (of a rep call: its elements), and how many elements of the list are done."""

    status: Status
    output: bytes = b""
    done: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """The form of a hypercall. ``element_bytes`` of 0 means a simple call, unless it is ``counted``."""

    handler: Callable[[Request], Answer]
    header_bytes: int = 0
    output_bytes: int = 0
    element_bytes: int = 0
    output_element_bytes: int = 0
    privilege: int = NONE
    """Of ``Privilege``; kept as a number, since every call is asked for it."""
    counted: bool = False
    """A rep call without a list: the count alone says how often."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "privilege", int(self.privilege))

    @property
    def is_rep(self) -> bool:
        """Whether it is a rep call."""
        return self.counted or self.element_bytes > 0

    @property
    def may_be_fast(self) -> bool:
        """Fast calls carry up to 16 bytes in registers and return nothing but a status."""
        return not self.is_rep and self.output_bytes == 0 and self.header_bytes <= 16


def target(request: Request, partition_id: int, *states: PartitionState) -> "Partition | Status":
    """The partition that a call names: the caller's own, or one of its children, in one of ``states``."""
    caller = request.caller.partition
    if partition_id in (SELF, caller.id):
        return caller
    found = request.hypervisor.partitions.get(partition_id)
    if found is None:
        return Status.INVALID_PARTITION_ID
    if found.parent_id != caller.id:
        return Status.ACCESS_DENIED
    return found if found.state in (states or ACTIVE) else Status.INVALID_PARTITION_STATE


def child(request: Request, *states: PartitionState) -> "Partition | Status":
    """The child that a call names at offset 0, in one of ``states``, or active."""
    found = target(request, request.u64(0), *states)
    return Status.ACCESS_DENIED if found is request.caller.partition else found


def target_vp(request: Request) -> "VirtualProcessor | Status":
    """The VP that a call names at header offsets 0 (partition) and 8 (index)."""
    partition = target(request, request.u64(0))
    if isinstance(partition, Status):
        return partition
    index = request.u32(8)
    if index == THIS_VP and partition is request.caller.partition:
        return request.caller
    return partition.vps[index] if index < len(partition.vps) else Status.INVALID_VP_INDEX
