"""Storage: SCSI commands come in packets, and their data lies in the guest's pages.

Stands for: the storage VSP (storvsp), in ring 0 of the parent.
Spec: ``minihv.spec.vstor``.
Simplified: a request is done before the next packet is looked at, so there is never one to be aborted.
First reading: ``OPERATIONS``, then ``execute``.
Next: ``minihv.parent.disks``
"""

from collections.abc import Callable
from enum import IntEnum
from uuid import UUID

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.scsi_disk import Answer
from minihv.devices.synthetic.service import Packet, Refusal, Service
from minihv.spec.integration import Interface
from minihv.spec.scsi import FixedSense, ScsiStatus
from minihv.spec.vmbus_ring import PacketFlags, PacketKind
from minihv.spec.vstor import (
    AUTOSENSE_VALID,
    LEAST_PACKET_BYTES,
    PACKET_BYTES,
    Direction,
    NtStatus,
    Operation,
    PropertiesBody,
    PropertyFlags,
    ProtocolVersion,
    ScsiRequest,
    SrbStatus,
    VersionBody,
    VstorPacket,
)

MOST_TRANSFER_BYTES = 1 << 20
"""Of one request; drivers size their lists of pages by it."""
MOST_CDB_BYTES = 16
MOST_SUB_CHANNELS = 7
BODY = slice(12, LEAST_PACKET_BYTES)


class Stage(IntEnum):
    """How far guest and service have come with each other."""

    OPENED = 0
    BEGUN = 1
    VERSION_KNOWN = 2
    DESCRIBED = 3
    READY = 4


class Storage(Service):
    """The channel of one controller, or one more of it: then ``main`` is the first.

    ``requests`` counts SCSI commands, ``moved_bytes`` what they copied from and to the guest's memory.
    """

    name = "storage"
    pipe_mode = False
    kinds = (PacketKind.IN_BAND, PacketKind.GPA_DIRECT)

    def __init__(
        self,
        controller: ScsiController,
        instance: UUID,
        *,
        interface: UUID = Interface.SCSI.value,
        main: "Storage | None" = None,
        sub_channel: int = 0,
    ) -> None:
        super().__init__()
        self.controller, self.instance, self.interface = controller, instance, interface
        self.sub_channel = sub_channel
        self.stage = Stage.OPENED
        self.version: ProtocolVersion | None = None
        self.requests = self.moved_bytes = 0
        self._main = main or self
        if main is None:
            controller.on_change = self._tell_of_change

    @property
    def is_ready(self) -> bool:
        """Whether a driver is there, which sends requests and hears of changes."""
        return self.stage is Stage.READY and self.channel is not None

    def _begin(self) -> None:
        self.stage, self.version = Stage.OPENED, None

    def _end(self) -> None:
        self.stage = Stage.OPENED
        self._set_sub_channels(0)

    def _take(self, packet: Packet) -> Refusal | None:
        """Serves one packet. One that is well formed is answered, whatever it asks."""
        if len(packet.payload) < LEAST_PACKET_BYTES:
            return Refusal.SHORT
        answer = bytearray(packet.payload[:PACKET_BYTES])
        header = VstorPacket(answer)
        does = OPERATIONS.get(header.operation)
        if does is None:
            status = NtStatus.INVALID_DEVICE_REQUEST
        else:
            status = does(self, packet, memoryview(answer)[BODY])
        if self.channel is not None and packet.flags & PacketFlags.COMPLETION_REQUESTED:
            header.operation, header.status = Operation.COMPLETE_IO, status
            self._send(bytes(answer), PacketKind.COMPLETION, packet.transaction_id)
        return None

    # How both come to know each other.

    def _move_on(self, before: Stage) -> NtStatus:
        """The next stage, if this is the one ``before``, and this is the first channel of its device."""
        if self is not self._main or self.stage is not before:
            return NtStatus.INVALID_DEVICE_STATE
        self.stage = Stage(before + 1)
        return NtStatus.SUCCESS

    def begin_initialization(self, _packet: Packet, _body: memoryview) -> NtStatus:
        """BEGIN_INITIALIZATION: the first word."""
        return self._move_on(Stage.OPENED)

    def query_version(self, _packet: Packet, body: memoryview) -> NtStatus:
        """QUERY_PROTOCOL_VERSION: the first that is known here is taken."""
        asked = VersionBody(body).version
        if self.stage is Stage.BEGUN and asked not in set(ProtocolVersion):
            return NtStatus.REVISION_MISMATCH
        status = self._move_on(Stage.BEGUN)
        if status is NtStatus.SUCCESS:
            self.version = ProtocolVersion(asked)
        return status

    def query_properties(self, _packet: Packet, body: memoryview) -> NtStatus:
        """QUERY_PROPERTIES: what the controller can do."""
        status = self._move_on(Stage.VERSION_KNOWN)
        if status is NtStatus.SUCCESS:
            body[: PropertiesBody.byte_count] = bytes(
                PropertiesBody.build(
                    most_sub_channels=MOST_SUB_CHANNELS,
                    flags=PropertyFlags.MULTI_CHANNEL,
                    most_transfer_bytes=MOST_TRANSFER_BYTES,
                )
            )
        return status

    def end_initialization(self, _packet: Packet, _body: memoryview) -> NtStatus:
        """END_INITIALIZATION: requests may come."""
        return self._move_on(Stage.DESCRIBED)

    def create_sub_channels(self, _packet: Packet, body: memoryview) -> NtStatus:
        """CREATE_SUB_CHANNELS: so many channels more will be offered."""
        count = int.from_bytes(body[:2], "little")
        if self is not self._main or self.stage is not Stage.READY or self.sub_channels:
            return NtStatus.INVALID_DEVICE_STATE
        if not 1 <= count <= MOST_SUB_CHANNELS:
            return NtStatus.INVALID_PARAMETER
        self._set_sub_channels(count)
        return NtStatus.SUCCESS

    def _set_sub_channels(self, count: int) -> None:
        """``count`` channels more are to be offered, and no others."""
        if count == len(self.sub_channels):
            return
        self.sub_channels = tuple(
            Storage(
                self.controller, self.instance, interface=self.interface, main=self, sub_channel=number + 1
            )
            for number in range(count)
        )
        self.offers_changed = True

    # What is done then.

    def reset_all(self, _packet: Packet, _body: memoryview) -> NtStatus:
        """RESET_BUS and RESET_ADAPTER: nothing is on its way, so nothing is lost."""
        self.controller.reset()
        return NtStatus.SUCCESS

    def reset_lun(self, _packet: Packet, body: memoryview) -> NtStatus:
        """RESET_LUN: the same for one disk."""
        self.controller.reset(ScsiRequest(body).lun)
        return NtStatus.SUCCESS

    def execute(self, packet: Packet, body: memoryview) -> NtStatus:
        """A SCSI request: its data is brought, its command done, its answer put where it came from."""
        if self._main.stage is not Stage.READY or self.channel is None:
            return NtStatus.INVALID_DEVICE_STATE
        request = ScsiRequest(body)
        asked, cdb = request.data_bytes, request.cdb_or_sense[: request.cdb_bytes]
        if not is_sound(request, packet):
            return invalid(request)
        writes = request.direction == Direction.WRITE and asked > 0
        data = self.channel.read_ranges(packet) if writes else b""
        if data is None:
            return invalid(request)
        self.requests += 1
        address = request.path, request.target, request.lun
        room = asked if request.direction == Direction.READ else 0
        answer = self.controller.execute(address, cdb, data[:asked], room)
        if answer is None:
            request.srb_status, request.data_bytes = SrbStatus.INVALID_LUN, 0
            return NtStatus.SUCCESS
        return self._answer(packet, request, answer, room)

    def _answer(self, packet: Packet, request: ScsiRequest, answer: Answer, room: int) -> NtStatus:
        if answer.sense:
            fail(request, answer.sense)
            return NtStatus.SUCCESS
        found = memoryview(answer.data)[:room]
        if found and (self.channel is None or self.channel.write_ranges(packet, found) is None):
            return invalid(request)
        request.srb_status, request.scsi_status = SrbStatus.SUCCESS, ScsiStatus.GOOD
        request.sense_bytes = 0
        request.data_bytes = moved = answer.taken or len(found)
        self.moved_bytes += moved
        return NtStatus.SUCCESS

    def _tell_of_change(self) -> None:
        """A disk has come or gone: a driver that listens looks for itself."""
        if self.is_ready:
            size = LEAST_PACKET_BYTES if self.version == ProtocolVersion.V4_2 else PACKET_BYTES
            packet = bytes(VstorPacket.build(operation=Operation.ENUMERATE_BUS))
            self._send(packet.ljust(size, b"\0"))


