"""x86-64 layouts: Python, the compiler, and the tables of AMD APM vol. 2 say the same."""

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
from minihv.spec.x86_exceptions import SelectorErrorCode, Vector
from minihv.spec.x86_paging import LargePageEntry1G, LargePageEntry2M, PageEntry, PageFaultCode, TableEntry
from minihv.spec.x86_registers import Cr0, Cr4, Dr6, Dr7, Efer, Rflags
from minihv.spec.x86_segments import (
    GateDescriptor,
    SegmentDescriptor,
    Selector,
    SystemDescriptor,
    SystemType,
    TableRegister,
    TaskStateSegment,
)

PREFIXES: dict[type[Bits], str] = {LargePageEntry2M: "LARGE_PAGE_2M", LargePageEntry1G: "LARGE_PAGE_1G"}

# AMD APM vol. 2, "4-Kbyte Page Translation", figures of the PML4E, PDPE and PDE in long mode, and of the PTE;
# "2-Mbyte Page Translation", of the PDE; "1-Gbyte Page Translation", of the PDPE.
TABLE_ENTRY = """
present 0
writable 1
user 2
write_through 3
cache_disable 4
accessed 5
large 7
available 11:9
frame 51:12
available_high 62:52
no_execute 63
"""
PAGE_ENTRY = """
present 0
writable 1
user 2
write_through 3
cache_disable 4
accessed 5
dirty 6
attribute 7
global_page 8
available 11:9
frame 51:12
available_high 58:52
protection_key 62:59
no_execute 63
"""
LARGE_PAGE_ENTRY = """
present 0
writable 1
user 2
write_through 3
cache_disable 4
accessed 5
dirty 6
large 7
global_page 8
available 11:9
attribute 12
frame 51:{lowest}
available_high 58:52
protection_key 62:59
no_execute 63
"""

# AMD APM vol. 2, "Page-Fault (#PF) Error Code" and "Selector-Error Code".
PAGE_FAULT_CODE = """
present 0
write 1
user 2
reserved 3
fetch 4
protection_key 5
shadow_stack 6
rmp 31
"""
SELECTOR_ERROR_CODE = """
external 0
idt 1
table 2
index 15:3
"""

# AMD APM vol. 2, "Segment Selectors", "Legacy Segment Descriptors" (doublewords at 31:0 and 63:32),
# "System Descriptors" and "Gate Descriptors" of long mode.
SELECTOR = """
rpl 1:0
local 2
index 15:3
"""
SEGMENT_DESCRIPTOR = """
limit_low 15:0
base_low 39:16
type 43:40
code_or_data 44
dpl 46:45
present 47
limit_high 51:48
available 52
long 53
default_big 54
granularity 55
base_high 63:56
"""
SYSTEM_DESCRIPTOR = """
limit_low 15:0
base_low 39:16
type 43:40
code_or_data 44
dpl 46:45
present 47
limit_high 51:48
available 52
granularity 55
base_high 63:56
base_upper 95:64
"""
GATE_DESCRIPTOR = """
offset_low 15:0
selector 31:16
ist 34:32
type 43:40
code_or_data 44
dpl 46:45
present 47
offset_middle 63:48
offset_high 95:64
"""

# AMD APM vol. 2, "64-Bit Task State Segment": figure "Long Mode TSS Format".
TASK_STATE_SEGMENT = """
rsp0 0x04+8
rsp1 0x0C+8
rsp2 0x14+8
ist1 0x24+8
ist2 0x2C+8
ist3 0x34+8
ist4 0x3C+8
ist5 0x44+8
ist6 0x4C+8
ist7 0x54+8
io_map_base 0x66+2
"""
TABLE_REGISTER = """
limit 0x0+2
base 0x2+8
"""

