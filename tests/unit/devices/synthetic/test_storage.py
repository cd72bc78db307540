"""The storage service: how a guest comes to terms with it, requests, faults, sub-channels and changes."""

import pytest
from images import sectors
from scsi_guests import INSTANCE, MemoryDisk, StorageGuest, cdb_of, inquire, range_of, ready
from synthetic_guests import FakePacket, send

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.service import Refusal
from minihv.devices.synthetic.storage import MOST_SUB_CHANNELS, MOST_TRANSFER_BYTES, Stage, Storage
from minihv.spec.scsi import Additional, Command, SenseKey
from minihv.spec.vmbus_ring import PacketKind
from minihv.spec.vstor import (
    Direction,
    NtStatus,
    Operation,
    PropertiesBody,
    ProtocolVersion,
    ScsiRequest,
    SrbStatus,
    VersionBody,
    VstorPacket,
)
from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import Range

READY = bytes(6)
STEPS = (
    Operation.BEGIN_INITIALIZATION,
    Operation.QUERY_PROTOCOL_VERSION,
    Operation.QUERY_PROPERTIES,
    Operation.END_INITIALIZATION,
)
VERSION = bytes(VersionBody.build(version=ProtocolVersion.V6_2))


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def controller(disk: MemoryDisk) -> ScsiController:
    made = ScsiController()
    made.attach(disk, "SERIAL")
    made.find(0, 0, 0)._attention.clear()  # type: ignore[union-attr]
    return made


@pytest.fixture
def guest(controller: ScsiController) -> StorageGuest:
    return ready(controller)


# Terms.


@pytest.mark.parametrize("version", list(ProtocolVersion))
@pytest.mark.parametrize("packet_bytes", [48, 64])
def test_every_version_is_spoken_in_packets_of_either_size(
    controller: ScsiController, version: ProtocolVersion, packet_bytes: int
) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE), packet_bytes=packet_bytes)
    assert guest.negotiate(version) == [NtStatus.SUCCESS] * 4
    assert (guest.service.stage, guest.service.version) == (Stage.READY, version)


def test_version_that_nobody_knows_is_refused_and_another_may_be_tried(controller: ScsiController) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE))
    guest.ask(Operation.BEGIN_INITIALIZATION)
    tried = [
        guest.ask(Operation.QUERY_PROTOCOL_VERSION, bytes(VersionBody.build(version=version))).status
        for version in (0x0700, 0x0200, 0x0501)
    ]
    assert tried == [NtStatus.REVISION_MISMATCH] * 2 + [NtStatus.SUCCESS]


def test_properties_are_told(controller: ScsiController) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE))
    for step in STEPS[:2]:
        guest.ask(step, VERSION)
    told = PropertiesBody(bytearray(guest.ask(Operation.QUERY_PROPERTIES).body))
    assert (told.most_sub_channels, told.flags) == (MOST_SUB_CHANNELS, 1)
    assert told.most_transfer_bytes == MOST_TRANSFER_BYTES == 1 << 20


@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("step", range(4))
def test_step_out_of_its_order_changes_nothing(controller: ScsiController, done: int, step: int) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE))
    for operation in STEPS[:done]:
        assert guest.ask(operation, VERSION).status == NtStatus.SUCCESS
    answer = guest.ask(STEPS[step], VERSION)
    assert answer.status == (NtStatus.SUCCESS if step == done else NtStatus.INVALID_DEVICE_STATE)
    assert guest.service.stage == done + (step == done)


@pytest.mark.parametrize("done", range(4))
def test_request_before_the_end_of_the_terms_is_refused(controller: ScsiController, done: int) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE))
    for operation in STEPS[:done]:
        guest.ask(operation, VERSION)
    guest.request(READY, status=NtStatus.INVALID_DEVICE_STATE)
    assert guest.service.requests == 0


def test_opening_again_begins_anew(guest: StorageGuest) -> None:
    again = StorageGuest(guest.service)
    assert again.negotiate(ProtocolVersion.V5_1) == [NtStatus.SUCCESS] * 4


@pytest.mark.parametrize("operation", [0, 1, 2, 11, 12, 14, 0xFFFF_FFFF])
def test_operation_that_there_is_not_is_told(guest: StorageGuest, operation: int) -> None:
    assert guest.ask(operation).status == NtStatus.INVALID_DEVICE_REQUEST


def test_packet_that_is_none_is_dropped(guest: StorageGuest) -> None:
    for packet in (FakePacket(bytes(40)), FakePacket(bytes(64), PacketKind.COMPLETION)):
        send(guest.service, guest.channel, packet)
    assert dict(guest.service.dropped) == {Refusal.SHORT: 1, Refusal.KIND: 1}
    assert not guest.channel.to_guest


def test_answer_that_nobody_wants_is_not_sent(guest: StorageGuest, disk: MemoryDisk) -> None:
    guest.memory[:512] = sectors(b"quiet")
    cdb = cdb_of(Command.WRITE_10, 3, 1)
    body = ScsiRequest.build(
        cdb_bytes=10, direction=Direction.WRITE, data_bytes=512, cdb_or_sense=cdb.ljust(20, b"\0")
    )
    guest.tell(Operation.EXECUTE_SRB, bytes(body), ranges=[range_of(0, 512)], flags=0)
    assert not guest.channel.to_guest and disk.content[3 * 512 : 4 * 512] == sectors(b"quiet")


