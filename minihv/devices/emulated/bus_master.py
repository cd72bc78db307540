"""Bus-master DMA: a controller that moves the bytes of a command by itself, with no word through a port.

Stands for: the DMA engine of one channel of a PC's IDE controller.
Spec: Intel, "Programming Interface for Bus Master IDE Controller", "Bus Master IDE Register Descriptions".
Simplified: a transfer takes no time: it is over when its last condition is written. A direction that is not
    that of the command is an error.
First reading: ``run``.
Next: ``minihv.devices.emulated.regions``

===========  ==========  =====================================================
ACTIVE       INTERRUPT   What has happened
===========  ==========  =====================================================
0            1           all bytes were moved, and the table was as long
1            1           all bytes were moved, and more regions are left
0            0           with ERROR memory could not be reached, and nothing was
                         touched; without it the table was too short
1            0           the device has not asked yet
===========  ==========  =====================================================
"""

from collections.abc import Callable

from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.ide_device import DmaRequest, IdeDevice
from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.emulated.regions import Cursor, Walk, walk
from minihv.spec.ata import Status as DeviceStatus
from minihv.spec.bus_master import PORTS, Command, Register, Status

NOTES = Status.DEVICE_0 | Status.DEVICE_1
TAKEN_BACK = Status.ERROR | Status.INTERRUPT
START = Cursor(0)


class BusMaster:
    """The engine beside ``channel``: eight registers, of which each byte is written for itself.

    ``may_master`` says whether the controller may reach memory at all, ``on_interrupt`` is the line of the
    channel, handed on.
    """

    def __init__(self, channel: IdeChannel, bus: PortBus) -> None:
        self.channel, self._bus = channel, bus
        self.may_master = False
        self.on_interrupt: Callable[[bool], None] = lambda _level: None
        channel.on_interrupt, channel.on_dma = self._hear, self.run
        self.power_on()

    def power_on(self) -> None:
        """It is not started, and knows no table."""
        self._command, self._status, self._table = 0, 0, 0
        self._cursor = START

    def read(self, register: int, byte_count: int, /) -> int:
        """IN: what is reserved reads as zeros, as do bytes behind the last register."""
        registers = bytes((self._command, 0, self._status, 0)) + self._table.to_bytes(4, "little")
        return int.from_bytes(registers[register : register + byte_count], "little")

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """OUT, byte by byte."""
        for at in range(register, min(register + byte_count, PORTS)):
            self._write_byte(at, value & 0xFF)
            value >>= 8

    def _write_byte(self, register: int, value: int) -> None:
        if register >= Register.TABLE:
            shift = 8 * (register - Register.TABLE)
            self._table = (self._table & ~(0xFF << shift) | value << shift) & ~3
        elif register == Register.STATUS:
            self._status = self._status & ~(NOTES | value & TAKEN_BACK) | value & NOTES
        elif register == Register.COMMAND:
            self._order(value)

    def _order(self, value: int) -> None:
        started = value & ~self._command & Command.START
        self._command = value & (Command.START | Command.TO_MEMORY)
        if started:
            self._cursor = Cursor(self._table)
            self._status |= Status.ACTIVE
            self.run()
        elif not value & Command.START:
            self._status &= ~Status.ACTIVE

    def _hear(self, level: bool) -> None:
        if level:
            self._status |= Status.INTERRUPT
        self.on_interrupt(level)

    def run(self) -> None:
        """Moves what a device asks for, if all is there: it is started, it may, and somebody asks."""
        device = self.channel.requesting
        if device is None or device.dma is None or not self.may_master or not self._status & Status.ACTIVE:
            return
        walked = self._reach(device.dma)
        if walked is None:
            self._status = self._status & ~Status.ACTIVE | Status.ERROR
            return
        if self._move(device, walked):
            self._cursor = walked.behind
            if self._cursor.is_spent:
                self._status &= ~Status.ACTIVE

    def _reach(self, request: DmaRequest) -> Walk | None:
        to_memory = bool(self._command & Command.TO_MEMORY)
        if self._bus.ram is None or request.to_memory != to_memory:
            return None
        return walk(self._bus.ram, self._cursor, request.left)

    def _move(self, device: IdeDevice, walked: Walk) -> bool:
        """Whether the device has gone along to the end."""
        ram = self._bus.ram
        assert ram is not None
        to_memory = bool(self._command & Command.TO_MEMORY)
        for gpa, size in walked.pieces:
            if device.dma is None:
                return False
            if to_memory:
                data = device.dma_read(size)
                ram.write(gpa, data)
            else:
                device.dma_write(ram.read(gpa, size))
        return not device.status & DeviceStatus.ERR
