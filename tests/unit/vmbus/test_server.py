import pytest
from vmbus_client import Client, Device, Opened, contact, offer, one_range, opened

from minihv.errors import ConfigurationError
from minihv.spec.vmbus import NO_INTERRUPTS, ChannelStatus, MessageType, Version
from minihv.vmbus.actions import ConnectEvent, DisconnectEvent, Post, SignalChannel
from minihv.vmbus.limits import MAX_ACTIONS
from minihv.vmbus.messages import encode
from minihv.vmbus.rules import Rule
from minihv.vmbus.versions import SPOKEN

GPNS = range(2, 6)
GPADL = 0xE1E10
NEED_A_CONNECTION = [
    MessageType.REQUEST_OFFERS,
    MessageType.OPEN_CHANNEL,
    MessageType.CLOSE_CHANNEL,
    MessageType.GPADL_HEADER,
    MessageType.GPADL_BODY,
    MessageType.GPADL_TEARDOWN,
    MessageType.REL_ID_RELEASED,
    MessageType.UNLOAD,
    MessageType.MODIFY_CHANNEL,
    MessageType.TL_CONNECT_REQUEST,
]


def client_with(count: int = 1, version: int = Version.V5_3) -> Client:
    """A connected client that knows ``count`` offers."""
    client = Client(vp_count=2)
    for number in range(count):
        client.server.offer(offer(number), Device())
    client.connect(version)
    return client


# Contact.


@pytest.mark.parametrize("version", SPOKEN)
def test_a_spoken_version_is_accepted(version: Version) -> None:
    body = Client().contact(version)
    assert (body.supported, body.state) == (1, 0)
    assert body.connection_id == (4 if version >= Version.V5_0 else 0)


def test_a_guest_tries_versions_until_one_is_spoken() -> None:
    client = Client()
    assert client.contact(Version.V6_0).supported == 0
    assert client.rule() is Rule.VERSION
    assert client.contact(Version.V5_3).supported == 1
    assert client.traces == []


def test_answers_go_to_the_vp_that_the_contact_names() -> None:
    client = Client(vp_count=4)
    client.post(contact(Version.V3_0, target_vp=3))
    client.send(MessageType.REQUEST_OFFERS)
    assert [vp for vp, _, _ in client.inbox] == [3, 3]


@pytest.mark.parametrize(
    ("message", "rule", "state", "vp"),
    [
        (contact(Version.V1_1, target_vp=1), Rule.VERSION, 0, 0),
        (contact(Version.V6_0, target_vp=1), Rule.VERSION, 0, 1),
        (contact(Version.V5_3, target_vp=2), Rule.CONTACT_VP, 2, 0),
        (contact(Version.V5_3, target_vp=1, sint=3), Rule.CONTACT_SINT, 2, 1),
    ],
)
def test_a_refused_contact_is_answered(message: bytes, rule: Rule, state: int, vp: int) -> None:
    client = Client(vp_count=2)
    client.post(message)
    ((found_vp, kind, body),) = client.inbox
    assert (found_vp, kind) == (vp, MessageType.VERSION_RESPONSE)
    assert (body.supported, body.state, client.rule()) == (0, state, rule)
    assert client.server.agreement is None


@pytest.mark.parametrize("kind", NEED_A_CONNECTION)
def test_nothing_is_heard_before_a_version_is_agreed_on(kind: MessageType) -> None:
    client = Client()
    client.send(kind)
    assert client.rule() is Rule.NOT_CONNECTED
    assert not client.inbox


def test_a_second_contact_is_an_unload_and_a_contact() -> None:
    found = opened()
    found.client.contact(Version.V4_1)
    assert found.device.events == ["opened", "closed"]
    assert len(found.client.server.gpadls) == 0
    assert not found.client.inbox
    assert [each.relid for each in found.client.request_offers()] == [found.relid]


