"""The registers of a channel: two disks, one cable, and what each register says."""

from pathlib import Path

import pytest
from ide_hosts import IdeHost
from images import dynamic

from minihv.devices.emulated.ide_channel import IdeChannel
from minihv.devices.emulated.port_bus import PortBus
from minihv.spec.ata import PRIMARY, SECONDARY, Command, Register


@pytest.fixture
def host(tmp_path: Path) -> IdeHost:
    return IdeHost(dynamic(tmp_path / "0.vhd"))


def test_channel_without_a_disk_floats() -> None:
    bus = PortBus()
    IdeChannel().connect(bus, SECONDARY)
    assert [bus.read(port, 1) for port in (*range(0x170, 0x178), 0x376)] == [0xFF] * 9


def test_place_beside_a_disk_is_empty_and_not_busy(host: IdeHost) -> None:
    host.out(Register.DEVICE, 0xF0)
    assert host.status() == 0 and host.into(Register.DATA, 2) == 0
    host.out(Register.COMMAND, Command.IDENTIFY)
    assert host.status() == 0
    host.out(Register.DEVICE, 0xE0)
    assert host.status() == 0x50


def test_command_goes_to_the_disk_that_is_selected(tmp_path: Path) -> None:
    host = IdeHost(dynamic(tmp_path / "0.vhd"), dynamic(tmp_path / "1.vhd", sector_count=24))
    for device, size in ((0xE0, 64), (0xF0, 24)):
        host.out(Register.DEVICE, device)
        assert host.identify()[60] == size


def test_status_takes_the_interrupt_back_and_alternate_status_does_not(host: IdeHost) -> None:
    host.out(Register.COMMAND, Command.FLUSH)
    assert host.bus.read(PRIMARY[1], 1) == 0x50 and host.channel.interrupt
    assert host.status() == 0x50 and not host.channel.interrupt


def test_registers_are_read_back_and_hob_shows_what_was_before(host: IdeHost) -> None:
    for register in (Register.COUNT, Register.LBA_LOW, Register.LBA_MID, Register.LBA_HIGH):
        host.out(register, 0x10 + register)
        host.out(register, 0x20 + register)
        assert host.into(register) == 0x20 + register
        host.bus.write(PRIMARY[1], 1, 0x80)
        assert host.into(register) == 0x10 + register
    host.out(Register.DEVICE, 0x4A)
    assert host.into(Register.DEVICE) == 0xEA and host.into(Register.COUNT) == 0x22


@pytest.mark.parametrize("how", ["reset", "diagnose"])
def test_reset_leaves_the_signature_of_a_disk(host: IdeHost, how: str) -> None:
    host.out(Register.DEVICE, 0xF5)
    if how == "reset":
        host.bus.write(PRIMARY[1], 1, 4)
        host.bus.write(PRIMARY[1], 1, 0)
    else:
        host.out(Register.COMMAND, Command.DIAGNOSE)
    found = [host.into(register) for register in range(1, 7)]
    assert found == [1, 1, 1, 0, 0, 0xA0] and host.status() == 0x50
