"""Every two seconds the guest is asked, and it is known when it falls silent."""

from synthetic_guests import FakeChannel, FakePacket, answer_to, body_of, ready, send

from minihv.devices.synthetic.heartbeat import PERIOD_100NS, Contact, Heartbeat
from minihv.devices.synthetic.service import Refusal
from minihv.spec.integration import ApplicationState, HeartbeatBody


def beat(asked: FakePacket, state: int = 0) -> FakePacket:
    """What the driver of a guest answers."""
    body = HeartbeatBody(bytearray(body_of(asked)))
    body.sequence += 1
    body.application_state = state
    return answer_to(asked, bytes(body))


def started() -> tuple[Heartbeat, FakeChannel]:
    service = Heartbeat()
    return service, ready(service)


def test_guest_is_asked_at_once_and_then_every_two_seconds() -> None:
    service, channel = started()
    sent = [len(channel.to_guest)]
    for _ in range(3):
        assert service.due_100ns is not None
        service.tick(service.due_100ns)
        sent.append(len(channel.to_guest))
    assert (sent, service.now_100ns) == ([1, 2, 3, 4], 3 * PERIOD_100NS)


def test_nothing_is_asked_early() -> None:
    service, channel = started()
    service.tick(PERIOD_100NS - 1)
    assert len(channel.to_guest) == 1


def test_guest_that_answers_is_in_contact() -> None:
    service, channel = started()
    assert service.contact is Contact.NONE
    send(service, channel, beat(channel.read(), ApplicationState.HEALTHY))
    assert (service.contact, service.application_state) == (Contact.OK, ApplicationState.HEALTHY)
    assert (service.sent_beats, service.answered_beats, service.missed_beats) == (1, 1, 0)


def test_state_that_does_not_exist_is_unknown() -> None:
    service, channel = started()
    send(service, channel, beat(channel.read(), 77))
    assert service.application_state is ApplicationState.UNKNOWN


def test_silent_guest_is_lost_and_found() -> None:
    service, channel = started()
    send(service, channel, beat(channel.read()))
    for n in range(1, 4):
        service.tick(n * PERIOD_100NS)
    assert (service.contact, service.missed_beats, service.missed_in_a_row) == (Contact.LOST, 2, 2)
    asked = [channel.read() for _ in range(3)]
    send(service, channel, *map(beat, asked))
    assert (service.contact, service.late_answers, service.missed_beats) == (Contact.OK, 2, 2)


def test_wrong_number_is_no_beat() -> None:
    service, channel = started()
    send(service, channel, answer_to(channel.read()))
    service.tick(PERIOD_100NS)
    assert (service.dropped, service.missed_beats) == ({Refusal.BODY: 1}, 1)


def test_beats_without_room_are_missed_and_do_not_pile_up() -> None:
    service = Heartbeat()
    channel = ready(service, room=1)
    for n in range(1, 100):
        service.tick(n * PERIOD_100NS)
    assert (len(service._outbox), service.missed_beats, len(channel.to_guest)) == (1, 99, 1)


def test_closed_channel_ends_contact_and_beats() -> None:
    service, channel = started()
    send(service, channel, beat(channel.read(), ApplicationState.CRITICAL))
    service.closed()
    assert (service.contact, service.application_state) == (Contact.NONE, ApplicationState.UNKNOWN)
    assert service.due_100ns is None
