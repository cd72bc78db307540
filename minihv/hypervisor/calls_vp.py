"""The calls about virtual processors: registers, translation, and the hint of a long wait.

Stands for: ring -1's virtual processor calls.
Spec: TLFS, "Virtual Processors"; the reference of the calls by their names.
Simplified: the registers of ``minihv.hypervisor.vp.REGISTER_NAMES``.
"""

from minihv.hypervisor.call_form import SELF, Answer, Call, Request, target_vp
from minihv.hypervisor.vp import REGISTER_NAMES, SEGMENTS, TABLES, SegmentValue
from minihv.spec.hypercalls import CallCode, Status
from minihv.terms import PAGE_BYTES, Gva


def notify_long_spin_wait(_request: Request) -> Answer:
    """HvNotifyLongSpinWait: a hint, always taken note of."""
    return Answer(Status.SUCCESS)


def get_vp_registers(request: Request) -> Answer:
    """HvGetVpRegisters: 16 bytes for each register name of the list."""
    vp = target_vp(request)
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
    vp = target_vp(request)
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
    CallCode.GET_VP_REGISTERS: Call(get_vp_registers, 16, element_bytes=4, output_element_bytes=16),
    CallCode.SET_VP_REGISTERS: Call(set_vp_registers, 16, element_bytes=32),
    CallCode.TRANSLATE_VIRTUAL_ADDRESS: Call(translate_virtual_address, header_bytes=32, output_bytes=16),
}
