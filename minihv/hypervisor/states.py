"""The states of partitions, and what keeps a virtual processor from running.

Stands for: words of ring -1's objects.
Spec: TLFS, "Partition States" and "Virtual Processor States"; "HV_EXPLICIT_SUSPEND_REGISTER" and
    "HV_INTERCEPT_SUSPEND_REGISTER".
Simplified: a partition that is finalizing is finalized at once.
"""

from enum import Enum, IntFlag


class PartitionState(Enum):
    """Where a partition is in its life."""

    UNINITIALIZED = "uninitialized"
    """Created, with nothing but an id and a memory pool."""
    ACTIVE = "active"
    FINALIZED = "finalized"
    """Everything in it is gone, and its memory pool may be emptied."""


class Suspension(IntFlag):
    """Why a VP is suspended; each is taken away by a register of its own."""

    NONE = 0
    EXPLICIT = 1
    """The parent wants it so; every VP that a call made begins with it."""
    INTERCEPT = 2
    """The parent has a message about it, and has not answered yet."""


class VpState(Enum):
    """Where a VP is in its life."""

    READY = "ready"
    IDLE = "idle"
    """HLT with interrupts enabled, or a guest idle state: an interrupt makes it ready."""
    HALTED = "halted"
    """HLT with interrupts disabled: only an NMI or INIT would end it."""
    STARTUP = "waits to be started"
    """INIT, and no start-up interrupt yet."""
    SUSPENDED = "suspended"
    """The parent wants it so, or an intercept waits for somebody who can answer it; see ``suspensions``."""
    TRIPLE_FAULT = "triple fault"
    CLOSED = "closed"
    """It was deleted, or its partition was."""


FOR_GOOD = frozenset({VpState.HALTED, VpState.STARTUP})
"""Nothing makes these ready but another VP of the partition."""
