"""A SCSI disk: what it does with a command, and with the bytes that come or go with it.

Stands for: a virtual disk behind a SCSI controller of Hyper-V.
Spec: INCITS, "SBC-3" and "SPC-4": the commands by their names; "SPC-4", "Sense data".
Simplified: no reservations, no formatting; each command is done before the next one begins.
First reading: ``COMMANDS``, then ``execute``.
Next: ``minihv.devices.synthetic.storage``
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from minihv.devices.synthetic.scsi_pages import (
    MOST_BLOCKS,
    MOST_SAME_BLOCKS,
    MOST_UNMAP_BLOCKS,
    MOST_UNMAP_DESCRIPTORS,
    capacity_10,
    capacity_16,
    inquiry,
    mode_pages,
    vital_page,
)
from minihv.spec.scsi import (
    CDB_BYTES,
    CURRENT_ERROR,
    VALID,
    Additional,
    Command,
    FixedSense,
    SenseKey,
    ServiceAction,
    UnmapDescriptor,
    UnmapList,
)
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk, Outcome

KEYS = {
    Additional.NONE: SenseKey.NO_SENSE,
    Additional.WRITE_ERROR: SenseKey.MEDIUM_ERROR,
    Additional.UNRECOVERED_READ_ERROR: SenseKey.MEDIUM_ERROR,
    Additional.INVALID_COMMAND_OPERATION_CODE: SenseKey.ILLEGAL_REQUEST,
    Additional.LBA_OUT_OF_RANGE: SenseKey.ILLEGAL_REQUEST,
    Additional.INVALID_FIELD_IN_CDB: SenseKey.ILLEGAL_REQUEST,
    Additional.INVALID_FIELD_IN_PARAMETER_LIST: SenseKey.ILLEGAL_REQUEST,
    Additional.WRITE_PROTECTED: SenseKey.DATA_PROTECT,
    Additional.SPACE_ALLOCATION_FAILED: SenseKey.DATA_PROTECT,
    Additional.RESET_OCCURRED: SenseKey.UNIT_ATTENTION,
    Additional.REPORTED_LUNS_CHANGED: SenseKey.UNIT_ATTENTION,
}
FAILURES = {
    Outcome.OUT_OF_RANGE: Additional.LBA_OUT_OF_RANGE,
    Outcome.READ_ONLY: Additional.WRITE_PROTECTED,
    Outcome.NO_SPACE: Additional.SPACE_ALLOCATION_FAILED,
    Outcome.MEDIUM_ERROR: Additional.WRITE_ERROR,
}
"""Sense of a request to write that failed; one to read differs in the last."""
ALWAYS_HEARD = {Command.INQUIRY, Command.REPORT_LUNS, Command.REQUEST_SENSE}
"""Commands that unit attentions do not stop."""
FUA, VITAL, ANCHOR, UNMAP = 1 << 3, 1 << 0, 1 << 4, 1 << 3
"""Bits of the second byte: of reads and writes, of INQUIRY, of WRITE SAME (two)."""
BYTE_CHECK = 3 << 1
PIECE_BLOCKS = 256


def sense_data(additional: Additional, block: int | None = None) -> bytes:
    """Sense data in the fixed format; ``block`` is where an error was met."""
    is_valid = block is not None and block < 1 << 32
    return bytes(
        FixedSense.build(
            response_code=CURRENT_ERROR | (VALID if is_valid else 0),
            key=KEYS[additional],
            information=block if is_valid and block is not None else 0,
            additional_length=FixedSense.byte_count - 8,
            additional=additional,
        )
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command gave: bytes for the guest, or sense data, after which nothing of it counts."""

    data: bytes | bytearray = b""
    taken: int = 0
    """Bytes of the guest that were used."""
    sense: bytes = b""


def refuse(additional: Additional, block: int | None = None) -> Answer:
    """A command that is not done."""
    return Answer(sense=sense_data(additional, block))


@dataclass(frozen=True, slots=True)
class Extent:
    """Blocks that a command is about."""

    block: int
    count: int

    @property
    def byte_count(self) -> int:
        """Their bytes."""
        return self.count * SECTOR_BYTES


def extent_of(cdb: bytes) -> Extent:
    """First block and number of blocks, by the length of the command."""
    if len(cdb) == 6:  # 21 bits, and 0 for 256
        return Extent(int.from_bytes(cdb[1:4], "big") & 0x1F_FFFF, cdb[4] or 256)
    block_end, count = {10: (6, slice(7, 9)), 12: (6, slice(6, 10)), 16: (10, slice(10, 14))}[len(cdb)]
    return Extent(int.from_bytes(cdb[2:block_end], "big"), int.from_bytes(cdb[count], "big"))


