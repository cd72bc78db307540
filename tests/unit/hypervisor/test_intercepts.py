"""Intercepts: what the parent hears of a child, in which message, and how the child goes on."""

from typing import Any

import pytest
from calling_parent import INTERCEPT_VECTOR, Child, Parent, header_of
from calls_made import words
from machines import CODE, STACK

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.intercepts import Intercepts
from minihv.hypervisor.states import Suspension, VpState
from minihv.machine.processor import Core, PagingMode
from minihv.spec.hypercalls import CallCode, RegisterName, Status
from minihv.spec.intercepts import (
    AccessType,
    CpuidMessage,
    ExceptionMessage,
    InterceptType,
    MemoryMessage,
    MsrMessage,
    PortMessage,
)
from minihv.spec.synic import MessageSlot, MessageType
from minihv.spec.x86_exceptions import Vector

INSTALL = CallCode.INSTALL_INTERCEPT
MASKS = {kind: 4 if kind in (InterceptType.CPUID, InterceptType.EXCEPTION) else 3 for kind in InterceptType}
MODES = [
    (PagingMode.SLAT, Core.NATIVE),
    (PagingMode.SLAT, Core.REFERENCE),
    (PagingMode.HARDWARE, Core.NATIVE),
    (PagingMode.SHADOW, Core.NATIVE),
]
HOLE = "mov rax, 0x40000083; mov [0x5008], rax;"
"""GVA 2 MiB leads to a GPA where nothing is: 1 GiB."""


def install(parent: Parent, child: Child, kind: InterceptType, parameter: int = 0, mask: int = -1) -> Status:
    """The parent wants to hear of such accesses; with mask 0 no more."""
    mask = MASKS[kind] if mask < 0 else mask
    return parent.status(INSTALL, child.id, mask | kind << 32, parameter)


def heard(parent: Parent, child: Child, kind: MessageType) -> MessageSlot:
    """The message that waits in the parent's slot, when it is of ``kind`` and the child waits too."""
    slot = parent.message()
    assert MessageType(slot.type) is kind and slot.origin == child.id
    assert child.vp.suspensions is Suspension.INTERCEPT
    assert parent.machine.vp.apic.requested >> INTERCEPT_VECTOR & 1
    return slot


def payload(layout: Any, slot: MessageSlot) -> Any:
    assert slot.payload_bytes == layout.byte_count
    return layout(bytearray(slot.payload))


# Ports.


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_port_access_is_answered_by_registers(paging: PagingMode, core: Core) -> None:
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot("mov eax, 0x55; mov dx, 0x1F7; in al, dx; mov ebx, eax; hlt")
        assert install(parent, child, InterceptType.IO_PORT, 0x1F7) is Status.SUCCESS
        child.run()
        found = payload(PortMessage, heard(parent, child, MessageType.IO_PORT_INTERCEPT))
        assert (found.port, found.access.size, found.access.is_string) == (0x1F7, 1, False)
        assert (found.header.access_type, found.header.instruction.length) == (AccessType.READ, 1)
        assert (found.rax, found.header.rip) == (0x55, CODE + 9)
        rip = found.header.rip + found.header.instruction.length
        parent.resume(child.id, 0, (RegisterName.RAX, 0x77), (RegisterName.RIP, rip))
        parent.run()
        assert (child.vp.read("rbx"), child.vp.state) == (0x77, VpState.HALTED)
        assert child.vp.why == ""


def test_output_tells_the_value_in_the_accumulator() -> None:
    with Parent() as parent:
        child = parent.boot("mov eax, 0x12345678; out 0x70, ax; hlt")
        install(parent, child, InterceptType.IO_PORT, 0x70)
        child.run()
        found = payload(PortMessage, heard(parent, child, MessageType.IO_PORT_INTERCEPT))
        assert (found.header.access_type, found.access.size, found.rax) == (AccessType.WRITE, 2, 0x1234_5678)


