"""CPUID: the leaves that minihv answers, and what their bits mean.

Stands for: the answers of the CPUID instruction.
Spec: AMD APM vol. 3, "CPUID Specification" (Appendix E); TLFS, "Feature and Interface Discovery".
Twin: ``native/core/include/minihv/hypercalls.h`` for the hypervisor's leaves, held equal by
    ``tests/layouts/test_hypercalls.py``.
Next: ``minihv.spec.msrs``
"""

from enum import IntEnum, IntFlag


class Leaf(IntEnum):
    """Leaves of the processor."""

    VENDOR = 0x0000_0000
    FEATURES = 0x0000_0001
    STRUCTURED_FEATURES = 0x0000_0007
    EXTENDED_STATE = 0x0000_000D
    EXTENDED_LIMIT = 0x8000_0000
    EXTENDED_FEATURES = 0x8000_0001
    BRAND_1 = 0x8000_0002
    BRAND_2 = 0x8000_0003
    BRAND_3 = 0x8000_0004
    ADDRESS_SIZES = 0x8000_0008
    SVM = 0x8000_000A


class HypervisorLeaf(IntEnum):
    """Leaves of the hypervisor.  Spec: TLFS, "Hypervisor CPUID Leaf Range"."""

    VENDOR = 0x4000_0000
    INTERFACE = 0x4000_0001
    VERSION = 0x4000_0002
    FEATURES = 0x4000_0003
    RECOMMENDATIONS = 0x4000_0004
    LIMITS = 0x4000_0005
    HARDWARE_FEATURES = 0x4000_0006


class FeaturesEcx(IntFlag):
    """Leaf 1, ECX."""

    SSE3 = 1 << 0
    PCLMULQDQ = 1 << 1
    MONITOR = 1 << 3
    SSSE3 = 1 << 9
    FMA = 1 << 12
    CMPXCHG16B = 1 << 13
    SSE41 = 1 << 19
    SSE42 = 1 << 20
    X2APIC = 1 << 21
    MOVBE = 1 << 22
    POPCNT = 1 << 23
    AES = 1 << 25
    XSAVE = 1 << 26
    OSXSAVE = 1 << 27
    AVX = 1 << 28
    F16C = 1 << 29
    RDRAND = 1 << 30
    HYPERVISOR = 1 << 31


class FeaturesEdx(IntFlag):
    """Leaf 1, EDX."""

    FPU = 1 << 0
    VME = 1 << 1
    DE = 1 << 2
    PSE = 1 << 3
    TSC = 1 << 4
    MSR = 1 << 5
    PAE = 1 << 6
    MCE = 1 << 7
    CX8 = 1 << 8
    APIC = 1 << 9
    SEP = 1 << 11
    MTRR = 1 << 12
    PGE = 1 << 13
    MCA = 1 << 14
    CMOV = 1 << 15
    PAT = 1 << 16
    PSE36 = 1 << 17
    CLFLUSH = 1 << 19
    MMX = 1 << 23
    FXSR = 1 << 24
    SSE = 1 << 25
    SSE2 = 1 << 26


class StructuredEbx(IntFlag):
    """Leaf 7, subleaf 0, EBX."""

    FSGSBASE = 1 << 0
    BMI1 = 1 << 3
    AVX2 = 1 << 5
    SMEP = 1 << 7
    BMI2 = 1 << 8
    ERMS = 1 << 9
    INVPCID = 1 << 10
    RDSEED = 1 << 18
    ADX = 1 << 19
    SMAP = 1 << 20
    CLFLUSHOPT = 1 << 23


class StructuredEcx(IntFlag):
    """Leaf 7, subleaf 0, ECX."""

    UMIP = 1 << 2
    PKU = 1 << 3
    LA57 = 1 << 16
    RDPID = 1 << 22


class ExtendedEcx(IntFlag):
    """Leaf 0x80000001, ECX."""

    LAHF = 1 << 0
    SVM = 1 << 2
    CR8 = 1 << 4
    LZCNT = 1 << 5
    SSE4A = 1 << 6
    PREFETCHW = 1 << 8


