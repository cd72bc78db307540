"""The calls of inter-partition communication: their forms, their privileges, and every refusal."""

from collections.abc import Iterator
from typing import Any

import pytest
from synics import CONNECTION, PORT, SINT, Talkers

from minihv.hypervisor.call_form import SELF
from minihv.hypervisor.privileges import PARENT, Privilege
from minihv.spec.hypercalls import CallCode, Status
from minihv.spec.synic import (
    ANY_VP,
    ConnectionInfo,
    ConnectPortInput,
    CreatePortInput,
    PortInfo,
    PortInput,
    PortProperty,
    PortPropertyInput,
    PortType,
)

MESSAGE, EVENT, MONITOR = PortType
NOT_THERE = 77
POSTING, SIGNALLING = Privilege.POST_MESSAGES, Privilege.SIGNAL_EVENTS
CREATING, CONNECTING = Privilege.CREATE_PORT, Privilege.CONNECT_PORT


@pytest.fixture
def two() -> Iterator[Talkers]:
    with Talkers() as made:
        yield made


def create(two: Talkers, code: int = CallCode.CREATE_PORT, **parts: Any) -> Status:
    info = PortInfo.build(type=MESSAGE, sint=SINT)
    block = {"port_partition": SELF, "port_id": PORT, "connection_partition": two.child.id, "info": info}
    return two.call(two.parent, code, bytes(CreatePortInput.build(**{**block, **parts})))


def connect(two: Talkers, code: int = CallCode.CONNECT_PORT, **parts: Any) -> Status:
    block: dict[str, Any] = {
        "connection_partition": two.child.id,
        "connection_id": CONNECTION,
        "port_partition": SELF,
        "port_id": PORT,
        "info": ConnectionInfo.build(type=MESSAGE),
    }
    return two.call(two.parent, code, bytes(ConnectPortInput.build(**{**block, **parts})))


def property_call(two: Talkers, call: int, code: int, value: int = 0, **parts: int) -> Status:
    block = PortPropertyInput.build(
        **{"partition": SELF, "port_id": PORT, "code": code, "value": value, **parts}
    )
    return two.call(two.parent, call, bytes(block))


# Form and privilege.


@pytest.mark.parametrize(
    ("code", "privilege"),
    [
        (CallCode.POST_MESSAGE, POSTING), (CallCode.SIGNAL_EVENT, SIGNALLING),
        (CallCode.CREATE_PORT, CREATING), (CallCode.CREATE_PORT_V2, CREATING),
        (CallCode.DELETE_PORT, CREATING), (CallCode.CONNECT_PORT, CONNECTING),
        (CallCode.CONNECT_PORT_V2, CONNECTING), (CallCode.DISCONNECT_PORT, CONNECTING),
        (CallCode.GET_PORT_PROPERTY, CREATING), (CallCode.SET_PORT_PROPERTY, CREATING),
    ],
)  # fmt: skip
def test_call_asks_for_the_privilege_of_the_tlfs(two: Talkers, code: int, privilege: Privilege) -> None:
    assert two.call(two.parent, code, bytes(256)) is not Status.ACCESS_DENIED
    two.parent.privileges = PARENT & ~privilege
    assert two.call(two.parent, code, bytes(256)) is Status.ACCESS_DENIED


@pytest.mark.parametrize(
    "code",
    [
        CallCode.POST_MESSAGE, CallCode.CREATE_PORT, CallCode.CREATE_PORT_V2, CallCode.CONNECT_PORT,
        CallCode.CONNECT_PORT_V2, CallCode.GET_PORT_PROPERTY, CallCode.SET_PORT_PROPERTY,
    ],
)  # fmt: skip
def test_call_of_more_than_two_registers_cannot_be_fast(two: Talkers, code: int) -> None:
    assert two.fast(two.parent, code, 0) is Status.INVALID_HYPERCALL_INPUT


def test_signal_may_be_slow(two: Talkers) -> None:
    two.connected(EVENT)
    block = CONNECTION.to_bytes(4, "little") + b"\3\0\0\0"
    assert two.call(two.child, CallCode.SIGNAL_EVENT, block) is Status.SUCCESS
    assert two.flags() == [67]


def test_signal_of_linux_is_fast_with_flag_0(two: Talkers) -> None:
    two.connected(EVENT)
    assert two.fast(two.child, CallCode.SIGNAL_EVENT, CONNECTION) is Status.SUCCESS
    assert two.flags() == [64]


@pytest.mark.parametrize("payload_bytes", [241, 0xFFFF_FFFF])
def test_payload_of_more_than_240_bytes_is_an_invalid_parameter(two: Talkers, payload_bytes: int) -> None:
    two.connected()
    header = b"\1" + bytes(7) + b"\1\0\0\0" + payload_bytes.to_bytes(4, "little")
    block = header.ljust(256, b"\0")
    assert two.call(two.child, CallCode.POST_MESSAGE, block) is Status.INVALID_PARAMETER


