"""Model-specific registers: numbers of the architectural and the synthetic ones, layouts of the latter.

Stands for: the registers that RDMSR and WRMSR reach.
Spec: AMD APM vol. 2, "MSR Cross-Reference" (Appendix A); TLFS, "Synthetic MSRs" and the chapters of each.
Twin: ``native/core/include/minihv/hypercalls.h``, held equal by ``tests/layouts/test_hypercalls.py``.
Next: ``minihv.spec.hypercalls``
"""

from enum import IntEnum

from minihv.spec.bits import Bits, Layout, field, flag, u32, u64


class Msr(IntEnum):
    """Registers by number; from 0x40000000 to 0x400001FF they are the hypervisor's."""

    TSC = 0x0000_0010
    APIC_BASE = 0x0000_001B
    MTRR_CAPABILITIES = 0x0000_00FE
    SYSENTER_CS = 0x0000_0174
    SYSENTER_ESP = 0x0000_0175
    SYSENTER_EIP = 0x0000_0176
    DEBUG_CONTROL = 0x0000_01D9
    PAT = 0x0000_0277
    MTRR_DEFAULT_TYPE = 0x0000_02FF
    GUEST_OS_ID = 0x4000_0000
    HYPERCALL = 0x4000_0001
    VP_INDEX = 0x4000_0002
    RESET = 0x4000_0003
    VP_RUNTIME = 0x4000_0010
    TIME_REF_COUNT = 0x4000_0020
    REFERENCE_TSC = 0x4000_0021
    TSC_FREQUENCY = 0x4000_0022
    APIC_FREQUENCY = 0x4000_0023
    EOI = 0x4000_0070
    ICR = 0x4000_0071
    TPR = 0x4000_0072
    VP_ASSIST_PAGE = 0x4000_0073
    SCONTROL = 0x4000_0080
    SVERSION = 0x4000_0081
    SIEFP = 0x4000_0082
    SIMP = 0x4000_0083
    EOM = 0x4000_0084
    SINT0 = 0x4000_0090
    SINT1 = 0x4000_0091
    SINT2 = 0x4000_0092
    SINT3 = 0x4000_0093
    SINT4 = 0x4000_0094
    SINT5 = 0x4000_0095
    SINT6 = 0x4000_0096
    SINT7 = 0x4000_0097
    SINT8 = 0x4000_0098
    SINT9 = 0x4000_0099
    SINT10 = 0x4000_009A
    SINT11 = 0x4000_009B
    SINT12 = 0x4000_009C
    SINT13 = 0x4000_009D
    SINT14 = 0x4000_009E
    SINT15 = 0x4000_009F
    STIMER0_CONFIG = 0x4000_00B0
    STIMER0_COUNT = 0x4000_00B1
    STIMER1_CONFIG = 0x4000_00B2
    STIMER1_COUNT = 0x4000_00B3
    STIMER2_CONFIG = 0x4000_00B4
    STIMER2_COUNT = 0x4000_00B5
    STIMER3_CONFIG = 0x4000_00B6
    STIMER3_COUNT = 0x4000_00B7
    GUEST_IDLE = 0x4000_00F0
    CRASH_P0 = 0x4000_0100
    CRASH_P1 = 0x4000_0101
    CRASH_P2 = 0x4000_0102
    CRASH_P3 = 0x4000_0103
    CRASH_P4 = 0x4000_0104
    CRASH_CONTROL = 0x4000_0105
    EFER = 0xC000_0080
    STAR = 0xC000_0081
    LSTAR = 0xC000_0082
    CSTAR = 0xC000_0083
    SFMASK = 0xC000_0084
    FS_BASE = 0xC000_0100
    GS_BASE = 0xC000_0101
    KERNEL_GS_BASE = 0xC000_0102
    TSC_AUX = 0xC000_0103
    VM_CR = 0xC001_0114
    VM_HSAVE_PA = 0xC001_0117


class StarRegister(Bits, width=64):
    """Selectors of SYSCALL and SYSRET.  Spec: AMD APM vol. 2, "SYSCALL and SYSRET MSRs"."""

    eip_legacy = field(31, 0)
    syscall_selector = field(47, 32)
    sysret_selector = field(63, 48)


class GuestOsId(Bits, width=64):
    """The identity of a proprietary system.  Spec: TLFS, "Reporting the Guest OS Identity"."""

    build = field(15, 0)
    service_version = field(23, 16)
    minor = field(31, 24)
    major = field(39, 32)
    os_id = field(47, 40)
    vendor = field(62, 48)
    open_source = flag(63)


class OpenSourceGuestOsId(Bits, width=64):
    """The identity of an open-source system.  Spec: TLFS, "Guest OS Identity for Open Source"."""

    distribution = field(15, 0)
    version = field(47, 16)
    extra = field(55, 48)
    os_type = field(62, 56)
    open_source = flag(63)


class HypercallRegister(Bits, width=64):
    """Where the hypercall page lies.  Spec: TLFS, "Establishing the Hypercall Interface"."""

    enable = flag(0)
    locked = flag(1)
    gpn = field(63, 12)


class OverlayRegister(Bits, width=64):
    """REFERENCE_TSC, VP_ASSIST_PAGE, SIEFP and SIMP: where an overlay page lies. Bits 11:1 are preserved."""

    enable = flag(0)
    gpn = field(63, 12)


class SynicControl(Bits, width=64):
    """SCONTROL.  Spec: TLFS, "SCONTROL Register"."""

    enable = flag(0)


class SintRegister(Bits, width=64):
    """One of the sixteen SINT registers of a VP.  Spec: TLFS, "SINTx Registers"."""

    vector = field(7, 0)
    masked = flag(16)
    auto_eoi = flag(17)
    polling = flag(18)


class TimerConfig(Bits, width=64):
    """STIMERx_CONFIG.  Spec: TLFS, "Synthetic Timer Configuration Register"."""

    enable = flag(0)
    periodic = flag(1)
    lazy = flag(2)
    auto_enable = flag(3)
    apic_vector = field(11, 4)
    direct_mode = flag(12)
    sint = field(19, 16)


class CrashControl(Bits, width=64):
    """CRASH_CTL.  Spec: TLFS, "Guest Crash Enlightenment"."""

    pre_os_id = field(60, 58)
    no_dump = flag(61)
    message = flag(62)
    notify = flag(63)


class ReferenceTscPage(Layout, byte_count=24):
    """How a guest computes reference time from the TSC.  Spec: TLFS, "Partition Reference TSC Page"."""

    sequence = u32(0)
    scale = u64(8)
    offset = u64(16)
