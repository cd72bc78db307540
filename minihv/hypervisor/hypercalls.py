"""Hypercalls: the input value, the parameter blocks, and the calls that exist so far.

Stands for: ring -1's hypercall dispatcher.
Spec: TLFS, "Hypercall Interface": "Hypercall Inputs", "Hypercall Outputs", "Hypercall Restrictions".
Simplified: 64-bit callers only; no XMM fast calls and no variable headers (neither is announced); a rep
    call always processes all of its elements.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from minihv.hypervisor.privileges import NONE, Privilege
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, TABLES, SegmentValue
from minihv.spec.hypercalls import CallCode, HypercallInput, Status
from minihv.terms import PAGE_BYTES, Gva

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.partition import Partition
    from minihv.hypervisor.vp import VirtualProcessor

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
    """The form of a hypercall. ``element_bytes`` of 0 means a simple call, else a rep call."""

    handler: Callable[[Request], Answer]
    header_bytes: int = 0
    output_bytes: int = 0
    element_bytes: int = 0
    output_element_bytes: int = 0
    privilege: Privilege = NONE

    @property
    def may_be_fast(self) -> bool:
        """Fast calls carry up to 16 bytes in registers and return nothing but a status."""
        return self.element_bytes == 0 and self.output_bytes == 0 and self.header_bytes <= 16


def _target(request: Request, partition_id: int) -> "Partition | Status":
    """The partition that a call names: the caller's own, or one of its children."""
    caller = request.caller.partition
    if partition_id in (SELF, caller.id):
        return caller
    found = request.hypervisor.partitions.get(partition_id)
    if found is None:
        return Status.INVALID_PARTITION_ID
    return found if found.parent_id == caller.id else Status.ACCESS_DENIED


def _target_vp(request: Request) -> "VirtualProcessor | Status":
    """The VP that a call names at header offsets 0 (partition) and 8 (index)."""
    partition = _target(request, request.u64(0))
    if isinstance(partition, Status):
        return partition
    index = request.u32(8)
    if index == THIS_VP and partition is request.caller.partition:
        return request.caller
    return partition.vps[index] if index < len(partition.vps) else Status.INVALID_VP_INDEX


def notify_long_spin_wait(_request: Request) -> Answer:
    """HvNotifyLongSpinWait: a hint, always taken note of."""
    return Answer(Status.SUCCESS)


def get_partition_id(request: Request) -> Answer:
    """HvGetPartitionId: the caller's own id."""
    return Answer(Status.SUCCESS, request.caller.partition.id.to_bytes(8, "little"))


def get_next_child_partition(request: Request) -> Answer:
    """HvGetNextChildPartition: the id after ``previous child`` among the children of ``parent``, or 0."""
    parent = _target(request, request.u64(0))
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
    partition = _target(request, request.u64(0))
    if isinstance(partition, Status):
        return Answer(partition)
    known = {PROPERTY_PRIVILEGES: int(partition.privileges), PROPERTY_VENDOR: 0}
    value = known.get(request.u32(8))
    if value is None:
        return Answer(Status.UNKNOWN_PROPERTY)
    return Answer(Status.SUCCESS, value.to_bytes(8, "little"))


def get_vp_registers(request: Request) -> Answer:
    """HvGetVpRegisters: 16 bytes for each register name of the list."""
    vp = _target_vp(request)
    if isinstance(vp, Status):
        return Answer(vp)
    output = b""
    for done, element in enumerate(request.elements):
        name = REGISTER_NAMES.get(int.from_bytes(element, "little"))
        if name is None:
            return Answer(Status.INVALID_PARAMETER, output, done)
        if name in TABLES:
            table = vp.read_segment(name)
            output += b"\0" * 6 + table.limit.to_bytes(4, "little")[:2] + table.base.to_bytes(8, "little")
        elif name in SEGMENTS:
            output += vp.read_segment(name).to_bytes()
        else:
            output += vp.read(name).to_bytes(16, "little")
    return Answer(Status.SUCCESS, output, len(request.elements))


def set_vp_registers(request: Request) -> Answer:
    """HvSetVpRegisters: each element is a name (4 bytes), padding to 16, and a value of 16 bytes."""
    vp = _target_vp(request)
    if isinstance(vp, Status):
        return Answer(vp)
    if vp.partition is request.caller.partition:
        return Answer(Status.ACCESS_DENIED)  # a VP's own registers are set by its own instructions
    for done, element in enumerate(request.elements):
        name, value = REGISTER_NAMES.get(int.from_bytes(element[:4], "little")), element[16:]
        if name is None:
            return Answer(Status.INVALID_PARAMETER, done=done)
        if name in TABLES:
            limit, base = int.from_bytes(value[6:8], "little"), int.from_bytes(value[8:], "little")
            vp.write_segment(name, SegmentValue(base, limit, 0, 0))
        elif name in SEGMENTS:
            vp.write_segment(name, SegmentValue.from_bytes(value))
        else:
            vp.write(name, int.from_bytes(value[:8], "little"))
    return Answer(Status.SUCCESS, done=len(request.elements))


TRANSLATE_SUCCESS, TRANSLATE_PAGE_NOT_PRESENT, TRANSLATE_PRIVILEGE_VIOLATION = 0, 1, 2
TRANSLATE_GPA_UNMAPPED, TRANSLATE_INVALID_PAGE_TABLE_FLAGS = 4, 3


