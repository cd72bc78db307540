"""Ports and connections: who may send what to whom, and which VP gets it."""

from collections.abc import Iterator

import pytest
from machines import SmallMachine
from synics import AUTO_EOI, CONNECTION, MASKED, PORT, SINT, VECTOR, Talkers

from minihv.hypervisor.ports import Port
from minihv.spec.hypercalls import Status
from minihv.spec.synic import ANY_VP, BUFFERS_OF_PORT, PortType

MESSAGE, EVENT = PortType.MESSAGE, PortType.EVENT


@pytest.fixture
def two() -> Iterator[Talkers]:
    with Talkers() as made:
        yield made


@pytest.fixture
def crowd() -> Iterator[Talkers]:
    with Talkers(vps=3) as made:
        yield made


# Posting.


def test_message_goes_through_connection_and_port_to_the_receivers_slot(two: Talkers) -> None:
    assert two.connected().post(b"hello") is Status.SUCCESS
    slot = two.slot()
    assert (slot.type, slot.origin, slot.payload[: slot.payload_bytes]) == (1, PORT, b"hello")
    assert two.apics[1, 0].requests == [(VECTOR, False)] and not two.apics[2, 0].requests


@pytest.mark.parametrize("kind", [1, 2, 0x7FFF_FFFF])
def test_sender_chooses_the_type_of_its_message(two: Talkers, kind: int) -> None:
    assert two.connected().post(kind=kind) is Status.SUCCESS and two.slot().type == kind


@pytest.mark.parametrize("kind", [0, 0x8000_0000, 0x8000_0010, 0xFFFF_FFFF])
def test_type_of_a_message_is_not_zero_and_has_bit_31_clear(two: Talkers, kind: int) -> None:
    assert two.connected().post(kind=kind) is Status.INVALID_PARAMETER and two.slot().type == 0


def test_connection_that_is_not_there_is_an_invalid_id(two: Talkers) -> None:
    two.connected()
    assert two.post(connection_id=2) is Status.INVALID_CONNECTION_ID
    assert two.signal(connection_id=2) is Status.INVALID_CONNECTION_ID


def test_connection_is_of_its_partition_alone(two: Talkers) -> None:
    two.connected()
    assert two.ports.post(two.parent.vps[0], CONNECTION, 1, b"") is Status.INVALID_CONNECTION_ID


@pytest.mark.parametrize("high", [0, 0x0100_0000, 0xFF00_0000])
def test_only_the_low_24_bits_of_a_connection_id_count(two: Talkers, high: int) -> None:
    assert two.connected().post(b"x", connection_id=CONNECTION | high) is Status.SUCCESS


def test_port_that_was_deleted_is_an_invalid_port_until_the_connection_is_made_anew(two: Talkers) -> None:
    two.connected()
    assert two.ports.delete(two.parent.id, PORT) is Status.SUCCESS
    assert two.make() is Status.SUCCESS
    assert two.post() is Status.INVALID_PORT_ID
    assert two.ports.disconnect(two.child.id, CONNECTION) is Status.SUCCESS
    assert two.connect() is Status.SUCCESS and two.post() is Status.SUCCESS


def test_message_to_an_event_port_and_signal_to_a_message_port_are_invalid_ports(two: Talkers) -> None:
    two.connected()
    assert two.signal() is Status.INVALID_PORT_ID
    assert two.make(EVENT, PORT + 1) is Status.SUCCESS
    assert two.connect(EVENT, PORT + 1, CONNECTION + 1) is Status.SUCCESS
    assert two.post(connection_id=CONNECTION + 1) is Status.INVALID_PORT_ID


def test_port_takes_one_message_in_the_slot_and_sixteen_that_wait(two: Talkers) -> None:
    two.connected()
    statuses = [two.post(bytes([number])) for number in range(BUFFERS_OF_PORT + 2)]
    assert statuses == [Status.SUCCESS] * (BUFFERS_OF_PORT + 1) + [Status.INSUFFICIENT_BUFFERS]
    port = two.ports.find(two.parent.id, PORT)
    assert port is not None and port.post_count == BUFFERS_OF_PORT + 1


def test_port_that_is_full_leaves_others_their_buffers(two: Talkers) -> None:
    two.connected()
    while two.post() is Status.SUCCESS:
        pass
    assert two.make(port_id=PORT + 1) is Status.SUCCESS
    assert two.connect(MESSAGE, PORT + 1, CONNECTION + 1) is Status.SUCCESS
    assert two.post(connection_id=CONNECTION + 1) is Status.SUCCESS


def test_what_a_port_queued_is_delivered_after_it_was_deleted(two: Talkers) -> None:
    two.connected()
    two.post(b"1")
    two.post(b"2")
    two.ports.delete(two.parent.id, PORT)
    two.parent.gpa_space.write(0x2_0000 + 256 * SINT, bytes(4))
    two.parent.vps[0].synic.retry()
    assert two.slot().payload[:1] == b"2"


def test_controller_that_is_disabled_takes_nothing(two: Talkers) -> None:
    two.connected()
    two.parent.vps[0].synic.write_control(0)
    assert two.post() is Status.INVALID_SYNIC_STATE


# Signalling.


def test_signal_sets_the_flag_that_its_port_begins_with_and_those_behind(two: Talkers) -> None:
    two.connected(EVENT)
    assert [two.signal(flag) for flag in (0, 7)] == [Status.SUCCESS] * 2
    assert two.flags() == [64, 71] and two.apics[1, 0].requests == [(VECTOR, False)] * 2