def test_string_input_is_the_parent_s_to_store_and_to_count() -> None:
    with Parent() as parent:
        child = parent.boot("mov ecx, 2; mov edi, 0x9000; mov edx, 0x1F0; cld; rep insw; hlt")
        install(parent, child, InterceptType.IO_PORT, 0x1F0)
        child.run()
        for element in range(2):
            found = payload(PortMessage, heard(parent, child, MessageType.IO_PORT_INTERCEPT))
            assert found.access.is_string and found.access.is_repeated
            assert (found.rcx, found.rdi) == (2 - element, 0x9000 + 2 * element)
            assert found.instruction_bytes[:3] == b"\x66\xf3\x6d" and found.instruction_byte_count == 15
            assert found.es.selector == child.vp.read_segment("es").selector
            data = 0xAB00 + element
            assert parent.call(CallCode.WRITE_GPA, words(child.id, 2 << 32, found.rdi, 0, data, 0))[0] == 0
            done = found.header.rip + (found.header.instruction.length if found.rcx == 1 else 0)
            parent.resume(
                child.id,
                0,
                (RegisterName.RCX, found.rcx - 1),
                (RegisterName.RDI, found.rdi + 2),
                (RegisterName.RIP, done),
            )
            parent.run()
        assert child.vp.state is VpState.HALTED
        assert parent.space.read(child.base + 0x9000, 4) == b"\x00\xab\x01\xab"


def test_port_that_nobody_asked_for_is_an_open_bus() -> None:
    with Parent() as parent:
        child = parent.boot("in al, 0x71; mov bl, al; out 0x71, al; mov al, 65; out 0xE9, al; hlt")
        install(parent, child, InterceptType.IO_PORT, 0x70)
        child.run()
        assert child.vp.read("rbx") == 0xFF and child.partition.console == b"A"
        assert parent.message().type == MessageType.NONE


@pytest.mark.parametrize("port", [0xE9, 0xF4])
def test_debug_console_and_shutdown_port_stay_with_ring_minus_1(port: int) -> None:
    with Parent() as parent:
        child = parent.boot(f"mov al, 66; out {port}, al; hlt")
        install(parent, child, InterceptType.IO_PORT, port)
        child.run()
        assert parent.message().type == MessageType.NONE
        assert (bytes(child.partition.console), child.partition.exit_status) in ((b"B", None), (b"", 66))


def test_removed_intercept_is_heard_of_no_more() -> None:
    with Parent() as parent:
        child = parent.boot("in al, 0x71; mov bl, al; hlt")
        install(parent, child, InterceptType.IO_PORT, 0x71)
        assert install(parent, child, InterceptType.IO_PORT, 0x71, mask=0) is Status.SUCCESS
        child.run()
        assert child.vp.read("rbx") == 0xFF


# MSRs and CPUID.


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_unknown_msr_is_answered_by_registers(paging: PagingMode, core: Core) -> None:
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot("mov ecx, 0x8B; rdmsr; mov ebx, eax; mov esi, edx; hlt")
        assert install(parent, child, InterceptType.MSR) is Status.SUCCESS
        child.run()
        found = payload(MsrMessage, heard(parent, child, MessageType.MSR_INTERCEPT))
        assert (found.number, found.header.access_type) == (0x8B, AccessType.READ)
        rip = (RegisterName.RIP, found.header.rip + found.header.instruction.length)
        parent.resume(child.id, 0, (RegisterName.RAX, 7), (RegisterName.RDX, 8), rip)
        parent.run()
        assert (child.vp.read("rbx"), child.vp.read("rsi")) == (7, 8)


def test_written_msr_tells_its_value() -> None:
    with Parent() as parent:
        child = parent.boot("mov ecx, 0x8B; mov eax, 1; mov edx, 2; wrmsr; hlt")
        install(parent, child, InterceptType.MSR, parameter=55)
        child.run()
        found = payload(MsrMessage, heard(parent, child, MessageType.MSR_INTERCEPT))
        assert (found.header.access_type, found.rax, found.rdx) == (AccessType.WRITE, 1, 2)


@pytest.mark.parametrize("number", [0x8B, 0x4000_0002])
def test_msr_is_general_protection_where_the_parent_does_not_ask_or_ring_minus_1_knows_it(
    number: int,
) -> None:
    with Parent() as parent:
        child = parent.boot(f"mov ecx, {number}; wrmsr; hlt")
        if number != 0x8B:
            install(parent, child, InterceptType.MSR)
        child.run()
        frame = parent.space.read(child.base + child.vp.read("rsp"), 8)
        assert parent.message().type == MessageType.NONE and frame == bytes(8)
        assert child.vp.counters.exceptions[Vector.GP] == 1


def test_cpuid_leaf_is_answered_by_the_parent_and_others_by_ring_minus_1() -> None:
    code = "mov eax, 0x40000000; cpuid; mov esi, ebx; mov eax, 1; xor ecx, ecx; cpuid; hlt"
    with Parent() as parent:
        child = parent.boot(code)
        assert install(parent, child, InterceptType.CPUID, 1) is Status.SUCCESS
        child.run()
        found = payload(CpuidMessage, heard(parent, child, MessageType.CPUID_INTERCEPT))
        assert (found.rax, found.rcx, found.default_rax) == (1, 0, 0x0080_0F12)
        assert found.default_rcx >> 31 and child.vp.read("rsi") == 0x7263_694D
        rip = (RegisterName.RIP, found.header.rip + found.header.instruction.length)
        parent.resume(child.id, 0, (RegisterName.RAX, 0x1234), rip)
        parent.run()
        assert (child.vp.read("rax"), child.vp.state) == (0x1234, VpState.HALTED)