# Requests.


@pytest.mark.parametrize("at", [0, 1024, PAGE_BYTES - 512, 3 * PAGE_BYTES + 100])
def test_data_is_moved_between_the_disk_and_the_pages_that_are_named(
    guest: StorageGuest, disk: MemoryDisk, at: int
) -> None:
    data = bytes(range(256)) * 34  # 17 sectors, which is more than two pages
    guest.memory[at : at + len(data)] = data
    before = bytes(guest.memory)
    written = guest.request(
        cdb_of(Command.WRITE_16, 8, 17), direction=Direction.WRITE, at=at, data_bytes=len(data)
    )
    assert (written.srb_status, written.data_bytes) == (SrbStatus.SUCCESS, len(data))
    assert disk.content[8 * 512 : 25 * 512] == data and guest.memory == before
    disk.content.reverse()
    read = guest.request(
        cdb_of(Command.READ_16, 39, 17), direction=Direction.READ, at=at, data_bytes=len(data)
    )
    assert (read.srb_status, read.data_bytes) == (SrbStatus.SUCCESS, len(data))
    assert guest.memory == before[:at] + data[::-1] + before[at + len(data) :]
    assert (guest.service.requests, guest.service.moved_bytes) == (2, 2 * len(data))


def test_pages_need_not_lie_side_by_side(guest: StorageGuest, disk: MemoryDisk) -> None:
    disk.content[: 2 * PAGE_BYTES] = sectors(b"a", 8) + sectors(b"b", 8)
    scattered = Range(2 * PAGE_BYTES, 0, (5, 2))
    guest.request(
        cdb_of(Command.READ_10, 0, 16),
        direction=Direction.READ,
        data_bytes=2 * PAGE_BYTES,
        ranges=[scattered],
    )
    assert guest.memory[5 * PAGE_BYTES :][:PAGE_BYTES] == sectors(b"a", 8)
    assert guest.memory[2 * PAGE_BYTES :][:PAGE_BYTES] == sectors(b"b", 8)


def test_less_than_there_is_room_for_is_told(guest: StorageGuest) -> None:
    answer = guest.request(cdb_of(Command.READ_10, 0, 1), direction=Direction.READ, data_bytes=4096)
    assert (answer.srb_status, answer.data_bytes) == (SrbStatus.SUCCESS, 512)


@pytest.mark.parametrize("direction", [Direction.WRITE, Direction.NONE])
def test_data_does_not_go_against_its_direction(guest: StorageGuest, direction: int) -> None:
    guest.memory[:] = b"x" * len(guest.memory)
    answer = guest.request(cdb_of(Command.READ_10, 0, 1), direction=direction, data_bytes=512)
    assert answer.srb_status == SrbStatus.ERROR | 0x80
    assert guest.memory == b"x" * len(guest.memory)


def test_command_that_fails_has_sense_in_the_place_of_the_command(guest: StorageGuest) -> None:
    answer = guest.request(cdb_of(Command.READ_10, 64, 1), direction=Direction.READ, data_bytes=512)
    assert (answer.srb_status, answer.scsi_status, answer.sense_bytes) == (0x84, 2, 18)
    sense = answer.cdb_or_sense
    assert (sense[2], int.from_bytes(sense[12:14], "big")) == (
        SenseKey.ILLEGAL_REQUEST,
        Additional.LBA_OUT_OF_RANGE,
    )
    assert answer.data_bytes == 0


@pytest.mark.parametrize(("room", "status"), [(0, 0x04), (4, 0x84), (18, 0x84), (255, 0x84)])
def test_sense_is_no_longer_than_there_is_room(guest: StorageGuest, room: int, status: int) -> None:
    answer = guest.request(b"\xff" * 6, sense_bytes=room)
    assert (answer.srb_status, answer.sense_bytes) == (status, min(room, 18))
    assert not any(answer.cdb_or_sense[min(room, 18) :])


UNSOUND: dict[str, dict[str, object]] = {
    "no command": {"cdb_bytes": 0},
    "a long command": {"cdb_bytes": 17},
    "a fourth direction": {"direction": 3},
    "more than is named": {"direction": Direction.READ, "data_bytes": 1024, "ranges": [range_of(0, 512)]},
    "more than is allowed": {
        "direction": Direction.READ,
        "data_bytes": MOST_TRANSFER_BYTES + 512,
        "ranges": [Range(MOST_TRANSFER_BYTES + 512, 0, (0,) * 257)],
    },
    "no memory to read": {"direction": Direction.WRITE, "data_bytes": 512, "ranges": [Range(512, 0, (999,))]},
    "no memory to write": {"direction": Direction.READ, "data_bytes": 512, "ranges": [Range(512, 0, (999,))]},
}


