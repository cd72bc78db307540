"""The synthetic interrupt controller's memory: Python, the compiler and the TLFS say the same."""

import pytest
from layout_tables import (
    compiler_bits,
    compiler_numbers,
    compiler_offsets,
    python_bits,
    python_numbers,
    python_offsets,
    quoted,
    words_of,
)

from minihv._core import ffi
from minihv.spec import synic
from minihv.spec.bits import Layout
from minihv.spec.synic import MessageFlags, MessageType, PortProperty, PortType

# TLFS, "SynIC Messages", "Synthetic Timer Expiration Messages", "HV_PORT_INFO", "HV_CONNECTION_INFO",
# "HvCallCreatePort", "HvCallConnectPort", "HvCallDeletePort", "HvCallSetPortProperty", "HvCallPostMessage",
# "HvCallSignalEvent".
STRUCTURES: dict[type[Layout], tuple[int, str]] = {
    synic.MessageSlot: (
        256, "type 0x00+4\npayload_bytes 0x04+1\nflags 0x05+1\norigin 0x08+8\npayload 0x10+240"
    ),
    synic.TimerPayload: (24, "timer 0x00+4\nexpiration_time 0x08+8\ndelivery_time 0x10+8"),
    synic.PortInfo: (24, "type 0x00+4\nsint 0x08+4\nvp 0x0C+4\nbase_flag 0x10+2\nflag_count 0x12+2"),
    synic.ConnectionInfo: (16, "type 0x00+4\nmonitor_gpa 0x08+8"),
    synic.CreatePortInput: (
        48, "port_partition 0x00+8\nport_id 0x08+4\nconnection_partition 0x10+8\ninfo 0x18+24"
    ),
    synic.ConnectPortInput: (
        48,
        "connection_partition 0x00+8\nconnection_id 0x08+4\nport_partition 0x10+8\nport_id 0x18+4\n"
        "info 0x20+16",
    ),
    synic.PortInput: (16, "partition 0x00+8\nid 0x08+4"),
    synic.PortPropertyInput: (32, "partition 0x00+8\nport_id 0x08+4\ncode 0x10+4\nvalue 0x18+8"),
    synic.PostMessageInput: (
        256, "connection_id 0x00+4\ntype 0x08+4\npayload_bytes 0x0C+4\npayload 0x10+240"
    ),
    synic.SignalEventInput: (8, "connection_id 0x00+4\nflag 0x04+2"),
}  # fmt: skip
# TLFS, "SynIC Message Types".
MESSAGE_TYPES = {
    "NONE": 0, "UNMAPPED_GPA": 0x80000000, "GPA_INTERCEPT": 0x80000001, "TIMER_EXPIRED": 0x80000010,
    "INVALID_VP_REGISTER": 0x80000020, "UNRECOVERABLE_EXCEPTION": 0x80000021, "UNSUPPORTED_FEATURE":
    0x80000022, "EVENT_LOG_COMPLETE": 0x80000040, "IO_PORT_INTERCEPT": 0x80010000, "MSR_INTERCEPT":
    0x80010001, "CPUID_INTERCEPT": 0x80010002, "EXCEPTION_INTERCEPT": 0x80010003, "APIC_EOI": 0x80010004,
    "FERR_ASSERTED": 0x80010005,
}  # fmt: skip


@pytest.mark.parametrize("layout", STRUCTURES, ids=lambda layout: layout.__name__)
def test_structure_lies_as_in_the_specification(layout: type[Layout]) -> None:
    byte_count, standard = STRUCTURES[layout]
    struct = "mhv_" + words_of(layout.__name__).lower()
    assert python_offsets(layout) == compiler_offsets(struct) == quoted(standard)
    assert layout.byte_count == ffi.sizeof(f"struct {struct}") == byte_count


def test_every_structure_of_the_controller_is_compared() -> None:
    assert set(STRUCTURES) == {
        kind for kind in vars(synic).values() if isinstance(kind, type) and issubclass(kind, Layout)
    } - {Layout}


def test_pending_flag_is_bit_0() -> None:
    assert python_bits(MessageFlags) == compiler_bits(MessageFlags) == {"pending": (0, 0)}


def test_message_types_are_those_of_the_specification() -> None:
    assert python_numbers(MessageType) == MESSAGE_TYPES
    assert compiler_numbers(MessageType) == {"NONE": 0}


@pytest.mark.parametrize("numbers", [PortType, PortProperty])
def test_numbers_of_ports_are_the_same_in_both_languages(numbers: type[PortType]) -> None:
    assert compiler_numbers(numbers) == python_numbers(numbers)