def test_vp_that_comes_later_is_intercepted_alike() -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        install(parent, child, InterceptType.CPUID, 1)
        install(parent, child, InterceptType.EXCEPTION, Vector.UD)
        assert parent.status(CallCode.CREATE_VP, child.id, 1, 0, 0) is Status.SUCCESS
        second = child.partition.vps[1]
        assert not second.handle.cpuid and second.control.intercept_exceptions == 1 << Vector.UD
        install(parent, child, InterceptType.EXCEPTION, Vector.UD, mask=0)
        assert second.control.intercept_exceptions == 0


# Memory.


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_gpa_where_nothing_is_is_told_and_may_be_mapped(paging: PagingMode, core: Core) -> None:
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot(HOLE + "mov rsi, 0x200010; mov rbx, [rsi]; hlt")
        child.run()
        found = payload(MemoryMessage, heard(parent, child, MessageType.UNMAPPED_GPA))
        assert (found.gpa, found.header.access_type, found.flags.gva_valid) == (1 << 30 | 0x10, 0, False)
        assert found.instruction_bytes[:3] == b"\x48\x8b\x1e" and found.instruction_byte_count == 15
        assert (found.registers.rsi, found.registers.rsp) == (0x20_0010, STACK)
        page = parent.pages(1)[0]
        parent.space.write(page * 4096 + 0x10, words(0x99))
        assert parent.map(child.id, 1 << 18, [page]) == (Status.SUCCESS, 1)
        parent.resume(child.id, 0)
        parent.run()
        assert (child.vp.read("rbx"), child.vp.state) == (0x99, VpState.HALTED)


@pytest.mark.parametrize(("paging", "core"), MODES)
@pytest.mark.parametrize(
    ("code", "rights", "access"),
    [
        ("mov [0x9000], rbx; hlt", 1, AccessType.WRITE),
        ("jmp [0x9000]", 3, AccessType.EXECUTE),
        ("mov rbx, [0x9000]; hlt", 0, AccessType.READ),
    ],
)
def test_access_that_the_map_does_not_allow_is_told(
    code: str, rights: int, access: AccessType, paging: PagingMode, core: Core
) -> None:
    if access is AccessType.EXECUTE:
        code = "mov rax, 0x9000; jmp rax"
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot(code)
        parent.map(child.id, 9, parent.pages(1), rights)
        child.run()
        found = payload(MemoryMessage, heard(parent, child, MessageType.GPA_INTERCEPT))
        assert (found.gpa, found.header.access_type) == (0x9000, access)
        assert (found.instruction_byte_count == 0) == (access is AccessType.EXECUTE)


def test_event_on_its_way_is_delivered_again_when_its_stack_is_there() -> None:
    with Parent() as parent:
        child = parent.boot("mov rsp, 0xA000; ud2")
        parent.call(CallCode.UNMAP_GPA_PAGES, words(child.id, 9), count=1)
        child.run()
        found = payload(MemoryMessage, heard(parent, child, MessageType.UNMAPPED_GPA))
        assert found.header.execution_state.interruption_pending
        assert parent.register(child.id, 0, RegisterName.PENDING_INTERRUPTION) == 1 | 3 << 1 | Vector.UD << 16
        parent.map(child.id, 9, parent.pages(1))
        parent.resume(child.id, 0)
        parent.run()
        assert child.vp.counters.exceptions[Vector.UD] == 1 and child.vp.state is VpState.HALTED


# Exceptions, and the end.


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_exception_is_told_and_may_be_given_to_the_guest_after_all(paging: PagingMode, core: Core) -> None:
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot("mov eax, 0x38; mov ds, ax; hlt")
        assert install(parent, child, InterceptType.EXCEPTION, Vector.GP) is Status.SUCCESS
        child.run()
        found = payload(ExceptionMessage, heard(parent, child, MessageType.EXCEPTION_INTERCEPT))
        assert (found.vector, found.error_code, found.flags.error_code_valid) == (Vector.GP, 0x38, True)
        assert found.header.rip == CODE + 5 and found.registers.rax == 0x38
        pending = 1 | 3 << 1 | 1 << 4 | Vector.GP << 16 | 0x38 << 32
        parent.resume(child.id, 0, (RegisterName.PENDING_INTERRUPTION, pending))
        parent.run()
        assert child.vp.counters.exceptions[Vector.GP] == 1
        assert parent.space.read(child.base + child.vp.read("rsp"), 8) == words(0x38)