class ScsiDisk:
    """One disk. ``serial`` is what guests know it by; ``served`` counts its commands."""

    def __init__(self, disk: Disk, serial: str) -> None:
        self.disk, self.serial = disk, serial
        self.served = 0
        self._attention: deque[Additional] = deque()

    def attend(self, additional: Additional) -> None:
        """The next command is answered by this unit attention and not done."""
        if additional not in self._attention:
            self._attention.append(additional)

    def execute(self, cdb: bytes, data: bytes, room: int) -> Answer:
        """Does a command. ``data`` is what the guest sends with it, ``room`` the bytes that it has for an
        answer.
        """
        self.served += 1
        needed = CDB_BYTES[cdb[0] >> 5] if cdb else 0
        does = COMMANDS.get(cdb[0]) if cdb else None
        if does is None:
            return refuse(Additional.INVALID_COMMAND_OPERATION_CODE)
        if len(cdb) < needed:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        if self._attention and cdb[0] not in ALWAYS_HEARD:
            return refuse(self._attention.popleft())
        return does(self, cdb[:needed], data, room)

    # What the disk is.

    def ready(self, _cdb: bytes, _data: bytes, _room: int) -> Answer:
        """It is."""
        return Answer()

    def request_sense(self, cdb: bytes, _data: bytes, _room: int) -> Answer:
        """The next unit attention, if there is one."""
        additional = self._attention.popleft() if self._attention else Additional.NONE
        return Answer(sense_data(additional)[: cdb[4]])

    def inquiry(self, cdb: bytes, _data: bytes, _room: int) -> Answer:
        """INQUIRY, of the disk or of one of its pages."""
        room = int.from_bytes(cdb[3:5], "big")
        if cdb[1] & VITAL:
            page = vital_page(cdb[2], self.disk, self.serial)
            return refuse(Additional.INVALID_FIELD_IN_CDB) if page is None else Answer(page[:room])
        if cdb[2]:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        return Answer(inquiry()[:room])

    def mode_sense(self, cdb: bytes, _data: bytes, _room: int) -> Answer:
        """MODE SENSE in both lengths."""
        wide = len(cdb) == 10
        pages = mode_pages(self.disk, cdb[2] & 0x3F, cdb[2] >> 6, wide=wide)
        if pages is None or cdb[3]:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        return Answer(pages[: int.from_bytes(cdb[7:9], "big") if wide else cdb[4]])

    def read_capacity_10(self, _cdb: bytes, _data: bytes, _room: int) -> Answer:
        """READ CAPACITY(10)."""
        return Answer(capacity_10(self.disk))

    def service_action_in(self, cdb: bytes, _data: bytes, _room: int) -> Answer:
        """READ CAPACITY(16) is the one action that there is."""
        if cdb[1] & 0x1F != ServiceAction.READ_CAPACITY_16:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        return Answer(capacity_16(self.disk)[: int.from_bytes(cdb[10:14], "big")])

    # What the disk keeps.

    def read(self, cdb: bytes, _data: bytes, room: int) -> Answer:
        """READ in all its lengths."""
        extent = extent_of(cdb)
        problem = self._problem(extent, room)
        if problem is not None:
            return problem
        data = bytearray(extent.byte_count)
        outcome = self.disk.read(extent.block, data)
        return Answer(data) if outcome is Outcome.DONE else self._failed(outcome, extent.block, writes=False)

    def write(self, cdb: bytes, data: bytes, _room: int) -> Answer:
        """WRITE in all its lengths."""
        extent, fua = extent_of(cdb), len(cdb) > 6 and bool(cdb[1] & FUA)
        problem = self._problem(extent, len(data))
        if problem is not None:
            return problem
        outcome = self.disk.write(extent.block, memoryview(data)[: extent.byte_count], fua=fua)
        return self._written(outcome, extent.block, extent.byte_count)

    def verify(self, cdb: bytes, _data: bytes, _room: int) -> Answer:
        """VERIFY: the blocks are read, and nobody gets them."""
        extent = extent_of(cdb)
        if cdb[1] & BYTE_CHECK:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        answer = self.read(cdb, b"", extent.byte_count)
        return answer if answer.sense else Answer()

    def synchronize_cache(self, _cdb: bytes, _data: bytes, _room: int) -> Answer:
        """SYNCHRONIZE CACHE: what was written outlives the machine, all of it."""
        return self._written(self.disk.flush(), None)

    def write_same(self, cdb: bytes, data: bytes, _room: int) -> Answer:
        """WRITE SAME: one block again and again; or, with UNMAP, none at all."""
        extent = extent_of(cdb)
        if cdb[1] & ANCHOR or not 1 <= extent.count <= MOST_SAME_BLOCKS or len(data) < SECTOR_BYTES:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        if not self.disk.reaches(extent.block, extent.byte_count):
            return refuse(Additional.LBA_OUT_OF_RANGE)
        if cdb[1] & UNMAP and not any(data[:SECTOR_BYTES]):
            return self._written(self.disk.trim(extent.block, extent.count), extent.block, SECTOR_BYTES)
        piece = data[:SECTOR_BYTES] * min(extent.count, PIECE_BLOCKS)
        for at in range(0, extent.count, PIECE_BLOCKS):
            part = memoryview(piece)[: (extent.count - at) * SECTOR_BYTES]
            outcome = self.disk.write(extent.block + at, part)
            if outcome is not Outcome.DONE:
                return self._failed(outcome, extent.block + at, writes=True)
        return Answer(taken=SECTOR_BYTES)

    def unmap(self, cdb: bytes, data: bytes, _room: int) -> Answer:
        """UNMAP: the blocks of a list are of no use any more. A list with a fault in it does nothing."""
        data = data[: int.from_bytes(cdb[7:9], "big")]
        if not data:
            return Answer()
        if len(data) < UnmapList.byte_count:
            return refuse(Additional.INVALID_FIELD_IN_PARAMETER_LIST)
        count, rest = divmod(UnmapList(data).descriptor_bytes, UnmapDescriptor.byte_count)
        end = UnmapList.byte_count + count * UnmapDescriptor.byte_count
        if rest or end > len(data) or count > MOST_UNMAP_DESCRIPTORS:
            return refuse(Additional.INVALID_FIELD_IN_PARAMETER_LIST)
        places = range(UnmapList.byte_count, end, UnmapDescriptor.byte_count)
        found = [UnmapDescriptor(data, at) for at in places]
        return self._unmap([Extent(one.block, one.count) for one in found], len(data))

    def _unmap(self, extents: list[Extent], taken: int) -> Answer:
        if sum(one.count for one in extents) > MOST_UNMAP_BLOCKS:
            return refuse(Additional.INVALID_FIELD_IN_PARAMETER_LIST)
        for one in extents:
            if not self.disk.reaches(one.block, one.byte_count):
                return refuse(Additional.LBA_OUT_OF_RANGE, one.block)
        for one in extents:
            outcome = self.disk.trim(one.block, one.count)
            if outcome is not Outcome.DONE:
                return self._failed(outcome, one.block, writes=True)
        return Answer(taken=taken)

    def nothing(self, _cdb: bytes, _data: bytes, _room: int) -> Answer:
        """Commands after which nothing is different."""
        return Answer()

    # How commands end.

    def _problem(self, extent: Extent, byte_count: int) -> Answer | None:
        """Why blocks cannot be moved to or from a buffer of so many bytes."""
        if extent.count > MOST_BLOCKS or extent.byte_count > byte_count:
            return refuse(Additional.INVALID_FIELD_IN_CDB)
        if not self.disk.reaches(extent.block, extent.byte_count):
            return refuse(Additional.LBA_OUT_OF_RANGE, extent.block)
        return None

    def _written(self, outcome: Outcome, block: int | None, taken: int = 0) -> Answer:
        return Answer(taken=taken) if outcome is Outcome.DONE else self._failed(outcome, block, writes=True)

    @staticmethod
    def _failed(outcome: Outcome, block: int | None, *, writes: bool) -> Answer:
        if outcome is Outcome.MEDIUM_ERROR and not writes:
            return refuse(Additional.UNRECOVERED_READ_ERROR, block)
        return refuse(FAILURES[outcome], block)


