"""Hypercalls: the input value, the parameter blocks, and who answers each call.

Stands for: ring -1's hypercall dispatcher.
Spec: TLFS, "Hypercall Interface": "Hypercall Inputs", "Hypercall Outputs", "Hypercall Restrictions".
Simplified: 64-bit callers only; no XMM fast calls and no variable headers (neither is announced); a rep
    call always processes all of its elements.
Next: the calls by theme, ``minihv.hypervisor.calls_partition``, ``calls_vp``, ``calls_synic``.
"""

from functools import cache
from typing import TYPE_CHECKING

from minihv.hypervisor import calls_interrupt, calls_memory, calls_partition, calls_synic, calls_vp
from minihv.hypervisor.call_form import Call, Request
from minihv.hypervisor.vp import R8, RAX, RCX, RDX
from minihv.spec.hypercalls import CallCode, HypercallInput, Status
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor
    from minihv.hypervisor.vp import VirtualProcessor

CODE, FAST = HypercallInput.call_code.mask, HypercallInput.fast.mask
REP_COUNT, REP_START, REPS = HypercallInput.rep_count.low, HypercallInput.rep_start.low, 0xFFF
NEVER_SET = (
    HypercallInput.reserved_mask() | HypercallInput.variable_header_qwords.mask | HypercallInput.nested.mask
)
"""Of the input value, for which no call has a use."""

CALLS: dict[int, Call] = {
    **calls_partition.CALLS,
    **calls_memory.CALLS,
    **calls_vp.CALLS,
    **calls_interrupt.CALLS,
    **calls_synic.CALLS,
}
"""Every call there is, by its code."""


@cache
def call_name(code: int) -> str:
    """The TLFS's name of a call code: ``HvGetPartitionId`` for 0x46; ``unknown`` for those it has not."""
    try:
        return "Hv" + CallCode(code).name.replace("_", " ").title().replace(" ", "")
    except ValueError:
        return "unknown"


def handle_hypercall(hypervisor: "Hypervisor", vp: "VirtualProcessor") -> None:
    """Performs the hypercall of ``vp``: status to RAX, and on behind the VMMCALL."""
    value = vp.gpr[RCX]
    vp.counters.hypercalls[min(value & CODE, 255)] += 1
    status, done = perform(hypervisor, vp, value)
    vp.words[RAX] = status | done << 32
    vp.advance()


def perform(hypervisor: "Hypervisor", vp: "VirtualProcessor", value: int) -> tuple[Status, int]:
    """The status of the hypercall with input ``value``, and how many elements of a rep call are done."""
    call = CALLS.get(value & CODE)
    if call is None:
        return Status.INVALID_HYPERCALL_CODE, 0
    if not vp.partition.may(call.privilege):
        return Status.ACCESS_DENIED, 0
    if value & NEVER_SET or (value & FAST and not call.may_be_fast):
        return Status.INVALID_HYPERCALL_INPUT, 0
    first, count = value >> REP_START & REPS, value >> REP_COUNT & REPS
    if (call.is_rep and first >= count) or (not call.is_rep and (first or count)):
        return Status.INVALID_HYPERCALL_INPUT, 0
    input_gpa, output_gpa = vp.gpr[RDX], vp.gpr[R8]
    if value & FAST:
        header = (input_gpa | output_gpa << 64).to_bytes(16, "little")[: call.header_bytes]
        return call.handler(Request(hypervisor, vp, header)).status, 0
    input_bytes = call.header_bytes + count * call.element_bytes
    output_bytes = call.output_bytes + count * call.output_element_bytes
    if not block_is_legal(vp, input_gpa, input_bytes):
        return Status.INVALID_ALIGNMENT, 0
    if not block_is_legal(vp, output_gpa, output_bytes, writable=True):
        return Status.INVALID_ALIGNMENT, 0
    block = vp.partition.gpa_space.read(input_gpa, input_bytes) if input_bytes else b""
    starts = range(call.header_bytes + first * call.element_bytes, input_bytes, call.element_bytes or 1)
    elements = tuple(block[at : at + call.element_bytes] for at in starts) if call.element_bytes else ()
    request = Request(hypervisor, vp, block[: call.header_bytes], elements, range(first, count))
    answer = call.handler(request)
    if answer.output:
        vp.partition.gpa_space.write(output_gpa + first * call.output_element_bytes, answer.output)
    return answer.status, first + answer.done


def block_is_legal(vp: "VirtualProcessor", gpa: int, byte_count: int, *, writable: bool = False) -> bool:
    """Whether a parameter block is 8-byte aligned, within one page, and in RAM that no overlay hides."""
    if byte_count == 0:
        return True
    if gpa % 8 or gpa % PAGE_BYTES + byte_count > PAGE_BYTES:
        return False
    return vp.partition.gpa_space.is_backed(gpa, byte_count, writable=writable)
