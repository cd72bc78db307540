"""An IDE channel: the registers that two disks share, and which of them listens.

Stands for: one of the two channels of a PC's IDE controller, at its old ports.
Spec: INCITS, "ATA/ATAPI-7 Volume 2", "Registers" and "Device 0 and Device 1".
Simplified: polled: the interrupt line is there to be read and leads nowhere. No bus-master DMA.
Next: ``minihv.devices.emulated.ata_drive``
"""

from dataclasses import dataclass, field
from typing import ClassVar

from minihv.devices.emulated.ata_drive import AtaDrive, TaskFile
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ata import COMMAND_PORTS, DIAGNOSED, Command, Control, Device, Register
from minihv.storage.disk import Disk

FLOATING = 0xFF
"""What a channel without any disk reads as."""
NAMES = {
    Register.FEATURES: "features",
    Register.COUNT: "count",
    Register.LBA_LOW: "low",
    Register.LBA_MID: "mid",
    Register.LBA_HIGH: "high",
}
"""Registers that are bytes of the task file."""


@dataclass
class IdeChannel:
    """A channel with room for two disks. It is a ``Chip`` of eight ports; ``control`` is one of one."""

    drives: list[AtaDrive | None] = field(default_factory=lambda: [None, None])
    name: ClassVar[str] = "ide"
    interrupt: bool = False
    """Whether a disk has said something that nobody has looked at."""

    def __post_init__(self) -> None:
        self.task, self._control = TaskFile(), 0
        self.control = ControlBlock(self)

    def attach(self, position: int, disk: Disk, serial: str) -> None:
        """``disk`` is device ``position``, 0 or 1."""
        self.drives[position] = AtaDrive(disk, serial, self._raise)

    def connect(self, bus: PortBus, ports: tuple[int, int]) -> None:
        """The channel answers its ports: ``ports`` are the first of each block."""
        bus.connect(ports[0], COMMAND_PORTS, self)
        bus.connect(ports[1], 1, self.control)

    @property
    def selected(self) -> AtaDrive | None:
        """The disk that listens."""
        return self.drives[bool(self.task.device & Device.DEV)]

    def power_on(self) -> None:
        """Registers and disks are as they were when power came; what was written stays."""
        self.task, self._control = TaskFile(), 0
        self._reset()

    def _raise(self) -> None:
        self.interrupt = True

    def read(self, register: int, byte_count: int, /) -> int:
        """IN from the command block. Reading the status takes the interrupt back."""
        drive = self.selected
        if not any(self.drives):
            return FLOATING
        if register == Register.DATA:
            return 0 if drive is None else drive.read_data(byte_count)
        if register == Register.STATUS:
            self.interrupt = False
            return self.status
        if register == Register.ERROR:
            return 0 if drive is None else drive.error
        if register == Register.DEVICE:
            return self.task.device | 0xA0
        value: int = getattr(self.task, NAMES[Register(register)])
        return value >> 8 if self._control & Control.HOB else value & 0xFF

    @property
    def status(self) -> int:
        """Of the selected disk; 0 where there is none beside another, all ones where there is none at all."""
        if not any(self.drives):
            return FLOATING
        drive = self.selected
        return 0 if drive is None else int(drive.status)

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT to the command block. A write to any register ends HOB."""
        self._control &= ~Control.HOB
        if register == Register.DATA:
            if self.selected is not None:
                self.selected.write_data(byte_count, value)
        elif register == Register.COMMAND:
            self._command(value & 0xFF)
        elif register == Register.DEVICE:
            self.task.device = value & 0xFF
        else:
            self.task.put(NAMES[Register(register)], value & 0xFF)

    def _command(self, command: int) -> None:
        self.interrupt = False
        if command == Command.DIAGNOSE:  # for both, whoever is selected
            self._reset()
            self._raise()
        elif self.selected is not None:
            self.selected.execute(command, self.task)

    def _reset(self) -> None:
        self.interrupt = False
        for drive in self.drives:
            if drive is not None:
                drive.reset(self.task)
                drive.error = DIAGNOSED

    def set_control(self, value: int) -> None:
        """OUT to the control block: a reset while SRST is set."""
        if value & Control.SRST:
            self._reset()
        self._control = value


@dataclass
class ControlBlock:
    """The one port of the control block: the status without its effect, and device control."""

    channel: IdeChannel
    name: ClassVar[str] = "ide"

    def read(self, _register: int, _byte_count: int, /) -> int:
        """Alternate status: the interrupt stays."""
        return self.channel.status

    def write(self, _register: int, _byte_count: int, value: int, /) -> None:
        """Device control."""
        self.channel.set_control(value & 0xFF)