COMMANDS: dict[int, Callable[[ScsiDisk, bytes, bytes, int], Answer]] = {
    Command.TEST_UNIT_READY: ScsiDisk.ready,
    Command.REQUEST_SENSE: ScsiDisk.request_sense,
    Command.INQUIRY: ScsiDisk.inquiry,
    Command.START_STOP_UNIT: ScsiDisk.nothing,
    Command.READ_CAPACITY_10: ScsiDisk.read_capacity_10,
    Command.SERVICE_ACTION_IN_16: ScsiDisk.service_action_in,
    Command.UNMAP: ScsiDisk.unmap,
    **dict.fromkeys((Command.MODE_SENSE_6, Command.MODE_SENSE_10), ScsiDisk.mode_sense),
    **dict.fromkeys((Command.READ_6, Command.READ_10, Command.READ_12, Command.READ_16), ScsiDisk.read),
    **dict.fromkeys((Command.WRITE_6, Command.WRITE_10, Command.WRITE_12, Command.WRITE_16), ScsiDisk.write),
    **dict.fromkeys((Command.VERIFY_10, Command.VERIFY_16), ScsiDisk.verify),
    **dict.fromkeys((Command.WRITE_SAME_10, Command.WRITE_SAME_16), ScsiDisk.write_same),
    **dict.fromkeys((Command.SYNCHRONIZE_CACHE_10, Command.SYNCHRONIZE_CACHE_16), ScsiDisk.synchronize_cache),
}
"""What a disk does, by the operation code. REPORT LUNS is a matter of the controller."""
