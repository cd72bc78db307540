"""What every device on an IDE cable is: a task file, a status, and bytes that it moves.

Stands for: the side of a device that the cable sees.
Spec: INCITS, "ATA/ATAPI-7 Volume 2", "Registers", "DMA data-in command protocol".
Simplified: a device is never busy: what it is asked has been done when the register was written.
Next: ``minihv.devices.emulated.ata_drive``
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from minihv.spec.ata import DIAGNOSED, Device, Status
from minihv.storage.disk import Geometry

IDLE = Status.DRDY | Status.DSC


@dataclass(slots=True)
class TaskFile:
    """The registers that say what a command is about: what was written last, and before it."""

    features: int = 0
    count: int = 0
    low: int = 0
    mid: int = 0
    high: int = 0
    device: int = 0

    def put(self, name: str, value: int) -> None:
        """Writes a byte; the one before it is shifted up, for commands with long addresses."""
        setattr(self, name, (getattr(self, name) << 8 | value) & 0xFFFF)

    def count_of(self, *, wide: bool) -> int:
        """Sectors; 0 stands for the number that does not fit."""
        return (self.count or 0x1_0000) if wide else (self.count & 0xFF or 0x100)

    def address(self, translation: Geometry, *, wide: bool) -> int | None:
        """The first sector: a long or a short LBA, or cylinder, head and sector. None: there is no such."""
        low, mid, high = self.low & 0xFF, self.mid & 0xFF, self.high & 0xFF
        if wide:
            upper = self.low >> 8 | self.mid & 0xFF00 | (self.high & 0xFF00) << 8
            return low | mid << 8 | high << 16 | upper << 24
        if self.device & Device.LBA:
            return low | mid << 8 | high << 16 | (self.device & 0xF) << 24
        head, cylinder = self.device & 0xF, mid | high << 8
        if not 1 <= low <= translation.sectors_per_track or head >= translation.heads:
            return None
        return (cylinder * translation.heads + head) * translation.sectors_per_track + low - 1

    def show(self, sector: int, *, wide: bool) -> None:
        """The address of ``sector``, where an error was met."""
        self.low = sector & 0xFF | (sector >> 24 & 0xFF) << 8
        self.mid = sector >> 8 & 0xFF | (sector >> 32 & 0xFF) << 8
        self.high = sector >> 16 & 0xFF | (sector >> 40 & 0xFF) << 8
        if not wide:
            self.device = self.device & 0xF0 | sector >> 24 & 0xF

    def sign(self, mid: int, high: int) -> None:
        """The signature by which a device is told behind a reset."""
        self.count, self.low, self.mid, self.high, self.device = 1, 1, mid, high, self.device & Device.DEV


@dataclass(slots=True)
class DmaRequest:
    """Bytes that a device wants to move by itself: ``left`` of them, to memory or from it."""

    to_memory: bool
    left: int


def nothing() -> None:
    """What a line does that leads nowhere."""


class IdeDevice(ABC):
    """A device. It calls ``on_interrupt`` when it has something to say, ``on_dma`` when ``dma`` is new."""

    def __init__(self) -> None:
        self.on_interrupt: Callable[[], None] = nothing
        self.on_dma: Callable[[], None] = nothing
        self.status: Status = IDLE
        self.error: int = DIAGNOSED
        self.dma: DmaRequest | None = None
        self.moved_bytes = 0
        """Between the medium and whoever asked, in both directions."""
        self._task = TaskFile()
        self._buffer, self._at = bytearray(), 0

    @abstractmethod
    def reset(self, task: TaskFile) -> None:
        """As if it had been switched on; what was written to the disk stays."""

    @abstractmethod
    def execute(self, command: int, task: TaskFile) -> None:
        """A command was written."""

    @abstractmethod
    def read_data(self, byte_count: int) -> int:
        """The host takes a word, or two; all ones where there is none for it."""

    @abstractmethod
    def write_data(self, byte_count: int, value: int) -> None:
        """The host brings a word, or two."""

    def _begin_dma(self, byte_count: int, *, to_memory: bool) -> None:
        """Whoever masters the bus may move the bytes from now on."""
        self.dma = DmaRequest(to_memory, byte_count)
        self.status |= Status.DRQ
        self.on_dma()

    def dma_read(self, byte_count: int) -> bytes:
        """The next bytes for memory; fewer, where the medium has failed or the command ends."""
        found = bytearray()
        while self.dma is not None and len(found) < byte_count:
            if self._at >= len(self._buffer) and not self._fetch():
                break
            piece = self._buffer[self._at : self._at + byte_count - len(found)]
            found += piece
            self._at += len(piece)
            self._moved(len(piece))
        return bytes(found)

    def dma_write(self, data: bytes) -> None:  # noqa: B027 - most devices are never written to
        """Bytes from memory; those behind the end of the command are lost."""

    def _moved(self, byte_count: int) -> None:
        assert self.dma is not None
        self.dma.left -= byte_count
        if not self.dma.left:
            self.dma = None
            self._done()

    @abstractmethod
    def _fetch(self) -> bool:
        """The buffer is full again; false, if the medium failed, and then the command has failed too."""

    @abstractmethod
    def _done(self) -> None:
        """The command is done."""
