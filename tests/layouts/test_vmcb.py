"""The VMCB: Python, the compiler, and AMD APM vol. 2, "Layout of VMCB" (Appendix B), say the same."""

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

from minihv.spec.bits import Bits, Layout
from minihv.spec.vmcb import (
    ControlArea,
    Event,
    EventType,
    Intercept1,
    Intercept2,
    Intercept3,
    InterruptShadow,
    IoExitInfo,
    MsrExitInfo,
    NestedControl,
    NestedFaultInfo,
    SaveArea,
    SegmentAttributes,
    VirtualInterrupt,
    Vmcb,
    VmcbSegment,
)

# Appendix B, table "VMCB Layout, Control Area".
CONTROL_AREA = """
intercept_cr_read 0x000+2
intercept_cr_write 0x002+2
intercept_dr_read 0x004+2
intercept_dr_write 0x006+2
intercept_exceptions 0x008+4
intercept_instructions1 0x00C+4
intercept_instructions2 0x010+4
intercept_instructions3 0x014+4
pause_filter_threshold 0x03C+2
pause_filter_count 0x03E+2
iopm_base_pa 0x040+8
msrpm_base_pa 0x048+8
tsc_offset 0x050+8
guest_asid 0x058+4
tlb_control 0x05C+1
virtual_interrupt 0x060+8
interrupt_shadow 0x068+8
exit_code 0x070+8
exit_info_1 0x078+8
exit_info_2 0x080+8
exit_interrupt_info 0x088+8
nested_control 0x090+8
avic_apic_bar 0x098+8
ghcb_gpa 0x0A0+8
event_injection 0x0A8+8
nested_cr3 0x0B0+8
virtualization_extensions 0x0B8+8
clean_bits 0x0C0+4
next_rip 0x0C8+8
fetched_byte_count 0x0D0+1
fetched_bytes 0x0D1+15
"""
# Appendix B, table "VMCB Layout, State Save Area"; a segment register has 16 bytes.
SAVE_AREA = """
es 0x000+16
cs 0x010+16
ss 0x020+16
ds 0x030+16
fs 0x040+16
gs 0x050+16
gdtr 0x060+16
ldtr 0x070+16
idtr 0x080+16
tr 0x090+16
cpl 0x0CB+1
efer 0x0D0+8
cr4 0x148+8
cr3 0x150+8
cr0 0x158+8
dr7 0x160+8
dr6 0x168+8
rflags 0x170+8
rip 0x178+8
rsp 0x1D8+8
rax 0x1F8+8
star 0x200+8
lstar 0x208+8
cstar 0x210+8
sfmask 0x218+8
kernel_gs_base 0x220+8
sysenter_cs 0x228+8
sysenter_esp 0x230+8
sysenter_eip 0x238+8
cr2 0x240+8
g_pat 0x268+8
dbgctl 0x270+8
br_from 0x278+8
br_to 0x280+8
last_exception_from 0x288+8
last_exception_to 0x290+8
"""
SEGMENT = """
selector 0x0+2
attributes 0x2+2
limit 0x4+4
base 0x8+8
"""
WHOLE = """
control 0x000+1024
save 0x400+3072
"""

# "Event Injection": figure "EVENTINJ Field in the VMCB".
EVENT = """
vector 7:0
type 10:8
error_code_valid 11
valid 31
error_code 63:32
"""
# Table "VMCB Layout, Control Area", at 060h, 068h and 090h.
VIRTUAL_INTERRUPT = """
tpr 7:0
irq 8
gif 9
priority 19:16
ignore_tpr 20
masking 24
gif_enable 25
avic_enable 31
vector 39:32
"""
INTERRUPT_SHADOW = """
shadow 0
guest_interrupt_mask 1
"""
NESTED_CONTROL = """
nested_paging 0
sev 1
sev_es 2
guest_mode_execute_trap 3
shadow_stack_check 4
virtual_transparent_encryption 5
read_only_guest_tables 6
invlpgb_enable 7
"""
# "IOIO Intercept": figure "EXITINFO1 for IOIO Intercept".
IO_EXIT_INFO = """
is_in 0
is_string 2
is_repeated 3
is_8_bits 4
is_16_bits 5
is_32_bits 6
address_16_bits 7
address_32_bits 8
address_64_bits 9
segment 12:10
port 31:16
"""
# "Nested versus Guest Page Faults, Fault Ordering".
NESTED_FAULT_INFO = """
present 0
write 1
user 2
reserved 3
fetch 4
shadow_stack 6
on_final_page 32
on_table 33
supervisor_shadow_stack 37
"""
MSR_EXIT_INFO = """
is_write 0
"""
# "VMCB State Save Area": descriptor bits 47:40 become 7:0, and 55:52 become 11:8.
SEGMENT_ATTRIBUTES = """
type 3:0
code_or_data 4
dpl 6:5
present 7
available 8
long 9
default_big 10
granularity 11
"""


@pytest.mark.parametrize(
    ("layout", "struct", "standard"),
    [
        (ControlArea, "mhv_vmcb_control", CONTROL_AREA),
        (SaveArea, "mhv_vmcb_save", SAVE_AREA),
        (VmcbSegment, "mhv_vmcb_segment", SEGMENT),
        (Vmcb, "mhv_vmcb", WHOLE),
    ],
)
def test_area_lies_as_in_the_manual(layout: type[Layout], struct: str, standard: str) -> None:
    assert python_offsets(layout) == quoted(standard)
    assert compiler_offsets(struct) == quoted(standard)


@pytest.mark.parametrize(
    ("layout", "standard"),
    [
        (Event, EVENT),
        (VirtualInterrupt, VIRTUAL_INTERRUPT),
        (InterruptShadow, INTERRUPT_SHADOW),
        (NestedControl, NESTED_CONTROL),
        (IoExitInfo, IO_EXIT_INFO),
        (NestedFaultInfo, NESTED_FAULT_INFO),
        (MsrExitInfo, MSR_EXIT_INFO),
        (SegmentAttributes, SEGMENT_ATTRIBUTES),
    ],
)
def test_bits_are_where_the_manual_has_them(layout: type[Bits], standard: str) -> None:
    assert python_bits(layout) == quoted(standard)
    assert compiler_bits(layout) == quoted(standard)


@pytest.mark.parametrize("word", [Intercept1, Intercept2, Intercept3])
def test_intercept_words_are_the_same_in_both_languages(word: type[Intercept1]) -> None:
    assert compiler_flags(word) == python_numbers(word)


def test_event_types_are_those_of_the_manual() -> None:
    standard = {"INTERRUPT": 0, "NMI": 2, "EXCEPTION": 3, "SOFTWARE_INTERRUPT": 4}
    assert python_numbers(EventType) == standard
    assert compiler_numbers(EventType) == standard
