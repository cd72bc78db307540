"""The guest's clock is set once, then compared every five seconds; virtual time alone moves it."""

import pytest
from synthetic_guests import answer_to, body_of, opened, ready, send

from minihv.devices.synthetic.service import SECOND
from minihv.devices.synthetic.time_sync import PARENT_START, PERIOD_100NS, TimeSync
from minihv.spec.integration import TimeBody, TimeFlags, TimeReferenceBody


@pytest.mark.parametrize("newest", [(1, 0), (3, 0)])
def test_first_time_sets_the_clock(newest: tuple[int, int]) -> None:
    service = TimeSync()
    service.tick(3 * SECOND)
    body = TimeBody(bytearray(body_of(ready(service, newest).read())))
    assert (body.parent_time, body.flags) == (PARENT_START + 3 * SECOND, TimeFlags.SYNC)


def test_samples_follow_every_five_seconds() -> None:
    service = TimeSync()
    channel = ready(service, (3, 0))
    channel.to_guest.clear()
    service.tick(PERIOD_100NS - 1)
    assert service.due_100ns == PERIOD_100NS
    service.tick(PERIOD_100NS)
    body = TimeBody(bytearray(body_of(channel.read())))
    assert (body.parent_time, body.flags) == (PARENT_START + PERIOD_100NS, TimeFlags.SAMPLE)
    assert not channel.to_guest


def test_newest_version_names_the_reference_counter() -> None:
    service = TimeSync(reference_start=SECOND)
    service.tick(3 * SECOND)
    channel = ready(service)
    body = TimeReferenceBody(bytearray(body_of(channel.read())))
    assert service.version == (4, 0)
    assert (body.parent_time, body.reference_time) == (PARENT_START + 3 * SECOND, 2 * SECOND)
    assert (body.flags, body.stratum) == (TimeFlags.SYNC, 1)


def test_round_trip_is_measured_and_told() -> None:
    service = TimeSync()
    channel = ready(service, (3, 0))
    service.tick(400)
    send(service, channel, answer_to(channel.read()))
    service.tick(PERIOD_100NS)
    assert (service.round_trip, service.answered_samples, service.sent_samples) == (400, 1, 2)
    assert TimeBody(bytearray(body_of(channel.read()))).round_trip == 400


def test_clock_can_be_set_again() -> None:
    service = TimeSync()
    channel = ready(service, (1, 0))
    channel.to_guest.clear()
    assert service.synchronise()
    assert TimeBody(bytearray(body_of(channel.read()))).flags == TimeFlags.SYNC


def test_guest_that_does_not_listen_is_told_nothing() -> None:
    service = TimeSync()
    channel = opened(service)
    assert not service.synchronise()
    assert len(channel.to_guest) == 1


def test_full_ring_skips_samples() -> None:
    service = TimeSync()
    channel = ready(service, room=1)
    for n in range(1, 50):
        service.tick(n * PERIOD_100NS)
    assert (len(service._outbox), len(channel.to_guest), service.sent_samples) == (1, 1, 2)


def test_parent_is_switched_on_in_2009() -> None:
    assert PARENT_START == 129_006_432_000_000_000  # 2009-10-22 00:00 UTC


def test_closed_channel_gets_no_more_samples() -> None:
    service = TimeSync()
    ready(service)
    service.closed()
    assert service.due_100ns is None
