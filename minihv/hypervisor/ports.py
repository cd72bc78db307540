"""Ports and connections: where a message or a signal may be sent, and by whom.

Stands for: ring -1's port and connection objects.
Spec: TLFS, "Inter-Partition Communication": "Ports", "Connections", "HvCallPostMessage", "HvCallSignalEvent".
Simplified: no monitor ports; ports and connections are not paid for from a memory pool; what a port queued
    before it was deleted is still delivered.
First reading: ``Ports.post``, ``Ports.signal``.

A *port* belongs to the partition that receives, a *connection* to the one that sends; each partition numbers
its own. Who makes them decides who may speak to whom::

    sender ──HvPostMessage(connection id)──> connection ──> port ──> SINT of a VP of the receiver
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minihv.hypervisor.synic import Buffers, Message, Synic
from minihv.spec.hypercalls import Status
from minihv.spec.synic import (
    ANY_VP,
    BUFFERS_OF_PORT,
    FROM_HYPERVISOR,
    ID_MASK,
    MOST_PAYLOAD_BYTES,
    PortType,
)

if TYPE_CHECKING:
    from minihv.hypervisor.partition import Partition
    from minihv.hypervisor.vp import VirtualProcessor


@dataclass(slots=True)
class Port:
    """A port of ``partition`` that leads to ``sint`` of VP ``vp_index``; ``connector`` may connect to it."""

    partition: "Partition"
    id: int
    type: PortType
    connector: int
    sint: int
    vp_index: int
    base_flag: int = 0
    flag_count: int = 0
    preferred_vp: int = 0
    """Of a port to any VP: which is tried first."""
    post_count: int = 0
    """Messages that it took since it was made."""
    is_deleted: bool = False
    sink: Callable[[bytes], object] | None = None
    """Takes messages, and signals as empty ones, of a port that leads into ring -1 and to no SINT."""
    buffers: Buffers = field(default_factory=lambda: Buffers(BUFFERS_OF_PORT))


Key = tuple[int, int]
"""The id of a partition, and that of a port or a connection of its own."""


class Ports:
    """All ports and connections of a machine. A refusal is the status that the call ends with."""

    def __init__(self) -> None:
        self._ports: dict[Key, Port] = {}
        self._connections: dict[Key, Port] = {}

    def create(self, port: Port) -> Status:
        """Adds ``port``, unless its partition has one of this id."""
        key = port.partition.id, port.id
        if key in self._ports:
            return Status.INVALID_PORT_ID
        self._ports[key] = port
        return Status.SUCCESS

    def delete(self, partition_id: int, port_id: int) -> Status:
        """Removes a port. Its connections stay, and lead nowhere."""
        port = self._ports.pop((partition_id, port_id), None)
        if port is None:
            return Status.INVALID_PORT_ID
        port.is_deleted = True
        return Status.SUCCESS

    def find(self, partition_id: int, port_id: int) -> Port | None:
        """The port of that id."""
        return self._ports.get((partition_id, port_id))

    def connect(self, partition_id: int, connection_id: int, port: Port) -> Status:
        """Gives a partition the connection ``connection_id`` to ``port``."""
        key = partition_id, connection_id
        if key in self._connections:
            return Status.INVALID_CONNECTION_ID
        self._connections[key] = port
        return Status.SUCCESS

    def disconnect(self, partition_id: int, connection_id: int) -> Status:
        """Removes a connection."""
        found = self._connections.pop((partition_id, connection_id), None)
        return Status.INVALID_CONNECTION_ID if found is None else Status.SUCCESS

    def forget(self, partition_id: int) -> None:
        """Removes the ports and the connections of a partition that goes."""
        for key in [key for key in self._ports if key[0] == partition_id]:
            self.delete(*key)
        for key in [key for key in self._connections if key[0] == partition_id]:
            self.disconnect(*key)

    def post(self, sender: "VirtualProcessor", connection_id: int, kind: int, payload: bytes) -> Status:
        """HvPostMessage, when its parameters are read."""
        if not 0 < kind < FROM_HYPERVISOR or len(payload) > MOST_PAYLOAD_BYTES:
            return Status.INVALID_PARAMETER
        port = self._led_to(sender, connection_id, PortType.MESSAGE)
        if isinstance(port, Status):
            return port
        target = receiver(port) if port.sink is None else None
        if isinstance(target, Status):
            return target
        if sender.synic.tell is not None:
            sender.synic.tell("message", "posted", {"connection": connection_id, "type": kind})
        if target is None:
            return pour(port, payload)
        status = target.synic.post(port.sint, Message(kind, port.id, payload), port.buffers)
        port.post_count += status is Status.SUCCESS
        return status

    def signal(self, sender: "VirtualProcessor", connection_id: int, flag: int) -> Status:
        """HvSignalEvent, when its parameters are read."""
        port = self._led_to(sender, connection_id, PortType.EVENT)
        if isinstance(port, Status):
            return port
        if flag >= port.flag_count:
            return Status.INVALID_PARAMETER
        if port.sink is not None:
            return pour(port, b"")
        vps = port.partition.vps
        target = vps[port.vp_index] if port.vp_index < len(vps) else receiver(port)
        if isinstance(target, Status):
            return target
        if sender.synic.tell is not None:
            sender.synic.tell("event", "signalled", {"connection": connection_id, "flag": flag})
        return target.synic.signal(port.sint, port.base_flag + flag)

    def _led_to(self, sender: "VirtualProcessor", connection_id: int, kind: PortType) -> Port | Status:
        port = self._connections.get((sender.partition.id, connection_id & ID_MASK))
        if port is None:
            return Status.INVALID_CONNECTION_ID
        return Status.INVALID_PORT_ID if port.is_deleted or port.type is not kind else port


def pour(port: Port, payload: bytes) -> Status:
    """Ring -1 itself takes what was sent to ``port``."""
    assert port.sink is not None
    port.post_count += port.type is PortType.MESSAGE
    port.sink(payload)
    return Status.SUCCESS


def receiver(port: Port) -> "VirtualProcessor | Status":
    """The VP that a port leads to now: the one it names, or the preferred or first one that takes it."""
    vps = port.partition.vps
    if port.vp_index != ANY_VP:
        return vps[port.vp_index] if port.vp_index < len(vps) else Status.INVALID_VP_INDEX
    takes = [vp for vp in vps if takes_now(vp.synic, port)]
    preferred = [vp for vp in takes if vp.index == port.preferred_vp]
    if not takes:
        return Status.INVALID_SYNIC_STATE if vps else Status.INVALID_VP_INDEX
    return (preferred or takes)[0]


def takes_now(synic: Synic, port: Port) -> bool:
    """Whether what ``port`` takes could be given to this VP."""
    takes = synic.takes_messages if port.type is PortType.MESSAGE else synic.takes_signals
    return takes(port.sint)
