"""The timer of a local APIC: counts down once or again and again, and requests an interrupt at zero.

Stands for: the APIC timer, whose clock here is the TSC's, 1 GHz.
Spec: AMD APM vol. 2, "APIC Timer"; Intel SDM vol. 3A, "APIC Timer".
Simplified: no TSC-deadline mode. A period shorter than a block of virtual time counts as one block.
Next: ``minihv.hypervisor.apic_registers``
"""

from typing import TYPE_CHECKING

from minihv.machine.clock import NS_PER_BLOCK
from minihv.spec.apic import LocalVector, TimerDivide

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

MASKED = LocalVector(masked=True)


class ApicTimer:
    """The timer of ``vp``: ``initial`` counts of the divided clock, since ``_start``."""

    def __init__(self, vp: "VirtualProcessor") -> None:
        self._vp = vp
        self._start = 0
        self.initial = 0
        self.divide = TimerDivide()
        self.entry = MASKED
        """Its entry of the local vector table."""

    @property
    def _key(self) -> tuple[object, str]:
        return self._vp, "APIC timer"

    def current(self, now: int) -> int:
        """The counter, at ``now`` in blocks: 0 when it is stopped, or has run down once."""
        if not self.initial:
            return 0
        counted = (now - self._start) * NS_PER_BLOCK // self.divide.divisor
        if self.entry.periodic:
            return self.initial - counted % self.initial
        return max(self.initial - counted, 0)

    def write_initial(self, initial: int, now: int) -> None:
        """Starts it at ``now``, from ``initial``; 0 stops it."""
        self.initial, self._start = initial, now
        self._arm(now)

    def write_divide(self, value: int, now: int) -> None:
        """Another clock: what is left to count goes on with it."""
        left = self.current(now)
        self.divide = TimerDivide(value & 0xB)
        self._start = now - (self.initial - left) * self.divide.divisor // NS_PER_BLOCK
        self._arm(now)

    def write_entry(self, entry: LocalVector, now: int) -> None:
        """Another vector, mask or mode."""
        self.entry = entry
        self._arm(now)

    def reset(self) -> None:
        """Stopped and masked, with the clock that it began with."""
        self.stop()
        self.divide, self.entry = TimerDivide(), MASKED

    def stop(self) -> None:
        """Nothing happens any more."""
        self.initial = 0
        self._arm(0)

    def _blocks(self, periods: int) -> int:
        """Blocks in which it counts down ``periods`` times: never fewer than it takes."""
        ticks = periods * self.initial * self.divide.divisor
        return max(-(-ticks // NS_PER_BLOCK), periods)

    def _arm(self, now: int) -> None:
        alarms = self._vp.partition.hypervisor.alarms
        periods = 1
        if self.initial and self.entry.periodic:
            passed = now - self._start
            periods += min(passed * NS_PER_BLOCK // (self.initial * self.divide.divisor), passed)
        due = self._start + self._blocks(periods)
        if self.initial and due > now and not self.entry.masked:
            alarms.set(self._key, due, self._expire)
        else:
            alarms.cancel(self._key)

    def _expire(self, now: int) -> None:
        if self.entry.periodic:
            self._arm(now)
        self._vp.apic.request(self.entry.vector)
