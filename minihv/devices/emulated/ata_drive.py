"""A disk behind an IDE cable: what it does with a command, and with the words that follow.

Stands for: the electronics of an ATA disk.
Spec: INCITS, "ATA8-ACS": the commands by their names; "ATA/ATAPI-7 Volume 2", "PIO data-in command protocol"
    and "PIO data-out command protocol", "DMA data-in command protocol".
Simplified: transfer modes are taken note of, and are all as fast; they survive a reset. An error
    is told at the first sector of its block, and a block of DMA is 128 sectors.
First reading: ``COMMANDS``, then ``execute``.

A command that moves data has a *turn* for each block: DRQ is set, the host moves a block through the data
port word by word, and the disk goes on. A block is a sector, or several for the commands that are called
multiple. For DMA there are no turns: the disk says how many bytes it wants to move, and they are fetched.
"""

from collections.abc import Callable

from minihv.devices.emulated.ata_identity import MOST_MULTIPLE, identity
from minihv.devices.emulated.ide_device import IDLE, IdeDevice, TaskFile
from minihv.devices.emulated.transfer_modes import FIRST_MODE, is_dma_mode, is_mode
from minihv.spec.ata import ACTIVE, DIAGNOSED, SET_TRANSFER_MODE, Command, Error, Status
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk, Geometry, Outcome

ERRORS = {
    Outcome.OUT_OF_RANGE: Error.IDNF,
    Outcome.READ_ONLY: Error.ABRT,
    Outcome.NO_SPACE: Error.UNC,
    Outcome.MEDIUM_ERROR: Error.UNC,
}
WRITE_CACHE, NO_WRITE_CACHE, NO_REVERT, REVERT = 0x02, 0x82, 0x66, 0xCC
FEATURES = {WRITE_CACHE, NO_WRITE_CACHE, SET_TRANSFER_MODE, NO_REVERT, REVERT}
"""Subcommands of SET FEATURES that are taken note of."""