def translate_virtual_address(request: Request) -> Answer:
    """HvTranslateVirtualAddress: what the target VP's tables say of a page; control bits 0 R, 1 W, 2 X."""
    vp = _target_vp(request)
    if isinstance(vp, Status):
        return Answer(vp)
    control, page = request.u64(16), request.u64(24)
    kind = 2 if control & 4 else 1 if control & 2 else 0
    found = request.hypervisor.translate(vp, Gva(page * PAGE_BYTES & SELF), kind)
    code = {0: TRANSLATE_SUCCESS, 2: TRANSLATE_PAGE_NOT_PRESENT, 3: TRANSLATE_GPA_UNMAPPED}.get(found.outcome)
    if code is None:
        reserved, present = found.error_code & 8, found.error_code & 1
        code = TRANSLATE_INVALID_PAGE_TABLE_FLAGS if reserved else present * 2 or TRANSLATE_PAGE_NOT_PRESENT
    return Answer(Status.SUCCESS, code.to_bytes(8, "little") + (found.gpa >> 12).to_bytes(8, "little"))


CALLS: dict[int, Call] = {
    CallCode.NOTIFY_LONG_SPIN_WAIT: Call(notify_long_spin_wait, header_bytes=8),
    CallCode.GET_PARTITION_PROPERTY: Call(get_partition_property, header_bytes=16, output_bytes=8),
    CallCode.GET_PARTITION_ID: Call(
        get_partition_id, output_bytes=8, privilege=Privilege.ACCESS_PARTITION_ID
    ),
    CallCode.GET_NEXT_CHILD_PARTITION: Call(get_next_child_partition, header_bytes=16, output_bytes=8),
    CallCode.GET_VP_REGISTERS: Call(get_vp_registers, 16, element_bytes=4, output_element_bytes=16),
    CallCode.SET_VP_REGISTERS: Call(set_vp_registers, 16, element_bytes=32),
    CallCode.TRANSLATE_VIRTUAL_ADDRESS: Call(translate_virtual_address, header_bytes=32, output_bytes=16),
}


def call_name(code: int) -> str:
    """The TLFS's name of a call code: ``HvGetPartitionId`` for 0x46; ``unknown`` for those it has not."""
    try:
        return "Hv" + CallCode(code).name.replace("_", " ").title().replace(" ", "")
    except ValueError:
        return "unknown"


def handle_hypercall(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """Performs the hypercall of ``vp``: status to RAX, and on behind the VMMCALL."""
    value = HypercallInput(vp.read("rcx"))
    vp.counters.hypercalls[min(value.call_code, 255)] += 1
    status, done = perform(hypervisor, vp, value)
    vp.write("rax", status | done << 32)
    vp.advance()


def perform(hypervisor: "Hypervisor", vp: "VirtualProcessor", value: HypercallInput) -> tuple[Status, int]:
    """The status, and how many elements of a rep call are done."""
    call = CALLS.get(value.call_code)
    if call is None:
        return Status.INVALID_HYPERCALL_CODE, 0
    if call.privilege & ~vp.partition.privileges:
        return Status.ACCESS_DENIED, 0
    first, count = value.rep_start, value.rep_count
    is_rep = call.element_bytes > 0
    reserved = int(value) & value.reserved_mask() or value.variable_header_qwords or value.nested
    if reserved or (value.fast and not call.may_be_fast):
        return Status.INVALID_HYPERCALL_INPUT, 0
    if (is_rep and first >= count) or (not is_rep and (first or count)):
        return Status.INVALID_HYPERCALL_INPUT, 0
    input_gpa, output_gpa = vp.read("rdx"), vp.read("r8")
    if value.fast:
        header = (input_gpa | output_gpa << 64).to_bytes(16, "little")[: call.header_bytes]
        return call.handler(Request(hypervisor, vp, header)).status, 0
    input_bytes = call.header_bytes + count * call.element_bytes
    output_bytes = call.output_bytes + count * call.output_element_bytes
    if not (block_is_legal(vp, input_gpa, input_bytes) and block_is_legal(vp, output_gpa, output_bytes)):
        return Status.INVALID_ALIGNMENT, 0
    block = vp.partition.gpa_space.read(input_gpa, input_bytes) if input_bytes else b""
    starts = range(call.header_bytes + first * call.element_bytes, input_bytes, call.element_bytes or 1)
    elements = tuple(block[at : at + call.element_bytes] for at in starts) if is_rep else ()
    answer = call.handler(Request(hypervisor, vp, block[: call.header_bytes], elements))
    if answer.output:
        vp.partition.gpa_space.write(output_gpa + first * call.output_element_bytes, answer.output)
    return answer.status, first + answer.done


def block_is_legal(vp: "VirtualProcessor", gpa: int, byte_count: int) -> bool:
    """Whether a parameter block is 8-byte aligned, within one page, and in RAM that no overlay hides."""
    if byte_count == 0:
        return True
    within_page = gpa % PAGE_BYTES + byte_count <= PAGE_BYTES
    return gpa % 8 == 0 and within_page and vp.partition.gpa_space.is_backed(gpa, byte_count)
