"""The calls about virtual processors: their life, registers, intercepts, translation, long waits.

Stands for: ring -1's virtual processor calls.
Spec: TLFS, "Virtual Processors", "Intercepts"; the reference of the calls by their names.
Simplified: VPs are created in the order of their numbers, and deleted in the reverse.
Next: ``minihv.hypervisor.registers``
"""

from minihv.errors import ConfigurationError
from minihv.hypervisor import registers
from minihv.hypervisor.call_form import SELF, Answer, Call, Request, child, target_vp
from minihv.machine.processor import PagingMode
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.intercepts import InterceptType
from minihv.spec.x86_exceptions import Vector
from minihv.terms import PAGE_BYTES, Gva

MOST_VPS = 64


def notify_long_spin_wait(_request: Request) -> Answer:
    """HvNotifyLongSpinWait: a hint, always taken note of."""
    return Answer(Status.SUCCESS)


def create_vp(request: Request) -> Answer:
    """HvCreateVp: the next VP of a child, explicitly suspended."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    index = request.u32(8)
    if index != len(partition.vps) or index >= MOST_VPS:
        return Answer(Status.INVALID_VP_INDEX)
    try:
        request.hypervisor.add_vp(partition)
    except ConfigurationError:
        return Answer(Status.INSUFFICIENT_MEMORY)
    return Answer(Status.SUCCESS)


def delete_vp(request: Request) -> Answer:
    """HvDeleteVp: the last VP of a child."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    index = request.u32(8)
    if index >= len(partition.vps):
        return Answer(Status.INVALID_VP_INDEX)
    if index != len(partition.vps) - 1:
        return Answer(Status.OPERATION_DENIED)
    request.hypervisor.remove_vp(partition.vps[index])
    return Answer(Status.SUCCESS)


def get_vp_registers(request: Request) -> Answer:
    """HvGetVpRegisters: 16 bytes for each register name of the list."""
    vp = target_vp(request)
    if isinstance(vp, Status):
        return Answer(vp)
    output = b""
    for done, element in enumerate(request.elements):
        value = registers.read(vp, int.from_bytes(element, "little"))
        if value is None:
            return Answer(Status.INVALID_PARAMETER, output, done)
        output += value
    return Answer(Status.SUCCESS, output, len(request.elements))


def set_vp_registers(request: Request) -> Answer:
    """HvSetVpRegisters: each element is a name (4 bytes), padding to 16, and a value of 16 bytes."""
    vp = target_vp(request)
    if isinstance(vp, Status):
        return Answer(vp)
    if vp.partition is request.caller.partition:
        return Answer(Status.ACCESS_DENIED)  # a VP's own registers are set by its own instructions
    for done, element in enumerate(request.elements):
        status = registers.write(request.hypervisor, vp, int.from_bytes(element[:4], "little"), element[16:])
        if status is not Status.SUCCESS:
            return Answer(status, done=done)
    return Answer(Status.SUCCESS, done=len(request.elements))


def install_intercept(request: Request) -> Answer:
    """HvInstallIntercept: from now on the caller hears of such accesses of a child, or does not any more."""
    partition = child(request)
    if isinstance(partition, Status):
        return Answer(partition)
    mask, kind, parameter = request.u32(8), request.u32(12), request.u64(16)
    shadowed = request.hypervisor.processor.paging is PagingMode.SHADOW
    if shadowed and kind == InterceptType.EXCEPTION and parameter == Vector.PF:
        return Answer(Status.FEATURE_UNAVAILABLE)  # ring -1 needs it to keep shadow tables
    status = partition.intercepts.install(kind, parameter, mask)
    for vp in partition.vps:
        partition.show_to(vp)
    return Answer(status)


TRANSLATE_SUCCESS, TRANSLATE_PAGE_NOT_PRESENT, TRANSLATE_PRIVILEGE_VIOLATION = 0, 1, 2
TRANSLATE_GPA_UNMAPPED, TRANSLATE_INVALID_PAGE_TABLE_FLAGS = 4, 3


def translate_virtual_address(request: Request) -> Answer:
    """HvTranslateVirtualAddress: what the target VP's tables say of a page; control bits 0 R, 1 W, 2 X."""
    vp = target_vp(request)
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
    CallCode.CREATE_VP: Call(create_vp, header_bytes=32),
    CallCode.DELETE_VP: Call(delete_vp, header_bytes=16),
    CallCode.INSTALL_INTERCEPT: Call(install_intercept, header_bytes=24),
    CallCode.GET_VP_REGISTERS: Call(get_vp_registers, 16, element_bytes=4, output_element_bytes=16),
    CallCode.SET_VP_REGISTERS: Call(set_vp_registers, 16, element_bytes=32),
    CallCode.TRANSLATE_VIRTUAL_ADDRESS: Call(translate_virtual_address, header_bytes=32, output_bytes=16),
}
