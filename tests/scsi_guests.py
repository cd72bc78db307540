"""A guest that speaks SCSI: to a disk by itself, or to the storage service through a channel."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from synthetic_guests import FakeChannel, FakePacket, opened, send

from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.scsi_disk import Answer, ScsiDisk
from minihv.devices.synthetic.storage import Storage
from minihv.spec.scsi import Command, FixedSense
from minihv.spec.vmbus_ring import PacketFlags, PacketKind
from minihv.spec.vstor import (
    Direction,
    NtStatus,
    Operation,
    ProtocolVersion,
    ScsiRequest,
    VersionBody,
    VstorPacket,
)
from minihv.storage.disk import Disk, Outcome
from minihv.terms import PAGE_BYTES
from minihv.vmbus.packets import Range

INSTANCE = UUID(int=1)
MEMORY_PAGES = 16


class MemoryDisk(Disk):
    """A disk in memory. ``fails`` is what each request comes to, if it is anything else than done."""

    def __init__(self, sector_count: int = 64, *, read_only: bool = False) -> None:
        self.sector_count, self.read_only = sector_count, read_only
        self.content = bytearray(sector_count * 512)
        self.fails: Outcome | None = None
        self.flushes = 0

    def _read(self, sector: int, into: memoryview) -> Outcome:
        if self.fails:
            return self.fails
        into[:] = self.content[sector * 512 : sector * 512 + len(into)]
        return Outcome.DONE

    def _write(self, sector: int, data: memoryview) -> Outcome:
        if self.fails:
            return self.fails
        self.content[sector * 512 : sector * 512 + len(data)] = data
        return Outcome.DONE

    def _trim(self, sector: int, count: int) -> Outcome:
        return self._write(sector, memoryview(bytes(count * 512)))

    def flush(self) -> Outcome:
        self.flushes += 1
        return self.fails or Outcome.DONE

    def close(self) -> None:
        """Nothing is kept."""


def cdb_of(command: int, block: int = 0, count: int = 0, *, flags: int = 0) -> bytes:
    """A command that is about blocks, by its length."""
    if command < 0x20:
        return bytes([command, block >> 16, block >> 8 & 0xFF, block & 0xFF, count & 0xFF, 0])
    if command < 0x60:
        return bytes([command, flags]) + block.to_bytes(4, "big") + b"\0" + count.to_bytes(2, "big") + b"\0"
    if command >= 0xA0:
        return bytes([command, flags]) + block.to_bytes(4, "big") + count.to_bytes(4, "big") + b"\0\0"
    return bytes([command, flags]) + block.to_bytes(8, "big") + count.to_bytes(4, "big") + b"\0\0"


def sense_of(answer: Answer) -> tuple[int, int]:
    """Key and additional sense of a command that failed."""
    sense = FixedSense(bytearray(answer.sense))
    return sense.key, sense.additional


def execute(disk: ScsiDisk, cdb: bytes, data: bytes = b"", room: int = 1 << 20) -> Answer:
    """Does a command."""
    return disk.execute(cdb, data, room)


class StorageGuest:
    """A driver on one channel of a storage service; ``memory`` is the guest's."""

    def __init__(self, service: Storage, *, packet_bytes: int = 64) -> None:
        self.service, self.packet_bytes = service, packet_bytes
        self.channel: FakeChannel = opened(service)
        self.channel.memory = bytearray(MEMORY_PAGES * PAGE_BYTES)
        self._next = 1

    @property
    def memory(self) -> bytearray:
        """All of it."""
        return self.channel.memory

    def ask(self, operation: int, body: bytes = b"", **packet: Any) -> VstorPacket:
        """Sends a packet, and gives the answer that came at once."""
        self.tell(operation, body, **packet)
        answer = self.channel.read()
        assert (answer.kind, answer.transaction_id) == (PacketKind.COMPLETION, self._next - 1)
        found = VstorPacket(bytearray(answer.payload))
        assert found.operation == Operation.COMPLETE_IO and len(answer.payload) == self.packet_bytes
        return found

    def tell(
        self,
        operation: int,
        body: bytes = b"",
        *,
        ranges: Sequence[Range] = (),
        flags: int = PacketFlags.COMPLETION_REQUESTED,
    ) -> None:
        """Sends a packet."""
        payload = bytes(VstorPacket.build(operation=operation, body=body.ljust(36, b"\0")))
        kind = PacketKind.GPA_DIRECT if ranges else PacketKind.IN_BAND
        packet = FakePacket(payload.ljust(self.packet_bytes, b"\0"), kind, flags, self._next, tuple(ranges))
        self._next += 1
        send(self.service, self.channel, packet)

    def negotiate(self, version: int = ProtocolVersion.V6_2) -> list[int]:
        """Comes to terms; the status of each step."""
        steps = (
            (Operation.BEGIN_INITIALIZATION, b""),
            (Operation.QUERY_PROTOCOL_VERSION, bytes(VersionBody.build(version=version))),
            (Operation.QUERY_PROPERTIES, b""),
            (Operation.END_INITIALIZATION, b""),
        )
        return [self.ask(operation, body).status for operation, body in steps]

    def request(
        self, cdb: bytes, *, direction: int = Direction.NONE, at: int = 0, data_bytes: int = 0, **more: Any
    ) -> ScsiRequest:
        """A SCSI request whose data lies at ``at`` in the guest's memory; its answer."""
        ranges = more.pop("ranges", None)
        if ranges is None:
            ranges = [range_of(at, data_bytes)] if data_bytes else []
        status = more.pop("status", NtStatus.SUCCESS)
        members = {"sense_bytes": 20, "cdb_bytes": len(cdb), "length": 0x34} | more
        body = ScsiRequest.build(
            direction=direction, data_bytes=data_bytes, cdb_or_sense=cdb.ljust(20, b"\0"), **members
        )
        answer = self.ask(Operation.EXECUTE_SRB, bytes(body), ranges=ranges)
        assert answer.status == status
        return ScsiRequest(bytearray(answer.body))


def range_of(at: int, byte_count: int) -> Range:
    """Bytes of the guest's memory from ``at`` on, page after page."""
    first, last = at // PAGE_BYTES, (at + byte_count - 1) // PAGE_BYTES
    return Range(byte_count, at % PAGE_BYTES, tuple(range(first, last + 1)))


def ready(controller: ScsiController, **options: Any) -> StorageGuest:
    """A guest that has come to terms with a service for ``controller``."""
    guest = StorageGuest(Storage(controller, INSTANCE), **options)
    assert guest.negotiate() == [NtStatus.SUCCESS] * 4
    return guest


def inquire(guest: StorageGuest, **address: int) -> bytes:
    """What INQUIRY gives."""
    cdb = bytes([Command.INQUIRY, 0, 0, 0, 36, 0])
    answer = guest.request(cdb, direction=Direction.READ, data_bytes=36, **address)
    return bytes(guest.memory[: answer.data_bytes])
