"""The two ports behind which the functions of a PC lie, and what can be written to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pci_hosts import PciHost

from minihv.devices.emulated.pci import PciFunction, pc_bus
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.pci import CONFIG_DATA, ConfigAddress, Header


@pytest.fixture
def host() -> PciHost:
    bus, pci = PortBus(), pc_bus()
    pci.connect(bus)
    pci.functions[3, 1] = PciFunction(
        Header.build(vendor_id=0x1234, device_id=0x5678), {4: b"\x05\0", 0x40: b"\xf0\xff"}
    )
    return PciHost(bus)


def test_bridges_are_those_of_a_pc_and_all_else_is_absent(host: PciHost) -> None:
    found = {
        (device, function): host.read(device, function, 0)
        for device in range(32)
        for function in range(8)
        if host.read(device, function, 0) != 0xFFFF_FFFF
    }
    assert found == {(0, 0): 0x7192_8086, (7, 0): 0x7110_8086, (3, 1): 0x5678_1234}
    assert host.read(0, 0, 8) == 0x0600_0003 and host.read(7, 0, 8) == 0x0601_0001
    assert host.read(7, 0, 0xE, 1) == 0x80


def test_address_is_read_back_without_its_reserved_bits(host: PciHost) -> None:
    host.bus.write(0xCF8, 4, 0xFFFF_FFFF)
    assert host.bus.read(0xCF8, 4) == 0x80FF_FFFC
    host.bus.write(0xCF8, 1, 0)
    assert host.bus.read(0xCF8, 4) == 0x80FF_FFFC and host.bus.read(0xCF8, 1) == 0xFF


def test_register_is_there_in_bytes_words_and_whole(host: PciHost) -> None:
    host.bus.write(0xCF8, 4, int(ConfigAddress(enable=True, device=3, function=1)))
    assert [host.bus.read(CONFIG_DATA + at, 1) for at in range(4)] == [0x34, 0x12, 0x78, 0x56]
    assert host.bus.read(CONFIG_DATA + 2, 2) == 0x5678
    assert host.bus.read(CONFIG_DATA + 3, 4) == 0xFFFF_FF56


def test_other_bus_and_address_without_its_top_bit_lead_nowhere(host: PciHost) -> None:
    for address in (ConfigAddress(enable=True, bus=1), ConfigAddress()):
        host.bus.write(0xCF8, 4, int(address))
        assert host.bus.read(CONFIG_DATA, 4) == 0xFFFF_FFFF
        host.bus.write(CONFIG_DATA, 4, 0)


def test_only_writable_bits_are_written(host: PciHost) -> None:
    host.write(3, 1, 4, 0xFFFF_FFFF)
    host.write(3, 1, 0x41, 0xAA, 1)
    host.write(3, 1, 0, 0)
    assert (host.read(3, 1, 4), host.read(3, 1, 0x40), host.read(3, 1, 0)) == (5, 0xAA00, 0x5678_1234)


@given(accesses=st.lists(st.tuples(st.integers(0, 8), st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1))))
def test_any_accesses_leave_what_cannot_be_written(accesses: list[tuple[int, int, int]]) -> None:
    bus, pci = PortBus(), pc_bus()
    pci.connect(bus)
    before = {at: bytes(one.space) for at, one in pci.functions.items()}
    for port, size, value in accesses:
        bus.write(0xCF8 + port % 8, size, value)
        assert 0 <= bus.read(0xCF8 + port % 8, size) < 1 << 8 * size
    assert {at: bytes(one.space) for at, one in pci.functions.items()} == before
