"""The packets of the storage protocol, by the offsets that its drivers use."""

from minihv.spec.vstor import (
    LEAST_PACKET_BYTES,
    PACKET_BYTES,
    Operation,
    PropertiesBody,
    ProtocolVersion,
    ScsiRequest,
    SrbStatus,
    VstorPacket,
)

BODY_AT = 12


def test_packet_is_a_head_of_twelve_bytes_and_a_body() -> None:
    offsets = {name: member.offset for name, member in VstorPacket.members().items()}
    assert offsets == {"operation": 0, "flags": 4, "status": 8, "body": BODY_AT}
    assert (LEAST_PACKET_BYTES, PACKET_BYTES) == (BODY_AT + 36, BODY_AT + 52)


def test_request_has_its_members_where_drivers_put_them() -> None:
    offsets = {name: member.offset for name, member in ScsiRequest.members().items()}
    assert offsets == {
        "length": 0, "srb_status": 2, "scsi_status": 3, "port": 4, "path": 5, "target": 6, "lun": 7,
        "cdb_bytes": 8, "sense_bytes": 9, "direction": 10, "data_bytes": 12, "cdb_or_sense": 16,
    }  # fmt: skip
    assert ScsiRequest.byte_count == 0x24


def test_properties_have_their_members_where_drivers_look() -> None:
    offsets = {name: member.offset for name, member in PropertiesBody.members().items()}
    assert offsets == {"most_sub_channels": 4, "flags": 8, "most_transfer_bytes": 12}


def test_numbers_are_those_of_the_protocol() -> None:
    assert (Operation.COMPLETE_IO, Operation.EXECUTE_SRB, Operation.ENUMERATE_BUS) == (1, 3, 11)
    assert [one.value for one in ProtocolVersion] == [0x0402, 0x0501, 0x0600, 0x0602]
    assert (SrbStatus.SUCCESS, SrbStatus.ERROR, SrbStatus.INVALID_LUN) == (0x01, 0x04, 0x20)