def test_a_second_contact_that_is_refused_leaves_no_connection() -> None:
    found = opened()
    assert found.client.contact(Version.V1_1).supported == 0
    assert found.device.events == ["opened", "closed"]
    found.client.traces.clear()
    found.client.send(MessageType.REQUEST_OFFERS)
    assert found.client.rule() is Rule.NOT_CONNECTED


def test_unload_drops_everything_and_is_answered_once() -> None:
    found = opened()
    found.client.send(MessageType.UNLOAD)
    found.client.answer(MessageType.UNLOAD_RESPONSE)
    assert found.device.events == ["opened", "closed"]
    assert len(found.client.server.gpadls) == 0
    found.client.send(MessageType.UNLOAD)
    assert found.client.rule() is Rule.NOT_CONNECTED
    assert not found.client.inbox


@pytest.mark.parametrize(
    ("kind", "version", "text"),
    [
        (
            MessageType.MODIFY_CHANNEL,
            Version.V4_0,
            "ModifyChannel is of VMBus 4.1 and later, and the connection of 4.0.",
        ),
        (
            MessageType.TL_CONNECT_REQUEST,
            Version.V3_0,
            "TlConnectRequest is of VMBus 4.0 and later, and the connection of 3.0.",
        ),
        (
            MessageType.TL_CONNECT_REQUEST,
            Version.V5_3,
            "TlConnectRequest is not modelled: there are no reserved channels and no sockets.",
        ),
    ],
)
def test_a_message_has_its_versions(kind: MessageType, version: Version, text: str) -> None:
    client = client_with(1, version)
    client.send(kind)
    assert client.refusal() == text
    assert not client.inbox


# Offers.


def test_the_end_of_the_list_comes_even_when_the_list_is_empty() -> None:
    assert client_with(0).inbox == type(Client().inbox)()


def test_an_offer_says_all_that_a_guest_needs() -> None:
    client = Client()
    relid = client.server.offer(offer(5), Device())
    (body,) = client.connect()
    assert (body.interface, body.instance) == (offer(5).interface, offer(5).instance)
    assert (body.relid, body.connection_id) == (relid, 0x2000 | relid)
    assert (body.monitor_allocated, body.dedicated_interrupt) == (0, 1)


def test_offers_are_requested_once() -> None:
    client = client_with(2)
    client.send(MessageType.REQUEST_OFFERS)
    assert client.refusal() == "Offers are requested once in a connection."
    assert not client.inbox


def test_an_offer_made_later_is_told_at_once() -> None:
    client = client_with(1)
    relid = client.server.offer(offer(1), Device())
    client.take()
    assert client.answer(MessageType.OFFER_CHANNEL).relid == relid == 2


def test_an_offer_is_not_told_to_a_guest_that_has_not_asked() -> None:
    client = Client()
    client.contact()
    relid = client.server.offer(offer(), Device())
    client.take()
    assert not client.inbox
    assert [body.relid for body in client.request_offers()] == [relid]


def test_each_channel_has_an_event_connection_while_it_has_a_number() -> None:
    client = client_with(1)
    client.server.rescind(1)
    client.take()
    assert client.events == [ConnectEvent(1, 0x2001)]
    client.release(1)
    assert client.events == [ConnectEvent(1, 0x2001), DisconnectEvent(1)]


def test_a_partition_has_at_most_2047_channels() -> None:
    client = Client()
    for number in range(2047):
        client.server.offer(offer(number), Device())
    with pytest.raises(ConfigurationError) as refusal:
        client.server.offer(offer(9999), Device())
    assert str(refusal.value) == (
        "A partition has at most 2047 channels: rescind one that is not needed first."
    )


# GPADLs, as far as the table does not know.


@pytest.mark.parametrize("gpadl_pages", [2, 26, 27, 54, 55, 200])
def test_a_gpadl_is_acknowledged_once(gpadl_pages: int) -> None:
    client = client_with()
    assert client.grant(1, GPADL, [5] * gpadl_pages) == 0
    assert not client.inbox


