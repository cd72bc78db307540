"""The PCI bus of a PC: functions that are found by asking each for its name.

Stands for: the host bridge's two configuration registers, and what lies behind them.
Spec: PCI-SIG, "PCI Local Bus Specification, Revision 3.0", "Configuration Mechanism #1".
Simplified: one bus. The bridges can be found and do nothing; no function ever reports an error.
First reading: ``PciBus``.
Next: ``minihv.devices.emulated.ide_controller``

A guest writes the number of a function and of a register to port 0xCF8, and finds the register at 0xCFC to
0xCFF. Where no function is, reads are all ones, which is the name of nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from minihv.devices.emulated.port_bus import OPEN_BUS, PortBus
from minihv.spec.pci import CONFIG_ADDRESS, CONFIG_DATA, INTEL, SPACE_BYTES, ConfigAddress, Header

KEPT = ConfigAddress(enable=True, bus=0xFF, device=0x1F, function=7, register=0x3F)
"""The bits of the address register that a write changes."""
NOWHERE = ConfigAddress(0)
BRIDGE = 0x06
HOST_BRIDGE = Header.build(
    vendor_id=INTEL, device_id=0x7192, command=0x0006, status=0x0200, revision=3, class_code=BRIDGE
)
"""Of the 440BX: what a Hyper-V machine of the first generation has as function 0.0."""
ISA_BRIDGE = Header.build(
    vendor_id=INTEL,
    device_id=0x7110,
    command=0x0007,
    status=0x0200,
    revision=1,
    subclass=0x01,
    class_code=BRIDGE,
    header_type=0x80,
)
"""Of the PIIX4, whose other functions lie beside it: 7.0."""


class PciFunction:
    """The configuration space of one function. ``writable`` has by offset the bits that a guest may change.

    ``on_change`` is called after each write.
    """

    def __init__(self, header: Header, writable: Mapping[int, bytes] | None = None) -> None:
        self.space = bytearray(bytes(header).ljust(SPACE_BYTES, b"\0"))
        self.header = Header(self.space)
        self.on_change: Callable[[], None] = lambda: None
        self._writable = bytearray(SPACE_BYTES)
        for offset, mask in (writable or {}).items():
            self._writable[offset : offset + len(mask)] = mask

    def read(self, offset: int, byte_count: int) -> bytes:
        """Bytes of the space; they do not leave it."""
        return bytes(self.space[offset : offset + byte_count])

    def write(self, offset: int, data: bytes) -> None:
        """The writable bits of these bytes change."""
        for at, new in enumerate(data, offset):
            mask = self._writable[at]
            self.space[at] = self.space[at] & ~mask | new & mask
        self.on_change()


@dataclass
class PciBus:
    """Bus 0: its functions by device and function."""

    functions: dict[tuple[int, int], PciFunction] = field(default_factory=dict)
    address: ConfigAddress = NOWHERE

    def connect(self, bus: PortBus) -> None:
        """The two registers answer their ports."""
        bus.connect(CONFIG_ADDRESS, 1, AddressRegister(self))
        bus.connect(CONFIG_DATA, 4, DataRegister(self))

    @property
    def selected(self) -> PciFunction | None:
        """The function that the address names, if there is one."""
        at = self.address
        if not at.enable or at.bus:
            return None
        return self.functions.get((at.device, at.function))


@dataclass
class AddressRegister:
    """Port 0xCF8; what is narrower than 32 bits is for other chips."""

    pci: PciBus

    def read(self, _register: int, byte_count: int, /) -> int:
        """The address as it was written."""
        return int(self.pci.address) if byte_count == 4 else OPEN_BUS

    def write(self, _register: int, byte_count: int, value: int, /) -> None:
        """Chooses a register of a function."""
        if byte_count == 4:
            self.pci.address = ConfigAddress(value & int(KEPT))


@dataclass
class DataRegister:
    """Ports 0xCFC to 0xCFF: the four bytes of the register that is chosen."""

    pci: PciBus

    def read(self, register: int, byte_count: int, /) -> int:
        """Bytes of the register; all ones behind it, and where nobody is."""
        function, count = self.pci.selected, min(byte_count, 4 - register)
        if function is None:
            return OPEN_BUS
        data = function.read(self.pci.address.register * 4 + register, count)
        return int.from_bytes(data.ljust(4, b"\xff"), "little")

    def write(self, register: int, byte_count: int, value: int, /) -> None:
        """Bytes for the register."""
        function, count = self.pci.selected, min(byte_count, 4 - register)
        if function is not None:
            data = value.to_bytes(byte_count, "little")[:count]
            function.write(self.pci.address.register * 4 + register, data)


def pc_bus() -> PciBus:
    """A bus with the two bridges of a PC."""
    return PciBus({(0, 0): PciFunction(HOST_BRIDGE), (7, 0): PciFunction(ISA_BRIDGE)})
