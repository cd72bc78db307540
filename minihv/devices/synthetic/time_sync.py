"""Time synchronisation: the guest's clock is set when it starts, and compared every five seconds.

Stands for: the time synchronisation service of Hyper-V.
Spec: ``minihv.spec.integration``, ``TimeBody`` and ``TimeReferenceBody``.
Simplified: the parent's clock begins at a constant and advances with virtual time; no leap seconds.
Next: ``minihv.devices.synthetic.kvp``
"""

from minihv.devices.synthetic.framing import Answer, Revision
from minihv.devices.synthetic.integration import IntegrationService
from minihv.devices.synthetic.service import SECOND, Refusal
from minihv.spec.integration import (
    UNIX_EPOCH,
    Instance,
    Interface,
    MessageType,
    TimeBody,
    TimeFlags,
    TimeReferenceBody,
)

PERIOD_100NS = 5 * SECOND
PARENT_START = UNIX_EPOCH + 1_256_169_600 * SECOND
"""When every machine is switched on: 2009-10-22 UTC, the day Windows Server 2008 R2 was for sale."""
REFERENCE_VERSION: Revision = (4, 0)
STRATUM = 1
"""The parent's clock is the best there is in its world."""


class TimeSync(IntegrationService):
    """Sends the time. ``reference_start`` is the machine's time when the guest's reference counter was 0."""

    name = "time sync"
    interface, instance = Interface.TIME_SYNC.value, Instance.TIME_SYNC.value
    message_type = MessageType.TIME_SYNC
    versions = ((1, 0), (3, 0), REFERENCE_VERSION)

    def __init__(self, parent_start: int = PARENT_START, reference_start: int = 0) -> None:
        super().__init__()
        self.parent_start, self.reference_start = parent_start, reference_start
        self.sent_samples = self.answered_samples = 0
        self.round_trip = 0
        """How long the last question and its answer took together, in units of 100 ns."""
        self._sent_at = 0
        self._next_sample: int | None = None

    @property
    def parent_time(self) -> int:
        """What the parent's clock shows, in units of 100 ns since 1601."""
        return self.parent_start + self.now_100ns

    def synchronise(self) -> bool:
        """Has the guest set its clock now, as after a pause; false if it does not listen."""
        if self._may_ask:
            self._sample(TimeFlags.SYNC)
            return True
        return False

    def _ready(self) -> None:
        self._sample(TimeFlags.SYNC)

    def _timer(self) -> int | None:
        return self._next_sample

    def _pass_time(self) -> None:
        if self._next_sample is None or self.now_100ns < self._next_sample:
            return
        if self._may_ask:
            self._sample(TimeFlags.SAMPLE)
        else:
            self._next_sample = self.now_100ns + PERIOD_100NS

    def _sample(self, flags: TimeFlags) -> None:
        self._sent_at = self.now_100ns
        self._next_sample = self.now_100ns + PERIOD_100NS
        self.sent_samples += 1
        self._ask(self._body(flags))

    def _body(self, flags: TimeFlags) -> bytes:
        if self.version < REFERENCE_VERSION:
            return bytes(
                TimeBody.build(parent_time=self.parent_time, round_trip=self.round_trip, flags=flags)
            )
        reference = max(0, self.now_100ns - self.reference_start)
        return bytes(
            TimeReferenceBody.build(
                parent_time=self.parent_time, reference_time=reference, flags=flags, stratum=STRATUM
            )
        )

    def _answered(self, answer: Answer) -> Refusal | None:
        """Whatever it says: that it came is all that counts."""
        self.answered_samples += 1
        self.round_trip = self.now_100ns - self._sent_at
        return None

    def _lost(self) -> None:
        self._next_sample = None
