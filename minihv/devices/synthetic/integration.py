"""What the integration services share: the parent speaks first, agrees on versions, and asks questions.

Stands for: the part of a VSP that Hyper-V calls the integration component's framework.
Spec: ``minihv.spec.integration``.
Simplified: a guest that refuses all versions is not asked again until it opens the channel anew.
First reading: ``_begin``, ``_take``, ``_ask``.
Next: ``minihv.devices.synthetic.heartbeat``
"""

from abc import abstractmethod
from enum import Enum
from typing import ClassVar

from minihv.devices.synthetic.framing import (
    Answer,
    Revision,
    chosen_versions,
    open_answer,
    question,
    version_list,
)
from minihv.devices.synthetic.service import Packet, Refusal, Service
from minihv.spec.integration import MessageType

FRAMEWORKS: tuple[Revision, ...] = ((1, 0), (3, 0))
LAST_TRANSACTION_ID = 255


class Phase(Enum):
    """How far a service and its guest have come."""

    CLOSED = "closed"
    NEGOTIATING = "negotiating"
    READY = "ready"
    REFUSED = "refused"
    """The guest speaks no version of ours."""


class IntegrationService(Service):
    """A service that asks its guest one question at a time.

    ``message_type`` and ``versions``, oldest first, are said by the subclass.
    """

    message_type: ClassVar[MessageType]
    versions: ClassVar[tuple[Revision, ...]] = ((1, 0), (3, 0))

    def __init__(self) -> None:
        super().__init__()
        self.phase = Phase.CLOSED
        self.framework: Revision = FRAMEWORKS[0]
        self.version: Revision = self.versions[0]
        self.late_answers = 0
        """Answers to questions that were given up."""
        self._next_id = 1
        self._awaited: int | None = None
        """The transaction whose answer counts."""
        self._unanswered: set[int] = set()
        """Transactions that the guest may still answer, each once."""

    def _begin(self) -> None:
        """Negotiates. The guest is silent until it is spoken to."""
        self.phase = Phase.NEGOTIATING
        self.framework, self.version = FRAMEWORKS[0], self.versions[0]
        self._awaited = None
        self._unanswered.clear()
        self._ask(version_list(FRAMEWORKS, self.versions), MessageType.NEGOTIATE)

    def _end(self) -> None:
        self.phase = Phase.CLOSED
        self._awaited = None
        self._unanswered.clear()
        self._lost()

    def _take(self, packet: Packet) -> Refusal | None:
        answer = open_answer(packet.payload)
        if isinstance(answer, Refusal):
            return answer
        if answer.transaction_id not in self._unanswered:
            return Refusal.UNASKED
        self._unanswered.discard(answer.transaction_id)
        if answer.transaction_id != self._awaited:
            self.late_answers += 1
            return None
        self._awaited = None
        if self.phase is Phase.NEGOTIATING:
            return self._agree(answer)
        if answer.message_type != self.message_type:
            return Refusal.MESSAGE_TYPE
        return self._answered(answer)

    def _agree(self, answer: Answer) -> Refusal | None:
        """Takes the versions that the guest chose; what it must not choose is a refusal of all."""
        self.phase = Phase.REFUSED
        if answer.message_type != MessageType.NEGOTIATE:
            return Refusal.MESSAGE_TYPE
        chosen = chosen_versions(answer.body)
        if chosen is None or answer.status:
            return None
        if isinstance(chosen, Refusal):
            return chosen
        if chosen[0] not in FRAMEWORKS or chosen[1] not in self.versions:
            return Refusal.BODY
        self.framework, self.version = chosen
        self.phase = Phase.READY
        self._ready()
        return None

    def _ask(self, body: bytes, message_type: MessageType | None = None) -> None:
        """Asks the guest; the answer to an earlier question is not waited for any longer."""
        number = self._next_id
        self._next_id = number % LAST_TRANSACTION_ID + 1
        self._awaited = number
        self._unanswered.add(number)
        kind = self.message_type if message_type is None else message_type
        self._send(question(kind, self.framework, self.version, number, body))

    @property
    def _may_ask(self) -> bool:
        """Whether the guest listens, and has room."""
        return self.phase is Phase.READY and not self._outbox

    # What a subclass may say.

    def _ready(self) -> None:
        """The versions are agreed on."""

    @abstractmethod
    def _answered(self, answer: Answer) -> Refusal | None:
        """Takes the answer to the last question, or says what is wrong with it."""

    def _lost(self) -> None:
        """The channel is gone; no answer will come."""
