"""A machine at one moment, as values: partitions, their VPs, their channels.

Stands for: the performance counters of a host.
Next: ``minihv.cli.top.board``
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.states import VpState
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine import clock

if TYPE_CHECKING:
    from minihv.vmbus.offers import OfferedChannel

FORMAT = 1
"""Of what is published; another one is another minihv's."""


class VpView(msgspec.Struct, kw_only=True):
    """A virtual processor, with what was counted since it was made."""

    index: int
    state: str
    blocks: int
    exits: int
    interrupts: int


class ChannelView(msgspec.Struct, kw_only=True):
    """A channel of a child. Rings and counters are zero unless it is open; bytes are those of payloads."""

    relid: int
    device: str
    state: str
    """``offered``, ``open`` or ``rescinded``."""
    to_host_used: int = 0
    to_host_bytes: int = 0
    to_guest_used: int = 0
    to_guest_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    sent_bytes: int = 0
    signals_received: int = 0
    signals_sent: int = 0


class PartitionView(msgspec.Struct, kw_only=True):
    """A partition. The parent's id is 0 where there is none."""

    id: int
    name: str
    parent_id: int
    state: str
    memory_bytes: int
    vps: list[VpView]
    channels: list[ChannelView]


class MachineView(msgspec.Struct, kw_only=True):
    """A machine. ``published_at`` is the moment that this shows, in seconds of the host's time since 1970."""

    format: int
    pid: int
    process_start: int
    """Tells a process from a later one with its number; 0 where the host does not say."""
    guest: str
    paging: str
    lps: int
    virtual_time_ns: int
    published_at: float
    asked: int = 0
    """The number of the question that this answers."""
    partitions: list[PartitionView]


Channels = Callable[[int], Iterable["OfferedChannel"]]
"""The channels of the partition with this id."""


def no_channels(_partition_id: int) -> Iterable["OfferedChannel"]:
    """Where there is no parent, nobody offers any."""
    return ()


def view_partitions(hypervisor: Hypervisor, channels: Channels = no_channels) -> list[PartitionView]:
    """Every partition of a machine, in the order of their ids."""
    return [
        view_partition(hypervisor.partitions[number], channels(number))
        for number in sorted(hypervisor.partitions)
    ]


def virtual_time_ns(hypervisor: Hypervisor) -> int:
    """How long the machine has been on, by its own clock."""
    return hypervisor.scheduler.now * clock.NS_PER_BLOCK


def view_partition(partition: Partition, channels: Iterable["OfferedChannel"] = ()) -> PartitionView:
    """One partition."""
    return PartitionView(
        id=partition.id,
        name=partition.name,
        parent_id=partition.parent_id,
        state=partition_state(partition),
        memory_bytes=partition.gpa_space.ram_bytes,
        vps=[view_vp(vp) for vp in partition.vps],
        channels=[view_channel(channel) for channel in channels],
    )


STATES = (
    VpState.TRIPLE_FAULT,
    VpState.READY,
    VpState.SUSPENDED,
    VpState.IDLE,
    VpState.HALTED,
    VpState.STARTUP,
)
"""Of several VPs, whose is told."""


def partition_state(partition: Partition) -> str:
    """In a word or two: what its VPs do, unless it has ended."""
    if partition.is_shut_down:
        return "shut down"
    if partition.has_crashed:
        return "crashed"
    states = [vp.state for vp in partition.vps]
    for state in STATES:
        if state in states:
            return "running" if state is VpState.READY else state.value
    return "created"


def view_vp(vp: VirtualProcessor) -> VpView:
    """One VP."""
    counters = vp.counters
    return VpView(
        index=vp.index,
        state=vp.state.value,
        blocks=int(counters.blocks),
        exits=sum(counters.exits),
        interrupts=int(counters.interrupts),
    )


def view_channel(channel: "OfferedChannel") -> ChannelView:
    """One channel."""
    device = getattr(channel.user, "name", "") or str(channel.offer.interface)
    view = ChannelView(relid=channel.relid, device=device, state=channel.state)
    if channel.open is not None:
        counters = channel.open.counters
        from_guest, to_guest = channel.open.fill
        view.to_host_used, view.to_host_bytes = from_guest.used_bytes, from_guest.ring_bytes
        view.to_guest_used, view.to_guest_bytes = to_guest.used_bytes, to_guest.ring_bytes
        view.received_packets, view.received_bytes = counters.received_packets, counters.received_bytes
        view.sent_packets, view.sent_bytes = counters.sent_packets, counters.sent_bytes
        view.signals_received, view.signals_sent = counters.signals_received, counters.signals_sent
    return view
