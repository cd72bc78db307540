"""The calls of inter-partition communication: post, signal, and the making of ports and connections.

Stands for: ring -1's calls of that name.
Spec: TLFS, "Inter-Partition Communication"; the reference of the calls by their names.
Simplified: no monitor ports, no proximity, no virtual trust levels; two properties of a port.
Next: ``minihv.hypervisor.ports``
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from minihv.hypervisor.call_form import SELF, Answer, Call, Request, target
from minihv.hypervisor.ports import Port
from minihv.hypervisor.privileges import Privilege
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.synic import (
    ANY_VP,
    EVENT_FLAG_COUNT,
    ID_MASK,
    MOST_PAYLOAD_BYTES,
    SINT_COUNT,
    ConnectPortInput,
    CreatePortInput,
    PortInfo,
    PortInput,
    PortProperty,
    PortPropertyInput,
    PortType,
    PostMessageInput,
    SignalEventInput,
)

if TYPE_CHECKING:
    from minihv.hypervisor.partition import Partition

MOST_VPS = 64


def post_message(request: Request) -> Answer:
    """HvPostMessage."""
    read = PostMessageInput(bytearray(request.header))
    if read.payload_bytes > MOST_PAYLOAD_BYTES:
        return Answer(Status.INVALID_PARAMETER)
    payload = read.payload[: read.payload_bytes]
    return Answer(request.hypervisor.ports.post(request.caller, read.connection_id, read.type, payload))


def signal_event(request: Request) -> Answer:
    """HvSignalEvent; its parameters are two numbers in eight bytes, and it is the most frequent call."""
    value = int.from_bytes(request.header, "little")
    return Answer(request.hypervisor.ports.signal(request.caller, value & 0xFFFF_FFFF, value >> 32 & 0xFFFF))


def create_port(request: Request) -> Answer:
    """HvCreatePort, in both of its codes: of the caller or a child, for it or another to connect to."""
    read = CreatePortInput(bytearray(request.header))
    owner = target(request, read.port_partition)
    connector = target(request, read.connection_partition)
    if isinstance(owner, Status):
        return Answer(owner)
    if isinstance(connector, Status):
        return Answer(connector)
    port = port_of(owner, read.port_id & ID_MASK, connector.id, read.info)
    return Answer(port if isinstance(port, Status) else request.hypervisor.ports.create(port))


def port_of(owner: "Partition", port_id: int, connector: int, info: PortInfo) -> Port | Status:
    """The port that ``info`` describes."""
    if info.type not in (PortType.MESSAGE, PortType.EVENT) or not 1 <= info.sint < SINT_COUNT:
        return Status.INVALID_PARAMETER
    if info.vp >= MOST_VPS and info.vp != ANY_VP:
        return Status.INVALID_VP_INDEX
    port = Port(owner, port_id, PortType(info.type), connector, info.sint, info.vp)
    if port.type is PortType.EVENT:
        port.base_flag, port.flag_count = info.base_flag, info.flag_count
        if not port.flag_count or port.base_flag + port.flag_count > EVENT_FLAG_COUNT:
            return Status.INVALID_PARAMETER
    return port


def delete_port(request: Request) -> Answer:
    """HvDeletePort."""
    return _remove(request, request.hypervisor.ports.delete)


def disconnect_port(request: Request) -> Answer:
    """HvDisconnectPort."""
    return _remove(request, request.hypervisor.ports.disconnect)


def _remove(request: Request, remove: Callable[[int, int], Status]) -> Answer:
    read = PortInput(bytearray(request.header))
    owner = target(request, read.partition)
    return Answer(owner if isinstance(owner, Status) else remove(owner.id, read.id & ID_MASK))


def connect_port(request: Request) -> Answer:
    """HvConnectPort, in both of its codes: the caller or a child gets a connection to a port made for it."""
    read = ConnectPortInput(bytearray(request.header))
    connector = target(request, read.connection_partition)
    if isinstance(connector, Status):
        return Answer(connector)
    owner_id = request.caller.partition.id if read.port_partition == SELF else read.port_partition
    if owner_id not in request.hypervisor.partitions:
        return Answer(Status.INVALID_PARTITION_ID)
    ports = request.hypervisor.ports
    port = ports.find(owner_id, read.port_id & ID_MASK)
    if port is None or port.connector != connector.id:
        return Answer(Status.INVALID_PORT_ID)
    if read.info.type != port.type:
        return Answer(Status.INVALID_PARAMETER)
    return Answer(ports.connect(connector.id, read.connection_id & ID_MASK, port))


def _property_of(request: Request) -> tuple[Port, int, int] | Status:
    """The port, the code and the value of HvGetPortProperty or HvSetPortProperty."""
    read = PortPropertyInput(bytearray(request.header.ljust(PortPropertyInput.byte_count, b"\0")))
    owner = target(request, read.partition)
    if isinstance(owner, Status):
        return owner
    port = request.hypervisor.ports.find(owner.id, read.port_id & ID_MASK)
    return Status.INVALID_PORT_ID if port is None else (port, read.code, read.value)


def get_port_property(request: Request) -> Answer:
    """HvGetPortProperty."""
    found = _property_of(request)
    if isinstance(found, Status):
        return Answer(found)
    port, code, _ = found
    known = {PortProperty.POST_COUNT: port.post_count, PortProperty.PREFERRED_TARGET_VP: port.preferred_vp}
    if code not in known:
        return Answer(Status.UNKNOWN_PROPERTY)
    return Answer(Status.SUCCESS, known[PortProperty(code)].to_bytes(8, "little"))


def set_port_property(request: Request) -> Answer:
    """HvSetPortProperty: the preferred VP of a port to any VP; the count of posts is only told."""
    found = _property_of(request)
    if isinstance(found, Status):
        return Answer(found)
    port, code, value = found
    if code != PortProperty.PREFERRED_TARGET_VP:
        denied = code == PortProperty.POST_COUNT
        return Answer(Status.OPERATION_DENIED if denied else Status.UNKNOWN_PROPERTY)
    if value >= MOST_VPS:
        return Answer(Status.PROPERTY_VALUE_OUT_OF_RANGE)
    port.preferred_vp = value
    return Answer(Status.SUCCESS)


CREATE = Call(create_port, CreatePortInput.byte_count, privilege=Privilege.CREATE_PORT)
CONNECT = Call(connect_port, ConnectPortInput.byte_count, privilege=Privilege.CONNECT_PORT)
CALLS: dict[int, Call] = {
    CallCode.POST_MESSAGE: Call(post_message, PostMessageInput.byte_count, privilege=Privilege.POST_MESSAGES),
    CallCode.SIGNAL_EVENT: Call(signal_event, SignalEventInput.byte_count, privilege=Privilege.SIGNAL_EVENTS),
    CallCode.CREATE_PORT: CREATE,
    CallCode.CREATE_PORT_V2: CREATE,
    CallCode.DELETE_PORT: Call(delete_port, PortInput.byte_count, privilege=Privilege.CREATE_PORT),
    CallCode.CONNECT_PORT: CONNECT,
    CallCode.CONNECT_PORT_V2: CONNECT,
    CallCode.DISCONNECT_PORT: Call(disconnect_port, PortInput.byte_count, privilege=Privilege.CONNECT_PORT),
    CallCode.GET_PORT_PROPERTY: Call(get_port_property, 24, 8, privilege=Privilege.CREATE_PORT),
    CallCode.SET_PORT_PROPERTY: Call(
        set_port_property, PortPropertyInput.byte_count, privilege=Privilege.CREATE_PORT
    ),
}