def test_a_refused_gpadl_is_answered_once_and_the_rest_of_it_ignored() -> None:
    client = client_with()
    client.send_gpadl(1, GPADL, one_range([1 << 40] * 30)[:-8] + bytes(16))
    body = client.answer(MessageType.GPADL_CREATED)
    assert (body.relid, body.gpadl, body.status) == (1, GPADL, ChannelStatus.INVALID_PARAMETER)
    assert not client.inbox


def test_a_gpadl_of_no_channel_is_refused() -> None:
    client = client_with()
    assert client.grant(2, GPADL, GPNS) == ChannelStatus.NOT_FOUND
    assert client.refusal() == "A channel must have been offered, and 0x2 was not."


def test_a_gpadl_of_a_rescinded_channel_is_refused() -> None:
    client = client_with()
    client.server.rescind(1)
    client.take()
    client.answer(MessageType.RESCIND_CHANNEL_OFFER)
    assert client.grant(1, GPADL, GPNS) == ChannelStatus.INVALID_DEVICE_STATE
    assert client.refusal() == "A channel must not be rescinded, and 0x1 is."


def test_a_body_without_a_header_is_dropped() -> None:
    client = client_with()
    client.send(MessageType.GPADL_BODY, bytes(8), gpadl=GPADL)
    assert client.rule() is Rule.NOT_HALF_RECEIVED
    assert not client.inbox


def test_a_second_header_is_refused_and_the_first_goes_on() -> None:
    client = client_with()
    data = one_range(GPNS)
    members = {"relid": 1, "gpadl": GPADL, "range_bytes": len(data), "range_count": 1}
    client.send(MessageType.GPADL_HEADER, data[:16], **members)
    assert not client.inbox
    client.send(MessageType.GPADL_HEADER, data, **members)
    assert client.answer(MessageType.GPADL_CREATED).status == ChannelStatus.INVALID_PARAMETER
    client.send(MessageType.GPADL_BODY, data[16:], gpadl=GPADL)
    assert client.answer(MessageType.GPADL_CREATED).status == 0


def test_bodies_of_two_gpadls_may_alternate() -> None:
    client = client_with()
    data = one_range(GPNS)
    for gpadl in (1, 2):
        members = {"relid": 1, "gpadl": gpadl, "range_bytes": len(data), "range_count": 1}
        client.send(MessageType.GPADL_HEADER, data[:16], **members)
    for gpadl in (2, 1):
        client.send(MessageType.GPADL_BODY, data[16:], gpadl=gpadl)
        assert client.answer(MessageType.GPADL_CREATED).gpadl == gpadl


def test_a_gpadl_that_holds_open_rings_is_not_torn_down() -> None:
    found = opened()
    found.client.send(MessageType.GPADL_TEARDOWN, relid=1, gpadl=GPADL)
    assert found.client.refusal() == (
        "A GPADL is torn down once its channel is closed, and 0xe1e10 holds the rings of 0x1."
    )
    assert not found.client.inbox
    found.client.close(1)
    found.client.tear_down(1, GPADL)


def test_another_gpadl_of_an_open_channel_is_torn_down() -> None:
    found = opened()
    assert found.client.grant(1, 9, [20, 21]) == 0
    found.client.tear_down(1, 9)


@pytest.mark.parametrize(
    ("relid", "gpadl", "rule"),
    [(1, 99, Rule.NO_GPADL), (2, GPADL, Rule.NO_GPADL), (3, GPADL, Rule.NO_CHANNEL)],
)
def test_a_teardown_names_a_gpadl_and_its_channel(relid: int, gpadl: int, rule: Rule) -> None:
    client = client_with(2)
    client.grant(1, GPADL, GPNS)
    client.send(MessageType.GPADL_TEARDOWN, relid=relid, gpadl=gpadl)
    assert client.rule() is rule
    assert not client.inbox


def test_a_gpadl_is_torn_down_once() -> None:
    client = client_with()
    client.grant(1, GPADL, GPNS)
    client.tear_down(1, GPADL)
    client.send(MessageType.GPADL_TEARDOWN, relid=1, gpadl=GPADL)
    assert client.rule() is Rule.NO_GPADL