OPERATIONS: dict[int, Callable[[Storage, Packet, memoryview], NtStatus]] = {
    Operation.BEGIN_INITIALIZATION: Storage.begin_initialization,
    Operation.QUERY_PROTOCOL_VERSION: Storage.query_version,
    Operation.QUERY_PROPERTIES: Storage.query_properties,
    Operation.END_INITIALIZATION: Storage.end_initialization,
    Operation.CREATE_SUB_CHANNELS: Storage.create_sub_channels,
    Operation.EXECUTE_SRB: Storage.execute,
    Operation.RESET_LUN: Storage.reset_lun,
    Operation.RESET_BUS: Storage.reset_all,
    Operation.RESET_ADAPTER: Storage.reset_all,
}
"""What a guest can ask, and how it is answered: by a status, and by the body."""


def is_sound(request: ScsiRequest, packet: Packet) -> bool:
    """Whether the sizes of a request fit each other and its packet."""
    named = sum(one.byte_count for one in packet.ranges)
    return (
        1 <= request.cdb_bytes <= MOST_CDB_BYTES
        and request.direction in set(Direction)
        and request.data_bytes <= min(named, MOST_TRANSFER_BYTES)
    )


def invalid(request: ScsiRequest) -> NtStatus:
    """A request that cannot be."""
    request.srb_status, request.data_bytes = SrbStatus.INVALID_REQUEST, 0
    return NtStatus.INVALID_PARAMETER


def fail(request: ScsiRequest, sense: bytes) -> None:
    """A command that was not done: the sense data stands where the command was, as far as there is room."""
    room = min(request.sense_bytes, FixedSense.byte_count)
    request.srb_status = SrbStatus.ERROR | (AUTOSENSE_VALID if room else 0)
    request.scsi_status = ScsiStatus.CHECK_CONDITION
    request.sense_bytes, request.data_bytes = room, 0
    request.cdb_or_sense = sense[:room].ljust(ScsiRequest.cdb_or_sense.byte_count, b"\0")
