"""What a partition may do: the 64-bit privilege mask that CPUID leaf 0x40000003 shows.

Stands for: the partition privilege mask.
Spec: TLFS, "Partition Privilege Flags".
Simplified: only the privileges that something here checks or shows.
"""

from enum import IntFlag


class Privilege(IntFlag):
    """Bits 31:0 are EAX of the leaf (MSRs), bits 63:32 its EBX (hypercalls)."""

    NONE = 0
    ACCESS_VP_RUNTIME = 1 << 0
    ACCESS_REFERENCE_COUNTER = 1 << 1
    ACCESS_SYNIC = 1 << 2
    ACCESS_SYNTHETIC_TIMERS = 1 << 3
    ACCESS_APIC = 1 << 4
    ACCESS_HYPERCALL = 1 << 5
    ACCESS_VP_INDEX = 1 << 6
    ACCESS_RESET = 1 << 7
    ACCESS_REFERENCE_TSC = 1 << 9
    ACCESS_FREQUENCY = 1 << 11
    CREATE_PARTITIONS = 1 << 32
    ACCESS_PARTITION_ID = 1 << 33
    ACCESS_MEMORY_POOL = 1 << 34
    POST_MESSAGES = 1 << 36
    SIGNAL_EVENTS = 1 << 37
    CREATE_PORT = 1 << 38
    CONNECT_PORT = 1 << 39
    CPU_MANAGEMENT = 1 << 44


CHILD = (
    Privilege.ACCESS_VP_RUNTIME
    | Privilege.ACCESS_REFERENCE_COUNTER
    | Privilege.ACCESS_HYPERCALL
    | Privilege.ACCESS_VP_INDEX
    | Privilege.ACCESS_RESET
    | Privilege.ACCESS_FREQUENCY
    | Privilege.ACCESS_PARTITION_ID
)
"""What a child of this release gets: no SynIC, no messages; its own id may be asked for."""

PARENT = CHILD | Privilege.CREATE_PARTITIONS | Privilege.ACCESS_MEMORY_POOL | Privilege.CPU_MANAGEMENT
"""What the parent partition gets on top."""
