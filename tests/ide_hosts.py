"""A host that speaks to an IDE channel by its ports, as a driver does."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ata import PRIMARY, Command, Register, Status
from minihv.storage.disk import Disk
from minihv.storage.opening import open_disk

READS = {"chs": Command.READ_SECTORS, "lba28": Command.READ_SECTORS, "lba48": Command.READ_SECTORS_EXT}
WRITES = {"chs": Command.WRITE_SECTORS, "lba28": Command.WRITE_SECTORS, "lba48": Command.WRITE_SECTORS_EXT}


class IdeHost:
    """The primary channel with one disk or two. ``turns`` counts how often DRQ was waited for."""

    def __init__(self, *disks: Disk | Path) -> None:
        self.bus, self.channel, self.turns = PortBus(), IdeChannel(), 0
        self._opened = ExitStack()
        for position, one in enumerate(disks):
            disk = self._opened.enter_context(open_disk(one, writable=True)) if isinstance(one, Path) else one
            self.channel.attach(position, AtaDrive(disk, f"SERIAL{position}"))
        self.channel.connect(self.bus, PRIMARY)
        self.out(Register.DEVICE, 0xE0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def out(self, register: int, value: int, byte_count: int = 1) -> None:
        """OUT."""
        self.bus.write(PRIMARY[0] + register, byte_count, value)

    def into(self, register: int, byte_count: int = 1) -> int:
        """IN."""
        return self.bus.read(PRIMARY[0] + register, byte_count)

    def status(self) -> int:
        """The status register."""
        return self.into(Register.STATUS)

    def error(self) -> int:
        """The error register; the command must have failed."""
        assert self.status() & Status.ERR
        return self.into(Register.ERROR)

    def address(self, sector: int, count: int, way: str) -> None:
        """Where the next command is to begin, and for how many sectors."""
        if way == "chs":
            geometry = self.channel.drives[0].translation  # type: ignore[union-attr]
            track, low = divmod(sector, geometry.sectors_per_track)
            cylinder, head = divmod(track, geometry.heads)
            values = [count, low + 1, cylinder & 0xFF, cylinder >> 8, 0xA0 | head]
        elif way == "lba28":
            values = [count & 0xFF, *(sector >> at & 0xFF for at in (0, 8, 16)), 0xE0 | sector >> 24]
        else:
            for at, value in enumerate((count >> 8, *(sector >> at & 0xFF for at in (24, 32, 40)))):
                self.out(Register.COUNT + at, value)
            values = [count & 0xFF, *(sector >> at & 0xFF for at in (0, 8, 16)), 0xE0]
        for at, value in enumerate(values):
            self.out(Register.COUNT + at, value)

    def take(self, byte_count: int, size: int = 2) -> bytes:
        """So many bytes from the data port; DRQ must say that they are there."""
        self.turns += 1
        assert self.status() & Status.DRQ
        return b"".join(
            self.into(Register.DATA, size).to_bytes(size, "little") for _ in range(byte_count // size)
        )

    def give(self, data: bytes) -> None:
        """Bytes for the data port; DRQ must ask for them."""
        self.turns += 1
        assert self.status() & Status.DRQ
        for at in range(0, len(data), 2):
            self.out(Register.DATA, int.from_bytes(data[at : at + 2], "little"), 2)

    def read(
        self,
        sector: int,
        sectors: int,
        way: str,
        *,
        count: int | None = None,
        command: int | None = None,
        block: int = 1,
    ) -> bytes:
        """Whole sectors, block by block."""
        self.address(sector, sectors if count is None else count, way)
        self.out(Register.COMMAND, READS[way] if command is None else command)
        found = b""
        while len(found) < sectors * 512:
            found += self.take(min(block * 512, sectors * 512 - len(found)))
        return found

    def write(
        self, sector: int, data: bytes, way: str, *, command: int | None = None, block: int = 1
    ) -> None:
        """Whole sectors, block by block."""
        self.address(sector, len(data) // 512, way)
        self.out(Register.COMMAND, WRITES[way] if command is None else command)
        for at in range(0, len(data), block * 512):
            self.give(data[at : at + block * 512])

    def identify(self) -> list[int]:
        """The words of IDENTIFY DEVICE."""
        self.out(Register.COMMAND, Command.IDENTIFY)
        data = self.take(512)
        return [int.from_bytes(data[at : at + 2], "little") for at in range(0, 512, 2)]
