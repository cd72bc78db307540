"""The virtual machine control block of AMD-V: what a hypervisor asks of VMRUN, and what #VMEXIT answers.

Stands for: 4096 bytes of the hypervisor's memory, one for each VP.
Spec: AMD APM vol. 2, "Layout of VMCB" (Appendix B), "Event Injection", "IOIO Intercept" and "Nested Paging".
Twin: ``native/core/include/minihv/vmcb.h``, held equal by ``tests/layouts/test_vmcb.py``.
Next: ``minihv.spec.svm_exits``
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Bits, Layout, bits, field, flag, part, raw, u8, u16, u32, u64


class Intercept1(IntFlag):
    """The word at 0x00C: bit n asks for exit code 0x60 + n."""

    INTR = 1 << 0
    NMI = 1 << 1
    SMI = 1 << 2
    INIT = 1 << 3
    VINTR = 1 << 4
    CR0_SEL_WRITE = 1 << 5
    IDTR_READ = 1 << 6
    GDTR_READ = 1 << 7
    LDTR_READ = 1 << 8
    TR_READ = 1 << 9
    IDTR_WRITE = 1 << 10
    GDTR_WRITE = 1 << 11
    LDTR_WRITE = 1 << 12
    TR_WRITE = 1 << 13
    RDTSC = 1 << 14
    RDPMC = 1 << 15
    PUSHF = 1 << 16
    POPF = 1 << 17
    CPUID = 1 << 18
    RSM = 1 << 19
    IRET = 1 << 20
    SWINT = 1 << 21
    INVD = 1 << 22
    PAUSE = 1 << 23
    HLT = 1 << 24
    INVLPG = 1 << 25
    INVLPGA = 1 << 26
    IOIO = 1 << 27
    MSR = 1 << 28
    TASK_SWITCH = 1 << 29
    FERR_FREEZE = 1 << 30
    SHUTDOWN = 1 << 31


class Intercept2(IntFlag):
    """The word at 0x010: bit n asks for exit code 0x80 + n."""

    VMRUN = 1 << 0
    VMMCALL = 1 << 1
    VMLOAD = 1 << 2
    VMSAVE = 1 << 3
    STGI = 1 << 4
    CLGI = 1 << 5
    SKINIT = 1 << 6
    RDTSCP = 1 << 7
    ICEBP = 1 << 8
    WBINVD = 1 << 9
    MONITOR = 1 << 10
    MWAIT = 1 << 11
    MWAIT_CONDITIONAL = 1 << 12
    XSETBV = 1 << 13
    RDPRU = 1 << 14
    EFER_WRITE_TRAP = 1 << 15
    CR0_WRITE_TRAP = 1 << 16
    CR1_WRITE_TRAP = 1 << 17
    CR2_WRITE_TRAP = 1 << 18
    CR3_WRITE_TRAP = 1 << 19
    CR4_WRITE_TRAP = 1 << 20
    CR5_WRITE_TRAP = 1 << 21
    CR6_WRITE_TRAP = 1 << 22
    CR7_WRITE_TRAP = 1 << 23
    CR8_WRITE_TRAP = 1 << 24
    CR9_WRITE_TRAP = 1 << 25
    CR10_WRITE_TRAP = 1 << 26
    CR11_WRITE_TRAP = 1 << 27
    CR12_WRITE_TRAP = 1 << 28
    CR13_WRITE_TRAP = 1 << 29
    CR14_WRITE_TRAP = 1 << 30
    CR15_WRITE_TRAP = 1 << 31


class Intercept3(IntFlag):
    """The word at 0x014: bit n asks for exit code 0xA0 + n."""

    INVLPGB = 1 << 0
    INVLPGB_ILLEGAL = 1 << 1
    INVPCID = 1 << 2
    MCOMMIT = 1 << 3
    TLBSYNC = 1 << 4
    BUSLOCK = 1 << 5
    IDLE_HLT = 1 << 6


class EventType(IntEnum):
    """What is injected, or was being delivered.  Spec: AMD APM vol. 2, "Event Injection"."""

    INTERRUPT = 0
    NMI = 2
    EXCEPTION = 3
    SOFTWARE_INTERRUPT = 4


class Event(Bits, width=64):
    """EVENTINJ and EXITINTINFO.  Spec: AMD APM vol. 2, "Event Injection" and "EXITINTINFO Pseudo-Code"."""

    vector = field(7, 0)
    type = field(10, 8)
    error_code_valid = flag(11)
    valid = flag(31)
    error_code = field(63, 32)


class VirtualInterrupt(Bits, width=64):
    """The quadword at 0x060.  Spec: AMD APM vol. 2, "Injecting Virtual (INTR) Interrupts"."""

    tpr = field(7, 0)
    irq = flag(8)
    gif = flag(9)
    priority = field(19, 16)
    ignore_tpr = flag(20)
    masking = flag(24)
    gif_enable = flag(25)
    avic_enable = flag(31)
    vector = field(39, 32)

    @property
    def is_offered(self) -> bool:
        """Whether an interrupt is pending that the task priority does not hold back."""
        return self.irq and (self.ignore_tpr or self.priority > self.tpr & 0xF)


class InterruptShadow(Bits, width=64):
    """The quadword at 0x068.  Spec: AMD APM vol. 2, "Interrupt Shadows"."""

    shadow = flag(0)
    guest_interrupt_mask = flag(1)


class NestedControl(Bits, width=64):
    """The quadword at 0x090.  Spec: AMD APM vol. 2, "Enabling Nested Paging"."""

    nested_paging = flag(0)
    sev = flag(1)
    sev_es = flag(2)
    guest_mode_execute_trap = flag(3)
    shadow_stack_check = flag(4)
    virtual_transparent_encryption = flag(5)
    read_only_guest_tables = flag(6)
    invlpgb_enable = flag(7)


class IoExitInfo(Bits, width=64):
    """EXITINFO1 of an IOIO exit.  Spec: AMD APM vol. 2, "IOIO Intercept", EXITINFO1 for IOIO Intercept."""

    is_in = flag(0)
    is_string = flag(2)
    is_repeated = flag(3)
    is_8_bits = flag(4)
    is_16_bits = flag(5)
    is_32_bits = flag(6)
    address_16_bits = flag(7)
    address_32_bits = flag(8)
    address_64_bits = flag(9)
    segment = field(12, 10)
    port = field(31, 16)


class NestedFaultInfo(Bits, width=64):
    """EXITINFO1 of an NPF exit.  Spec: AMD APM vol. 2, "Nested versus Guest Page Faults, Fault Ordering"."""

    present = flag(0)
    write = flag(1)
    user = flag(2)
    reserved = flag(3)
    fetch = flag(4)
    shadow_stack = flag(6)
    on_final_page = flag(32)
    on_table = flag(33)
    supervisor_shadow_stack = flag(37)


class MsrExitInfo(Bits, width=64):
    """EXITINFO1 of an MSR exit.  Spec: AMD APM vol. 2, "MSR Intercepts"."""

    is_write = flag(0)


class SegmentAttributes(Bits, width=16):
    """Bits 47:40 and 55:52 of a segment descriptor, packed.  Spec: AMD APM vol. 2, "VMCB State Save Area"."""

    type = field(3, 0)
    code_or_data = flag(4)
    dpl = field(6, 5)
    present = flag(7)
    available = flag(8)
    long = flag(9)
    default_big = flag(10)
    granularity = flag(11)


class VmcbSegment(Layout, byte_count=16):
    """A segment register with its hidden part."""

    selector = u16(0x0)
    attributes = bits(0x2, SegmentAttributes)
    limit = u32(0x4)
    base = u64(0x8)


class ControlArea(Layout, byte_count=0x400):
    """What the hypervisor asks and learns.  Spec: AMD APM vol. 2, "VMCB Layout, Control Area"."""

    intercept_cr_read = u16(0x000)
    intercept_cr_write = u16(0x002)
    intercept_dr_read = u16(0x004)
    intercept_dr_write = u16(0x006)
    intercept_exceptions = u32(0x008)
    intercept_instructions1 = u32(0x00C)
    intercept_instructions2 = u32(0x010)
    intercept_instructions3 = u32(0x014)
    pause_filter_threshold = u16(0x03C)
    pause_filter_count = u16(0x03E)
    iopm_base_pa = u64(0x040)
    msrpm_base_pa = u64(0x048)
    tsc_offset = u64(0x050)
    guest_asid = u32(0x058)
    tlb_control = u8(0x05C)
    virtual_interrupt = bits(0x060, VirtualInterrupt)
    interrupt_shadow = bits(0x068, InterruptShadow)
    exit_code = u64(0x070)
    exit_info_1 = u64(0x078)
    exit_info_2 = u64(0x080)
    exit_interrupt_info = bits(0x088, Event)
    nested_control = bits(0x090, NestedControl)
    avic_apic_bar = u64(0x098)
    ghcb_gpa = u64(0x0A0)
    event_injection = bits(0x0A8, Event)
    nested_cr3 = u64(0x0B0)
    virtualization_extensions = u64(0x0B8)
    clean_bits = u32(0x0C0)
    next_rip = u64(0x0C8)
    fetched_byte_count = u8(0x0D0)
    fetched_bytes = raw(0x0D1, 15)


class SaveArea(Layout, byte_count=0xC00):
    """The guest's registers.  Spec: AMD APM vol. 2, "VMCB Layout, State Save Area"; offsets in the area."""

    es = part(0x000, VmcbSegment)
    cs = part(0x010, VmcbSegment)
    ss = part(0x020, VmcbSegment)
    ds = part(0x030, VmcbSegment)
    fs = part(0x040, VmcbSegment)
    gs = part(0x050, VmcbSegment)
    gdtr = part(0x060, VmcbSegment)
    ldtr = part(0x070, VmcbSegment)
    idtr = part(0x080, VmcbSegment)
    tr = part(0x090, VmcbSegment)
    cpl = u8(0x0CB)
    efer = u64(0x0D0)
    cr4 = u64(0x148)
    cr3 = u64(0x150)
    cr0 = u64(0x158)
    dr7 = u64(0x160)
    dr6 = u64(0x168)
    rflags = u64(0x170)
    rip = u64(0x178)
    rsp = u64(0x1D8)
    rax = u64(0x1F8)
    star = u64(0x200)
    lstar = u64(0x208)
    cstar = u64(0x210)
    sfmask = u64(0x218)
    kernel_gs_base = u64(0x220)
    sysenter_cs = u64(0x228)
    sysenter_esp = u64(0x230)
    sysenter_eip = u64(0x238)
    cr2 = u64(0x240)
    g_pat = u64(0x268)
    dbgctl = u64(0x270)
    br_from = u64(0x278)
    br_to = u64(0x280)
    last_exception_from = u64(0x288)
    last_exception_to = u64(0x290)


class Vmcb(Layout, byte_count=0x1000):
    """The whole block, page-aligned."""

    control = part(0x000, ControlArea)
    save = part(0x400, SaveArea)
