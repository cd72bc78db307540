"""A host that speaks to PCI functions by the two configuration ports."""

from dataclasses import dataclass

from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.pci import CONFIG_ADDRESS, CONFIG_DATA, ConfigAddress


@dataclass
class PciHost:
    """Reads and writes registers of functions on bus 0."""

    bus: PortBus

    def _select(self, device: int, function: int, offset: int) -> int:
        address = ConfigAddress(enable=True, device=device, function=function, register=offset // 4)
        self.bus.write(CONFIG_ADDRESS, 4, int(address))
        return CONFIG_DATA + offset % 4

    def read(self, device: int, function: int, offset: int, size: int = 4) -> int:
        """A register, or a part of one."""
        return self.bus.read(self._select(device, function, offset), size)

    def write(self, device: int, function: int, offset: int, value: int, size: int = 4) -> None:
        """A register, or a part of one."""
        self.bus.write(self._select(device, function, offset), size, value)
