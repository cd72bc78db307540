"""The controller as PCI shows it: found, sized, moved, switched off; and its two interrupt lines."""

from pathlib import Path
from random import Random

import pytest
from dma_hosts import BUFFER, RAM_BYTES, DmaHost
from hypothesis import event, given, settings
from hypothesis import strategies as st
from images import content, dynamic, plain, sectors

from minihv.devices.emulated.ide_controller import WINDOW
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.spec.ata import Command, Register


@pytest.fixture
def host(tmp_path: Path) -> DmaHost:
    return DmaHost(dynamic(tmp_path / "a.vhd", written={5: sectors(b"five")}))


def test_controller_is_function_1_of_device_7_and_masters_the_bus(host: DmaHost) -> None:
    assert host.pci.read(7, 1, 0) == 0x7111_8086
    assert host.pci.read(7, 1, 8) == 0x0101_8001 and host.pci.read(7, 1, 0x20) == 0xC001
    assert host.pci.read(7, 1, 0x40) == 0x8000_8000 and host.pci.read(7, 1, 4, 2) == 5


def test_block_is_sized_and_moved_and_answers_where_it_is(host: DmaHost) -> None:
    host.pci.write(7, 1, 0x20, 0xFFFF_FFFF)
    assert host.pci.read(7, 1, 0x20) == 0xFFF1
    host.pci.write(7, 1, 0x20, 0xC080)
    assert host.bus.read(0xC002, 1) == 0xFF and host.bus.read(0xC082, 1) == 0
    host.block = 0xC080
    host.regions((BUFFER, 512))
    assert host.by_dma(5, 1, writes=False) == 4 and host.ram.read(BUFFER, 512) == sectors(b"five")


def test_block_answers_only_while_ports_are_enabled_and_placed(host: DmaHost) -> None:
    for offset, off, on in ((4, 4, 5), (0x20, 0, 0xC000)):
        host.pci.write(7, 1, offset, off, 2)
        assert host.bus.read(0xC002, 1) == 0xFF
        host.pci.write(7, 1, offset, on, 2)
        assert host.bus.read(0xC002, 1) == 0


def test_block_over_the_ports_of_a_channel_goes_away_again(host: DmaHost) -> None:
    host.pci.write(7, 1, 0x20, 0x1F0)
    assert host.status() == 0
    host.pci.write(7, 1, 0x20, 0xC000)
    assert host.status() == 0x50


def test_ports_that_the_block_may_come_to_are_known(host: DmaHost) -> None:
    assert set(WINDOW) < set(host.bus.ports)


def test_interrupt_line_rises_and_falls_and_is_silent_while_it_is_off(host: DmaHost) -> None:
    levels: list[bool] = []
    host.controller.masters[0].on_interrupt = levels.append
    host.out(Register.COMMAND, Command.FLUSH)
    assert levels == [True] and host.engine() == 4
    host.bus.write(0x3F6, 1, 2)
    assert levels == [True, False]
    host.bus.write(0x3F6, 1, 0)
    assert levels == [True, False, True] and host.status() == 0x50
    assert levels == [True, False, True, False]


def test_engine_does_not_hear_of_an_interrupt_that_is_off(host: DmaHost) -> None:
    host.bus.write(0x3F6, 1, 2)
    host.out(Register.COMMAND, Command.FLUSH)
    assert host.channel.interrupt and host.engine() == 0


def test_channels_have_engines_of_their_own(tmp_path: Path) -> None:
    paths = [dynamic(tmp_path / f"{number}.vhd") for number in range(3)]
    with DmaHost(*paths) as host:
        host.bus.write(0x170 + Register.COMMAND, 1, Command.FLUSH)
        assert (host.bus.read(0xC002, 1), host.bus.read(0xC00A, 1)) == (0, 4)


PORTS = [0xCF8, *range(0xCFC, 0xD00), *range(0xC000, 0xC008), *range(0x1F0, 0x1F8), 0x1F7, 0x3F6]
COMMANDS = [Command.READ_DMA, Command.WRITE_DMA_EXT, Command.READ_DMA_EXT, Command.SET_FEATURES, *Command]


def poke(host: DmaHost, random: Random) -> None:
    """One access, or a table, or the beginning of a transfer, as it comes."""
    choice = random.random()
    if choice < 0.1:
        gpas = [random.choice((random.getrandbits(32), random.getrandbits(21))) for _ in range(3)]
        host.regions(*((gpa, random.getrandbits(12)) for gpa in gpas), ended=random.random() < 0.8)
    elif choice < 0.3:
        host.by_dma(random.getrandbits(6), random.randint(1, 9), writes=random.random() < 0.5)
    elif choice < 0.7:
        port, size = random.choice(PORTS), random.choice((1, 2, 4))
        value = random.choice(COMMANDS) if port == 0x1F7 else random.getrandbits(32)
        host.bus.write(port, size, 0x8000_3900 | value & 0x7FF if port == 0xCF8 else value)
    else:
        size = random.choice((1, 2, 4))
        assert 0 <= host.bus.read(random.choice(PORTS), size) < 1 << 8 * size


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32))
def test_host_that_does_as_it_likes_harms_nobody(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random, folder = Random(seed), tmp_path_factory.mktemp("fuzz")
    paths = [dynamic(folder / f"{number}.vhd", written={3: sectors(b"kept")}) for number in range(3)]
    with DmaHost(*paths) as host:
        neighbour = GpaSpace(host.memory, 3)
        neighbour.add_ram(RAM_BYTES)
        neighbour.write(0, b"mine" * (RAM_BYTES // 4))
        for _ in range(80):
            poke(host, random)
        assert neighbour.read(0, RAM_BYTES) == b"mine" * (RAM_BYTES // 4)
        event(f"engine {host.engine() & 7}")
    assert content(paths[2]) == plain({3: sectors(b"kept")})
