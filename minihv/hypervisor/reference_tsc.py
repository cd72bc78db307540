"""The page from which a guest computes reference time out of the TSC, without an exit.

Stands for: the partition reference TSC page.
Spec: TLFS, "Partition Reference Time Enlightenment".
Simplified: the scale is rounded up, so that page and counter agree to the unit; the page is laid over the
    guest's when it is enabled, and its frame is paid for by the partition's memory pool.
Next: ``minihv.hypervisor.msrs_time``

The page holds as long as the TSC of every VP counts virtual time from the machine's start. A VP that sets its
TSC makes it invalid: sequence 0 sends the guest to the reference counter.
"""

from typing import TYPE_CHECKING

from minihv.errors import ConfigurationError
from minihv.machine import clock
from minihv.spec.msrs import OverlayRegister, ReferenceTscPage
from minihv.terms import PAGE_BYTES, Gpa, Spa

if TYPE_CHECKING:
    from minihv.hypervisor.partition import Partition

WHAT = "reference TSC page"
SCALE = -(-(clock.REFERENCE_HZ << 64) // clock.TSC_HZ)
"""Reference units in a tick of the TSC, times 2 to the power of 64."""


class ReferenceTsc:
    """The page of ``partition``, and the register that says where it lies."""

    def __init__(self, partition: "Partition") -> None:
        self._partition = partition
        self._spa: Spa | None = None
        self._shown_at: Gpa | None = None
        self.register = 0

    def write(self, value: int) -> bool:
        """Writes REFERENCE_TSC; false when no page can be there."""
        wanted = Gpa(value & -PAGE_BYTES) if OverlayRegister(value).enable else None
        if wanted != self._shown_at and not self._show_at(wanted):
            return False
        self.register = value
        return True

    def refresh(self) -> None:
        """Writes the page anew: a VP has set its TSC, or the page has just been made."""
        if self._spa is None:
            return
        kept = all(vp.control.tsc_offset == 0 for vp in self._partition.vps)
        offset = -self._partition.created_at & (1 << 64) - 1
        page = ReferenceTscPage.build(sequence=int(kept), scale=SCALE, offset=offset)
        self._partition.hypervisor.memory.write(self._spa, bytes(page))

    def close(self) -> None:
        """Gives the frame back."""
        if self._spa is not None:
            self._partition.pool.give(self._spa)
            self._spa = None

    def _show_at(self, gpa: Gpa | None) -> bool:
        space = self._partition.gpa_space
        if gpa is not None and (not space.is_backed(gpa, PAGE_BYTES)):
            return False  # no memory there, or an overlay already
        if self._shown_at is not None:
            space.lift(self._shown_at)
            self._shown_at = None
        if gpa is None:
            return True
        try:
            if self._spa is None:
                self._spa = self._partition.pool.take()
                self.refresh()
            space.lay_over(gpa, self._spa, WHAT)
        except ConfigurationError:
            return False  # there is no frame left to pay with
        self._shown_at = gpa
        return True
