"""A host that speaks to a PC's IDE controller, with memory for its DMA."""

import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ide_hosts import IdeHost
from pci_hosts import PciHost

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_controller import IdeController
from minihv.devices.emulated.ide_device import IdeDevice
from minihv.devices.emulated.pci import pc_bus
from minihv.devices.emulated.port_bus import PortBus
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.memory import SystemMemory
from minihv.parent.child_memory import ChildRam
from minihv.spec.ata import Command, Register
from minihv.spec.bus_master import Command as Master
from minihv.spec.bus_master import Register as MasterRegister
from minihv.storage.opening import open_disk
from minihv.terms import MIB

RAM_BYTES = 2 * MIB
TABLE, BUFFER = 0x1_0000, 0x2_0000
DMA = {False: (Command.READ_DMA, Command.READ_DMA_EXT), True: (Command.WRITE_DMA, Command.WRITE_DMA_EXT)}


class DmaHost(IdeHost):
    """A controller with disks, or other devices, on both channels in their order, and 2 MiB of RAM."""

    def __init__(self, *devices: IdeDevice | Path) -> None:
        self.bus, self.turns, self.block = PortBus(), 0, 0xC000
        self._opened = ExitStack()
        pci = pc_bus()
        pci.connect(self.bus)
        self.controller = IdeController(self.bus, pci)
        self.channel, self.pci = self.controller.channels[0], PciHost(self.bus)
        for number, one in enumerate(devices):
            self.controller.channels[number // 2].attach(number % 2, self._device(one, number))
        self.memory = SystemMemory(8 * MIB)
        self.space = GpaSpace(self.memory, 2)
        self.space.add_ram(RAM_BYTES)
        self.bus.ram = self.ram = ChildRam(self.space, self.memory)
        self.out(Register.DEVICE, 0xE0)

    def _device(self, one: IdeDevice | Path, number: int) -> IdeDevice:
        if isinstance(one, IdeDevice):
            return one
        return AtaDrive(self._opened.enter_context(open_disk(one, writable=True)), f"SERIAL{number}")

    def __enter__(self) -> Self:
        return self

    def regions(self, *regions: tuple[int, int], at: int = TABLE, ended: bool = True) -> None:
        """Writes a table of regions, each with its GPA and its bytes, and tells the engine of it."""
        entries = [
            struct.pack("<IHH", gpa, size & 0xFFFF, 0x8000 if ended and number == len(regions) else 0)
            for number, (gpa, size) in enumerate(regions, 1)
        ]
        self.ram.write(at, b"".join(entries))
        self.bus.write(self.block + MasterRegister.TABLE, 4, at)

    def go(self, *, to_memory: bool) -> int:
        """Starts the engine; its status."""
        self.bus.write(self.block, 1, Master.START | (Master.TO_MEMORY if to_memory else 0))
        return self.engine()

    def stop(self) -> None:
        """Stops the engine, and takes back what it said."""
        self.bus.write(self.block, 1, 0)
        self.bus.write(self.block + MasterRegister.STATUS, 1, 6)

    def engine(self) -> int:
        """The status of the engine."""
        return self.bus.read(self.block + MasterRegister.STATUS, 1)

    def by_dma(self, sector: int, count: int, *, writes: bool, way: str = "lba48") -> int:
        """A whole command; the status of the engine behind it."""
        self.address(sector, count, way)
        self.out(Register.COMMAND, DMA[writes][way == "lba48"])
        return self.go(to_memory=not writes)
