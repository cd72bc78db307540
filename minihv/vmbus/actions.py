"""What the server wants done, as values: whoever holds the server takes them and does them in order.

Stands for: the calls that the parent's VMBus service makes of its kernel.
Spec: TLFS, "HvCallPostMessage", "HvCallSignalEvent", "HvCallCreatePort" and "HvCallConnectPort".
Simplified: none known.
Next: ``minihv.vmbus.offers``
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from minihv.vmbus.limits import MAX_ACTIONS
from minihv.vmbus.rules import Refused, Rule


@dataclass(frozen=True, slots=True)
class Post:
    """A message for SINT 2 of VP ``vp``, with exactly these bytes."""

    vp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SignalChannel:
    """Event flag ``relid`` of SINT 2 of VP ``vp``."""

    relid: int
    vp: int


@dataclass(frozen=True, slots=True)
class ConnectEvent:
    """A guest will signal ``connection_id`` for channel ``relid``: make the event port, and connect it."""

    relid: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class DisconnectEvent:
    """Channel ``relid`` is no more, nor its event port and connection."""

    relid: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A guest broke ``rule``. ``text`` is a sentence for people."""

    rule: Rule
    text: str
    relid: int | None = None
    """The channel that was named, if one was."""


Action = Post | SignalChannel | ConnectEvent | DisconnectEvent | Trace


class Actions:
    """Actions that wait, oldest first. A signal that waits already is not put there twice."""

    def __init__(self) -> None:
        self._waiting: deque[Action] = deque()
        self._signals: set[SignalChannel] = set()

    def append(self, action: Action) -> None:
        """``action`` is done after all others."""
        if isinstance(action, SignalChannel):
            if action in self._signals:
                return
            self._signals.add(action)
        self._waiting.append(action)

    def trace(self, refused: Refused, relid: int | None = None) -> None:
        """Tells of a broken rule, unless too much waits already."""
        if not self.is_full:
            self.append(Trace(refused.rule, refused.text, relid))

    def popleft(self) -> Action:
        """The next action, which is the caller's now."""
        action = self._waiting.popleft()
        if isinstance(action, SignalChannel):
            self._signals.discard(action)
        return action

    def put_back(self, action: Action) -> None:
        """``action`` cannot be done yet, and is the next one again."""
        if isinstance(action, SignalChannel):
            self._signals.add(action)
        self._waiting.appendleft(action)

    @property
    def is_full(self) -> bool:
        """Whether the guest has to wait until some of them are done."""
        return len(self._waiting) >= MAX_ACTIONS

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Action]:
        return iter(self._waiting)
