"""A host that sends packets to a CD drive behind the secondary channel."""

from pathlib import Path

from dma_hosts import BUFFER, DmaHost

from minihv.devices.emulated.packet_drive import PacketDrive
from minihv.spec.ata import SECONDARY, Command, Register, Status
from minihv.storage.opening import open_disk

READY = bytes(12)


def iso(path: Path, block_count: int = 20) -> Path:
    """A file whose blocks say which they are."""
    path.write_bytes(b"".join(b"block %06d    " % block * 128 for block in range(block_count)))
    return path


def blocks(first: int, count: int) -> bytes:
    """What ``iso`` has there."""
    return b"".join(b"block %06d    " % block * 128 for block in range(first, first + count))


def cdb(*values: int) -> bytes:
    """A packet that begins so."""
    return bytes(values).ljust(12, b"\0")


def read10(first: int, count: int) -> bytes:
    """READ(10)."""
    return b"\x28\0" + first.to_bytes(4, "big") + b"\0" + count.to_bytes(2, "big") + bytes(3)


class CdHost(DmaHost):
    """A controller whose third device is a CD drive, behind the secondary channel. It was reset just now."""

    def __init__(self, path: Path, *others: Path) -> None:
        disk = open_disk(path, kind="raw")
        self.drive = PacketDrive(disk, "CD0")
        super().__init__(*others)
        self._opened.enter_context(disk)
        self.channel = self.controller.channels[1]
        self.channel.attach(0, self.drive)
        self.block += 8

    def out(self, register: int, value: int, byte_count: int = 1) -> None:
        """OUT to the secondary channel."""
        self.bus.write(SECONDARY[0] + register, byte_count, value)

    def into(self, register: int, byte_count: int = 1) -> int:
        """IN from the secondary channel."""
        return self.bus.read(SECONDARY[0] + register, byte_count)

    def send(self, packet: bytes, limit: int = 0xFFFE, features: int = 0) -> None:
        """PACKET, and its 12 bytes."""
        self.out(Register.FEATURES, features)
        self.out(Register.LBA_MID, limit & 0xFF)
        self.out(Register.LBA_HIGH, limit >> 8)
        self.out(Register.COMMAND, Command.PACKET)
        assert self.status() & Status.DRQ and self.into(Register.COUNT) == 1
        for at in range(0, 12, 2):
            self.out(Register.DATA, int.from_bytes(packet[at : at + 2], "little"), 2)

    def ask(self, packet: bytes, limit: int = 0xFFFE) -> bytes:
        """The whole answer, turn by turn; the packet must succeed."""
        self.send(packet, limit)
        found = b""
        while self.status() & Status.DRQ:
            size = self.into(Register.LBA_MID) | self.into(Register.LBA_HIGH) << 8
            assert self.into(Register.COUNT) == 2 and 0 < size <= limit
            found += self.take(size + size % 2)[:size]
        assert not self.status() & Status.ERR and self.into(Register.COUNT) == 3
        return found

    def fail(self, packet: bytes) -> tuple[int, int]:
        """Key and additional sense of a packet that must fail."""
        self.send(packet)
        key = self.error() >> 4
        sense = self.ask(cdb(3, 0, 0, 0, 18))
        assert sense[0] == 0x70 and sense[2] == key
        return key, int.from_bytes(sense[12:14], "big")

    def ask_by_dma(self, packet: bytes, byte_count: int) -> bytes:
        """The answer, of so many bytes."""
        self.regions((BUFFER, byte_count))
        self.send(packet, features=1)
        assert self.go(to_memory=True) == 4 and self.into(Register.COUNT) == 3
        self.stop()
        return self.ram.read(BUFFER, byte_count)

    def get_ready(self) -> None:
        """The attention that a reset leaves is taken."""
        self.send(READY)
        assert self.error() >> 4 == 6