@pytest.mark.parametrize("byte_count", [0, 1, 239, 240])
def test_payload_arrives_as_long_as_it_was_sent(two: Talkers, byte_count: int) -> None:
    payload = bytes(range(byte_count))
    assert two.connected().post(payload) is Status.SUCCESS
    assert two.slot().payload_bytes == byte_count and two.slot().payload[:byte_count] == payload


# HvCreatePort and HvDeletePort.


@pytest.mark.parametrize("code", [CallCode.CREATE_PORT, CallCode.CREATE_PORT_V2])
def test_port_is_made_by_both_codes(two: Talkers, code: int) -> None:
    assert create(two, code) is Status.SUCCESS
    port = two.ports.find(two.parent.id, PORT)
    assert port is not None and (port.sint, port.vp_index, port.connector) == (SINT, 0, two.child.id)


def test_port_of_a_child_may_be_made_for_its_parent(two: Talkers) -> None:
    assert create(two, port_partition=two.child.id, connection_partition=SELF) is Status.SUCCESS
    assert two.ports.find(two.child.id, PORT) is not None


def test_port_id_is_used_once_in_its_partition(two: Talkers) -> None:
    assert create(two) is Status.SUCCESS and create(two) is Status.INVALID_PORT_ID
    assert create(two, port_id=PORT | 0x1200_0000) is Status.INVALID_PORT_ID
    assert create(two, port_partition=two.child.id) is Status.SUCCESS


@pytest.mark.parametrize("partition", ["port_partition", "connection_partition"])
@pytest.mark.parametrize(
    ("partition_id", "status"), [(NOT_THERE, Status.INVALID_PARTITION_ID), (3, Status.ACCESS_DENIED)]
)
def test_port_is_of_and_for_the_caller_or_its_children(
    two: Talkers, partition: str, partition_id: int, status: Status
) -> None:
    two.machine.add_partition("stranger", "hlt")
    assert create(two, **{partition: partition_id}) is status


@pytest.mark.parametrize("kind", [0, MONITOR, 4, 0x101, 0xFFFF_FFFF])
def test_port_is_for_messages_or_events(two: Talkers, kind: int) -> None:
    assert create(two, info=PortInfo.build(type=kind, sint=SINT)) is Status.INVALID_PARAMETER


@pytest.mark.parametrize("sint", [0, 16, 0x102, 0xFFFF_FFFF])
def test_port_leads_to_sint_1_to_15(two: Talkers, sint: int) -> None:
    assert create(two, info=PortInfo.build(type=MESSAGE, sint=sint)) is Status.INVALID_PARAMETER


@pytest.mark.parametrize(
    ("vp", "status"),
    [
        (63, Status.SUCCESS), (ANY_VP, Status.SUCCESS), (64, Status.INVALID_VP_INDEX),
        (ANY_VP - 1, Status.INVALID_VP_INDEX),
    ],
)  # fmt: skip
def test_port_leads_to_a_vp_that_could_be_or_to_any(two: Talkers, vp: int, status: Status) -> None:
    assert create(two, info=PortInfo.build(type=MESSAGE, sint=SINT, vp=vp)) is status


@pytest.mark.parametrize(
    ("base_flag", "flag_count", "status"),
    [
        (0, 2048, Status.SUCCESS), (2047, 1, Status.SUCCESS), (0, 0, Status.INVALID_PARAMETER),
        (0, 2049, Status.INVALID_PARAMETER), (2048, 1, Status.INVALID_PARAMETER),
        (0xFFFF, 0xFFFF, Status.INVALID_PARAMETER),
    ],
)  # fmt: skip
def test_flags_of_an_event_port_lie_within_those_of_its_sint(
    two: Talkers, base_flag: int, flag_count: int, status: Status
) -> None:
    info = PortInfo.build(type=EVENT, sint=SINT, base_flag=base_flag, flag_count=flag_count)
    assert create(two, info=info) is status


@pytest.mark.parametrize("fast", [False, True])
def test_port_is_deleted_once(two: Talkers, fast: bool) -> None:
    create(two)
    block = PortInput.build(partition=SELF, id=PORT | 0x4400_0000)

    def delete() -> Status:
        if fast:
            return two.fast(two.parent, CallCode.DELETE_PORT, SELF, PORT)
        return two.call(two.parent, CallCode.DELETE_PORT, bytes(block))

    assert delete() is Status.SUCCESS and delete() is Status.INVALID_PORT_ID


def test_port_of_a_stranger_is_not_deleted(two: Talkers) -> None:
    assert two.fast(two.parent, CallCode.DELETE_PORT, NOT_THERE, PORT) is Status.INVALID_PARTITION_ID


# HvConnectPort and HvDisconnectPort.


