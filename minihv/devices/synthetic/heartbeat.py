"""Heartbeat: the parent asks every two seconds whether the guest is there.

Stands for: the heartbeat service of Hyper-V, which a failover cluster watches.
Spec: ``minihv.spec.integration``, ``HeartbeatBody``.
Simplified: none known; the period is the usual one, in virtual time.
Next: ``minihv.devices.synthetic.shutdown``
"""

from enum import Enum

from minihv.devices.synthetic.framing import Answer
from minihv.devices.synthetic.integration import IntegrationService
from minihv.devices.synthetic.service import SECOND, Refusal
from minihv.spec.integration import ApplicationState, HeartbeatBody, Instance, Interface, MessageType

PERIOD_100NS = 2 * SECOND
LOST_AFTER = 2
"""So many beats missed in a row, and the guest is out of contact."""
U64 = 1 << 64


class Contact(Enum):
    """What the heartbeat says about a guest."""

    NONE = "no contact"
    """It has never answered since it opened the channel."""
    OK = "ok"
    LOST = "lost communication"


class Heartbeat(IntegrationService):
    """``contact`` and ``application_state`` are what is known of the guest."""

    name = "heartbeat"
    interface, instance = Interface.HEARTBEAT.value, Instance.HEARTBEAT.value
    message_type = MessageType.HEARTBEAT

    def __init__(self) -> None:
        super().__init__()
        self.application_state = ApplicationState.UNKNOWN
        self.sent_beats = self.answered_beats = self.missed_beats = 0
        self.missed_in_a_row = 0
        self._has_answered = False
        self._is_open = False
        """Whether the last beat is still to be answered."""
        self._sequence = 0
        self._next_beat: int | None = None

    @property
    def contact(self) -> Contact:
        """Whether the guest answers."""
        if not self._has_answered:
            return Contact.NONE
        return Contact.LOST if self.missed_in_a_row >= LOST_AFTER else Contact.OK

    def _ready(self) -> None:
        self._beat()

    def _timer(self) -> int | None:
        return self._next_beat

    def _pass_time(self) -> None:
        if self._next_beat is not None and self.now_100ns >= self._next_beat:
            self._beat()

    def _beat(self) -> None:
        """Counts the last beat as missed if nobody answered, and sends the next one if it has room."""
        if self._is_open:
            self.missed_beats += 1
            self.missed_in_a_row += 1
        self._is_open = True
        self._next_beat = self.now_100ns + PERIOD_100NS
        if self._may_ask:
            self._sequence = (self._sequence + 1) % U64
            self.sent_beats += 1
            self._ask(bytes(HeartbeatBody.build(sequence=self._sequence)))

    def _answered(self, answer: Answer) -> Refusal | None:
        body = HeartbeatBody(bytearray(answer.body.ljust(HeartbeatBody.byte_count, b"\0")))
        if answer.status or body.sequence != (self._sequence + 1) % U64:
            return Refusal.BODY
        known = body.application_state in list(ApplicationState)
        self.application_state = ApplicationState(body.application_state if known else 0)
        self.answered_beats += 1
        self.missed_in_a_row = 0
        self._has_answered, self._is_open = True, False
        return None

    def _lost(self) -> None:
        self.application_state = ApplicationState.UNKNOWN
        self.missed_in_a_row = 0
        self._has_answered = self._is_open = False
        self._next_beat = None