class ExtendedEdx(IntFlag):
    """Leaf 0x80000001, EDX."""

    SYSCALL = 1 << 11
    NX = 1 << 20
    MMXEXT = 1 << 22
    FXSR_OPT = 1 << 25
    PAGES_1G = 1 << 26
    RDTSCP = 1 << 27
    LONG_MODE = 1 << 29


class PartitionPrivilege(IntFlag):
    """Leaf 0x40000003, EAX and, from bit 32 on, EBX.  Spec: TLFS, "Partition Privilege Flags"."""

    ACCESS_VP_RUNTIME = 1 << 0
    ACCESS_REFERENCE_COUNTER = 1 << 1
    ACCESS_SYNIC = 1 << 2
    ACCESS_SYNTHETIC_TIMERS = 1 << 3
    ACCESS_APIC = 1 << 4
    ACCESS_HYPERCALL = 1 << 5
    ACCESS_VP_INDEX = 1 << 6
    ACCESS_RESET = 1 << 7
    ACCESS_STATISTICS = 1 << 8
    ACCESS_REFERENCE_TSC = 1 << 9
    ACCESS_GUEST_IDLE = 1 << 10
    ACCESS_FREQUENCY = 1 << 11
    CREATE_PARTITIONS = 1 << 32
    ACCESS_PARTITION_ID = 1 << 33
    ACCESS_MEMORY_POOL = 1 << 34
    ADJUST_MESSAGE_BUFFERS = 1 << 35
    POST_MESSAGES = 1 << 36
    SIGNAL_EVENTS = 1 << 37
    CREATE_PORT = 1 << 38
    CONNECT_PORT = 1 << 39
    ACCESS_STATS = 1 << 40
    DEBUGGING = 1 << 43
    CPU_MANAGEMENT = 1 << 44
    CONFIGURE_PROFILER = 1 << 45


class MiscellaneousFeatures(IntFlag):
    """Leaf 0x40000003, EDX."""

    MWAIT = 1 << 0
    GUEST_DEBUGGING = 1 << 1
    PERFORMANCE_MONITOR = 1 << 2
    DYNAMIC_PARTITIONING = 1 << 3
    XMM_INPUT = 1 << 4
    GUEST_IDLE_STATE = 1 << 5
    FREQUENCY_MSRS = 1 << 8
    CRASH_MSRS = 1 << 10
    DEBUG_MSRS = 1 << 11
    XMM_OUTPUT = 1 << 15
    SINT_POLLING = 1 << 17
    DIRECT_TIMERS = 1 << 19


class Recommendations(IntFlag):
    """Leaf 0x40000004, EAX."""

    SWITCH_BY_HYPERCALL = 1 << 0
    LOCAL_FLUSH_BY_HYPERCALL = 1 << 1
    REMOTE_FLUSH_BY_HYPERCALL = 1 << 2
    APIC_BY_MSRS = 1 << 3
    RESET_BY_MSR = 1 << 4
    RELAXED_TIMING = 1 << 5
    DMA_REMAPPING = 1 << 6
    INTERRUPT_REMAPPING = 1 << 7
    X2APIC_MSRS = 1 << 8
    NO_AUTO_EOI = 1 << 9
    CLUSTER_IPI_BY_HYPERCALL = 1 << 10
    SPARSE_SETS = 1 << 11


class HardwareFeatures(IntFlag):
    """Leaf 0x40000006, EAX: what the hypervisor uses of the hardware."""

    APIC_OVERLAY_ASSIST = 1 << 0
    MSR_BITMAPS = 1 << 1
    PERFORMANCE_COUNTERS = 1 << 2
    SECOND_LEVEL_TRANSLATION = 1 << 3
    DMA_REMAPPING = 1 << 4
    INTERRUPT_REMAPPING = 1 << 5


VENDOR = b"Microsoft Hv"
"""EBX, ECX and EDX of leaf 0x40000000."""
INTERFACE = b"Hv#1"
"""EAX of leaf 0x40000001."""