@pytest.mark.parametrize("code", [CallCode.CONNECT_PORT, CallCode.CONNECT_PORT_V2])
def test_connection_is_made_by_both_codes(two: Talkers, code: int) -> None:
    create(two)
    assert connect(two, code) is Status.SUCCESS and two.post() is Status.SUCCESS


def test_connection_id_is_used_once_in_its_partition(two: Talkers) -> None:
    create(two)
    assert connect(two) is Status.SUCCESS and connect(two) is Status.INVALID_CONNECTION_ID
    assert connect(two, connection_id=CONNECTION | 0x7700_0000) is Status.INVALID_CONNECTION_ID


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({"port_id": PORT + 1}, Status.INVALID_PORT_ID),
        ({"port_partition": NOT_THERE}, Status.INVALID_PARTITION_ID),
        ({"port_partition": 2}, Status.INVALID_PORT_ID),
        ({"connection_partition": NOT_THERE}, Status.INVALID_PARTITION_ID),
        ({"connection_partition": SELF}, Status.INVALID_PORT_ID),
        ({"info": ConnectionInfo.build(type=EVENT)}, Status.INVALID_PARAMETER),
        ({"info": ConnectionInfo.build(type=0)}, Status.INVALID_PARAMETER),
    ],
)
def test_connection_needs_a_port_of_its_type_that_was_made_for_it(
    two: Talkers, parts: dict[str, Any], status: Status
) -> None:
    create(two)
    assert connect(two, **parts) is status
    assert two.post() is Status.INVALID_CONNECTION_ID


def test_several_connections_may_lead_to_one_port(two: Talkers) -> None:
    create(two)
    assert connect(two, connection_id=1) is connect(two, connection_id=4) is Status.SUCCESS
    assert two.post(connection_id=1) is two.post(connection_id=4) is Status.SUCCESS


def test_child_may_be_connected_to_a_port_of_its_own(two: Talkers) -> None:
    assert create(two, port_partition=two.child.id) is Status.SUCCESS
    assert connect(two, port_partition=two.child.id) is Status.SUCCESS


@pytest.mark.parametrize("fast", [False, True])
def test_connection_is_removed_once(two: Talkers, fast: bool) -> None:
    two.connected()
    block = PortInput.build(partition=two.child.id, id=CONNECTION)

    def disconnect() -> Status:
        if fast:
            return two.fast(two.parent, CallCode.DISCONNECT_PORT, two.child.id, CONNECTION)
        return two.call(two.parent, CallCode.DISCONNECT_PORT, bytes(block))

    assert disconnect() is Status.SUCCESS and disconnect() is Status.INVALID_CONNECTION_ID
    assert two.post() is Status.INVALID_CONNECTION_ID


# HvGetPortProperty and HvSetPortProperty.


def test_port_tells_how_many_messages_it_took(two: Talkers) -> None:
    two.connected()
    for _ in range(3):
        two.post()
    get = property_call(two, CallCode.GET_PORT_PROPERTY, PortProperty.POST_COUNT)
    assert get is Status.SUCCESS and two.machine.read(0x9000) == 3


def test_preferred_vp_of_a_port_is_set_and_told(two: Talkers) -> None:
    create(two)
    code = PortProperty.PREFERRED_TARGET_VP
    assert property_call(two, CallCode.SET_PORT_PROPERTY, code, 5) is Status.SUCCESS
    assert property_call(two, CallCode.GET_PORT_PROPERTY, code) is Status.SUCCESS
    assert two.machine.read(0x9000) == 5


@pytest.mark.parametrize(
    ("code", "value", "status"),
    [
        (PortProperty.PREFERRED_TARGET_VP, 64, Status.PROPERTY_VALUE_OUT_OF_RANGE),
        (PortProperty.PREFERRED_TARGET_VP, 1 << 63, Status.PROPERTY_VALUE_OUT_OF_RANGE),
        (PortProperty.POST_COUNT, 0, Status.OPERATION_DENIED),
        (2, 0, Status.UNKNOWN_PROPERTY),
    ],
)
def test_property_that_cannot_be_set_is_refused(two: Talkers, code: int, value: int, status: Status) -> None:
    create(two)
    assert property_call(two, CallCode.SET_PORT_PROPERTY, code, value) is status


def test_property_that_is_not_there_is_unknown(two: Talkers) -> None:
    create(two)
    assert property_call(two, CallCode.GET_PORT_PROPERTY, 2) is Status.UNKNOWN_PROPERTY


@pytest.mark.parametrize("call", [CallCode.GET_PORT_PROPERTY, CallCode.SET_PORT_PROPERTY])
def test_properties_are_of_a_port_that_is_there(two: Talkers, call: int) -> None:
    code = PortProperty.PREFERRED_TARGET_VP
    assert property_call(two, call, code) is Status.INVALID_PORT_ID
    assert property_call(two, call, code, partition=NOT_THERE) is Status.INVALID_PARTITION_ID
