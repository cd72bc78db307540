"""The disks of a child: opened, and put where its guest finds them, before it runs or while it does.

Stands for: the storage settings of a virtual machine.
Spec: Microsoft, "Requirements and Limits for Virtual Machines and Hyper-V in Windows Server 2008 R2".
Simplified: the boot loader reads no disk, so none need be at IDE.
Next: ``minihv.parent.session``
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.ide_controller import IdeController
from minihv.devices.emulated.packet_drive import PacketDrive
from minihv.devices.emulated.pci import pc_bus
from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.devices.synthetic.storage import Storage
from minihv.errors import ConfigurationError
from minihv.spec.integration import Interface
from minihv.spec.mmc import BLOCK_BYTES
from minihv.storage.disk import Disk
from minihv.storage.opening import open_disk
from minihv.storage.physical import open_physical

CHANNELS, DRIVES = 2, 2
SCSI_CONTROLLERS = 4
SCSI_INSTANCE = "6d696e69-6876-5363-7369-00000000000{}"
IDE_INSTANCE = "0000000{}-000{}-8899-0000-000000000000"
"""The instance of an IDE disk's fast way is made of its channel and its place there."""
PLACE = re.compile(r"ide|cd|passthrough|scsi[0-3]?")
AT_IDE = ("ide", "cd")


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """How many disks one SCSI controller may have."""

    name: str
    luns: int


ANNOUNCED, SHIPPED = DiskLimits("announced", 256), DiskLimits("shipped", 64)
"""What the lecture of 2008 announced, and what the products enforced."""
LIMITS = {one.name: one for one in (ANNOUNCED, SHIPPED)}


