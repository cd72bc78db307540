"""The ways of paging that are compared, and a machine for each.

Next: ``minihv.cli.compare.measure``
"""

from dataclasses import dataclass

from minihv.guests.session import GuestSession
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.paging.tlb_parts import TlbShape


@dataclass(frozen=True, slots=True)
class Mode:
    """Who walks the tables, for shadow paging by which policy they are kept, and behind which TLB."""

    paging: str
    policy: str | None = None
    tlb: TlbShape | None = None
    """A modelled one; None: that of the engine."""

    def __str__(self) -> str:
        return self.paging if self.policy is None else f"{self.paging}/{self.policy}"


SLAT = Mode("slat")
MODES = (SLAT, *(Mode("shadow", policy.value) for policy in ShadowPolicy))
"""SLAT first, and shadow paging under each policy."""


def open_session(guest: str, mode: Mode) -> GuestSession:
    """A machine with ``guest`` on it that pages as ``mode`` says. Close it."""
    shadow = ShadowOptions(ShadowPolicy.named(mode.policy)) if mode.policy is not None else None
    return GuestSession(guest, paging=PagingMode.named(mode.paging), shadow=shadow, tlb=mode.tlb)
