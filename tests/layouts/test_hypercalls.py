"""The hypervisor's interface: Python, the compiler, and the tables of the TLFS say the same."""

import pytest
from layout_tables import (
    compiler_bits,
    compiler_flags,
    compiler_numbers,
    compiler_offsets,
    python_bits,
    python_numbers,
    python_offsets,
    quoted,
)

from minihv.spec.bits import Bits
from minihv.spec.cpuid import HypervisorLeaf, PartitionPrivilege
from minihv.spec.hypercalls import (
    CallCode,
    HypercallInput,
    HypercallResult,
    PartitionProperty,
    PendingInterruption,
    RegisterName,
    RegisterSegmentAttributes,
    Status,
)
from minihv.spec.msrs import (
    CrashControl,
    GuestOsId,
    HypercallRegister,
    Msr,
    OpenSourceGuestOsId,
    OverlayRegister,
    ReferenceTscPage,
    SintRegister,
    SynicControl,
    TimerConfig,
)

# TLFS, "Hypercall Inputs" and "Hypercall Outputs".
HYPERCALL_INPUT = """
call_code 15:0
fast 16
variable_header_qwords 26:17
nested 31
rep_count 43:32
rep_start 59:48
"""
HYPERCALL_RESULT = """
status 15:0
reps_completed 43:32
"""
# TLFS, "Reporting the Guest OS Identity" and "Guest OS Identity for Open Source".
GUEST_OS_ID = """
build 15:0
service_version 23:16
minor 31:24
major 39:32
os_id 47:40
vendor 62:48
open_source 63
"""
OPEN_SOURCE_GUEST_OS_ID = """
distribution 15:0
version 47:16
extra 55:48
os_type 62:56
open_source 63
"""
# TLFS, "Establishing the Hypercall Interface", "SIMP Register" and the like, "SCONTROL Register", "SINTx
# Registers", "Synthetic Timer Configuration Register", "Guest Crash Enlightenment".
HYPERCALL_REGISTER = """
enable 0
locked 1
gpn 63:12
"""
OVERLAY_REGISTER = """
enable 0
gpn 63:12
"""
SYNIC_CONTROL = """
enable 0
"""
SINT_REGISTER = """
vector 7:0
masked 16
auto_eoi 17
polling 18
"""
TIMER_CONFIG = """
enable 0
periodic 1
lazy 2
auto_enable 3
apic_vector 11:4
direct_mode 12
sint 19:16
"""
CRASH_CONTROL = """
pre_os_id 60:58
no_dump 61
message 62
notify 63
"""
# TLFS, "HV_X64_SEGMENT_REGISTER" and "HV_X64_PENDING_INTERRUPTION_REGISTER".
SEGMENT_ATTRIBUTES = """
type 3:0
code_or_data 4
dpl 6:5
present 7
available 12
long 13
default_big 14
granularity 15
"""
PENDING_INTERRUPTION = """
pending 0
type 3:1
deliver_error_code 4
vector 31:16
error_code 63:32
"""
# TLFS, "Partition Reference TSC Page".
REFERENCE_TSC_PAGE = """
sequence 0x00+4
scale 0x08+8
offset 0x10+8
"""
# TLFS, "Hypervisor CPUID Leaf Range".
LEAVES = {
    "VENDOR": 0x40000000, "INTERFACE": 0x40000001, "VERSION": 0x40000002, "FEATURES": 0x40000003,
    "RECOMMENDATIONS": 0x40000004, "LIMITS": 0x40000005, "HARDWARE_FEATURES": 0x40000006,
}  # fmt: skip
# TLFS, "Synthetic MSRs": some of each block.
MSRS = {
    "GUEST_OS_ID": 0x40000000, "HYPERCALL": 0x40000001, "VP_INDEX": 0x40000002, "RESET": 0x40000003,
    "VP_RUNTIME": 0x40000010, "TIME_REF_COUNT": 0x40000020, "REFERENCE_TSC": 0x40000021, "TSC_FREQUENCY":
    0x40000022, "APIC_FREQUENCY": 0x40000023, "EOI": 0x40000070, "ICR": 0x40000071, "TPR": 0x40000072,
    "VP_ASSIST_PAGE": 0x40000073, "SCONTROL": 0x40000080, "SVERSION": 0x40000081, "SIEFP": 0x40000082,
    "SIMP": 0x40000083, "EOM": 0x40000084, "SINT0": 0x40000090, "SINT15": 0x4000009F, "STIMER0_CONFIG":
    0x400000B0, "STIMER3_COUNT": 0x400000B7, "GUEST_IDLE": 0x400000F0, "CRASH_P0": 0x40000100,
    "CRASH_CONTROL": 0x40000105,
}  # fmt: skip
# TLFS, "Hypercall Status Codes".
STATUSES = {
    "SUCCESS": 0, "INVALID_HYPERCALL_CODE": 2, "INVALID_HYPERCALL_INPUT": 3, "INVALID_ALIGNMENT": 4,
    "INVALID_PARAMETER": 5, "ACCESS_DENIED": 6, "INVALID_PARTITION_STATE": 7, "OPERATION_DENIED": 8,
    "UNKNOWN_PROPERTY": 9, "PROPERTY_VALUE_OUT_OF_RANGE": 0xA, "INSUFFICIENT_MEMORY": 0xB,
    "PARTITION_TOO_DEEP": 0xC, "INVALID_PARTITION_ID": 0xD, "INVALID_VP_INDEX": 0xE, "NOT_FOUND": 0x10,
    "INVALID_PORT_ID": 0x11, "INVALID_CONNECTION_ID": 0x12, "INSUFFICIENT_BUFFERS": 0x13,
    "NOT_ACKNOWLEDGED": 0x14, "INVALID_VP_STATE": 0x15, "ACKNOWLEDGED": 0x16,
    "INVALID_SAVE_RESTORE_STATE": 0x17, "INVALID_SYNIC_STATE": 0x18, "OBJECT_IN_USE": 0x19,
    "INVALID_PROXIMITY_DOMAIN_INFO": 0x1A, "NO_DATA": 0x1B, "INACTIVE": 0x1C, "NO_RESOURCES": 0x1D,
    "FEATURE_UNAVAILABLE": 0x1E, "INCOMPATIBLE_PROCESSOR": 0x37, "INVALID_LP_INDEX": 0x41,
    "INVALID_REGISTER_VALUE": 0x50, "OPERATION_FAILED": 0x71, "TIMEOUT": 0x78, "CALL_PENDING": 0x79,
}  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "standard"),
    [
        (HypercallInput, HYPERCALL_INPUT),
        (HypercallResult, HYPERCALL_RESULT),
        (GuestOsId, GUEST_OS_ID),
        (OpenSourceGuestOsId, OPEN_SOURCE_GUEST_OS_ID),
        (HypercallRegister, HYPERCALL_REGISTER),
        (OverlayRegister, OVERLAY_REGISTER),
        (SynicControl, SYNIC_CONTROL),
        (SintRegister, SINT_REGISTER),
        (TimerConfig, TIMER_CONFIG),
        (CrashControl, CRASH_CONTROL),
        (RegisterSegmentAttributes, SEGMENT_ATTRIBUTES),
        (PendingInterruption, PENDING_INTERRUPTION),
    ],
)
def test_bits_are_where_the_specification_has_them(layout: type[Bits], standard: str) -> None:
    assert python_bits(layout) == quoted(standard)
    assert compiler_bits(layout) == quoted(standard)


