"""PCI configuration space, against the tables of the standard."""

from minihv.spec.pci import Command, ConfigAddress, Header

# PCI 3.0, "Type 00h Configuration Space Header": offset and width of each register.
HEADER = """
vendor_id 00 2  device_id 02 2  command 04 2  status 06 2  revision 08 1  interface 09 1  subclass 0A 1
class_code 0B 1  cache_line 0C 1  latency 0D 1  header_type 0E 1  bar0 10 4  bar1 14 4  bar2 18 4  bar3 1C 4
bar4 20 4  bar5 24 4  interrupt_line 3C 1  interrupt_pin 3D 1
"""


def test_registers_are_where_the_standard_has_them() -> None:
    words = HEADER.split()
    assert {name: (one.offset, one.byte_count) for name, one in Header.members().items()} == {
        name: (int(offset, 16), int(size))
        for name, offset, size in zip(words[::3], words[1::3], words[2::3], strict=True)
    }


def test_address_is_made_of_bus_device_function_and_register() -> None:
    address = ConfigAddress(enable=True, bus=1, device=7, function=1, register=8)
    assert int(address) == 0x8001_3920
    assert (Command.IO, Command.MEMORY, Command.BUS_MASTER) == (1, 2, 4)
