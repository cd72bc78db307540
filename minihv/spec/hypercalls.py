"""Hypercalls: input and result values, call codes, statuses, names of VP registers.

Stands for: the interface of the Microsoft hypervisor.
Spec: TLFS, "Hypercall Inputs", "Hypercall Outputs", "Hypercall Status Codes", "Hypercall Code Reference".
Twin: ``native/core/include/minihv/hypercalls.h``, held equal by ``tests/layouts/test_hypercalls.py``.
"""

from enum import IntEnum, IntFlag

from minihv.spec.bits import Bits, field, flag


class HypercallInput(Bits, width=64):
    """What RCX says.  Spec: TLFS, "Hypercall Inputs"."""

    call_code = field(15, 0)
    fast = flag(16)
    variable_header_qwords = field(26, 17)
    nested = flag(31)
    rep_count = field(43, 32)
    rep_start = field(59, 48)


class HypercallResult(Bits, width=64):
    """What RAX answers.  Spec: TLFS, "Hypercall Outputs"."""

    status = field(15, 0)
    reps_completed = field(43, 32)


class CallCode(IntEnum):
    """Call codes of the generation of Windows Server 2008 R2; some of later generations differ."""

    SWITCH_VIRTUAL_ADDRESS_SPACE = 0x0001
    FLUSH_VIRTUAL_ADDRESS_SPACE = 0x0002
    FLUSH_VIRTUAL_ADDRESS_LIST = 0x0003
    NOTIFY_LONG_SPIN_WAIT = 0x0008
    SEND_SYNTHETIC_CLUSTER_IPI = 0x000B
    FLUSH_VIRTUAL_ADDRESS_SPACE_EX = 0x0013
    FLUSH_VIRTUAL_ADDRESS_LIST_EX = 0x0014
    SEND_SYNTHETIC_CLUSTER_IPI_EX = 0x0015
    CREATE_PARTITION = 0x0040
    INITIALIZE_PARTITION = 0x0041
    FINALIZE_PARTITION = 0x0042
    DELETE_PARTITION = 0x0043
    GET_PARTITION_PROPERTY = 0x0044
    SET_PARTITION_PROPERTY = 0x0045
    GET_PARTITION_ID = 0x0046
    GET_NEXT_CHILD_PARTITION = 0x0047
    DEPOSIT_MEMORY = 0x0048
    WITHDRAW_MEMORY = 0x0049
    GET_MEMORY_BALANCE = 0x004A
    MAP_GPA_PAGES = 0x004B
    UNMAP_GPA_PAGES = 0x004C
    INSTALL_INTERCEPT = 0x004D
    CREATE_VP = 0x004E
    DELETE_VP = 0x004F
    GET_VP_REGISTERS = 0x0050
    SET_VP_REGISTERS = 0x0051
    TRANSLATE_VIRTUAL_ADDRESS = 0x0052
    READ_GPA = 0x0053
    WRITE_GPA = 0x0054
    ASSERT_VIRTUAL_INTERRUPT = 0x0055
    CLEAR_VIRTUAL_INTERRUPT = 0x0056
    CREATE_PORT = 0x0057
    DELETE_PORT = 0x0058
    CONNECT_PORT = 0x0059
    GET_PORT_PROPERTY = 0x005A
    DISCONNECT_PORT = 0x005B
    POST_MESSAGE = 0x005C
    SIGNAL_EVENT = 0x005D
    SAVE_PARTITION_STATE = 0x005E
    RESTORE_PARTITION_STATE = 0x005F
    MAP_STATS_PAGE = 0x006C
    UNMAP_STATS_PAGE = 0x006D
    MAP_SPARSE_GPA_PAGES = 0x006E
    SET_PORT_PROPERTY = 0x0070
    ASSERT_VIRTUAL_INTERRUPT_V2 = 0x0094
    CREATE_PORT_V2 = 0x0095
    CONNECT_PORT_V2 = 0x0096


class Status(IntEnum):
    """Spec: TLFS, "Hypercall Status Codes"."""

    SUCCESS = 0x0000
    INVALID_HYPERCALL_CODE = 0x0002
    INVALID_HYPERCALL_INPUT = 0x0003
    INVALID_ALIGNMENT = 0x0004
    INVALID_PARAMETER = 0x0005
    ACCESS_DENIED = 0x0006
    INVALID_PARTITION_STATE = 0x0007
    OPERATION_DENIED = 0x0008
    UNKNOWN_PROPERTY = 0x0009
    PROPERTY_VALUE_OUT_OF_RANGE = 0x000A
    INSUFFICIENT_MEMORY = 0x000B
    PARTITION_TOO_DEEP = 0x000C
    INVALID_PARTITION_ID = 0x000D
    INVALID_VP_INDEX = 0x000E
    NOT_FOUND = 0x0010
    INVALID_PORT_ID = 0x0011
    INVALID_CONNECTION_ID = 0x0012
    INSUFFICIENT_BUFFERS = 0x0013
    NOT_ACKNOWLEDGED = 0x0014
    INVALID_VP_STATE = 0x0015
    ACKNOWLEDGED = 0x0016
    INVALID_SAVE_RESTORE_STATE = 0x0017
    INVALID_SYNIC_STATE = 0x0018
    OBJECT_IN_USE = 0x0019
    INVALID_PROXIMITY_DOMAIN_INFO = 0x001A
    NO_DATA = 0x001B
    INACTIVE = 0x001C
    NO_RESOURCES = 0x001D
    FEATURE_UNAVAILABLE = 0x001E
    INCOMPATIBLE_PROCESSOR = 0x0037
    INVALID_LP_INDEX = 0x0041
    INVALID_REGISTER_VALUE = 0x0050
    OPERATION_FAILED = 0x0071
    TIMEOUT = 0x0078
    CALL_PENDING = 0x0079