@dataclass(frozen=True, slots=True)
class DiskOption:
    """A file, and what it is to a guest: a disk behind a controller, or a CD.

    The controllers are ``ide``, ``scsi``, and ``scsi0`` to ``scsi3``; ``cd`` is a drive at IDE, and
    ``passthrough`` a whole device or file at SCSI.
    """

    path: Path
    controller: str = "ide"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``FILE`` or ``FILE:CONTROLLER``."""
        name, _, controller = text.rpartition(":")
        if name and PLACE.fullmatch(controller):
            return cls(Path(name), controller)
        return cls(Path(text))


@dataclass(frozen=True, slots=True)
class Attached:
    """A disk of a child, the file it came from, and where it is."""

    disk: Disk
    path: Path
    controller: int
    """Of SCSI; -1: it is at IDE."""
    place: int
    """Its LUN, or its number among the four of IDE."""

    def __str__(self) -> str:
        """Where it is, in words."""
        if self.controller >= 0:
            return f"SCSI controller {self.controller}, LUN {self.place}"
        return f"IDE channel {self.place // DRIVES}, device {self.place % DRIVES}"


class ChildDisks:
    """The disks of one child, behind their controllers. Close it when the child is gone.

    Raises:
        ConfigurationError: there are too many, or one cannot be opened to be written.
    """

    def __init__(self, options: Sequence[DiskOption], limits: DiskLimits = ANNOUNCED) -> None:
        self.attached: list[Attached] = []
        self.ports = PortBus()
        self.channels: Sequence[IdeChannel] = ()
        self.controllers: dict[int, ScsiController] = {}
        self.services: list[Storage] = []
        """The channels of VMBus that its disks are behind, in the order in which they came."""
        self._limits = limits
        self._is_running = False
        self._next_serial = 0
        try:
            for option in options:
                self.attach(option)
        except BaseException:
            self.close()
            raise

    def power_on(self) -> None:
        """The child may run from now on: what has no hot plug stays as it is."""
        self._is_running = True

    def attach(self, option: DiskOption) -> Attached:
        """The disk that ``option`` names is there from now on; where.

        A file that has no place is not opened.

        Raises:
            ConfigurationError: there is no place for it, or it cannot be opened to be written.
        """
        is_ide = option.controller in AT_IDE
        controller, place = self._ide_place() if is_ide else self._scsi_place(option.controller)
        disk = OPENERS.get(option.controller, open_writable)(option.path)
        try:
            if is_ide:
                self._connect_ide(disk, place, is_cd=option.controller == "cd")
            else:
                self._connect_scsi(disk, controller, place)
        except BaseException:
            disk.close()
            raise
        self._next_serial += 1
        self.attached.append(Attached(disk, option.path, controller, place))
        return self.attached[-1]

    def detach(self, path: Path) -> Attached:
        """The disk that came from ``path`` is not there any more, and its file is free; where it was.

        Raises:
            ConfigurationError: it is at IDE, or it is no disk of the child.
        """
        wanted = path.resolve()
        found = next((one for one in self.attached if one.path.resolve() == wanted), None)
        if found is None:
            names = ", ".join(str(one.path) for one in self.attached) or "none"
            raise ConfigurationError(
                f"What is detached was attached, and {path} is no disk of the guest: it has {names}."
            )
        if found.controller < 0:
            raise ConfigurationError(
                f"IDE has no hot plug, and {path} is at {found}: end the guest first, or use SCSI for disks "
                "that come and go."
            )
        self.controllers[found.controller].detach(found.place)
        self.attached.remove(found)
        found.disk.close()
        return found

    @property
    def moved_bytes(self) -> int:
        """What the models of all controllers copied for the guest, in both directions."""
        drives = [drive for channel in self.channels for drive in channel.drives if drive is not None]
        return sum(one.moved_bytes for one in drives) + sum(one.moved_bytes for one in self.services)

    @property
    def _serial(self) -> str:
        return f"MINIHV{self._next_serial:04}"

    def _ide_place(self) -> tuple[int, int]:
        """The controller and the place of the next disk at IDE, while places there can still be taken."""
        place = sum(one.controller < 0 for one in self.attached)
        if self._is_running:
            raise ConfigurationError(
                "IDE has no hot plug, and the guest runs: attach the disk to SCSI, or give it to the guest "
                "when it starts."
            )
        if place == CHANNELS * DRIVES:
            raise ConfigurationError(
                f"A child has {CHANNELS} IDE channels with {DRIVES} disks each, and all have one: leave "
                "some out, or put them behind SCSI (FILE:scsi)."
            )
        return -1, place

    def _connect_ide(self, disk: Disk, place: int, *, is_cd: bool) -> None:
        """``disk`` is at its place. One that is no CD has a fast way besides."""
        if not self.channels:
            pci = pc_bus()
            pci.connect(self.ports)
            self.channels = IdeController(self.ports, pci).channels
        number, position = divmod(place, DRIVES)
        drive = PacketDrive(disk, self._serial) if is_cd else AtaDrive(disk, self._serial)
        if not is_cd:
            fast = ScsiController(target=position, most_luns=1)
            fast.attach(disk, self._serial)
            instance = UUID(IDE_INSTANCE.format(number, position))
            self.services.append(Storage(fast, instance, interface=Interface.IDE_ACCELERATOR.value))
        self.channels[number].attach(position, drive)

    def _scsi_place(self, controller: str) -> tuple[int, int]:
        """The first free number of the controller that ``controller`` names, or of any."""
        named = controller.removeprefix("scsi") if controller.startswith("scsi") else ""
        for number in range(SCSI_CONTROLLERS) if not named else [int(named)]:
            lun = self.controllers[number].free_lun() if number in self.controllers else 0
            if lun is not None:
                return number, lun
        raise ConfigurationError(
            f"A SCSI controller has at most {self._limits.luns} disks and a child {SCSI_CONTROLLERS} "
            f"controllers, and {f'controller {named} is' if named else 'all are'} full: leave some out."
        )

    def _connect_scsi(self, disk: Disk, number: int, lun: int) -> None:
        """``disk`` is behind its controller, which is made for the first one."""
        if number not in self.controllers:
            controller = self.controllers[number] = ScsiController(most_luns=self._limits.luns)
            self.services.append(Storage(controller, UUID(SCSI_INSTANCE.format(number))))
        self.controllers[number].attach(disk, self._serial, lun)

    def close(self) -> None:
        """What the guest wrote is in the files for good, and they are free again."""
        for one in self.attached:
            one.disk.close()
        self.attached.clear()


def open_writable(path: Path) -> Disk:
    """The disk in ``path``, for a guest that writes to it.

    Raises:
        ConfigurationError: it cannot be opened, or only be read.
    """
    disk = open_disk(path, writable=True)
    if disk.read_only:
        why = disk.why_read_only
        disk.close()
        raise ConfigurationError(
            f"A guest writes to its disk, and {path} may only be read, since {why}: see what `minihv disk "
            "check` says."
        )
    return disk


def open_cd(path: Path) -> Disk:
    """The CD in ``path``, which others may read too.

    Raises:
        ConfigurationError: it cannot be opened, or is none.
    """
    disk = open_disk(path, kind="raw")
    if disk.byte_count < BLOCK_BYTES:
        disk.close()
        raise ConfigurationError(
            f"A CD holds blocks of {BLOCK_BYTES} bytes, and {path} is shorter than one: give an ISO image."
        )
    return disk


OPENERS: dict[str, Callable[[Path], Disk]] = {"cd": open_cd, "passthrough": open_physical}
"""How files are opened that are no images to be written."""
