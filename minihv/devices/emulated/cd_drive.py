"""A drive with a disc that can only be read: what it does with a command packet.

Stands for: a CD or DVD drive without its cable.
Spec: INCITS, "SCSI Multimedia Commands - 5 (MMC-5)" and "SCSI Primary Commands - 3 (SPC-3)", each command by
    its name.
Simplified: one data track, no audio, no subchannels. A disc that was ejected can only be put back.
First reading: ``COMMANDS``, then ``execute``.
Next: ``minihv.devices.emulated.packet_drive``
"""

from collections.abc import Callable
from dataclasses import dataclass

from minihv.devices.emulated import cd_answers
from minihv.devices.emulated.cd_answers import number
from minihv.spec.mmc import BLOCK_BYTES, MEDIA_CLASS, DiscCommand, MediaEvent
from minihv.spec.scsi import Additional, Command, SenseKey
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk, Outcome

SECTORS = BLOCK_BYTES // SECTOR_BYTES


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that are the answer; none, where there is nothing to say."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of the disc are the answer."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Sense:
    """The command has failed, and why."""

    key: SenseKey
    additional: Additional


Answer = Reply | Blocks | Sense
NO_SENSE = Sense(SenseKey.NO_SENSE, Additional.NONE)
UNKNOWN = Sense(SenseKey.ILLEGAL_REQUEST, Additional.INVALID_COMMAND_OPERATION_CODE)
INVALID = Sense(SenseKey.ILLEGAL_REQUEST, Additional.INVALID_FIELD_IN_CDB)
OUTSIDE = Sense(SenseKey.ILLEGAL_REQUEST, Additional.LBA_OUT_OF_RANGE)
LOCKED = Sense(SenseKey.ILLEGAL_REQUEST, Additional.REMOVAL_PREVENTED)
PROTECTED = Sense(SenseKey.DATA_PROTECT, Additional.WRITE_PROTECTED)
EMPTY = Sense(SenseKey.NOT_READY, Additional.TRAY_OPEN)
UNREADABLE = Sense(SenseKey.MEDIUM_ERROR, Additional.UNRECOVERED_READ_ERROR)
WAS_RESET = Sense(SenseKey.UNIT_ATTENTION, Additional.RESET_OCCURRED)
CHANGED = Sense(SenseKey.UNIT_ATTENTION, Additional.MEDIUM_CHANGED)
START, EJECT = 1, 2
"""Bits of START STOP UNIT: with both the tray is closed."""


