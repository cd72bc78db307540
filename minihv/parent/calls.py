"""The hypercalls of the management stack as orders: each function packs one.

Stands for: the library that the virtualization stack makes its hypercalls through (winhv).
Spec: TLFS, "Hypercall Code Reference"; each call by its name.
Next: ``minihv.parent.children``
"""

import struct
from collections.abc import Iterator, Sequence

from minihv.parent.orders import Hypercall
from minihv.spec.hypercalls import CallCode, MapFlags, RegisterName
from minihv.terms import PAGE_BYTES

ELEMENT_BYTES = 8
HEADER_BYTES = 24
MOST_PAGES = (PAGE_BYTES - HEADER_BYTES) // ELEMENT_BYTES
"""How many page numbers fit behind the header of a rep call in one page."""
READ_WRITE_EXECUTE = MapFlags.READ | MapFlags.WRITE | MapFlags.EXECUTE
MESSAGE_PORT, EVENT_PORT = 1, 2
FLAG_COUNT = 2048


def batches(pages: Sequence[int], most: int = MOST_PAGES) -> Iterator[Sequence[int]]:
    """Cuts ``pages`` into as many as one call takes."""
    return (pages[at : at + most] for at in range(0, len(pages), most))


def packed(*numbers: int) -> bytes:
    """Numbers of eight bytes each."""
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def create_partition() -> Hypercall:
    """HvCreatePartition: the output is the id of the new child."""
    return Hypercall(CallCode.CREATE_PARTITION, packed(0, 0), output_bytes=8)


def of_partition(code: CallCode, partition: int) -> Hypercall:
    """HvInitializePartition, HvFinalizePartition or HvDeletePartition."""
    return Hypercall(code, packed(partition), fast=True)


def deposit(partition: int, pages: Sequence[int]) -> Hypercall:
    """HvDepositMemory: ``pages`` of the parent pay for what the hypervisor keeps about the partition."""
    return Hypercall(CallCode.DEPOSIT_MEMORY, packed(partition, *pages), rep_count=len(pages))


def withdraw(partition: int, count: int) -> Hypercall:
    """HvWithdrawMemory: the output is the page numbers that came back, at most ``count``."""
    return Hypercall(
        CallCode.WITHDRAW_MEMORY, packed(partition, 0), rep_count=count, output_bytes=count * ELEMENT_BYTES
    )


def map_pages(partition: int, gpn: int, pages: Sequence[int]) -> Hypercall:
    """HvMapGpaPages: from ``gpn`` on the partition's pages are those of the parent."""
    header = struct.pack("<QQII", partition, gpn, READ_WRITE_EXECUTE, 0)
    return Hypercall(CallCode.MAP_GPA_PAGES, header + packed(*pages), rep_count=len(pages))


def install_intercept(partition: int, access: int, kind: int, parameter: int) -> Hypercall:
    """HvInstallIntercept."""
    return Hypercall(CallCode.INSTALL_INTERCEPT, struct.pack("<QIIQ", partition, access, kind, parameter))


def create_vp(partition: int, index: int) -> Hypercall:
    """HvCreateVp."""
    return Hypercall(CallCode.CREATE_VP, packed(partition, index, 0, 0))


def set_registers(partition: int, vp: int, values: Sequence[tuple[RegisterName, bytes]]) -> Hypercall:
    """HvSetVpRegisters: each register with its 16 bytes."""
    header = struct.pack("<QII", partition, vp, 0)
    elements = b"".join(register_element(name, value) for name, value in values)
    return Hypercall(CallCode.SET_VP_REGISTERS, header + elements, rep_count=len(values))


def register_element(name: RegisterName, value: bytes) -> bytes:
    """One element of HvSetVpRegisters; ``value`` is filled up to 16 bytes."""
    return struct.pack("<I12x16s", name, value)


def message_port(owner: int, port: int, connector: int, sint: int, vp: int = 0) -> Hypercall:
    """HvCreatePort of a port whose messages go to ``sint`` of ``vp``."""
    info = struct.pack("<IIII8x", MESSAGE_PORT, 0, sint, vp)
    return Hypercall(CallCode.CREATE_PORT, packed(owner, port, connector) + info)


def event_port(  # noqa: PLR0913 - the fields of the standard
    owner: int, port: int, connector: int, sint: int, vp: int = 0, base_flag: int = 0, count: int = FLAG_COUNT
) -> Hypercall:
    """HvCreatePort of a port whose signals set ``count`` flags from ``base_flag`` on."""
    info = struct.pack("<IIIIHHI", EVENT_PORT, 0, sint, vp, base_flag, count, 0)
    return Hypercall(CallCode.CREATE_PORT, packed(owner, port, connector) + info)


def delete_port(owner: int, port: int) -> Hypercall:
    """HvDeletePort."""
    return Hypercall(CallCode.DELETE_PORT, packed(owner, port), fast=True)


def connect_port(connector: int, connection: int, owner: int, port: int, kind: int) -> Hypercall:
    """HvConnectPort: ``connector`` reaches the port of ``owner``, which is of ``kind``, by ``connection``."""
    info = struct.pack("<II8x", kind, 0)
    return Hypercall(CallCode.CONNECT_PORT, packed(connector, connection, owner, port) + info)


def disconnect_port(connector: int, connection: int) -> Hypercall:
    """HvDisconnectPort."""
    return Hypercall(CallCode.DISCONNECT_PORT, packed(connector, connection), fast=True)


def post_message(connection: int, payload: bytes, kind: int = 1) -> Hypercall:
    """HvPostMessage."""
    header = struct.pack("<IIII", connection, 0, kind, len(payload))
    return Hypercall(CallCode.POST_MESSAGE, header + payload.ljust(240, b"\0"))


def assert_interrupt(partition: int, control: int, destination: int, vector: int) -> Hypercall:
    """HvAssertVirtualInterrupt: the type of the interrupt is the lower half of ``control``."""
    block = struct.pack("<QQQI4x", partition, control, destination, vector)
    return Hypercall(CallCode.ASSERT_VIRTUAL_INTERRUPT, block)


def clear_interrupt(partition: int) -> Hypercall:
    """HvClearVirtualInterrupt."""
    return Hypercall(CallCode.CLEAR_VIRTUAL_INTERRUPT, packed(partition), fast=True)


def signal_event(connection: int, flag: int) -> Hypercall:
    """HvSignalEvent, the fast form."""
    return Hypercall(CallCode.SIGNAL_EVENT, struct.pack("<IHH", connection, flag, 0), fast=True)
