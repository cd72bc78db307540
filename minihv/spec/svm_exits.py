"""The reasons for which the processor leaves a guest.

Stands for: the values of EXITCODE in the VMCB.
Spec: AMD APM vol. 2, "SVM Intercept Exit Codes" (Appendix C).
Twin: ``native/core/include/minihv/svm.h``, held equal by ``tests/layouts/test_svm_exits.py``.
Next: ``minihv.spec.cpuid``
"""

from enum import IntEnum


class SvmExit(IntEnum):
    """VMEXIT codes, with the names of the manual less their prefix ``VMEXIT_``."""

    CR0_READ = 0x00
    CR1_READ = 0x01
    CR2_READ = 0x02
    CR3_READ = 0x03
    CR4_READ = 0x04
    CR5_READ = 0x05
    CR6_READ = 0x06
    CR7_READ = 0x07
    CR8_READ = 0x08
    CR9_READ = 0x09
    CR10_READ = 0x0A
    CR11_READ = 0x0B
    CR12_READ = 0x0C
    CR13_READ = 0x0D
    CR14_READ = 0x0E
    CR15_READ = 0x0F
    CR0_WRITE = 0x10
    CR1_WRITE = 0x11
    CR2_WRITE = 0x12
    CR3_WRITE = 0x13
    CR4_WRITE = 0x14
    CR5_WRITE = 0x15
    CR6_WRITE = 0x16
    CR7_WRITE = 0x17
    CR8_WRITE = 0x18
    CR9_WRITE = 0x19
    CR10_WRITE = 0x1A
    CR11_WRITE = 0x1B
    CR12_WRITE = 0x1C
    CR13_WRITE = 0x1D
    CR14_WRITE = 0x1E
    CR15_WRITE = 0x1F
    DR0_READ = 0x20
    DR1_READ = 0x21
    DR2_READ = 0x22
    DR3_READ = 0x23
    DR4_READ = 0x24
    DR5_READ = 0x25
    DR6_READ = 0x26
    DR7_READ = 0x27
    DR8_READ = 0x28
    DR9_READ = 0x29
    DR10_READ = 0x2A
    DR11_READ = 0x2B
    DR12_READ = 0x2C
    DR13_READ = 0x2D
    DR14_READ = 0x2E
    DR15_READ = 0x2F
    DR0_WRITE = 0x30
    DR1_WRITE = 0x31
    DR2_WRITE = 0x32
    DR3_WRITE = 0x33
    DR4_WRITE = 0x34
    DR5_WRITE = 0x35
    DR6_WRITE = 0x36
    DR7_WRITE = 0x37
    DR8_WRITE = 0x38
    DR9_WRITE = 0x39
    DR10_WRITE = 0x3A
    DR11_WRITE = 0x3B
    DR12_WRITE = 0x3C
    DR13_WRITE = 0x3D
    DR14_WRITE = 0x3E
    DR15_WRITE = 0x3F
    EXCP0 = 0x40
    EXCP1 = 0x41
    EXCP2 = 0x42
    EXCP3 = 0x43
    EXCP4 = 0x44
    EXCP5 = 0x45
    EXCP6 = 0x46
    EXCP7 = 0x47
    EXCP8 = 0x48
    EXCP9 = 0x49
    EXCP10 = 0x4A
    EXCP11 = 0x4B
    EXCP12 = 0x4C
    EXCP13 = 0x4D
    EXCP14 = 0x4E
    EXCP15 = 0x4F
    EXCP16 = 0x50
    EXCP17 = 0x51
    EXCP18 = 0x52
    EXCP19 = 0x53
    EXCP20 = 0x54
    EXCP21 = 0x55
    EXCP22 = 0x56
    EXCP23 = 0x57
    EXCP24 = 0x58
    EXCP25 = 0x59
    EXCP26 = 0x5A
    EXCP27 = 0x5B
    EXCP28 = 0x5C
    EXCP29 = 0x5D
    EXCP30 = 0x5E
    EXCP31 = 0x5F
    INTR = 0x60
    NMI = 0x61
    SMI = 0x62
    INIT = 0x63
    VINTR = 0x64
    CR0_SEL_WRITE = 0x65
    IDTR_READ = 0x66
    GDTR_READ = 0x67
    LDTR_READ = 0x68
    TR_READ = 0x69
    IDTR_WRITE = 0x6A
    GDTR_WRITE = 0x6B
    LDTR_WRITE = 0x6C
    TR_WRITE = 0x6D
    RDTSC = 0x6E
    RDPMC = 0x6F
    PUSHF = 0x70
    POPF = 0x71
    CPUID = 0x72
    RSM = 0x73
    IRET = 0x74
    SWINT = 0x75
    INVD = 0x76
    PAUSE = 0x77
    HLT = 0x78
    INVLPG = 0x79
    INVLPGA = 0x7A
    IOIO = 0x7B
    MSR = 0x7C
    TASK_SWITCH = 0x7D
    FERR_FREEZE = 0x7E
    SHUTDOWN = 0x7F
    VMRUN = 0x80
    VMMCALL = 0x81
    VMLOAD = 0x82
    VMSAVE = 0x83
    STGI = 0x84
    CLGI = 0x85
    SKINIT = 0x86
    RDTSCP = 0x87
    ICEBP = 0x88
    WBINVD = 0x89
    MONITOR = 0x8A
    MWAIT = 0x8B
    MWAIT_CONDITIONAL = 0x8C
    XSETBV = 0x8D
    RDPRU = 0x8E
    EFER_WRITE_TRAP = 0x8F
    CR0_WRITE_TRAP = 0x90
    CR1_WRITE_TRAP = 0x91
    CR2_WRITE_TRAP = 0x92
    CR3_WRITE_TRAP = 0x93
    CR4_WRITE_TRAP = 0x94
    CR5_WRITE_TRAP = 0x95
    CR6_WRITE_TRAP = 0x96
    CR7_WRITE_TRAP = 0x97
    CR8_WRITE_TRAP = 0x98
    CR9_WRITE_TRAP = 0x99
    CR10_WRITE_TRAP = 0x9A
    CR11_WRITE_TRAP = 0x9B
    CR12_WRITE_TRAP = 0x9C
    CR13_WRITE_TRAP = 0x9D
    CR14_WRITE_TRAP = 0x9E
    CR15_WRITE_TRAP = 0x9F
    INVLPGB = 0xA0
    INVLPGB_ILLEGAL = 0xA1
    INVPCID = 0xA2
    MCOMMIT = 0xA3
    TLBSYNC = 0xA4
    BUSLOCK = 0xA5
    IDLE_HLT = 0xA6
    NPF = 0x400
    AVIC_INCOMPLETE_IPI = 0x401
    AVIC_NOACCEL = 0x402
    VMGEXIT = 0x403
    INVALID = 0xFFFF_FFFF_FFFF_FFFF
    BUSY = 0xFFFF_FFFF_FFFF_FFFE
    IDLE_REQUIRED = 0xFFFF_FFFF_FFFF_FFFD
    INVALID_PMC = 0xFFFF_FFFF_FFFF_FFFC


def exit_name(exit_code: int) -> str:
    """The manual's name of ``exit_code``, or its number where the manual has none."""
    try:
        return SvmExit(exit_code).name
    except ValueError:
        return f"{exit_code:#x}"