@pytest.mark.parametrize("what", UNSOUND)
def test_request_that_cannot_be_moves_nothing(guest: StorageGuest, disk: MemoryDisk, what: str) -> None:
    command = Command.WRITE_10 if UNSOUND[what].get("direction") == Direction.WRITE else Command.READ_10
    answer = guest.request(cdb_of(command, 0, 1), status=NtStatus.INVALID_PARAMETER, **UNSOUND[what])  # type: ignore[arg-type]
    assert (answer.srb_status, answer.data_bytes) == (SrbStatus.INVALID_REQUEST, 0)
    assert not any(disk.content) and not any(guest.memory)


@pytest.mark.parametrize("address", [{"lun": 1}, {"target": 1}, {"path": 1}])
def test_where_no_disk_is_nobody_answers_but_inquiry(guest: StorageGuest, address: dict[str, int]) -> None:
    answer = guest.request(READY, **address)
    assert (answer.srb_status, answer.data_bytes) == (SrbStatus.INVALID_LUN, 0)
    assert inquire(guest, **address)[0] == 0x7F
    assert inquire(guest)[:1] == b"\0"


@pytest.mark.parametrize(
    ("operation", "luns"),
    [(Operation.RESET_LUN, [1]), (Operation.RESET_BUS, [0, 1]), (Operation.RESET_ADAPTER, [0, 1])],
)
def test_reset_is_told_by_those_that_were_reset(
    guest: StorageGuest, controller: ScsiController, operation: int, luns: list[int]
) -> None:
    controller.attach(MemoryDisk(), "SECOND")
    guest.channel.to_guest.clear()
    for lun in (0, 1):
        guest.request(READY, lun=lun)
    assert guest.ask(operation, bytes(ScsiRequest.build(lun=1))).status == NtStatus.SUCCESS
    told = [lun for lun in (0, 1) if guest.request(READY, lun=lun).cdb_or_sense[12] == 0x29]
    assert told == luns


# Sub-channels, changes, and a guest that does not read.


def test_sub_channels_are_made_once_and_go_with_the_first(guest: StorageGuest, disk: MemoryDisk) -> None:
    service = guest.service
    assert guest.ask(Operation.CREATE_SUB_CHANNELS, (2).to_bytes(2, "little")).status == NtStatus.SUCCESS
    assert [one.sub_channel for one in service.sub_channels] == [1, 2] and service.offers_changed
    again = guest.ask(Operation.CREATE_SUB_CHANNELS, (1).to_bytes(2, "little"))
    assert again.status == NtStatus.INVALID_DEVICE_STATE
    first, _ = service.sub_channels
    assert isinstance(first, Storage)
    side = StorageGuest(first)
    side.memory[:512] = sectors(b"side")
    side.request(cdb_of(Command.WRITE_10, 1, 1), direction=Direction.WRITE, data_bytes=512)
    assert disk.content[512:1024] == sectors(b"side")
    assert side.ask(Operation.BEGIN_INITIALIZATION).status == NtStatus.INVALID_DEVICE_STATE
    service.offers_changed = False
    service.closed()
    assert service.sub_channels == () and service.offers_changed
    side.request(READY, status=NtStatus.INVALID_DEVICE_STATE)


@pytest.mark.parametrize("count", [0, MOST_SUB_CHANNELS + 1, 0xFFFF])
def test_number_of_sub_channels_has_bounds(guest: StorageGuest, count: int) -> None:
    answer = guest.ask(Operation.CREATE_SUB_CHANNELS, count.to_bytes(2, "little"))
    assert (answer.status, guest.service.sub_channels) == (NtStatus.INVALID_PARAMETER, ())


@pytest.mark.parametrize(("version", "size"), [(ProtocolVersion.V4_2, 48), (ProtocolVersion.V6_2, 64)])
def test_change_is_told_to_a_driver_that_is_ready(
    controller: ScsiController, version: ProtocolVersion, size: int
) -> None:
    guest = StorageGuest(Storage(controller, INSTANCE))
    controller.attach(MemoryDisk(), "EARLY")
    assert not guest.channel.to_guest
    guest.negotiate(version)
    controller.detach(1)
    told = guest.channel.read()
    assert (told.kind, told.flags, len(told.payload)) == (PacketKind.IN_BAND, 0, size)
    assert VstorPacket(bytearray(told.payload)).operation == Operation.ENUMERATE_BUS


def test_guest_that_does_not_read_its_answers_is_not_served_further(
    guest: StorageGuest, disk: MemoryDisk
) -> None:
    guest.channel.room = 0
    for number in range(3):
        guest.memory[:512] = sectors(bytes([65 + number]))
        cdb = cdb_of(Command.WRITE_10, number, 1).ljust(20, b"\0")
        body = ScsiRequest.build(cdb_bytes=10, direction=Direction.WRITE, data_bytes=512, cdb_or_sense=cdb)
        guest.tell(Operation.EXECUTE_SRB, bytes(body), ranges=[range_of(0, 512)])
    assert not any(disk.content[512:]) and len(guest.channel.to_host) == 2
    guest.channel.room = 10
    guest.service.signalled(guest.channel)
    assert len(guest.channel.to_guest) == 3 and disk.content[:1536:512] == b"ACC"