def test_page_fault_tells_its_address() -> None:
    with Parent() as parent:
        child = parent.boot("mov rax, [0x40000123]; hlt")
        install(parent, child, InterceptType.EXCEPTION, Vector.PF)
        child.run()
        found = payload(ExceptionMessage, heard(parent, child, MessageType.EXCEPTION_INTERCEPT))
        assert (found.vector, found.parameter, found.error_code) == (Vector.PF, 0x4000_0123, 0)


def test_page_fault_cannot_be_asked_for_without_nested_paging() -> None:
    with Parent(paging=PagingMode.SHADOW) as parent:
        child = parent.boot("hlt")
        status = install(parent, child, InterceptType.EXCEPTION, Vector.PF)
        assert status is Status.FEATURE_UNAVAILABLE


@pytest.mark.parametrize(("paging", "core"), MODES)
def test_triple_fault_is_told_and_the_vp_waits(paging: PagingMode, core: Core) -> None:
    with Parent(paging=paging, core=core) as parent:
        child = parent.boot("lidt [0x8000]; ud2")
        child.run()
        slot = heard(parent, child, MessageType.UNRECOVERABLE_EXCEPTION)
        assert header_of(slot).rip == CODE + 8 and not child.partition.has_stopped
        assert child.vp.why == "VP 0 waits for partition 1 to answer UNRECOVERABLE_EXCEPTION"


# Nobody hears.


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("mov ecx, 0x8B; rdmsr", VpState.HALTED),
        ("in al, 0x70; cmp al, 0xFF; je 1f; ud2; 1: hlt", VpState.HALTED),
        ("ud2", VpState.HALTED),
        ("mov rax, [0x40000000]", VpState.HALTED),
        ("mov eax, 1; cpuid; hlt", VpState.HALTED),
        ("lidt [0x8000]; ud2", VpState.TRIPLE_FAULT),
        (HOLE + "mov rbx, [0x200010]; hlt", VpState.SUSPENDED),
    ],
)
def test_child_of_a_parent_that_cannot_be_told_goes_on_as_without_one(code: str, state: VpState) -> None:
    with Parent(hears=False) as parent:
        child = parent.boot(code)
        for kind, parameter in (
            (InterceptType.MSR, 0),
            (InterceptType.IO_PORT, 0x70),
            (InterceptType.EXCEPTION, Vector.UD),
            (InterceptType.EXCEPTION, Vector.PF),
            (InterceptType.CPUID, 1),
        ):
            assert install(parent, child, kind, parameter) is Status.SUCCESS
        child.run()
        assert child.vp.state is state


def test_parent_that_does_not_read_its_messages_hears_of_the_next_later() -> None:
    with Parent() as parent:
        child = parent.boot("in al, 0x70; in al, 0x70; in al, 0x70; hlt")
        install(parent, child, InterceptType.IO_PORT, 0x70)
        child.run()
        parent.resume(child.id, 0, (RegisterName.RIP, CODE + 2))
        parent.run()
        assert child.vp.suspensions is Suspension.INTERCEPT  # the second message waits for the slot
        parent.resume(child.id, 0, (RegisterName.RIP, CODE + 4))
        parent.run()  # the third has no buffer: an open bus
        assert child.vp.state is VpState.HALTED
        assert [header_of(parent.message()).rip for _ in range(2)] == [CODE, CODE + 2]


# HvInstallIntercept.


@pytest.mark.parametrize(
    ("kind", "parameter", "mask"),
    [
        (0, 0x1_0000, 3),
        (0, 0x70, 1),
        (0, 0x70, 4),
        (2, 1 << 32, 4),
        (2, 1, 3),
        (3, 32, 4),
        (3, 1, 1),
        (4, 0, 4),
    ],
)
def test_intercept_that_cannot_be_is_refused(kind: int, parameter: int, mask: int) -> None:
    with Parent() as parent:
        child = parent.boot("hlt")
        assert parent.status(INSTALL, child.id, mask | kind << 32, parameter) is Status.INVALID_PARAMETER
        assert child.partition.intercepts == Intercepts()


def test_partition_does_not_intercept_itself() -> None:
    with Parent() as parent:
        assert parent.status(INSTALL, SELF, 3, 0x70) is Status.ACCESS_DENIED
