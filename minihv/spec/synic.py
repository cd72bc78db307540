"""The synthetic interrupt controller's memory and its hypercalls: message slots, event flags, ports.

Stands for: the pages and parameter blocks that a guest and the hypervisor share.
Spec: TLFS, "Inter-Partition Communication" and "Virtual Interrupt Control"; its registers are
    ``SynicControl``, ``OverlayRegister`` and ``SintRegister`` in ``minihv.spec.msrs``.
Twin: ``native/core/include/minihv/synic.h``, held equal by ``tests/layouts/test_synic.py``.
"""

from enum import IntEnum

from minihv.spec.bits import Bits, Layout, bits, flag, part, raw, u8, u16, u32, u64

SINT_COUNT = 16
SYNIC_VERSION = 1
SINT_RESET = 0x1_0000
"""A SINT register before it is written: masked."""
SLOT_BYTES = 256
"""Of a message slot in the SIMP page, and of the event flags of one SINT in the SIEFP page."""
MOST_PAYLOAD_BYTES = 240
EVENT_FLAG_COUNT = 2048
"""Of one SINT."""
BUFFERS_OF_PORT = 16
BUFFERS_FOR_TIMERS, BUFFERS_FOR_INTERCEPTS, BUFFERS_FOR_EOIS = 4, 1, 240
"""Of one VP."""
ANY_VP = 0xFFFF_FFFF
ID_MASK = 0xFF_FFFF
"""Port and connection ids have 24 bits; the rest of their 32 is reserved."""


class MessageType(IntEnum):
    """Types of messages that the hypervisor sends; bit 31 says so.  Spec: TLFS, "SynIC Message Types"."""

    NONE = 0x0000_0000
    UNMAPPED_GPA = 0x8000_0000
    GPA_INTERCEPT = 0x8000_0001
    TIMER_EXPIRED = 0x8000_0010
    INVALID_VP_REGISTER = 0x8000_0020
    UNRECOVERABLE_EXCEPTION = 0x8000_0021
    UNSUPPORTED_FEATURE = 0x8000_0022
    EVENT_LOG_COMPLETE = 0x8000_0040
    IO_PORT_INTERCEPT = 0x8001_0000
    MSR_INTERCEPT = 0x8001_0001
    CPUID_INTERCEPT = 0x8001_0002
    EXCEPTION_INTERCEPT = 0x8001_0003
    APIC_EOI = 0x8001_0004
    FERR_ASSERTED = 0x8001_0005


FROM_HYPERVISOR = 1 << 31
"""In a message type: no partition may post it."""


class MessageFlags(Bits, width=8):
    """Byte 5 of a slot.  Spec: TLFS, "SynIC Message Flags"."""

    pending = flag(0)


class MessageSlot(Layout, byte_count=SLOT_BYTES):
    """One of the sixteen slots of a SIMP page; type 0: it is empty.  Spec: TLFS, "SynIC Messages"."""

    type = u32(0x00)
    payload_bytes = u8(0x04)
    flags = bits(0x05, MessageFlags)
    origin = u64(0x08)
    payload = raw(0x10, MOST_PAYLOAD_BYTES)


class TimerPayload(Layout, byte_count=24):
    """The payload of TIMER_EXPIRED.  Spec: TLFS, "Synthetic Timer Expiration Messages"."""

    timer = u32(0x00)
    expiration_time = u64(0x08)
    delivery_time = u64(0x10)


class PortType(IntEnum):
    """What a port takes.  Spec: TLFS, "Port Types"."""

    MESSAGE = 1
    EVENT = 2
    MONITOR = 3


class PortProperty(IntEnum):
    """Spec: TLFS, "HV_PORT_PROPERTY_CODE"."""

    POST_COUNT = 0
    PREFERRED_TARGET_VP = 1


class PortInfo(Layout, byte_count=24):
    """Where a port leads. The flags are an event port's.  Spec: TLFS, "HV_PORT_INFO"."""

    type = u32(0x00)
    sint = u32(0x08)
    vp = u32(0x0C)
    base_flag = u16(0x10)
    flag_count = u16(0x12)


class ConnectionInfo(Layout, byte_count=16):
    """What a connection expects of its port.  Spec: TLFS, "HV_CONNECTION_INFO"."""

    type = u32(0x00)
    monitor_gpa = u64(0x08)


class CreatePortInput(Layout, byte_count=48):
    """Spec: TLFS, "HvCallCreatePort"."""

    port_partition = u64(0x00)
    port_id = u32(0x08)
    connection_partition = u64(0x10)
    info = part(0x18, PortInfo)


class ConnectPortInput(Layout, byte_count=48):
    """Spec: TLFS, "HvCallConnectPort"."""

    connection_partition = u64(0x00)
    connection_id = u32(0x08)
    port_partition = u64(0x10)
    port_id = u32(0x18)
    info = part(0x20, ConnectionInfo)


class PortInput(Layout, byte_count=16):
    """Of HvDeletePort and HvDisconnectPort: whose port or connection, and its id."""

    partition = u64(0x00)
    id = u32(0x08)


class PortPropertyInput(Layout, byte_count=32):
    """Of HvGetPortProperty, without the value, and HvSetPortProperty."""

    partition = u64(0x00)
    port_id = u32(0x08)
    code = u32(0x10)
    value = u64(0x18)


class PostMessageInput(Layout, byte_count=256):
    """Spec: TLFS, "HvCallPostMessage"."""

    connection_id = u32(0x00)
    type = u32(0x08)
    payload_bytes = u32(0x0C)
    payload = raw(0x10, MOST_PAYLOAD_BYTES)


class SignalEventInput(Layout, byte_count=8):
    """Spec: TLFS, "HvCallSignalEvent"."""

    connection_id = u32(0x00)
    flag = u16(0x04)
