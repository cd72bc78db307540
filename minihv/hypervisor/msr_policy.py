"""What an MSR is to those who have one to offer: who reads it, who writes it, and by what privilege.

Stands for: one line of ring -1's table of MSRs.
Spec: AMD APM vol. 2, "MSR Intercepts"; TLFS, "Synthetic MSRs".
Simplified: none known
Next: ``minihv.hypervisor.msrs``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minihv.hypervisor.privileges import NONE, Privilege

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

Reader = Callable[["VirtualProcessor"], int | None]
"""The value, or ``None``: the guest gets #GP."""
Writer = Callable[["VirtualProcessor", int], bool]
"""Says whether the value was legal; if not, the guest gets #GP."""


@dataclass(frozen=True, slots=True)
class MsrPolicy:
    """What RDMSR and WRMSR do; ``None`` raises #GP, and so does a partition without ``privilege``."""

    read: Reader | None
    write: Writer | None
    privilege: Privilege = NONE


def now(vp: "VirtualProcessor") -> int:
    """Virtual time of ``vp`` in blocks."""
    return int(vp.handle.time_base + vp.counters.blocks)
