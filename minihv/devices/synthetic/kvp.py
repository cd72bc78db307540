"""Key-value exchange: the parent reads what a guest says of itself, and writes what it shall know.

Stands for: the data exchange service of Hyper-V.
Spec: ``minihv.spec.integration``, ``KvpOperation`` and ``KvpPool``.
Simplified: no IP addresses; the host writes text values only.
Next: ``minihv.devices.synthetic.echo``
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from minihv.devices.synthetic.framing import Answer
from minihv.devices.synthetic.integration import IntegrationService
from minihv.devices.synthetic.kvp_bodies import (
    Value,
    delete_body,
    enumerate_body,
    exchange_body,
    key_text,
    read_enumerate,
    read_exchange,
    read_header,
    value_text,
)
from minihv.devices.synthetic.service import SECOND, Refusal
from minihv.spec.integration import IcStatus, Instance, Interface, KvpOperation, KvpPool, MessageType

ANSWER_100NS = 30 * SECOND
"""So long the guest may think about one question."""
MOST_PAIRS = 1024
"""Of one pool; an enumeration that goes on is given up."""
MOST_WAITING = 64


class KvpOutcome(Enum):
    """What became of an exchange."""

    PENDING = "not answered yet"
    DONE = "done"
    NOT_FOUND = "the guest has no such key"
    REFUSED = "the guest refuses"
    NO_ANSWER = "the guest did not answer in time"
    MALFORMED = "the guest's answer cannot be read"
    TOO_MANY = "the guest's enumeration does not end"
    NO_ROOM = "too many exchanges wait already"


@dataclass(slots=True)
class Exchange:
    """Something asked of a guest. ``outcome`` is PENDING until it is known; ``pairs`` is what was read."""

    operation: KvpOperation
    pool: KvpPool
    key: str = ""
    value: str = ""
    outcome: KvpOutcome = KvpOutcome.PENDING
    status: int = 0
    """What the guest's last answer said."""
    pairs: dict[str, Value] = field(default_factory=dict)
    index: int = 0
    """Of an enumeration: which item is asked for."""

    def body(self) -> bytes:
        """The next question that it takes."""
        if self.operation is KvpOperation.ENUMERATE:
            return enumerate_body(self.pool, self.index)
        if self.operation is KvpOperation.DELETE:
            return delete_body(self.pool, key_text(self.key))
        value = value_text(self.value) if self.operation is KvpOperation.SET else b""
        return exchange_body(self.operation, self.pool, key_text(self.key), value)