# Open and close.


def test_a_channel_opens_closes_and_opens_again() -> None:
    found = opened()
    assert found.client.server.channels[0].state == "open"
    found.client.close(1)
    assert not found.client.inbox
    assert found.client.open(1, GPADL, 2) == 0
    assert found.device.events == ["opened", "closed", "opened"]


def test_a_channel_that_is_open_is_not_opened() -> None:
    found = opened()
    assert found.client.open(1, GPADL, 2, open_id=8) == ChannelStatus.INVALID_DEVICE_STATE
    assert found.client.refusal() == "A channel is opened when it is closed, and 0x1 is open."
    assert found.device.events == ["opened"]


@pytest.mark.parametrize(
    ("relid", "gpadl", "page_offset", "target_vp", "status", "rule"),
    [
        (9, GPADL, 2, 0, ChannelStatus.NOT_FOUND, Rule.NO_CHANNEL),
        (1, 99, 2, 0, ChannelStatus.NOT_FOUND, Rule.NO_GPADL),
        (2, GPADL, 2, 0, ChannelStatus.NOT_FOUND, Rule.NO_GPADL),
        (1, GPADL, 2, 2, ChannelStatus.INVALID_PARAMETER, Rule.NO_VP),
        (1, GPADL, 0, 0, ChannelStatus.INVALID_PARAMETER, Rule.RING_OFFSET),
        (1, GPADL, 1, 0, ChannelStatus.INVALID_PARAMETER, Rule.RING_OFFSET),
        (1, GPADL, 3, 0, ChannelStatus.INVALID_PARAMETER, Rule.RING_OFFSET),
        (1, GPADL, 4, 0, ChannelStatus.INVALID_PARAMETER, Rule.RING_OFFSET),
        (1, GPADL, 0xFFFF_FFFF, 0, ChannelStatus.INVALID_PARAMETER, Rule.RING_OFFSET),
    ],
)
def test_an_open_is_refused_with_its_status(
    relid: int, gpadl: int, page_offset: int, target_vp: int, status: ChannelStatus, rule: Rule
) -> None:
    client = client_with(2)
    client.grant(1, GPADL, GPNS)
    assert client.open(relid, gpadl, page_offset, target_vp) == status
    assert client.rule() is rule
    assert client.open(1, GPADL, 2, 1) == 0


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (one_range(GPNS, 8, 3 * 4096), 1),
        (one_range(GPNS, 0, 4 * 4096 - 8), 1),
        (one_range([2, 3]) + one_range([4, 5]), 2),
    ],
)
def test_rings_lie_in_one_range_of_whole_pages(data: bytes, count: int) -> None:
    client = client_with()
    client.send_gpadl(1, GPADL, data, count)
    assert client.answer(MessageType.GPADL_CREATED).status == 0
    assert client.open(1, GPADL, 2) == ChannelStatus.INVALID_PARAMETER
    assert client.refusal() == (
        "The rings lie in one range of whole pages, and GPADL 0xe1e10 is something else."
    )


def test_a_half_received_gpadl_holds_no_rings() -> None:
    client = client_with()
    data = one_range(GPNS)
    members = {"relid": 1, "gpadl": GPADL, "range_bytes": len(data), "range_count": 1}
    client.send(MessageType.GPADL_HEADER, data[:16], **members)
    assert client.open(1, GPADL, 2) == ChannelStatus.INVALID_DEVICE_STATE
    client.send(MessageType.GPADL_TEARDOWN, relid=1, gpadl=GPADL)
    assert [trace.rule for trace in client.traces] == [Rule.GPADL_UNFINISHED] * 2
    assert not client.inbox


@pytest.mark.parametrize("relid", [1, 2])
def test_a_channel_that_is_not_open_is_not_closed(relid: int) -> None:
    client = client_with()
    client.close(relid)
    assert client.rule() is (Rule.NOT_OPEN if relid == 1 else Rule.NO_CHANNEL)


