"""The ways of paging that are compared, and a machine for each.

Next: ``minihv.cli.compare.measure``
"""

from dataclasses import dataclass
from typing import Any

from minihv.guests.session import GuestSession
from minihv.machine import processor
from minihv.machine.processor import PagingMode


@dataclass(frozen=True, slots=True)
class Mode:
    """Who walks the tables, and for shadow paging by which policy they are kept."""

    paging: str
    policy: str | None = None

    def __str__(self) -> str:
        return self.paging if self.policy is None else f"{self.paging}/{self.policy}"


SLAT = Mode("slat")
SHADOW = (Mode("shadow", "trap"), Mode("shadow", "unsync"), Mode("shadow", "flush"))


def modes() -> tuple[Mode, ...]:
    """SLAT first, and shadow paging under each policy, as far as this machine has it."""
    known = {mode.value for mode in PagingMode}
    return tuple(mode for mode in (SLAT, *SHADOW) if mode.paging in known)


def open_session(guest: str, mode: Mode) -> GuestSession:
    """A machine with ``guest`` on it that pages as ``mode`` says. Close it."""
    options: dict[str, Any] = {}
    if mode.policy is not None:
        options["policy"] = vars(processor)["ShadowPolicy"].named(mode.policy)
    return GuestSession(guest, paging=PagingMode.named(mode.paging), **options)


def table_frames(session: GuestSession) -> int:
    """The most frames that the hypervisor's own tables for the partition took so far."""
    return int(getattr(session, "table_frames", 0))
