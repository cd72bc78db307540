"""A CD drive behind an IDE cable: packets that are written word by word, and answers by words or by DMA.

Stands for: the electronics of an ATAPI drive.
Spec: INCITS, "ATA/ATAPI-7 Volume 2", "PACKET command protocol" and "PACKET DMA command protocol"; Volume 1,
    "PACKET", "IDENTIFY PACKET DEVICE", "DEVICE RESET".
Simplified: no overlap, no queue. Transfer modes survive a reset.
First reading: ``COMMANDS``, then ``_run``.

PACKET is followed by 12 bytes through the data port. Then the drive says in the count register whether it
wants a command, and which way data goes; a turn of an answer is as long as the host's byte count allows.
"""

from collections.abc import Callable

from minihv.devices.emulated.ata_identity import FIRMWARE, put, text
from minihv.devices.emulated.cd_drive import UNREADABLE, Blocks, CdDrive, Reply, Sense
from minihv.devices.emulated.ide_device import IDLE, IdeDevice, TaskFile
from minihv.devices.emulated.transfer_modes import CYCLE_NS, FIRST_MODE, is_dma_mode, is_mode, mode_words
from minihv.spec.ata import (
    ACTIVE,
    DIAGNOSED,
    PACKET_SIGNATURE,
    SET_TRANSFER_MODE,
    Command,
    Error,
    PacketFeature,
    Reason,
    Status,
)
from minihv.spec.mmc import BLOCK_BYTES, CDB_BYTES
from minihv.storage.disk import Disk

MODEL = "Virtual CD"
MOST_BLOCKS = 32
"""Of the disc that are in the buffer at once."""
CD_ROM = 0x85C0
"""Word 0 of the identity: a removable CD drive with packets of 12 bytes, which asks for them at once."""
DMA, LBA, IORDY = 1 << 8, 1 << 9, 1 << 11
PACKETS, DEVICE_RESET, ALWAYS, VERSIONS = 1 << 4, 1 << 9, 1 << 14, 0x00F0


def identity(serial: str, mode: int) -> bytes:
    """The 256 words of IDENTIFY PACKET DEVICE."""
    words = [0] * 256
    words[0], words[49], words[53] = CD_ROM, DMA | LBA | IORDY, 0x0006
    words[63], words[88] = mode_words(mode)
    words[64] = 0x0003  # PIO modes 3 and 4
    words[65:69] = [CYCLE_NS] * 4
    words[80] = VERSIONS
    put(words, 82, PACKETS | DEVICE_RESET | ALWAYS << 16 | ALWAYS << 32, 3)
    put(words, 85, PACKETS | DEVICE_RESET | ALWAYS << 32, 3)
    data = bytearray(b"".join(word.to_bytes(2, "little") for word in words))
    data[20:40], data[46:54], data[54:94] = text(serial, 20), text(FIRMWARE, 8), text(MODEL, 40)
    return bytes(data)


