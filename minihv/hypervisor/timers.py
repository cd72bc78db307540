"""The four synthetic timers of a VP: at a moment of reference time, a message or an interrupt.

Stands for: ring -1's synthetic timers.
Spec: TLFS, "Timers": "Synthetic Timers", "Synthetic Timer Configuration Register", "Synthetic Timer
    Expiration Messages".
Simplified: while the message of an expiration waits for its slot, further ones are merged with it.
First reading: ``write_config``, ``write_count``, ``_expire``.
Next: ``minihv.hypervisor.msrs_time``

Times are the reference time of the partition, in units of 100 ns; ``count`` is a moment, and a span when the
timer is periodic. Virtual time goes on by whole blocks, so an alarm is set for the first block at which the
moment is reached or passed.
"""

from typing import TYPE_CHECKING

from minihv.hypervisor.apic import FIRST_VECTOR
from minihv.hypervisor.synic import Buffers, Message
from minihv.machine import clock
from minihv.spec.msrs import TimerConfig
from minihv.spec.synic import MessageType, TimerPayload

if TYPE_CHECKING:
    from minihv.hypervisor.alarms import Alarms
    from minihv.hypervisor.vp import VirtualProcessor

TIMER_COUNT = 4
ENABLE = TimerConfig.enable.mask


class SyntheticTimer:
    """Timer ``index`` of ``vp``."""

    def __init__(self, vp: "VirtualProcessor", index: int) -> None:
        self._vp, self._index = vp, index
        self._key = vp, index
        self._buffers = Buffers(1)
        self._due = 0
        self.config = TimerConfig()
        self.count = 0

    def write_config(self, value: int) -> bool:
        """Writes STIMERx_CONFIG. False: a reserved bit, or direct mode with a vector no interrupt has."""
        config = TimerConfig(value)
        if not config.reserved_is_zero or (config.direct_mode and config.apic_vector < FIRST_VECTOR):
            return False
        if config.enable and config.sint == 0 and not config.direct_mode:
            config = config.replace(enable=False)
        self.config = config
        self._start()
        return True

    def write_count(self, count: int) -> bool:
        """Writes STIMERx_COUNT: 0 stops the timer, and anything else starts one that enables itself."""
        self.count = count
        if count == 0:
            self.config = self.config.replace(enable=False)
        elif self.config.auto_enable and (self.config.sint or self.config.direct_mode):
            self.config = self.config.replace(enable=True)
        self._start()
        return True

    def stop(self) -> None:
        """It never expires again, unless it is written to."""
        self._alarms.cancel(self._key)

    @property
    def _alarms(self) -> "Alarms":
        return self._vp.partition.hypervisor.alarms

    def _reference_time(self, now: int) -> int:
        return clock.reference_time(now) - self._vp.partition.created_at

    def _due_blocks(self) -> int:
        return clock.blocks_until(self._due + self._vp.partition.created_at)

    def _start(self) -> None:
        """Counts from now, if it is enabled; what is over already expires at once."""
        if not self.config.enable or self.count == 0:
            self.stop()
            return
        now = self._vp.partition.hypervisor.now
        periodic = self.config.periodic
        self._due = self._reference_time(now) + self.count if periodic else self.count
        self._set_alarm(now)

    def _set_alarm(self, now: int) -> None:
        due = self._due_blocks()
        if due <= now:
            self.stop()
            self._expire(now)
        else:
            self._alarms.set(self._key, due, self._expire)

    def _expire(self, now: int) -> None:
        """Tells the guest, and goes on to the next period.

        A lazy timer forgets the periods that it missed; another catches up with them one by one.
        """
        time, due = self._reference_time(now), self._due
        if self.config.periodic:
            missed = (time - due) // self.count if self.config.lazy else 0
            self._due += self.count * (missed + 1)
            self._alarms.set(self._key, self._due_blocks(), self._expire)
        else:
            self.config = self.config.replace(enable=False)
        self._tell(due, time)

    def _tell(self, due: int, time: int) -> None:
        if self.config.direct_mode:
            self._vp.apic.request(self.config.apic_vector)
            return
        payload = TimerPayload.build(timer=self._index, expiration_time=due, delivery_time=time)
        message = Message(MessageType.TIMER_EXPIRED, 0, bytes(payload))
        self._vp.synic.post(self.config.sint, message, self._buffers)


def timers_of(vp: "VirtualProcessor") -> tuple[SyntheticTimer, ...]:
    """The timers of ``vp``, stopped."""
    return tuple(SyntheticTimer(vp, index) for index in range(TIMER_COUNT))