class Kvp(IntegrationService):
    """``pairs`` is what the guest said of itself when it was last asked; the methods ask for more."""

    name = "key-value exchange"
    interface, instance = Interface.KVP.value, Instance.KVP.value
    message_type = MessageType.KVP
    versions = ((1, 0), (3, 0), (4, 0))

    def __init__(self) -> None:
        super().__init__()
        self.pairs: dict[str, Value] = {}
        """Facts of the guest, from its pool AUTO."""
        self._waiting: deque[Exchange] = deque()
        self._wants_facts = False
        self._current: Exchange | None = None
        self._deadline: int | None = None

    def get(self, key: str, pool: KvpPool = KvpPool.GUEST) -> Exchange:
        """Asks for one value.

        Raises:
            ConfigurationError: the key is too long.
        """
        key_text(key)
        return self._queue(Exchange(KvpOperation.GET, pool, key))

    def set(self, key: str, value: str, pool: KvpPool = KvpPool.EXTERNAL) -> Exchange:
        """Tells the guest a value.

        Raises:
            ConfigurationError: key or value is too long.
        """
        key_text(key)
        value_text(value)
        return self._queue(Exchange(KvpOperation.SET, pool, key, value))

    def delete(self, key: str, pool: KvpPool = KvpPool.EXTERNAL) -> Exchange:
        """Has the guest forget a key.

        Raises:
            ConfigurationError: the key is too long.
        """
        key_text(key)
        return self._queue(Exchange(KvpOperation.DELETE, pool, key))

    def enumerate(self, pool: KvpPool = KvpPool.AUTO) -> Exchange:
        """Asks for all pairs of a pool; those of AUTO become ``pairs`` when all of them are there."""
        return self._queue(Exchange(KvpOperation.ENUMERATE, pool))

    def _queue(self, exchange: Exchange) -> Exchange:
        """Has ``exchange`` wait for its turn, for a guest that may come later."""
        if len(self._waiting) >= MOST_WAITING:
            exchange.outcome = KvpOutcome.NO_ROOM
        else:
            self._waiting.append(exchange)
            self._next()
        return exchange

    def _ready(self) -> None:
        self._wants_facts = True
        self._next()

    def _next(self) -> None:
        """Begins what waits longest, if nothing is under way; the facts of the guest come first."""
        if self._current is not None or not self._may_ask:
            return
        if self._wants_facts:
            self._wants_facts = False
            self._ask_for(Exchange(KvpOperation.ENUMERATE, KvpPool.AUTO))
        elif self._waiting:
            self._ask_for(self._waiting.popleft())

    def _ask_for(self, exchange: Exchange) -> None:
        self._current = exchange
        self._deadline = self.now_100ns + ANSWER_100NS
        self._ask(exchange.body())

    def _catch_up(self) -> None:
        super()._catch_up()
        self._next()

    def _answered(self, answer: Answer) -> Refusal | None:
        exchange = self._current
        if exchange is None:
            return Refusal.UNASKED
        exchange.status = answer.status
        outcome = read_answer(exchange, answer)
        if isinstance(outcome, Refusal):
            self._conclude(KvpOutcome.MALFORMED)
            return outcome
        if outcome is KvpOutcome.PENDING:
            self._ask_for(exchange)
        else:
            self._conclude(outcome)
        return None

    def _timer(self) -> int | None:
        return self._deadline

    def _pass_time(self) -> None:
        if self._deadline is not None and self.now_100ns >= self._deadline:
            self._awaited = None
            self._conclude(KvpOutcome.NO_ANSWER)
        self._next()

    def _lost(self) -> None:
        self._conclude(KvpOutcome.NO_ANSWER)

    def _conclude(self, outcome: KvpOutcome) -> None:
        """Ends what is under way, and begins the next."""
        exchange, self._current, self._deadline = self._current, None, None
        if exchange is not None:
            exchange.outcome = outcome
            is_facts = exchange.operation is KvpOperation.ENUMERATE and exchange.pool is KvpPool.AUTO
            if is_facts and outcome is KvpOutcome.DONE:
                self.pairs = dict(exchange.pairs)
            self._next()


def read_answer(exchange: Exchange, answer: Answer) -> KvpOutcome | Refusal:
    """Takes what ``answer`` says into ``exchange``; PENDING means that there is more to ask."""
    if answer.status == IcStatus.NO_MORE_ITEMS:
        ends = exchange.operation is KvpOperation.ENUMERATE
        return KvpOutcome.DONE if ends else KvpOutcome.NOT_FOUND
    if answer.status:
        return KvpOutcome.REFUSED
    header = read_header(answer.body)
    if isinstance(header, Refusal):
        return header
    if header != (exchange.operation, exchange.pool):
        return Refusal.OPERATION
    if exchange.operation is KvpOperation.ENUMERATE:
        return read_item(exchange, answer.body)
    if exchange.operation is KvpOperation.GET:
        pair = read_exchange(answer.body)
        if isinstance(pair, Refusal):
            return pair
        exchange.pairs[exchange.key] = pair[1]
    return KvpOutcome.DONE


def read_item(exchange: Exchange, body: bytes) -> KvpOutcome | Refusal:
    """Takes one item of an enumeration."""
    item = read_enumerate(body)
    if isinstance(item, Refusal):
        return item
    index, pair = item
    if index != exchange.index:
        return Refusal.BODY
    if isinstance(pair, Refusal):
        return pair
    exchange.pairs[pair[0]] = pair[1]
    exchange.index += 1
    return KvpOutcome.PENDING if exchange.index < MOST_PAIRS else KvpOutcome.TOO_MANY