@pytest.mark.parametrize("flag", [8, 2047, 0xFFFF])
def test_flag_beyond_those_of_its_port_is_an_invalid_parameter(two: Talkers, flag: int) -> None:
    assert two.connected(EVENT).signal(flag) is Status.INVALID_PARAMETER and not two.flags()


def test_last_flag_of_all_may_be_a_ports(two: Talkers) -> None:
    assert two.connected(EVENT, base_flag=2047, flag_count=1).signal() is Status.SUCCESS
    assert two.flags() == [2047]


def test_signal_to_a_masked_sint_is_refused(two: Talkers) -> None:
    two.connected(EVENT)
    two.parent.vps[0].synic.write_sint(SINT, MASKED)
    assert two.signal() is Status.INVALID_SYNIC_STATE


def test_signal_never_fails_for_resources(two: Talkers) -> None:
    two.connected(EVENT)
    two.parent.vps[0].synic.write_sint(SINT, VECTOR | AUTO_EOI)
    assert {two.signal(number % 8) for number in range(1000)} == {Status.SUCCESS}
    assert len(two.apics[1, 0].requests) == 8


# Which VP.


@pytest.mark.parametrize("kind", [MESSAGE, EVENT])
def test_port_leads_to_the_vp_that_it_names(crowd: Talkers, kind: PortType) -> None:
    crowd.connected(kind, vp=2)
    assert (crowd.post() if kind is MESSAGE else crowd.signal()) is Status.SUCCESS
    assert [index for (partition, index), apic in crowd.apics.items() if apic.requests] == [2]


@pytest.mark.parametrize("kind", [MESSAGE, EVENT])
def test_port_to_a_vp_that_is_not_there_ends_with_an_invalid_index(two: Talkers, kind: PortType) -> None:
    two.connected(kind, vp=1)
    assert (two.post() if kind is MESSAGE else two.signal()) is Status.INVALID_VP_INDEX


@pytest.mark.parametrize("kind", [MESSAGE, EVENT])
def test_port_to_any_vp_leads_to_the_first_that_takes_it(crowd: Talkers, kind: PortType) -> None:
    crowd.connected(kind, vp=ANY_VP)
    send = crowd.post if kind is MESSAGE else crowd.signal
    crowd.parent.vps[0].synic.write_control(0)
    crowd.parent.vps[1].synic.write_sint(SINT, MASKED)
    assert send() is Status.SUCCESS
    assert crowd.apics[1, 2].requests == [(VECTOR, False)]
    crowd.parent.vps[2].synic.write_control(0)
    assert send() is Status.INVALID_SYNIC_STATE


def test_port_to_any_vp_asks_the_preferred_first(crowd: Talkers) -> None:
    crowd.connected(vp=ANY_VP)
    port = crowd.ports.find(crowd.parent.id, PORT)
    assert port is not None
    port.preferred_vp = 1
    crowd.post()
    assert crowd.slot(1).type == 1 and crowd.slot(0).type == 0
    crowd.parent.vps[1].synic.write_control(0)
    crowd.post()
    assert crowd.slot(0).type == 1


def test_port_to_any_vp_of_a_partition_without_one_ends_with_an_invalid_index(two: Talkers) -> None:
    two.connected(vp=ANY_VP)
    vps, two.parent.vps = two.parent.vps, []
    assert two.post() is Status.INVALID_VP_INDEX
    two.parent.vps = vps


# The end of a partition.


def test_partition_that_is_deleted_takes_its_ports_and_connections_along(two: Talkers) -> None:
    two.connected()
    two.ports.connect(two.child.id, 9, two.ports._ports[1, PORT])
    two.machine.hypervisor.delete_partition(two.child.id)
    assert list(two.ports._ports) == [(1, PORT)] and not two.ports._connections
    two.ports.forget(1)
    assert not two.ports._ports


def test_connection_to_a_partition_that_is_deleted_leads_to_an_invalid_port(two: Talkers) -> None:
    two.connected()
    two.child.parent_id = 0  # else it would go with its parent
    two.machine.hypervisor.delete_partition(two.parent.id)
    assert two.ports.post(two.child.vps[0], CONNECTION, 1, b"") is Status.INVALID_PORT_ID
    assert two.ports.signal(two.child.vps[0], CONNECTION, 0) is Status.INVALID_PORT_ID


# The trace.


def test_reader_of_the_trace_hears_of_both_ends(two: Talkers) -> None:
    told: list[tuple[str, str, str]] = []
    two.child.vps[0].synic.tell = lambda kind, name, _detail: told.append(("child", kind, name))
    two.parent.vps[0].synic.tell = lambda kind, name, _detail: told.append(("parent", kind, name))
    two.connected().post()
    two.make(EVENT, PORT + 1)
    two.connect(EVENT, PORT + 1, CONNECTION + 1)
    two.signal(connection_id=CONNECTION + 1)
    assert told == [
        ("child", "message", "posted"),
        ("parent", "message", "placed"),
        ("child", "event", "signalled"),
        ("parent", "event", "set"),
    ]


def test_port_with_a_sink_leads_into_ring_minus_1() -> None:
    heard: list[bytes] = []
    with SmallMachine() as small:
        ports, sender = small.hypervisor.ports, small.vp
        for number, kind in ((1, PortType.MESSAGE), (2, PortType.EVENT)):
            port = Port(small.partition, number, kind, 1, 2, 0, 0, 1, sink=heard.append)
            assert ports.connect(1, number, port) is Status.SUCCESS
        assert ports.post(sender, 1, 1, b"message") is ports.signal(sender, 2, 0) is Status.SUCCESS
        assert ports.signal(sender, 2, 1) is Status.INVALID_PARAMETER
    assert heard == [b"message", b""]