class CdDrive:
    """A drive with ``disk`` as its disc. ``sense`` says why the last command failed."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.block_count = disk.sector_count // SECTORS
        self.reset()

    def reset(self) -> None:
        """As if it had been switched on. The disc is in it."""
        self.sense = NO_SENSE
        self.is_loaded, self.is_locked = True, False
        self._attention: Sense | None = WAS_RESET
        self._event = MediaEvent.NEW

    def execute(self, cdb: bytes) -> Answer:
        """What becomes of a packet of 12 bytes."""
        answer = self._answer(cdb)
        if cdb[0] != Command.REQUEST_SENSE:
            self.sense = answer if isinstance(answer, Sense) else NO_SENSE
        return answer

    def _answer(self, cdb: bytes) -> Answer:
        does = COMMANDS.get(cdb[0])
        if does is None:
            return UNKNOWN
        if cdb[0] not in ALWAYS and self._attention is not None:
            told, self._attention = self._attention, None
            return told
        if cdb[0] in OF_DISC and not self.is_loaded:
            return EMPTY
        return does(self, cdb)

    def read(self, block: int, into: memoryview) -> bool:
        """Blocks of the disc, from ``block`` on; false, and a sense, where they cannot be read."""
        if self.disk.read(block * SECTORS, into) is Outcome.DONE:
            return True
        self.sense = UNREADABLE
        return False

    def is_ready(self, _cdb: bytes) -> Answer:
        """TEST UNIT READY."""
        return Reply()

    def request_sense(self, cdb: bytes) -> Answer:
        """REQUEST SENSE: why the last command failed, once; or what would make the next one fail."""
        told = self.sense if self.sense != NO_SENSE else self._attention or NO_SENSE
        if told == self._attention:
            self._attention = None
        self.sense = NO_SENSE
        return Reply(cd_answers.sense_data(told.key, told.additional)[: cdb[4]])

    def inquiry(self, cdb: bytes) -> Answer:
        """INQUIRY: who it is. It has no vital product data."""
        return INVALID if cdb[1] & 1 else Reply(cd_answers.inquiry()[: number(cdb, 3, 2)])

    def start_stop(self, cdb: bytes) -> Answer:
        """START STOP UNIT: the tray is opened and closed, unless the guest has locked it."""
        order = cdb[4] & (START | EJECT)
        if order == EJECT:
            if self.is_locked:
                return LOCKED
            if self.is_loaded:
                self.is_loaded, self._event = False, MediaEvent.REMOVED
        elif order == START | EJECT and not self.is_loaded:
            self.is_loaded, self._event, self._attention = True, MediaEvent.NEW, CHANGED
        return Reply()

    def prevent_allow(self, cdb: bytes) -> Answer:
        """PREVENT ALLOW MEDIUM REMOVAL."""
        self.is_locked = bool(cdb[4] & 1)
        return Reply()

    def capacity(self, _cdb: bytes) -> Answer:
        """READ CAPACITY: the last block, and the bytes of one."""
        return Reply(cd_answers.capacity(self.block_count))

    def blocks(self, cdb: bytes) -> Answer:
        """READ(10) and READ(12)."""
        first = number(cdb, 2, 4)
        count = number(cdb, 6, 4) if cdb[0] == Command.READ_12 else number(cdb, 7, 2)
        return Blocks(first, count) if first + count <= self.block_count else OUTSIDE

    def contents(self, cdb: bytes) -> Answer:
        """READ TOC/PMA/ATIP: one track, one session."""
        in_time, form, track = bool(cdb[1] & 2), cdb[2] & 0xF or cdb[9] >> 6, cdb[6]
        data = cd_answers.contents(form, track, self.block_count, in_time=in_time)
        return INVALID if data is None else Reply(data[: number(cdb, 7, 2)])

    def mode_sense(self, cdb: bytes) -> Answer:
        """MODE SENSE(10)."""
        data = cd_answers.mode_pages(cdb[2] & 0x3F)
        return INVALID if data is None else Reply(data[: number(cdb, 7, 2)])

    def configuration(self, cdb: bytes) -> Answer:
        """GET CONFIGURATION: the features of the drive, and what kind of disc is in it."""
        how, first = cdb[1] & 3, number(cdb, 2, 2)
        if how == 3:
            return INVALID
        profile = cd_answers.profile(self.block_count if self.is_loaded else 0)
        data = cd_answers.configuration(profile, first, one=how == 2, current=how == 1)
        return Reply(data[: number(cdb, 7, 2)])

    def event(self, cdb: bytes) -> Answer:
        """GET EVENT STATUS NOTIFICATION, when it is asked again and again: it does not wait for an event."""
        if not cdb[1] & 1:
            return INVALID
        wanted, said = bool(cdb[4] & 1 << MEDIA_CLASS), MediaEvent.NONE
        if wanted:
            said, self._event = self._event, MediaEvent.NONE
        return Reply(cd_answers.event(said, wanted=wanted, is_loaded=self.is_loaded)[: number(cdb, 7, 2)])

    def refuse(self, _cdb: bytes) -> Answer:
        """Whatever writes."""
        return PROTECTED


COMMANDS: dict[int, Callable[[CdDrive, bytes], Answer]] = {
    Command.TEST_UNIT_READY: CdDrive.is_ready,
    Command.REQUEST_SENSE: CdDrive.request_sense,
    Command.INQUIRY: CdDrive.inquiry,
    Command.START_STOP_UNIT: CdDrive.start_stop,
    DiscCommand.PREVENT_ALLOW: CdDrive.prevent_allow,
    Command.READ_CAPACITY_10: CdDrive.capacity,
    Command.READ_10: CdDrive.blocks,
    Command.READ_12: CdDrive.blocks,
    DiscCommand.READ_TOC: CdDrive.contents,
    Command.MODE_SENSE_10: CdDrive.mode_sense,
    DiscCommand.GET_CONFIGURATION: CdDrive.configuration,
    DiscCommand.GET_EVENT_STATUS: CdDrive.event,
    **dict.fromkeys(
        (
            Command.WRITE_10,
            Command.WRITE_12,
            DiscCommand.WRITE_AND_VERIFY,
            DiscCommand.FORMAT_UNIT,
            DiscCommand.BLANK,
        ),
        CdDrive.refuse,
    ),
}
"""What a drive does, by the operation code; any other is unknown to it."""
ALWAYS = {Command.INQUIRY, Command.REQUEST_SENSE, DiscCommand.GET_CONFIGURATION, DiscCommand.GET_EVENT_STATUS}
"""Commands that are answered while something else would have to be told first."""
OF_DISC = {
    Command.TEST_UNIT_READY,
    Command.READ_CAPACITY_10,
    Command.READ_10,
    Command.READ_12,
    DiscCommand.READ_TOC,
}
"""Commands that need a disc."""
