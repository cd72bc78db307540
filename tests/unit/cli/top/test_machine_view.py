"""A view says of a machine what is so."""

from uuid import UUID

import pytest
from vmbus_client import Client, Device, offer

from minihv.cli.top.machine_view import (
    ChannelView,
    partition_state,
    view_channel,
    view_partitions,
    virtual_time_ns,
)
from minihv.guests.session import GuestSession
from minihv.hypervisor.states import VpState
from minihv.vmbus.offers import Offer


def test_machine_that_ran_is_seen_with_its_counters() -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        report = session.run()
        (found,) = view_partitions(session.hypervisor)
    (vp,) = found.vps
    assert (found.id, found.name, found.memory_bytes, found.channels) == (1, "01_hello", 4 << 20, [])
    assert (found.state, vp.state) == ("halted", "halted")
    assert (vp.blocks, vp.exits) == (report.counters.blocks, report.counters.exits_total)


def test_time_is_that_of_the_machine() -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        session.run()
        assert virtual_time_ns(session.hypervisor) == 4 * session.hypervisor.scheduler.now


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ((VpState.READY, VpState.IDLE), "running"),
        ((VpState.IDLE, VpState.HALTED), "idle"),
        ((VpState.READY, VpState.TRIPLE_FAULT), "triple fault"),
        ((), "created"),
    ],
)
def test_state_of_a_partition_is_that_of_its_liveliest_vp(states: tuple[VpState, ...], word: str) -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20, vps=2) as session:
        partition = session.partition
        for vp, state in zip(partition.vps, states, strict=False):
            vp.state = state
        if not states:
            partition.vps, kept = [], partition.vps
            assert partition_state(partition) == word
            partition.vps = kept
        assert not states or partition_state(partition) == word


def test_partition_that_was_shut_down_says_so() -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        session.partition.shut_down(0, "as a test")
        assert partition_state(session.partition) == "shut down"


def test_open_channel_has_rings_and_counters() -> None:
    client, device = Client(), Device()
    relid = client.server.offer(offer(), device)
    client.take()
    client.connect()
    gpns = range(1, 5)
    client.rings(gpns, 2)
    assert client.grant(relid, 1, gpns) == client.open(relid, 1, 2) == 0
    assert device.open.send(6, b"to the guest")
    (found,) = map(view_channel, client.server.channels)
    assert (found.relid, found.state, found.to_host_bytes, found.to_guest_bytes) == (
        relid,
        "open",
        4096,
        4096,
    )
    assert (found.to_host_used, found.to_guest_used, found.sent_packets) == (0, 40, 1)


def test_channel_is_called_as_its_device_or_as_its_interface() -> None:
    client = Client()
    named = Device()
    named.name = "echo"  # type: ignore[attr-defined]
    client.server.offer(offer(), named)
    client.server.offer(Offer(UUID(int=7), UUID(int=8)), Device())
    assert list(map(view_channel, client.server.channels)) == [
        ChannelView(relid=1, device="echo", state="offered"),
        ChannelView(relid=2, device=str(UUID(int=7)), state="offered"),
    ]
