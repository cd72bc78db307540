"""VMBus in the parent: what a child says reaches its own server, and what that wants is done."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from parent_machines import CHILD_BYTES, NEEDS_COMPILER, booted, echo_child, needs_calls

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.service import Packet, Refusal, Service
from minihv.devices.synthetic.storage import Storage
from minihv.hypervisor.states import VpState
from minihv.parent.children import Child
from minihv.parent.partition import ParentPartition
from minihv.parent.port_numbers import event_connection, message_connection
from minihv.parent.vmbus_service import MOST_TRIES, ChildBus
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.own_channels import ECHO_INTERFACE
from minihv.spec.vmbus import MessageType
from minihv.vmbus.actions import Post
from minihv.vmbus.messages import encode

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]


@pytest.fixture
def parent() -> Iterator[ParentPartition]:
    with booted(CHILD_BYTES, CHILD_BYTES) as made:
        yield made


def silent_child(parent: ParentPartition) -> tuple[Child, ChildBus]:
    """A child that never runs."""
    child = parent.create_child("silent", CHILD_BYTES, start=False)
    return child, parent.bus_of(child)


def test_ports_of_a_child_are_there_before_it_runs(parent: ParentPartition) -> None:
    child, bus = silent_child(parent)
    ports = parent.hypervisor.ports
    assert ports.find(1, child.id) is not None and ports.find(child.id, 0x100) is not None
    assert ports.find(child.id, 0x200) is not None
    assert sorted(bus.flags) == [1, 2, 3, 4, 5, 6] and not bus.server.actions


def sub_channels_of(bus: ChildBus, service: Service) -> list[int]:
    """Numbers of the channels that ``service`` has on its bus."""
    return [one.offer.sub_channel for one in bus.server.channels if one.offer.instance == service.instance]


def test_sub_channels_are_offered_and_taken_back_as_their_service_wishes(parent: ParentPartition) -> None:
    service = Storage(ScsiController(), UUID(int=7))
    child = parent.create_child("silent", CHILD_BYTES, start=False, services=[service])
    bus = parent.bus_of(child)
    assert sub_channels_of(bus, service) == [0]
    for wanted in (3, 0, 1):
        service._set_sub_channels(wanted)
        parent.vmbus.attend(bus)
        parent.settle()
        assert sub_channels_of(bus, service) == list(range(wanted + 1))
    assert len(bus.services) == len(bus.flags) == 8 and not service.offers_changed


def test_child_finds_services_that_are_its_own(parent: ParentPartition) -> None:
    children = [echo_child(parent, f"echo {number}", 2 + number) for number in range(2)]
    for child in children:
        parent.begin(child)
    parent.settle()
    echoes = [
        next(service for service in parent.bus_of(child).services.values() if service.name == "echo")
        for child in children
    ]
    assert [service.received_packets for service in echoes] == [2, 3]
    assert not any(bus.traces or bus.refused for bus in parent.vmbus.buses.values())


def test_message_for_a_child_that_does_not_listen_is_counted(parent: ParentPartition) -> None:
    _, bus = silent_child(parent)
    bus.server.actions.append(Post(0, bytes(8)))
    parent.vmbus.drain(bus)
    parent.settle()
    assert bus.refused == 1 and not bus.server.actions and parent.vp.state is VpState.IDLE


def listening(child: Child) -> None:
    """The SynIC of the child's VP is on, as if it had run."""
    synic = child.partition.vps[0].synic
    synic.simp, synic.control, synic.sints[2] = 0x20_0001, 1, 0x2_0052


def test_message_without_a_buffer_is_tried_again_and_then_waits_for_the_child(
    parent: ParentPartition,
) -> None:
    child, bus = silent_child(parent)
    listening(child)
    for number in range(20):
        bus.server.actions.append(Post(0, bytes([number]) * 8))
    parent.vmbus.drain(bus)
    parent.settle()
    calls = parent.vp.counters.hypercalls
    assert calls[CallCode.POST_MESSAGE] == 17 + MOST_TRIES  # one in the slot, 16 in buffers
    assert len(bus.server.actions) == 3 and bus.tries == MOST_TRIES and bus.retry_at is None
    assert parent.vp.state is VpState.IDLE


def test_deleted_child_leaves_no_port_and_no_connection(parent: ParentPartition) -> None:
    child, _ = silent_child(parent)
    parent.delete_child(child)
    ports = parent.hypervisor.ports
    assert ports.find(1, child.id) is None and not parent.vmbus.buses
    assert ports.disconnect(1, message_connection(child.id, 0)) is Status.INVALID_CONNECTION_ID
    assert ports.disconnect(1, event_connection(child.id, 0)) is Status.INVALID_CONNECTION_ID


def test_flags_of_a_deleted_child_are_used_again(parent: ParentPartition) -> None:
    first, bus = silent_child(parent)
    flags = set(bus.flags.values())
    parent.delete_child(first)
    _, again = silent_child(parent)
    assert set(again.flags.values()) == flags


def test_heartbeat_keeps_the_clock_of_the_parent_only_while_its_child_lives(parent: ParentPartition) -> None:
    child = echo_child(parent, "echo", 1)
    parent.begin(child)
    parent.settle()
    assert child.partition.is_shut_down and parent.bus_of(child).due_100ns is None


def test_service_of_a_guests_own_making_is_offered_while_it_runs(parent: ParentPartition) -> None:
    class Deaf(Service):
        name = "deaf"
        interface = instance = ECHO_INTERFACE

        def _take(self, packet: Packet) -> Refusal | None:
            return None

    _, bus = silent_child(parent)
    relid = parent.vmbus.offer(bus, Deaf())
    parent.vmbus.drain(bus)
    parent.settle()
    assert relid in bus.flags and bus.services[relid].name == "deaf"


def test_broken_rule_is_noted_and_the_flood_of_them_only_counted(parent: ParentPartition) -> None:
    _, bus = silent_child(parent)
    bus.server.message(encode(MessageType.REQUEST_OFFERS))
    parent.vmbus.drain(bus)
    assert [trace.text for trace in bus.traces] and bus.traced == 1
