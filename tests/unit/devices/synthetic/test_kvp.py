"""The parent reads what a guest says of itself, one question at a time, and writes what it shall know."""

import pytest
from synthetic_guests import FakeChannel, FakePacket, answer_all, answer_to, body_of, opened, ready, send

from minihv.devices.synthetic.kvp import ANSWER_100NS, MOST_PAIRS, MOST_WAITING, Kvp, KvpOutcome
from minihv.devices.synthetic.kvp_bodies import key_text, read_record, record, value_text
from minihv.devices.synthetic.service import Refusal
from minihv.errors import ConfigurationError
from minihv.spec.integration import (
    IcStatus,
    KvpDelete,
    KvpEnumerate,
    KvpExchange,
    KvpHeader,
    KvpOperation,
    KvpPool,
)


class Daemon:
    """The key-value daemon of a guest."""

    def __init__(self, **facts: str) -> None:
        self.pools: dict[int, dict[str, str]] = {pool: {} for pool in KvpPool}
        self.pools[KvpPool.AUTO] = facts

    def __call__(self, asked: FakePacket) -> FakePacket:
        body = bytearray(body_of(asked))
        header = KvpHeader(body)
        pool = self.pools[header.pool]
        match header.operation:
            case KvpOperation.ENUMERATE:
                status = self.enumerate(pool, KvpEnumerate(body))
            case KvpOperation.GET:
                status = self.get(pool, KvpExchange(body))
            case KvpOperation.SET:
                pair = read_record(KvpExchange(body).record)
                assert not isinstance(pair, Refusal)
                pool[pair[0]], status = str(pair[1]), 0
            case _:
                gone = KvpDelete(body).key.decode("utf-16-le").split("\0")[0]
                status = 0 if pool.pop(gone, None) is not None else int(IcStatus.FAIL)
        return answer_to(asked, bytes(body), status)

    def enumerate(self, pool: dict[str, str], body: KvpEnumerate) -> int:
        if body.index >= len(pool):
            return IcStatus.NO_MORE_ITEMS
        key = list(pool)[body.index]
        body.record = record(key_text(key), value_text(pool[key]))
        return IcStatus.OK

    def get(self, pool: dict[str, str], body: KvpExchange) -> int:
        key = body.record.key.decode("utf-16-le").split("\0")[0]
        if key not in pool:
            return IcStatus.NO_MORE_ITEMS
        body.record = record(key_text(key), value_text(pool[key]))
        return IcStatus.OK


def started() -> tuple[Kvp, FakeChannel, Daemon]:
    service, daemon = Kvp(), Daemon(OSName="minihv guest", OSVersion="1.0")
    channel = ready(service)
    answer_all(service, channel, daemon)
    return service, channel, daemon


def test_facts_of_the_guest_are_asked_for_at_once() -> None:
    service, _, _ = started()
    assert service.pairs == {"OSName": "minihv guest", "OSVersion": "1.0"}
    assert service.due_100ns is None


def test_enumeration_takes_a_question_for_each_pair_and_one_more() -> None:
    service, daemon = Kvp(), Daemon(a="1", b="2", c="3")
    assert answer_all(service, ready(service), daemon) == 4


def test_value_is_set_read_and_deleted() -> None:
    service, channel, daemon = started()
    asked = service.set("greeting", "grüß dich"), service.get("greeting", KvpPool.EXTERNAL)
    answer_all(service, channel, daemon)
    assert daemon.pools[KvpPool.EXTERNAL] == {"greeting": "grüß dich"}
    assert asked[1].pairs == {"greeting": "grüß dich"}
    asked = service.delete("greeting"), service.delete("greeting")
    answer_all(service, channel, daemon)
    assert [one.outcome for one in asked] == [KvpOutcome.DONE, KvpOutcome.REFUSED]
    assert asked[1].status == IcStatus.FAIL


def test_key_that_is_not_there_is_not_found() -> None:
    service, channel, daemon = started()
    asked = service.get("nothing")
    answer_all(service, channel, daemon)
    assert (asked.outcome, asked.status) == (KvpOutcome.NOT_FOUND, IcStatus.NO_MORE_ITEMS)


def test_another_pool_does_not_change_the_facts() -> None:
    service, channel, daemon = started()
    daemon.pools[KvpPool.GUEST] = {"x": "y"}
    asked = service.enumerate(KvpPool.GUEST)
    answer_all(service, channel, daemon)
    assert (asked.pairs, "x" in service.pairs) == ({"x": "y"}, False)


