"""Shutdown: the parent asks a guest to end itself, and learns whether it will.

Stands for: the operating system shutdown service of Hyper-V.
Spec: ``minihv.spec.integration``, ``ShutdownBody``.
Simplified: no hibernation; the reason code is always "planned".
Next: ``minihv.devices.synthetic.time_sync``
"""

from dataclasses import dataclass
from enum import Enum

from minihv.devices.synthetic.framing import Answer
from minihv.devices.synthetic.integration import IntegrationService
from minihv.devices.synthetic.service import SECOND, Refusal
from minihv.errors import ConfigurationError
from minihv.spec.integration import Instance, Interface, MessageType, ShutdownBody, ShutdownFlags

PLANNED = 0x8000_0000
"""A reason code of Windows: somebody meant it."""
TIMEOUT_SECONDS = 60
MOST_REASON_UNITS = 1023


class ShutdownOutcome(Enum):
    """What became of a request."""

    NO_CONTACT = "the guest does not listen"
    PENDING = "the guest has not answered yet"
    ACCEPTED = "the guest shuts down"
    REFUSED = "the guest refuses"
    NO_ANSWER = "the guest did not answer in time"


@dataclass(frozen=True, slots=True)
class ShutdownAnswer:
    """What became of a request, with the status that the guest gave."""

    outcome: ShutdownOutcome
    status: int = 0


class Shutdown(IntegrationService):
    """``request`` asks; ``answer`` is what has come of it."""

    name = "shutdown"
    interface, instance = Interface.SHUTDOWN.value, Instance.SHUTDOWN.value
    message_type = MessageType.SHUTDOWN

    def __init__(self) -> None:
        super().__init__()
        self.answer: ShutdownAnswer | None = None
        """None until something was requested."""
        self._deadline: int | None = None

    def request(self, reason: str, *, force: bool = False, restart: bool = False) -> ShutdownAnswer:
        """Asks the guest to shut down; while it has not answered, asking again does nothing.

        Raises:
            ConfigurationError: the reason is too long for the message.
        """
        text = reason.encode("utf-16-le", "replace")
        if len(text) > 2 * MOST_REASON_UNITS:
            raise ConfigurationError(
                f"The reason of a shutdown has at most {MOST_REASON_UNITS} UTF-16 units, and this one has "
                f"{len(text) // 2}: say it shorter."
            )
        if self._deadline is not None and self.answer is not None:
            return self.answer
        if not self._may_ask:
            self.answer = ShutdownAnswer(ShutdownOutcome.NO_CONTACT)
            return self.answer
        flags = ShutdownFlags.FORCE * force | ShutdownFlags.RESTART * restart
        self._deadline = self.now_100ns + TIMEOUT_SECONDS * SECOND
        self.answer = ShutdownAnswer(ShutdownOutcome.PENDING)
        self._ask(bytes(shutdown_body(flags, text)))
        return self.answer

    def _answered(self, answer: Answer) -> Refusal | None:
        outcome = ShutdownOutcome.REFUSED if answer.status else ShutdownOutcome.ACCEPTED
        self._conclude(ShutdownAnswer(outcome, answer.status))
        return None

    def _timer(self) -> int | None:
        return self._deadline

    def _pass_time(self) -> None:
        if self._deadline is not None and self.now_100ns >= self._deadline:
            self._awaited = None
            self._conclude(ShutdownAnswer(ShutdownOutcome.NO_ANSWER))

    def _lost(self) -> None:
        if self._deadline is not None:
            self._conclude(ShutdownAnswer(ShutdownOutcome.NO_ANSWER))

    def _conclude(self, answer: ShutdownAnswer) -> None:
        self._deadline = None
        self.answer = answer


def shutdown_body(flags: int, text: bytes) -> ShutdownBody:
    """The body of a request; ``text`` is UTF-16 without its zero."""
    padded = text.ljust(ShutdownBody.text.byte_count, b"\0")
    return ShutdownBody.build(reason=PLANNED, timeout_seconds=TIMEOUT_SECONDS, flags=flags, text=padded)
