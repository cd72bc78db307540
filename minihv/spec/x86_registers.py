"""Control registers: CR0, CR4, EFER, RFLAGS, DR6 and DR7.

Stands for: the registers that decide in which mode a processor is and what it checks.
Spec: AMD APM vol. 2, "CR0 Register", "CR4 Register", "Extended Feature Enable Register (EFER)", "RFLAGS
    Register" and "Debug Registers".
Twin: ``native/core/include/minihv/x86.h``, held equal by ``tests/layouts/test_x86.py``.
Next: ``minihv.spec.vmcb``
"""

from enum import IntFlag


class Cr0(IntFlag):
    """Spec: AMD APM vol. 2, "CR0 Register"."""

    PE = 1 << 0
    MP = 1 << 1
    EM = 1 << 2
    TS = 1 << 3
    ET = 1 << 4
    NE = 1 << 5
    WP = 1 << 16
    AM = 1 << 18
    NW = 1 << 29
    CD = 1 << 30
    PG = 1 << 31


class Cr4(IntFlag):
    """Spec: AMD APM vol. 2, "CR4 Register"."""

    VME = 1 << 0
    PVI = 1 << 1
    TSD = 1 << 2
    DE = 1 << 3
    PSE = 1 << 4
    PAE = 1 << 5
    MCE = 1 << 6
    PGE = 1 << 7
    PCE = 1 << 8
    OSFXSR = 1 << 9
    OSXMMEXCPT = 1 << 10
    UMIP = 1 << 11
    LA57 = 1 << 12
    FSGSBASE = 1 << 16
    PCIDE = 1 << 17
    OSXSAVE = 1 << 18
    SMEP = 1 << 20
    SMAP = 1 << 21
    PKE = 1 << 22
    CET = 1 << 23


class Efer(IntFlag):
    """Spec: AMD APM vol. 2, "Extended Feature Enable Register (EFER)"."""

    SCE = 1 << 0
    LME = 1 << 8
    LMA = 1 << 10
    NXE = 1 << 11
    SVME = 1 << 12
    LMSLE = 1 << 13
    FFXSR = 1 << 14
    TCE = 1 << 15
    MCOMMIT = 1 << 17
    INTWB = 1 << 18
    UAIE = 1 << 20
    AIBRSE = 1 << 21


class Rflags(IntFlag):
    """Spec: AMD APM vol. 2, "RFLAGS Register"; IOPL is bits 13:12."""

    CF = 1 << 0
    ALWAYS_1 = 1 << 1
    PF = 1 << 2
    AF = 1 << 4
    ZF = 1 << 6
    SF = 1 << 7
    TF = 1 << 8
    IF = 1 << 9
    DF = 1 << 10
    OF = 1 << 11
    IOPL = 3 << 12
    NT = 1 << 14
    RF = 1 << 16
    VM = 1 << 17
    AC = 1 << 18
    VIF = 1 << 19
    VIP = 1 << 20
    ID = 1 << 21


class Dr6(IntFlag):
    """Spec: AMD APM vol. 2, "Debug-Status Register (DR6)"."""

    B0 = 1 << 0
    B1 = 1 << 1
    B2 = 1 << 2
    B3 = 1 << 3
    BD = 1 << 13
    BS = 1 << 14
    BT = 1 << 15


class Dr7(IntFlag):
    """Spec: AMD APM vol. 2, "Debug-Control Register (DR7)", its low half."""

    L0 = 1 << 0
    G0 = 1 << 1
    L1 = 1 << 2
    G1 = 1 << 3
    L2 = 1 << 4
    G2 = 1 << 5
    L3 = 1 << 6
    G3 = 1 << 7
    LE = 1 << 8
    GE = 1 << 9
    ALWAYS_1 = 1 << 10
    GD = 1 << 13
