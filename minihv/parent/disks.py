"""The disks of a child: opened, and put where its guest finds them.

Stands for: the storage settings of a virtual machine.
Spec: none.
Simplified: IDE alone: two channels with two disks each.
Next: ``minihv.parent.session``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.ide_controller import IdeController
from minihv.devices.emulated.ide_device import IdeDevice
from minihv.devices.emulated.packet_drive import PacketDrive
from minihv.devices.emulated.pci import pc_bus
from minihv.devices.emulated.port_bus import PortBus
from minihv.errors import ConfigurationError
from minihv.spec.mmc import BLOCK_BYTES
from minihv.storage.disk import Disk
from minihv.storage.opening import open_disk

CHANNELS, DRIVES = 2, 2
CONTROLLERS = ("ide", "cd")
"""``cd`` is a drive for CDs and DVDs, and takes the next place on an IDE channel as a disk does."""


@dataclass(frozen=True, slots=True)
class DiskOption:
    """A file, and what it is to a guest: a disk behind a controller, or a CD."""

    path: Path
    controller: str = "ide"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``FILE`` or ``FILE:CONTROLLER``."""
        name, _, controller = text.rpartition(":")
        if name and controller in CONTROLLERS:
            return cls(Path(name), controller)
        return cls(Path(text))


class ChildDisks:
    """The disks of one child, behind their controllers. Close it when the child is gone.

    Raises:
        ConfigurationError: there are too many, or one cannot be opened to be written.
    """

    def __init__(self, options: Sequence[DiskOption]) -> None:
        if len(options) > CHANNELS * DRIVES:
            raise ConfigurationError(
                f"A child has {CHANNELS} IDE channels with {DRIVES} disks each, and was given "
                f"{len(options)} disks: leave some out."
            )
        self.disks: list[Disk] = []
        self.ports = PortBus()
        self.channels: Sequence[IdeChannel] = ()
        if options:
            pci = pc_bus()
            pci.connect(self.ports)
            self.channels = IdeController(self.ports, pci).channels
        try:
            for number, option in enumerate(options):
                self._attach(number, option)
        except BaseException:
            self.close()
            raise

    def _attach(self, number: int, option: DiskOption) -> None:
        serial = f"MINIHV{number:04}"
        device = self._cd(option, serial) if option.controller == "cd" else self._disk(option, serial)
        self.channels[number // DRIVES].attach(number % DRIVES, device)

    def _disk(self, option: DiskOption, serial: str) -> IdeDevice:
        disk = open_disk(option.path, writable=True)
        self.disks.append(disk)
        if disk.read_only:
            raise ConfigurationError(
                f"A guest writes to its disk, and {option.path} may only be read, since "
                f"{disk.why_read_only}: see what `minihv disk check` says."
            )
        return AtaDrive(disk, serial)

    def _cd(self, option: DiskOption, serial: str) -> IdeDevice:
        disk = open_disk(option.path, kind="raw")  # others may read it too
        self.disks.append(disk)
        if disk.byte_count < BLOCK_BYTES:
            raise ConfigurationError(
                f"A CD holds blocks of {BLOCK_BYTES} bytes, and {option.path} is shorter than one: give an "
                "ISO image."
            )
        return PacketDrive(disk, serial)

    def close(self) -> None:
        """What the guest wrote is in the files for good, and they are free again."""
        for disk in self.disks:
            disk.close()
        self.disks.clear()