class AtaDrive(IdeDevice):
    """One disk."""

    def __init__(self, disk: Disk, serial: str) -> None:
        super().__init__()
        self.disk, self.serial = disk, serial
        self.translation: Geometry = disk.geometry
        self.multiple, self.mode = 0, FIRST_MODE
        self._stop()

    def _stop(self) -> None:
        """No data is on the way."""
        self._buffer, self._at, self.dma = bytearray(), 0, None
        self._sector = self._left = 0
        self._block, self._wide, self._writes = 1, False, False

    def reset(self, task: TaskFile) -> None:
        """As if it had been switched on; what was written to the disk stays."""
        self._stop()
        self.multiple, self.translation = 0, self.disk.geometry
        self.status, self.error = IDLE, DIAGNOSED
        task.sign(0, 0)

    # Commands.

    def execute(self, command: int, task: TaskFile) -> None:
        """A command was written."""
        self._stop()
        self._task, self.status, self.error = task, IDLE, 0
        does = COMMANDS.get(command)
        if does is None:
            self._fail(Error.ABRT)
        else:
            does(self)

    def _done(self) -> None:
        self.status &= ~Status.DRQ
        self.on_interrupt()

    def _fail(self, error: int) -> None:
        self._left, self.dma = 0, None
        self.status = (self.status | Status.ERR) & ~Status.DRQ
        self.error = int(error)
        self.on_interrupt()

    def identify(self) -> None:
        """IDENTIFY DEVICE."""
        self._buffer[:] = identity(self.disk, self.serial, self.translation, self.multiple, self.mode)
        self._offer()

    def move(self, *, writes: bool, wide: bool, multiple: bool = False) -> None:
        """READ and WRITE in all their forms."""
        if multiple and not self.multiple:
            self._fail(Error.ABRT)
        elif self._aim(self.multiple if multiple else 1, writes=writes, wide=wide):
            if writes:
                self._buffer = bytearray(self._turn() * SECTOR_BYTES)
                self.status |= Status.DRQ  # the first block is not announced
            else:
                self._load()

    def move_by_dma(self, *, writes: bool, wide: bool) -> None:
        """READ DMA and WRITE DMA: the bytes are moved by whoever masters the bus."""
        if self._aim(MOST_MULTIPLE, writes=writes, wide=wide):
            self._begin_dma(self._left * SECTOR_BYTES, to_memory=not writes)

    def _aim(self, block: int, *, writes: bool, wide: bool) -> bool:
        """Whether the sectors of the command are there; it goes on in blocks of ``block`` sectors."""
        sector = self._task.address(self.translation, wide=wide)
        self._wide, self._writes, self._block = wide, writes, block
        self._left = self._task.count_of(wide=wide)
        if sector is None or not self.disk.reaches(sector, self._left * SECTOR_BYTES):
            self._fail_at(self.disk.sector_count if sector is None else sector, Outcome.OUT_OF_RANGE)
            return False
        self._sector = sector
        return True

    def verify(self, *, wide: bool) -> None:
        """READ VERIFY: the sectors are read, and nobody gets them."""
        sector, count = self._task.address(self.translation, wide=wide), self._task.count_of(wide=wide)
        self._wide = wide
        if sector is None:
            self._fail_at(self.disk.sector_count, Outcome.OUT_OF_RANGE)
            return
        for at in range(0, count, MOST_MULTIPLE):
            piece = bytearray(min(MOST_MULTIPLE, count - at) * SECTOR_BYTES)
            outcome = self.disk.read(sector + at, piece)
            if outcome is not Outcome.DONE:
                self._fail_at(sector + at, outcome)
                return
        self._done()

    def flush(self) -> None:
        """FLUSH CACHE: what was written outlives the machine."""
        outcome = self.disk.flush()
        self._done() if outcome is Outcome.DONE else self._fail(ERRORS[outcome])

    def set_multiple(self) -> None:
        """SET MULTIPLE MODE: so many sectors are a block from now on."""
        count = self._task.count & 0xFF
        if count > MOST_MULTIPLE or count & (count - 1):
            self._fail(Error.ABRT)
            return
        self.multiple = count
        self._done()

    def set_translation(self) -> None:
        """INITIALIZE DEVICE PARAMETERS: cylinders, heads and sectors are counted otherwise from now on."""
        heads, track = (self._task.device & 0xF) + 1, self._task.count & 0xFF
        if not track:
            self._fail(Error.ABRT)
            return
        cylinders = min(self.disk.sector_count // (heads * track), 65535)
        self.translation = Geometry(cylinders, heads, track)
        self._done()

    def set_features(self) -> None:
        """SET FEATURES: transfer modes that there are, and some others, are taken note of."""
        feature, mode = self._task.features & 0xFF, self._task.count & 0xFF
        if feature not in FEATURES or (feature == SET_TRANSFER_MODE and not is_mode(mode)):
            self._fail(Error.ABRT)
            return
        if feature == SET_TRANSFER_MODE and is_dma_mode(mode):
            self.mode = mode
        self._done()

    def check_power(self) -> None:
        """CHECK POWER MODE: it is always awake."""
        self._task.count = ACTIVE
        self._done()

    def nothing(self) -> None:
        """Commands after which nothing is different."""
        self._done()

    # Data.

    def _turn(self) -> int:
        """Sectors of the block that is next."""
        return min(self._block, self._left)

    def _offer(self) -> None:
        """A block is there for the host to take."""
        self._at = 0
        self.status |= Status.DRQ
        self.on_interrupt()

    def _load(self) -> None:
        """The next block comes from the disk, and is offered."""
        if self._fetch():
            self._offer()

    def _fetch(self) -> bool:
        self._buffer, self._at = bytearray(self._turn() * SECTOR_BYTES), 0
        outcome = self.disk.read(self._sector, self._buffer)
        if outcome is not Outcome.DONE:
            self._fail_at(self._sector, outcome)
            return False
        self._advance()
        return True

    def _store(self) -> None:
        """A block has come from the host."""
        if not self._commit():
            return
        if self._left:
            self._buffer = bytearray(self._turn() * SECTOR_BYTES)
            self._offer()
        else:
            self._done()

    def _commit(self) -> bool:
        outcome = self.disk.write(self._sector, self._buffer)
        if outcome is not Outcome.DONE:
            self._fail_at(self._sector, outcome)
            return False
        self._advance()
        return True

    def dma_write(self, data: bytes) -> None:
        """Bytes from memory; those behind the end of the command are lost."""
        while self.dma is not None and data:
            room = self._turn() * SECTOR_BYTES - len(self._buffer)
            piece, data = data[:room], data[room:]
            self._buffer += piece
            if len(piece) == room:
                if not self._commit():
                    return
                self._buffer = bytearray()
            self._moved(len(piece))

    def _advance(self) -> None:
        count = self._turn()
        self.moved_bytes += count * SECTOR_BYTES
        self._sector, self._left = self._sector + count, self._left - count

    def _fail_at(self, sector: int, outcome: Outcome) -> None:
        self._task.show(sector, wide=self._wide)
        self._fail(ERRORS[outcome])

    def read_data(self, byte_count: int) -> int:
        """The host takes a word, or two; all ones where there is none for it."""
        if not self.status & Status.DRQ or self._writes or self.dma:
            return (1 << 8 * byte_count) - 1
        value = int.from_bytes(self._buffer[self._at : self._at + byte_count], "little")
        self._at += byte_count
        if self._at >= len(self._buffer):
            self.status &= ~Status.DRQ
            if self._left:
                self._load()
        return value

    def write_data(self, byte_count: int, value: int) -> None:
        """The host brings a word, or two."""
        if not self.status & Status.DRQ or not self._writes or self.dma:
            return
        data = value.to_bytes(byte_count, "little")[: len(self._buffer) - self._at]
        self._buffer[self._at : self._at + len(data)] = data
        self._at += byte_count
        if self._at >= len(self._buffer):
            self.status &= ~Status.DRQ
            self._at = 0
            self._store()


def moving(*, writes: bool, wide: bool, multiple: bool = False) -> Callable[[AtaDrive], None]:
    """One of the commands that move sectors."""
    return lambda drive: drive.move(writes=writes, wide=wide, multiple=multiple)


def by_dma(*, writes: bool, wide: bool) -> Callable[[AtaDrive], None]:
    """One of those that move them by DMA."""
    return lambda drive: drive.move_by_dma(writes=writes, wide=wide)


COMMANDS: dict[int, Callable[[AtaDrive], None]] = {
    Command.IDENTIFY: AtaDrive.identify,
    Command.READ_SECTORS: moving(writes=False, wide=False),
    Command.READ_SECTORS + 1: moving(writes=False, wide=False),  # with retries, of old
    Command.READ_SECTORS_EXT: moving(writes=False, wide=True),
    Command.READ_MULTIPLE: moving(writes=False, wide=False, multiple=True),
    Command.READ_MULTIPLE_EXT: moving(writes=False, wide=True, multiple=True),
    Command.WRITE_SECTORS: moving(writes=True, wide=False),
    Command.WRITE_SECTORS + 1: moving(writes=True, wide=False),
    Command.WRITE_SECTORS_EXT: moving(writes=True, wide=True),
    Command.WRITE_MULTIPLE: moving(writes=True, wide=False, multiple=True),
    Command.WRITE_MULTIPLE_EXT: moving(writes=True, wide=True, multiple=True),
    Command.READ_DMA: by_dma(writes=False, wide=False),
    Command.READ_DMA + 1: by_dma(writes=False, wide=False),
    Command.READ_DMA_EXT: by_dma(writes=False, wide=True),
    Command.WRITE_DMA: by_dma(writes=True, wide=False),
    Command.WRITE_DMA + 1: by_dma(writes=True, wide=False),
    Command.WRITE_DMA_EXT: by_dma(writes=True, wide=True),
    Command.READ_VERIFY: lambda drive: drive.verify(wide=False),
    Command.READ_VERIFY_EXT: lambda drive: drive.verify(wide=True),
    Command.FLUSH: AtaDrive.flush,
    Command.FLUSH_EXT: AtaDrive.flush,
    Command.SET_MULTIPLE: AtaDrive.set_multiple,
    Command.INITIALIZE_PARAMETERS: AtaDrive.set_translation,
    Command.SET_FEATURES: AtaDrive.set_features,
    Command.CHECK_POWER: AtaDrive.check_power,
    **dict.fromkeys(
        (Command.RECALIBRATE, Command.IDLE, Command.IDLE_NOW, Command.STANDBY, Command.STANDBY_NOW),
        AtaDrive.nothing,
    ),
}
"""What a disk does, by the command; any other it aborts."""
