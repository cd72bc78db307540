"""A guest is asked to end itself, and what it says is a value."""

import pytest
from synthetic_guests import answer_to, body_of, opened, ready, send

from minihv.devices.synthetic.service import SECOND, Refusal
from minihv.devices.synthetic.shutdown import TIMEOUT_SECONDS, Shutdown, ShutdownAnswer, ShutdownOutcome
from minihv.errors import ConfigurationError
from minihv.spec.integration import IcStatus, ShutdownBody, ShutdownFlags


def test_request_says_why_and_how() -> None:
    service = Shutdown()
    channel = ready(service)
    assert service.request("Wartung", force=True, restart=True) == ShutdownAnswer(ShutdownOutcome.PENDING)
    body = ShutdownBody(bytearray(body_of(channel.read())))
    assert body.text.decode("utf-16-le").rstrip("\0") == "Wartung"
    assert body.flags == ShutdownFlags.FORCE | ShutdownFlags.RESTART
    assert (body.reason, body.timeout_seconds) == (0x80000000, 60)


def test_plain_request_has_no_flags() -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("")
    assert ShutdownBody(bytearray(body_of(channel.read()))).flags == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(0, ShutdownOutcome.ACCEPTED), (int(IcStatus.FAIL), ShutdownOutcome.REFUSED)],
)
def test_answer_is_a_value(status: int, outcome: ShutdownOutcome) -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("now")
    send(service, channel, answer_to(channel.read(), status=status))
    assert (service.answer, service.due_100ns) == (ShutdownAnswer(outcome, status), None)


def test_guest_that_does_not_listen_is_not_asked() -> None:
    service = Shutdown()
    assert service.request("now").outcome is ShutdownOutcome.NO_CONTACT
    channel = opened(service)
    assert service.request("now").outcome is ShutdownOutcome.NO_CONTACT
    assert len(channel.to_guest) == 1


def test_asking_twice_sends_once() -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("now")
    assert service.request("now!").outcome is ShutdownOutcome.PENDING
    assert len(channel.to_guest) == 1


def test_silence_ends_a_request() -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("now")
    service.tick(TIMEOUT_SECONDS * SECOND - 1)
    assert service.answer == ShutdownAnswer(ShutdownOutcome.PENDING)
    assert service.due_100ns == TIMEOUT_SECONDS * SECOND
    service.tick(TIMEOUT_SECONDS * SECOND)
    assert service.answer == ShutdownAnswer(ShutdownOutcome.NO_ANSWER)
    send(service, channel, answer_to(channel.read()))
    assert service.answer == ShutdownAnswer(ShutdownOutcome.NO_ANSWER)
    assert (service.late_answers, not service.dropped) == (1, True)


def test_closed_channel_ends_a_request() -> None:
    service = Shutdown()
    ready(service)
    service.request("now")
    service.closed()
    assert service.answer == ShutdownAnswer(ShutdownOutcome.NO_ANSWER)


def test_request_may_find_a_broken_ring() -> None:
    service = Shutdown()
    ready(service).breaks = service
    assert service.request("now") == ShutdownAnswer(ShutdownOutcome.NO_ANSWER)


def test_guest_that_accepted_may_close() -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("now")
    send(service, channel, answer_to(channel.read()))
    service.closed()
    assert service.answer == ShutdownAnswer(ShutdownOutcome.ACCEPTED)


def test_unasked_agreement_is_dropped() -> None:
    service = Shutdown()
    channel = ready(service)
    service.request("now")
    reply = answer_to(channel.read())
    send(service, channel, reply, reply)
    assert service.dropped == {Refusal.UNASKED: 1}


def test_long_reason_is_refused() -> None:
    service = Shutdown()
    with pytest.raises(ConfigurationError) as caught:
        service.request("x" * 1024)
    assert str(caught.value) == (
        "The reason of a shutdown has at most 1023 UTF-16 units, and this one has 1024: say it shorter."
    )