class PartitionProperty(IntEnum):
    """Spec: TLFS, "HV_PARTITION_PROPERTY_CODE"."""

    PRIVILEGE_FLAGS = 0x0001_0000
    CPU_RESERVE = 0x0002_0001
    CPU_CAP = 0x0002_0002
    CPU_WEIGHT = 0x0002_0003
    EMULATED_TIMER_PERIOD = 0x0003_0000
    EMULATED_TIMER_CONTROL = 0x0003_0001
    PM_TIMER_ASSIST = 0x0003_0002
    PROCESSOR_VENDOR = 0x0006_0000
    PROCESSOR_FEATURES = 0x0006_0001


class MapFlags(IntFlag):
    """Rights of a mapped GPA page; none, R, RW, RX and RWX are valid.  Spec: TLFS, "HvCallMapGpaPages"."""

    READ = 1 << 0
    WRITE = 1 << 1
    EXECUTE = 1 << 2


class RegisterName(IntEnum):
    """Names of VP registers; behind SINT0 and STIMER0_CONFIG the others of their kind follow.

    Spec: TLFS, "HV_REGISTER_NAME".
    """

    EXPLICIT_SUSPEND = 0x0000_0000
    INTERCEPT_SUSPEND = 0x0000_0001
    INTERNAL_ACTIVITY_STATE = 0x0000_0004
    PENDING_INTERRUPTION = 0x0001_0002
    INTERRUPT_STATE = 0x0001_0003
    RAX = 0x0002_0000
    RCX = 0x0002_0001
    RDX = 0x0002_0002
    RBX = 0x0002_0003
    RSP = 0x0002_0004
    RBP = 0x0002_0005
    RSI = 0x0002_0006
    RDI = 0x0002_0007
    R8 = 0x0002_0008
    R9 = 0x0002_0009
    R10 = 0x0002_000A
    R11 = 0x0002_000B
    R12 = 0x0002_000C
    R13 = 0x0002_000D
    R14 = 0x0002_000E
    R15 = 0x0002_000F
    RIP = 0x0002_0010
    RFLAGS = 0x0002_0011
    CR0 = 0x0004_0000
    CR2 = 0x0004_0001
    CR3 = 0x0004_0002
    CR4 = 0x0004_0003
    CR8 = 0x0004_0004
    DR0 = 0x0005_0000
    DR1 = 0x0005_0001
    DR2 = 0x0005_0002
    DR3 = 0x0005_0003
    DR6 = 0x0005_0004
    DR7 = 0x0005_0005
    ES = 0x0006_0000
    CS = 0x0006_0001
    SS = 0x0006_0002
    DS = 0x0006_0003
    FS = 0x0006_0004
    GS = 0x0006_0005
    LDTR = 0x0006_0006
    TR = 0x0006_0007
    IDTR = 0x0007_0000
    GDTR = 0x0007_0001
    TSC = 0x0008_0000
    EFER = 0x0008_0001
    KERNEL_GS_BASE = 0x0008_0002
    APIC_BASE = 0x0008_0003
    PAT = 0x0008_0004
    SYSENTER_CS = 0x0008_0005
    SYSENTER_RIP = 0x0008_0006
    SYSENTER_RSP = 0x0008_0007
    STAR = 0x0008_0008
    LSTAR = 0x0008_0009
    CSTAR = 0x0008_000A
    SFMASK = 0x0008_000B
    INITIAL_APIC_ID = 0x0008_000C
    VP_RUNTIME = 0x0009_0000
    HYPERCALL = 0x0009_0001
    GUEST_OS_ID = 0x0009_0002
    VP_INDEX = 0x0009_0003
    TIME_REF_COUNT = 0x0009_0004
    EOI = 0x0009_0010
    ICR = 0x0009_0011
    TPR = 0x0009_0012
    VP_ASSIST_PAGE = 0x0009_0013
    SINT0 = 0x000A_0000
    SCONTROL = 0x000A_0010
    SVERSION = 0x000A_0011
    SIEFP = 0x000A_0012
    SIMP = 0x000A_0013
    EOM = 0x000A_0014
    STIMER0_CONFIG = 0x000B_0000


class RegisterSegmentAttributes(Bits, width=16):
    """Attributes of a segment register's value.  Spec: TLFS, "HV_X64_SEGMENT_REGISTER"."""

    type = field(3, 0)
    code_or_data = flag(4)
    dpl = field(6, 5)
    present = flag(7)
    available = flag(12)
    long = flag(13)
    default_big = flag(14)
    granularity = flag(15)


class PendingInterruption(Bits, width=64):
    """The register of that name.  Spec: TLFS, "HV_X64_PENDING_INTERRUPTION_REGISTER"."""

    pending = flag(0)
    type = field(3, 1)
    deliver_error_code = flag(4)
    vector = field(31, 16)
    error_code = field(63, 32)