def test_a_channel_is_closed_once() -> None:
    found = opened()
    found.client.close(1)
    found.client.close(1)
    assert found.client.refusal() == "CloseChannel is for an open channel, and 0x1 is not open."
    assert found.device.events == ["opened", "closed"]


# Moving.


def test_events_move_to_another_vp() -> None:
    client = client_with()
    client.grant(1, GPADL, GPNS)
    client.open(1, GPADL, 2)
    client.send(MessageType.MODIFY_CHANNEL, relid=1, target_vp=1)
    assert client.answer(MessageType.MODIFY_CHANNEL_RESPONSE).status == 0
    channel = client.server.channels[0].open
    assert channel is not None and channel.target_vp == 1


@pytest.mark.parametrize(
    ("relid", "target_vp", "status", "rule"),
    [
        (1, 2, ChannelStatus.INVALID_PARAMETER, Rule.NO_VP),
        (2, 1, ChannelStatus.INVALID_DEVICE_STATE, Rule.NOT_OPEN),
        (3, 1, ChannelStatus.NOT_FOUND, Rule.NO_CHANNEL),
    ],
)
@pytest.mark.parametrize("version", [Version.V5_2, Version.V5_3])
def test_a_refused_move_is_answered_from_5_3_on(
    version: Version, relid: int, target_vp: int, status: ChannelStatus, rule: Rule
) -> None:
    client = client_with(2, version)
    client.grant(1, GPADL, GPNS)
    client.open(1, GPADL, 2)
    client.send(MessageType.MODIFY_CHANNEL, relid=relid, target_vp=target_vp)
    assert client.rule() is rule
    answers = [(body.relid, body.status) for _, _, body in client.inbox]
    assert answers == ([(relid, status)] if version is Version.V5_3 else [])


def test_a_rescinded_channel_is_not_moved() -> None:
    found = opened()
    found.client.server.rescind(1)
    found.client.send(MessageType.MODIFY_CHANNEL, relid=1, target_vp=0)
    assert found.client.rule() is Rule.RESCINDED


# Rescind.


def test_a_channel_nobody_was_told_of_is_gone_at_once() -> None:
    client = Client()
    client.server.offer(offer(), Device())
    client.server.rescind(1)
    client.take()
    assert client.events == [ConnectEvent(1, 0x2001), DisconnectEvent(1)]
    assert client.server.channels == () and not client.inbox


def test_an_open_channel_that_is_rescinded_is_closed_for_its_device_at_once() -> None:
    found = opened()
    found.client.server.rescind(1)
    found.client.take()
    assert found.client.answer(MessageType.RESCIND_CHANNEL_OFFER).relid == 1
    assert found.device.events == ["opened", "closed"]
    found.client.close(1)
    found.client.tear_down(1, GPADL)
    found.client.release(1)
    assert found.client.traces == [] and found.client.server.channels == ()


def test_linux_releases_a_rescinded_channel_without_teardown() -> None:
    found = opened()
    found.client.server.rescind(1)
    found.client.close(1)
    found.client.release(1)
    assert found.client.traces == [] and len(found.client.server.gpadls) == 0


def test_a_rescinded_channel_that_was_not_open_is_not_closed() -> None:
    client = client_with()
    client.server.rescind(1)
    client.close(1)
    assert client.rule() is Rule.NOT_OPEN


def test_a_rescinded_channel_is_not_opened() -> None:
    client = client_with()
    client.grant(1, GPADL, GPNS)
    client.server.rescind(1)
    client.take()
    client.answer(MessageType.RESCIND_CHANNEL_OFFER)
    assert client.open(1, GPADL, 2) == ChannelStatus.INVALID_DEVICE_STATE
    assert client.rule() is Rule.RESCINDED


def test_to_rescind_twice_is_to_rescind_once() -> None:
    client = client_with()
    client.server.rescind(1)
    client.server.rescind(1)
    client.take()
    client.answer(MessageType.RESCIND_CHANNEL_OFFER)
    assert not client.inbox