# AMD APM vol. 2, "CR0 Register", "CR4 Register", "Extended Feature Enable Register (EFER)", "RFLAGS
# Register".
CR0 = {"PE": 0, "MP": 1, "EM": 2, "TS": 3, "ET": 4, "NE": 5, "WP": 16, "AM": 18, "NW": 29, "CD": 30, "PG": 31}
CR4 = {
    "VME": 0, "PVI": 1, "TSD": 2, "DE": 3, "PSE": 4, "PAE": 5, "MCE": 6, "PGE": 7, "PCE": 8, "OSFXSR": 9,
    "OSXMMEXCPT": 10, "UMIP": 11, "LA57": 12, "FSGSBASE": 16, "PCIDE": 17, "OSXSAVE": 18, "SMEP": 20,
    "SMAP": 21, "PKE": 22, "CET": 23,
}  # fmt: skip
EFER = {
    "SCE": 0, "LME": 8, "LMA": 10, "NXE": 11, "SVME": 12, "LMSLE": 13, "FFXSR": 14, "TCE": 15, "MCOMMIT":
    17, "INTWB": 18, "UAIE": 20, "AIBRSE": 21,
}  # fmt: skip
RFLAGS = {
    "CF": 0, "ALWAYS_1": 1, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "TF": 8, "IF": 9, "DF": 10, "OF": 11,
    "NT": 14, "RF": 16, "VM": 17, "AC": 18, "VIF": 19, "VIP": 20, "ID": 21,
}  # fmt: skip

# AMD APM vol. 2, "Exception Vectors": table "Interrupt Vector Source and Cause".
VECTORS = {
    "DE": 0, "DB": 1, "NMI": 2, "BP": 3, "OF": 4, "BR": 5, "UD": 6, "NM": 7, "DF": 8, "TS": 10, "NP": 11,
    "SS": 12, "GP": 13, "PF": 14, "MF": 16, "AC": 17, "MC": 18, "XF": 19, "CP": 21, "HV": 28, "VC": 29,
    "SX": 30,
}  # fmt: skip
# AMD APM vol. 2, "System-Segment Descriptor Types": table for long mode.
SYSTEM_TYPES = {
    "LDT": 0x2,
    "AVAILABLE_TSS": 0x9,
    "BUSY_TSS": 0xB,
    "CALL_GATE": 0xC,
    "INTERRUPT_GATE": 0xE,
    "TRAP_GATE": 0xF,
}


@pytest.mark.parametrize(
    ("layout", "standard"),
    [
        (TableEntry, TABLE_ENTRY),
        (PageEntry, PAGE_ENTRY),
        (LargePageEntry2M, LARGE_PAGE_ENTRY.format(lowest=21)),
        (LargePageEntry1G, LARGE_PAGE_ENTRY.format(lowest=30)),
        (PageFaultCode, PAGE_FAULT_CODE),
        (SelectorErrorCode, SELECTOR_ERROR_CODE),
        (Selector, SELECTOR),
        (SegmentDescriptor, SEGMENT_DESCRIPTOR),
        (SystemDescriptor, SYSTEM_DESCRIPTOR),
        (GateDescriptor, GATE_DESCRIPTOR),
    ],
)
def test_bits_are_where_the_manual_has_them(layout: type[Bits], standard: str) -> None:
    assert python_bits(layout) == quoted(standard)
    assert compiler_bits(layout, PREFIXES.get(layout)) == quoted(standard)


def test_task_state_segment_lies_as_in_the_manual() -> None:
    assert python_offsets(TaskStateSegment) == quoted(TASK_STATE_SEGMENT)
    assert compiler_offsets("mhv_task_state_segment") == quoted(TASK_STATE_SEGMENT)
    assert TaskStateSegment.byte_count == 0x68


def test_table_register_lies_as_in_the_manual() -> None:
    assert python_offsets(TableRegister) == quoted(TABLE_REGISTER)
    assert compiler_offsets("mhv_table_register") == quoted(TABLE_REGISTER)


@pytest.mark.parametrize(
    ("flags", "standard"), [(Cr0, CR0), (Cr4, CR4), (Efer, EFER), (Rflags, RFLAGS | {"IOPL": (13, 12)})]
)
def test_register_flags_are_where_the_manual_has_them(
    flags: type[Cr0], standard: dict[str, int | tuple[int, int]]
) -> None:
    masks = {
        name: 1 << place if isinstance(place, int) else (2 << place[0]) - (1 << place[1])
        for name, place in standard.items()
    }
    assert python_numbers(flags) == masks
    assert compiler_flags(flags) == masks


@pytest.mark.parametrize("flags", [Dr6, Dr7])
def test_debug_flags_are_the_same_in_both_languages(flags: type[Dr6]) -> None:
    assert compiler_flags(flags) == python_numbers(flags)


@pytest.mark.parametrize(("numbers", "standard"), [(Vector, VECTORS), (SystemType, SYSTEM_TYPES)])
def test_numbers_are_those_of_the_manual(numbers: type[Vector], standard: dict[str, int]) -> None:
    assert python_numbers(numbers) == standard
    assert compiler_numbers(numbers) == standard
