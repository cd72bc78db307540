"""The IDE controller of a PC: two channels at their old ports, and DMA where PCI says.

Stands for: function 1 of the PIIX4, the controller of a Hyper-V machine of the first generation.
Spec: Intel, "82371AB PCI-to-ISA / IDE Xcelerator (PIIX4)", "IDE Controller Registers".
Simplified: timing registers are kept and mean nothing, and the old ports always answer. Whoever intercepts
    ports for it hears of the block for DMA in the ports ``WINDOW`` alone.
Next: ``minihv.devices.emulated.bus_master``
"""

from dataclasses import dataclass
from typing import ClassVar

from minihv.devices.emulated.bus_master import BusMaster
from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.pci import PciBus, PciFunction
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ata import PRIMARY, SECONDARY
from minihv.spec.bus_master import PORTS
from minihv.spec.pci import BAR4_OFFSET, COMMAND_OFFSET, INTEL, IO_BAR, Command, Header

PLACE = (7, 1)
"""Its device and function."""
BLOCK = 0xC000
"""Where the registers for DMA are, until a guest moves them."""
WINDOW = range(0xC000, 0xC100)
LINES = (14, 15)
"""Of the two channels."""
TIMINGS, DECODES = 0x40, bytes.fromhex("00800080")
"""Two registers, whose bit 15 says that the channel answers its old ports."""
IDENTITY = {
    "vendor_id": INTEL,
    "device_id": 0x7111,
    "status": 0x0280,
    "revision": 1,
    "interface": 0x80,  # it masters the bus, and its channels have their old ports
    "subclass": 0x01,
    "class_code": 0x01,
}
WRITABLE = {
    COMMAND_OFFSET: int(Command.IO | Command.BUS_MASTER).to_bytes(1, "little"),
    0x0D: b"\xf0",
    BAR4_OFFSET: b"\xf0\xff",
    TIMINGS: b"\xff" * 5,
    0x48: b"\x0f",
    0x4A: b"\x33\x33",
}


class IdeController:
    """The controller, on both buses: its channels, the engines beside them, and its PCI function."""

    def __init__(self, bus: PortBus, pci: PciBus) -> None:
        self.channels = (IdeChannel(), IdeChannel())
        self.masters = tuple(BusMaster(channel, bus) for channel in self.channels)
        command = int(Command.IO | Command.BUS_MASTER)  # as firmware leaves it
        self.function = PciFunction(Header.build(**IDENTITY, command=command, bar4=BLOCK | IO_BAR), WRITABLE)
        self.function.space[TIMINGS : TIMINGS + len(DECODES)] = DECODES
        self._bus, self._at = bus, 0
        self._block = Block(self.masters)
        for channel, ports in zip(self.channels, (PRIMARY, SECONDARY), strict=True):
            channel.connect(bus, ports)
        for master, line in zip(self.masters, LINES, strict=True):
            master.on_interrupt = bus.lines[line].set
        bus.reserve(WINDOW.start, len(WINDOW))
        pci.functions[PLACE] = self.function
        self.function.on_change = self._settle
        self._settle()

    def _settle(self) -> None:
        """The block is where its base address says, if it may answer; and DMA goes on, if it may."""
        header = self.function.header
        at = header.bar4 & ~IO_BAR if header.command & Command.IO else 0
        if at != self._at:
            self._at = at
            self._bus.disconnect(self._block)
            if at:
                self._bus.connect(at, PORTS * len(self.masters), self._block)
        for master in self.masters:
            master.may_master = bool(header.command & Command.BUS_MASTER)
            master.run()


@dataclass
class Block:
    """The ports of all engines, one behind the other."""

    masters: tuple[BusMaster, ...]
    name: ClassVar[str] = "ide-dma"

    def power_on(self) -> None:
        """No engine is started."""
        for master in self.masters:
            master.power_on()

    def read(self, register: int, byte_count: int, /) -> int:
        """The engine's register."""
        return self.masters[register // PORTS].read(register % PORTS, byte_count)

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """The same for writing."""
        self.masters[register // PORTS].write(register % PORTS, byte_count, value)