class PacketDrive(IdeDevice):
    """A CD drive; ``drive`` knows what to do with a packet."""

    def __init__(self, disk: Disk, serial: str) -> None:
        super().__init__()
        self.drive, self.serial, self.mode = CdDrive(disk), serial, FIRST_MODE
        self._stop()

    def _stop(self) -> None:
        """Nothing is on the way."""
        self._buffer, self._at, self.dma = bytearray(), 0, None
        self._packet: bytearray | None = None
        self._block, self._left, self._turn, self._limit = 0, 0, 0, 0

    def reset(self, task: TaskFile) -> None:
        """As if it had been switched on: the signature says that it is no disk, and the status nothing."""
        self.drive.reset()
        self.device_reset(task)

    def device_reset(self, task: TaskFile) -> None:
        """DEVICE RESET: the command is forgotten, and nothing else."""
        self._stop()
        self.status, self.error = Status(0), DIAGNOSED
        task.sign(*PACKET_SIGNATURE)

    def execute(self, command: int, task: TaskFile) -> None:
        """A command was written."""
        self._task = task
        if command == Command.DEVICE_RESET:
            self.device_reset(task)
            return
        self._stop()
        self.status, self.error = IDLE, 0
        COMMANDS.get(command, PacketDrive.abort)(self)

    def abort(self) -> None:
        """It knows no such command."""
        self._fail(Error.ABRT)

    def abort_signed(self) -> None:
        """Commands by which hosts look for a disk: the signature says what is here instead."""
        self._task.sign(*PACKET_SIGNATURE)
        self.abort()

    def identify(self) -> None:
        """IDENTIFY PACKET DEVICE."""
        self._buffer[:] = identity(self.serial, self.mode)
        self._turn = len(self._buffer)
        self.status |= Status.DRQ
        self.on_interrupt()

    def set_features(self) -> None:
        """SET FEATURES: transfer modes are taken note of."""
        mode = self._task.count & 0xFF
        if self._task.features & 0xFF != SET_TRANSFER_MODE or not is_mode(mode):
            self.abort()
            return
        if is_dma_mode(mode):
            self.mode = mode
        self._end()

    def check_power(self) -> None:
        """CHECK POWER MODE: it is always awake."""
        self._task.count = ACTIVE
        self._end()

    def packet(self) -> None:
        """PACKET: 12 bytes are wanted."""
        if self._task.features & PacketFeature.OVERLAP:
            self.abort()
            return
        self._packet = bytearray()
        self._task.count = Reason.COMMAND
        self.status |= Status.DRQ

    def _end(self) -> None:
        self.status &= ~Status.DRQ
        self.on_interrupt()

    def _fail(self, error: int) -> None:
        self.dma, self._left = None, 0
        self.status |= Status.ERR
        self.error = int(error)
        self._end()

    # Packets.

    def _run(self, packet: bytes) -> None:
        """The packet is whole."""
        by_dma = bool(self._task.features & PacketFeature.DMA)
        self._limit = (self._task.mid & 0xFF | (self._task.high & 0xFF) << 8) & ~1
        self.status &= ~Status.DRQ
        byte_count = 0
        match self.drive.execute(packet):
            case Sense() as sense:
                self._fail_packet(sense)
                return
            case Reply(data):
                self._buffer[:] = data
                byte_count = len(data)
            case Blocks(first, count):
                self._block, self._left = first, count
                byte_count = self._left * BLOCK_BYTES
        if not byte_count:
            self._done()
        elif by_dma:
            self._task.count = Reason.TO_HOST
            self._begin_dma(byte_count, to_memory=True)
        elif not self._limit:
            self._fail(Error.ABRT)
        else:
            self._offer()

    def _fail_packet(self, sense: Sense) -> None:
        self._task.count = Reason.TO_HOST | Reason.COMMAND
        self._fail(sense.key << 4 | Error.ABRT)

    def _done(self) -> None:
        self._task.count = Reason.TO_HOST | Reason.COMMAND
        self._end()

    def _fetch(self) -> bool:
        self._buffer, self._at = bytearray(min(self._left, MOST_BLOCKS) * BLOCK_BYTES), 0
        if not self.drive.read(self._block, memoryview(self._buffer)):
            self._fail_packet(UNREADABLE)
            return False
        self.moved_bytes += len(self._buffer)
        count = len(self._buffer) // BLOCK_BYTES
        self._block, self._left = self._block + count, self._left - count
        return True

    def _offer(self) -> None:
        """A turn of the answer is there for the host to take, or it has all of it."""
        if self._at >= len(self._buffer):
            if not self._left:
                self._done()
                return
            if not self._fetch():
                return
        self._turn = min(self._limit, len(self._buffer) - self._at)
        self._task.mid, self._task.high = self._turn & 0xFF, self._turn >> 8
        self._task.count = Reason.TO_HOST
        self.status |= Status.DRQ
        self.on_interrupt()

    def read_data(self, byte_count: int) -> int:
        """The host takes a word, or two; all ones where there is none for it."""
        if not self.status & Status.DRQ or self._packet is not None or self.dma is not None:
            return (1 << 8 * byte_count) - 1
        size = min(byte_count, self._turn)
        value = int.from_bytes(self._buffer[self._at : self._at + size], "little")
        self._at, self._turn = self._at + size, self._turn - size
        if not self._turn:
            self.status &= ~Status.DRQ
            if self._limit:
                self._offer()
        return value

    def write_data(self, byte_count: int, value: int) -> None:
        """The host brings a word of the packet, or two."""
        if self._packet is None:
            return
        self._packet += value.to_bytes(byte_count, "little")
        if len(self._packet) >= CDB_BYTES:
            packet, self._packet = bytes(self._packet[:CDB_BYTES]), None
            self._run(packet)


COMMANDS: dict[int, Callable[[PacketDrive], None]] = {
    Command.PACKET: PacketDrive.packet,
    Command.IDENTIFY_PACKET: PacketDrive.identify,
    Command.SET_FEATURES: PacketDrive.set_features,
    Command.CHECK_POWER: PacketDrive.check_power,
    **dict.fromkeys((Command.IDENTIFY, Command.READ_SECTORS), PacketDrive.abort_signed),
    **dict.fromkeys((Command.IDLE, Command.IDLE_NOW, Command.STANDBY, Command.STANDBY_NOW), PacketDrive._end),
}
"""What a CD drive does itself, by the command; any other it aborts."""