def test_what_is_asked_early_waits_for_the_guest() -> None:
    service, daemon = Kvp(), Daemon()
    asked = service.set("a", "b")
    assert asked.outcome is KvpOutcome.PENDING
    channel = opened(service)
    assert len(channel.to_guest) == 1
    service.closed()
    answer_all(service, ready(service), daemon)
    assert (asked.outcome, daemon.pools[KvpPool.EXTERNAL]) == (KvpOutcome.DONE, {"a": "b"})


def test_one_question_is_asked_at_a_time() -> None:
    service, channel, _ = started()
    service.get("a")
    service.get("b")
    assert len(channel.to_guest) == 1


def test_silence_ends_an_exchange_and_begins_the_next() -> None:
    service, channel, daemon = started()
    first, second = service.get("OSName", KvpPool.AUTO), service.get("OSName", KvpPool.AUTO)
    late = daemon(channel.read())
    assert service.due_100ns == ANSWER_100NS
    service.tick(ANSWER_100NS)
    send(service, channel, late)
    answer_all(service, channel, daemon)
    assert (first.outcome, second.outcome) == (KvpOutcome.NO_ANSWER, KvpOutcome.DONE)
    assert (service.late_answers, not service.dropped) == (1, True)


def test_closed_channel_ends_an_exchange() -> None:
    service, _, _ = started()
    asked = service.get("a")
    service.closed()
    assert asked.outcome is KvpOutcome.NO_ANSWER


def test_enumeration_without_an_end_is_given_up() -> None:
    service = Kvp()
    channel = ready(service, room=10_000)
    daemon = Daemon()

    def endless(asked: FakePacket) -> FakePacket:
        body = KvpEnumerate(bytearray(body_of(asked)))
        body.record = record(key_text(str(body.index)))
        return answer_to(asked, bytes(body))

    assert answer_all(service, channel, endless) == MOST_PAIRS
    asked = service.enumerate()
    answer_all(service, channel, endless)
    assert (asked.outcome, service.pairs, daemon.pools[KvpPool.AUTO]) == (KvpOutcome.TOO_MANY, {}, {})


@pytest.mark.parametrize(
    ("offset", "refusal"),
    [(0, Refusal.OPERATION), (1, Refusal.OPERATION), (4, Refusal.BODY), (8, Refusal.BODY)],
    ids=["operation", "pool", "index", "type"],
)
def test_answer_to_something_else_ends_the_exchange(offset: int, refusal: Refusal) -> None:
    service, channel, _ = started()
    asked = service.enumerate()
    question = channel.read()
    body = bytearray(body_of(question))
    body[offset] ^= 0x7F
    send(service, channel, answer_to(question, bytes(body)))
    assert (asked.outcome, service.dropped) == (KvpOutcome.MALFORMED, {refusal: 1})


@pytest.mark.parametrize("length", [0, 4])
@pytest.mark.parametrize("operation", ["get", "enumerate"])
def test_short_answer_ends_the_exchange(operation: str, length: int) -> None:
    service, channel, _ = started()
    asked = service.get("a") if operation == "get" else service.enumerate()
    question = channel.read()
    send(service, channel, answer_to(question, body_of(question)[:length]))
    assert (asked.outcome, service.dropped) == (KvpOutcome.MALFORMED, {Refusal.SHORT: 1})


def test_pair_that_cannot_be_read_ends_a_get() -> None:
    service, channel, _ = started()
    asked = service.get("a")
    question = channel.read()
    body = KvpExchange(bytearray(body_of(question)))
    body.record.value_bytes = 9999
    send(service, channel, answer_to(question, bytes(body)))
    assert asked.outcome is KvpOutcome.MALFORMED


def test_so_many_exchanges_wait_and_no_more() -> None:
    service = Kvp()
    asked = [service.get("a") for _ in range(MOST_WAITING + 1)]
    assert [one.outcome for one in asked] == [KvpOutcome.PENDING] * MOST_WAITING + [KvpOutcome.NO_ROOM]


def test_answer_without_an_exchange_is_dropped() -> None:
    service, channel, _ = started()
    service._ask(b"")
    send(service, channel, answer_to(channel.read()))
    assert service.dropped == {Refusal.UNASKED: 1}


def test_exchange_waits_for_room_in_the_ring() -> None:
    service, channel, daemon = started()
    channel.room = 0
    service._send(b"in the way")
    asked = service.get("OSName", KvpPool.AUTO)
    channel.room = 1
    service.signalled(channel)
    assert channel.read().payload.startswith(b"in the way")
    service.tick(1)
    answer_all(service, channel, daemon)
    assert asked.outcome is KvpOutcome.DONE


def test_long_value_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Kvp().set("key", "v" * 1024)
    assert str(caught.value) == (
        "The value of a pair has at most 1023 UTF-16 units, and this one has 1024: shorten it."
    )