def test_reference_tsc_page_lies_as_in_the_specification() -> None:
    assert python_offsets(ReferenceTscPage) == quoted(REFERENCE_TSC_PAGE)
    assert compiler_offsets("mhv_reference_tsc_page") == quoted(REFERENCE_TSC_PAGE)


def test_hypervisor_leaves_are_those_of_the_specification() -> None:
    assert python_numbers(HypervisorLeaf) == LEAVES
    assert compiler_numbers(HypervisorLeaf) == LEAVES


def test_statuses_are_those_of_the_specification() -> None:
    assert python_numbers(Status) == STATUSES
    assert compiler_numbers(Status, "HV_STATUS") == STATUSES


def test_synthetic_registers_are_those_of_the_specification() -> None:
    assert {name: python_numbers(Msr)[name] for name in MSRS} == MSRS


def test_registers_that_an_enumerator_can_hold_are_the_same_in_c() -> None:
    small = {name: number for name, number in python_numbers(Msr).items() if number < 1 << 31}
    assert compiler_numbers(Msr) == small


@pytest.mark.parametrize("numbers", [CallCode, PartitionProperty, RegisterName])
def test_numbers_are_the_same_in_both_languages(numbers: type[CallCode]) -> None:
    assert compiler_numbers(numbers) == python_numbers(numbers)


def test_privileges_are_the_same_in_both_languages() -> None:
    assert compiler_flags(PartitionPrivilege) == python_numbers(PartitionPrivilege)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("POST_MESSAGE", 0x5C),
        ("SIGNAL_EVENT", 0x5D),
        ("GET_PARTITION_ID", 0x46),
        ("GET_VP_REGISTERS", 0x50),
        ("SET_VP_REGISTERS", 0x51),
        ("NOTIFY_LONG_SPIN_WAIT", 0x8),
        ("TRANSLATE_VIRTUAL_ADDRESS", 0x52),
    ],
)
def test_call_codes_are_those_of_the_specification(name: str, code: int) -> None:
    assert CallCode[name] == code
