"""An IDE channel: the registers that two devices share, and which of them listens.

Stands for: one of the two channels of a PC's IDE controller, at its old ports.
Spec: INCITS, "ATA/ATAPI-7 Volume 2", "Registers" and "Device 0 and Device 1".
Simplified: the interrupt is that of the channel: it does not matter which device is selected.
Next: ``minihv.devices.emulated.ata_drive``
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from minihv.devices.emulated.ide_device import IdeDevice, TaskFile, nothing
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ata import COMMAND_PORTS, Command, Control, Device, Register

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
    """A channel with room for two devices. It is a ``Chip`` of eight ports; ``control`` is one of one.

    ``on_interrupt`` is called when the level of the interrupt line changes, ``on_dma`` when a device wants
    to move bytes by DMA.
    """

    drives: list[IdeDevice | None] = field(default_factory=lambda: [None, None])
    name: ClassVar[str] = "ide"
    interrupt: bool = False
    """Whether a device has said something that nobody has looked at."""
    on_interrupt: Callable[[bool], None] = lambda _level: None
    on_dma: Callable[[], None] = nothing

    def __post_init__(self) -> None:
        self.tasks, self._control = (TaskFile(), TaskFile()), 0
        self.line = False
        self.control = ControlBlock(self)

    def attach(self, position: int, device: IdeDevice) -> None:
        """``device`` is device ``position``, 0 or 1."""
        self.drives[position] = device
        device.reset(self.tasks[position])
        device.on_interrupt = lambda: self._set_interrupt(True)
        device.on_dma = lambda: self.on_dma()

    def connect(self, bus: PortBus, ports: tuple[int, int]) -> None:
        """The channel answers its ports: ``ports`` are the first of each block."""
        bus.connect(ports[0], COMMAND_PORTS, self)
        bus.connect(ports[1], 1, self.control)

    @property
    def task(self) -> TaskFile:
        """The registers of the device that listens. What is written goes to both."""
        return self.tasks[bool(self.tasks[0].device & Device.DEV)]

    @property
    def selected(self) -> IdeDevice | None:
        """The device that listens."""
        return self.drives[bool(self.tasks[0].device & Device.DEV)]

    @property
    def requesting(self) -> IdeDevice | None:
        """The device that listens, if it wants to move bytes by DMA."""
        return self.selected if self.selected is not None and self.selected.dma is not None else None

    def _set_interrupt(self, interrupt: bool) -> None:
        self.interrupt = interrupt
        line = interrupt and not self._control & Control.NIEN
        if line != self.line:
            self.line = line
            self.on_interrupt(line)

    def power_on(self) -> None:
        """Registers and devices are as they were when power came; what was written stays."""
        self.tasks, self._control = (TaskFile(), TaskFile()), 0
        self._reset()

    def read(self, register: int, byte_count: int, /) -> int:
        """IN from the command block. Reading the status takes the interrupt back."""
        drive = self.selected
        if not any(self.drives):
            return FLOATING
        if register == Register.DATA:
            return 0 if drive is None else drive.read_data(byte_count)
        if register == Register.STATUS:
            self._set_interrupt(False)
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
            for task in self.tasks:
                task.device = value & 0xFF
        else:
            for task in self.tasks:
                task.put(NAMES[Register(register)], value & 0xFF)

    def _command(self, command: int) -> None:
        self._set_interrupt(False)
        if command == Command.DIAGNOSE:  # for both, whoever is selected
            self._reset()
            self._set_interrupt(True)
        elif self.selected is not None:
            self.selected.execute(command, self.task)

    def _reset(self) -> None:
        self._set_interrupt(False)
        for drive, task in zip(self.drives, self.tasks, strict=True):
            task.sign(0, 0)
            task.device = 0
            if drive is not None:
                drive.reset(task)

    def set_control(self, value: int) -> None:
        """OUT to the control block: a reset while SRST is set."""
        if value & Control.SRST:
            self._reset()
        self._control = value
        self._set_interrupt(self.interrupt)


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
