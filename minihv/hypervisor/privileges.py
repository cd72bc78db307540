"""What a partition may do: the 64-bit privilege mask that CPUID leaf 0x40000003 shows.

Stands for: the partition privilege mask.
Spec: TLFS, "Partition Privilege Flags".
Simplified: only the privileges that something here checks or shows.
"""

from minihv.spec.cpuid import PartitionPrivilege as Privilege

__all__ = ["CHILD", "NONE", "PARENT", "Privilege"]

NONE = Privilege(0)

CHILD = (
    Privilege.ACCESS_VP_RUNTIME
    | Privilege.ACCESS_REFERENCE_COUNTER
    | Privilege.ACCESS_HYPERCALL
    | Privilege.ACCESS_VP_INDEX
    | Privilege.ACCESS_RESET
    | Privilege.ACCESS_FREQUENCY
    | Privilege.ACCESS_PARTITION_ID
    | Privilege.ACCESS_SYNIC
    | Privilege.POST_MESSAGES
    | Privilege.SIGNAL_EVENTS
    | Privilege.ACCESS_SYNTHETIC_TIMERS
    | Privilege.ACCESS_APIC
    | Privilege.ACCESS_REFERENCE_TSC
    | Privilege.ACCESS_GUEST_IDLE
)
"""What a child of this release gets; its own id may be asked for."""

PARENT = (
    CHILD
    | Privilege.CREATE_PARTITIONS
    | Privilege.ACCESS_MEMORY_POOL
    | Privilege.CPU_MANAGEMENT
    | Privilege.CREATE_PORT
    | Privilege.CONNECT_PORT
)
"""What the parent partition gets on top."""