def test_what_was_never_offered_cannot_be_rescinded() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        client_with(1).server.rescind(2)
    assert str(refusal.value) == (
        "What is rescinded was offered, and nothing is under relid 0x2: `channels` has the list."
    )


def test_a_number_is_used_again_only_when_the_guest_has_released_it() -> None:
    client = client_with(1)
    client.server.rescind(1)
    assert client.server.offer(offer(1), Device()) == 2
    client.release(1)
    assert client.server.offer(offer(2), Device()) == 1


def test_a_number_is_not_released_before_it_is_rescinded() -> None:
    client = client_with(1)
    client.release(1)
    assert client.refusal() == "A relid is released after it was rescinded, and 0x1 was not."
    client.release(5)
    assert client.rule() is Rule.NO_CHANNEL


@pytest.mark.parametrize("kind", ["unload", "contact"])
def test_with_the_connection_go_the_rescinded_channels(kind: str) -> None:
    client = client_with(2)
    client.server.rescind(1)
    client.post(encode(MessageType.UNLOAD) if kind == "unload" else contact(Version.V5_3))
    assert [channel.relid for channel in client.server.channels] == [2]
    assert client.events[-1] == DisconnectEvent(1)


def test_a_half_received_gpadl_of_a_rescinded_channel_is_answered_or_released() -> None:
    client = client_with(2)
    data = one_range(GPNS)
    for relid in (1, 2):
        members = {"relid": relid, "gpadl": relid, "range_bytes": len(data), "range_count": 1}
        client.send(MessageType.GPADL_HEADER, data[:16], **members)
        client.server.rescind(relid)
        client.take()
        client.answer(MessageType.RESCIND_CHANNEL_OFFER)
    client.send(MessageType.GPADL_BODY, data[16:], gpadl=1)
    assert client.answer(MessageType.GPADL_CREATED).gpadl == 1
    client.release(2)
    client.send(MessageType.GPADL_BODY, data[16:], gpadl=2)
    assert client.rule() is Rule.NOT_HALF_RECEIVED


# Signals.


def test_a_signal_reaches_the_device_of_an_open_channel() -> None:
    found = opened()
    found.signal()
    assert found.device.events == ["opened", "signalled"]


@pytest.mark.parametrize("relid", [0, 1, 2, 2048, 1 << 40])
def test_a_signal_for_a_channel_that_is_not_open_is_traced(relid: int) -> None:
    client = client_with()
    client.server.signal(relid)
    client.take()
    assert client.refusal() == f"Events are for open channels, and {relid:#x} is not open."


def test_a_guest_that_wants_no_interrupts_gets_none() -> None:
    found = opened(target_vp=NO_INTERRUPTS)
    assert found.device.open.send(6, b"payload!")
    found.client.take()
    assert found.client.signals == []


def test_the_guest_is_signalled_at_its_vp() -> None:
    found: Opened = opened()
    assert found.device.open.send(6, b"payload!")
    found.client.take()
    assert found.client.signals == [SignalChannel(1, 0)]


# Too much.


def test_a_guest_that_does_not_take_its_answers_is_not_listened_to() -> None:
    client = client_with()
    for _ in range(MAX_ACTIONS + 100):
        client.server.message(encode(MessageType.CLOSE_CHANNEL, relid=1))
    assert len(client.server.actions) == MAX_ACTIONS
    assert client.server.ignored_messages == 100
    client.take()
    client.close(1)
    assert len(client.traces) == MAX_ACTIONS + 1


def test_messages_of_the_server_are_actions_in_order() -> None:
    client = client_with(0)
    client.server.offer(offer(), Device())
    client.server.rescind(1)
    kinds = [type(action) for action in client.server.actions]
    assert kinds == [ConnectEvent, Post, Post]


def test_reset_forgets_the_guest_and_keeps_the_offers() -> None:
    found = opened()
    found.client.server.reset()
    found.client.take()
    assert found.device.events == ["opened", "closed"]
    assert [channel.state for channel in found.client.server.channels] == ["offered"]
    assert len(found.client.connect()) == 1
