import pytest

from minihv.vmbus.actions import Action, Actions, DisconnectEvent, Post, SignalChannel, Trace
from minihv.vmbus.limits import MAX_ACTIONS
from minihv.vmbus.rules import Rule, refused

SIGNAL, POST = SignalChannel(1, 0), Post(0, b"12345678")


def actions_of(*waiting: Action) -> Actions:
    """What waits, in this order."""
    found = Actions()
    for action in waiting:
        found.append(action)
    return found


def test_actions_are_taken_in_order() -> None:
    found = actions_of(POST, DisconnectEvent(1), SIGNAL)
    assert [found.popleft() for _ in range(len(found))] == [POST, DisconnectEvent(1), SIGNAL]


def test_a_signal_that_waits_is_not_put_there_twice() -> None:
    found = actions_of(SIGNAL, POST, SIGNAL, SignalChannel(1, 1))
    assert list(found) == [SIGNAL, POST, SignalChannel(1, 1)]


def test_a_signal_that_was_taken_may_come_again() -> None:
    found = actions_of(SIGNAL)
    found.popleft()
    found.append(SIGNAL)
    assert list(found) == [SIGNAL]


def test_messages_are_never_merged() -> None:
    assert list(actions_of(POST, POST)) == [POST, POST]


@pytest.mark.parametrize("action", [POST, SIGNAL])
def test_what_cannot_be_done_yet_is_the_next_again(action: Action) -> None:
    found = actions_of(action, DisconnectEvent(2))
    found.put_back(found.popleft())
    found.append(action)
    assert list(found)[:2] == [action, DisconnectEvent(2)]
    assert len(found) == (2 if action is SIGNAL else 3)


def test_a_trace_is_a_sentence_about_a_channel() -> None:
    found = Actions()
    found.trace(refused(Rule.SIGNAL, relid=3), 3)
    text = "Events are for open channels, and 0x3 is not open."
    assert list(found) == [Trace(Rule.SIGNAL, text, 3)]


def test_traces_are_dropped_when_too_much_waits() -> None:
    found = actions_of(*[POST] * (MAX_ACTIONS - 1))
    for _ in range(3):
        found.trace(refused(Rule.OFFERS_TWICE))
    assert found.is_full and len(found) == MAX_ACTIONS
