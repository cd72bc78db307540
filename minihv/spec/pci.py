"""PCI configuration space: how a function is named, and what its first 64 bytes say.

Spec: PCI-SIG, "PCI Local Bus Specification, Revision 3.0", "Configuration Mechanism #1" and "Configuration
    Space Organization"; Intel, "82371AB PCI-to-ISA / IDE Xcelerator (PIIX4)", "PCI Configuration Registers".
Next: ``minihv.devices.emulated.pci``
"""

from enum import IntFlag

from minihv.spec.bits import Bits, Layout, field, flag, u8, u16, u32

CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
SPACE_BYTES, HEADER_BYTES = 256, 64
MULTI_FUNCTION = 0x80
"""In the header type: other functions of the device are worth a look."""
IO_BAR = 1
"""Bit 0 of a base address: it is that of ports."""


class ConfigAddress(Bits, width=32):
    """What is written to port 0xCF8.  Spec: "Software Generation of Configuration Transactions"."""

    enable = flag(31)
    bus = field(23, 16)
    device = field(15, 11)
    function = field(10, 8)
    register = field(7, 2)


class Command(IntFlag):
    """The command register: what a function may do."""

    IO = 1 << 0
    """Answer at ports."""
    MEMORY = 1 << 1
    BUS_MASTER = 1 << 2
    """Reach memory by itself."""


class Header(Layout, byte_count=HEADER_BYTES):
    """The header of type 0.  Spec: "Configuration Space Organization"."""

    vendor_id = u16(0x00)
    device_id = u16(0x02)
    command = u16(0x04)
    status = u16(0x06)
    revision = u8(0x08)
    interface = u8(0x09)
    subclass = u8(0x0A)
    class_code = u8(0x0B)
    cache_line = u8(0x0C)
    latency = u8(0x0D)
    header_type = u8(0x0E)
    bar0 = u32(0x10)
    bar1 = u32(0x14)
    bar2 = u32(0x18)
    bar3 = u32(0x1C)
    bar4 = u32(0x20)
    bar5 = u32(0x24)
    interrupt_line = u8(0x3C)
    interrupt_pin = u8(0x3D)


COMMAND_OFFSET, BAR4_OFFSET = 0x04, 0x20
INTEL = 0x8086
