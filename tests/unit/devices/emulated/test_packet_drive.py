"""A CD drive on its cable: packets, turns, DMA, and the signature by which it is told from a disk."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from cd_hosts import READY, CdHost, blocks, cdb, iso, read10
from hypothesis import given, settings
from hypothesis import strategies as st
from images import content, dynamic, plain, sectors

from minihv.spec.ata import Command, Error, Register, Status


@pytest.fixture
def host(tmp_path: Path) -> Iterator[CdHost]:
    with CdHost(iso(tmp_path / "a.iso"), dynamic(tmp_path / "a.vhd")) as made:
        made.get_ready()
        yield made


def signature(host: CdHost) -> list[int]:
    return [host.into(register) for register in range(Register.COUNT, Register.DEVICE)]


@pytest.mark.parametrize("limit", [2, 100, 2048, 2050, 0xFFFE, 0xFFFF])
def test_blocks_come_in_turns_that_the_host_can_take(host: CdHost, limit: int) -> None:
    assert host.ask(read10(3, 5), limit) == blocks(3, 5)


def test_blocks_come_by_dma(host: CdHost) -> None:
    assert host.ask_by_dma(read10(15, 5), 5 * 2048) == blocks(15, 5)
    assert host.ask_by_dma(cdb(0x12, 0, 0, 0, 36), 36)[8:16] == b"Msft    "


def test_more_than_a_buffer_is_read_by_dma(tmp_path: Path) -> None:
    with CdHost(iso(tmp_path / "a.iso", 70)) as host:
        host.get_ready()
        host.regions((0x4_0000, 0), (0x5_0000, 0), (0x6_0000, 0x3000))
        host.send(read10(0, 70), features=1)
        assert host.go(to_memory=True) == 4 and host.ram.read(0x4_0000, 0x2_3000) == blocks(0, 70)


def test_host_that_takes_no_bytes_is_refused_unless_there_are_none(host: CdHost) -> None:
    host.send(read10(0, 1), limit=0)
    assert host.error() & Error.ABRT
    assert host.ask(READY, limit=0) == b"" and host.ask(read10(0, 0), limit=0) == b""


@pytest.mark.parametrize("how", ["reset", "device reset", "diagnose", "identify"])
def test_signature_says_that_it_takes_packets(host: CdHost, how: str) -> None:
    if how == "reset":
        host.bus.write(0x376, 1, 4)
        host.bus.write(0x376, 1, 0)
    else:
        commands = {"device reset": 0x08, "diagnose": 0x90, "identify": 0xEC}
        host.out(Register.COMMAND, commands[how])
    assert signature(host) == [1, 1, 0x14, 0xEB]
    assert host.status() == (0x51 if how == "identify" else 0)


def test_devices_of_a_channel_have_signatures_of_their_own(tmp_path: Path) -> None:
    paths = [dynamic(tmp_path / f"{number}.vhd") for number in range(4)]
    with CdHost(iso(tmp_path / "a.iso"), *paths) as host:
        host.bus.write(0x376, 1, 4)
        host.bus.write(0x376, 1, 0)
        assert signature(host) == [1, 1, 0x14, 0xEB] and host.status() == 0
        host.out(Register.DEVICE, 0xB0)
        assert signature(host) == [1, 1, 0, 0] and host.status() == 0x50


def test_device_reset_ends_a_packet_and_keeps_the_sense(host: CdHost) -> None:
    host.send(read10(19, 2))
    assert host.error() >> 4 == 5
    host.out(Register.COMMAND, Command.PACKET)
    host.out(Register.COMMAND, Command.DEVICE_RESET)
    host.out(Register.DATA, 0, 2)
    assert host.status() == 0 and host.ask(cdb(3, 0, 0, 0, 18))[2] == 5


def test_identity_is_that_of_a_cd_drive(host: CdHost) -> None:
    host.out(Register.COMMAND, Command.IDENTIFY_PACKET)
    data = host.take(512)
    words = [int.from_bytes(data[at : at + 2], "little") for at in range(0, 512, 2)]
    assert (words[0], words[49], words[63], words[88]) == (0x85C0, 0x0B00, 0x0007, 0x0407)
    assert (words[82], words[83], words[84]) == (0x0210, 0x4000, 0x4000)
    assert b"".join(word.to_bytes(2, "big") for word in words[27:47]).rstrip() == b"Virtual CD"
    assert host.status() == 0x50


def test_commands_besides_packets_are_few(host: CdHost) -> None:
    for feature, mode, fails in ((3, 0x22, False), (3, 0x0B, False), (3, 0x77, True), (2, 0, True)):
        host.out(Register.FEATURES, feature)
        host.out(Register.COUNT, mode)
        host.out(Register.COMMAND, Command.SET_FEATURES)
        assert bool(host.status() & Status.ERR) is fails
    assert host.drive.mode == 0x22
    host.out(Register.COMMAND, Command.CHECK_POWER)
    assert host.into(Register.COUNT) == 0xFF and host.status() == 0x50
    host.out(Register.FEATURES, 2)
    for unknown in (Command.READ_DMA, Command.WRITE_SECTORS, Command.PACKET, 0xFF):
        host.out(Register.COMMAND, unknown)
        assert host.error() == Error.ABRT


def test_data_port_says_nothing_while_it_waits_for_a_packet_or_for_dma(host: CdHost) -> None:
    host.out(Register.COMMAND, Command.PACKET)
    assert host.into(Register.DATA, 2) == 0xFFFF
    host.send(read10(0, 1), features=1)
    assert host.into(Register.DATA, 2) == 0xFFFF


def test_file_that_became_shorter_is_a_medium_error(tmp_path: Path) -> None:
    path = iso(tmp_path / "a.iso")
    with CdHost(path) as host:
        host.get_ready()
        path.write_bytes(path.read_bytes()[: 10 * 2048])
        assert host.fail(read10(9, 2)) == (3, 0x1100)
        assert host.ask(read10(9, 1)) == blocks(9, 1)


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32))
def test_host_that_does_as_it_likes_harms_nobody(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random, folder = Random(seed), tmp_path_factory.mktemp("fuzz")
    path, second = iso(folder / "a.iso"), dynamic(folder / "b.vhd", written={3: sectors(b"kept")})
    places = [*(0x170 + register for register in (0, 0, 0, 1, 4, 5, 6, 7, 7)), 0x376, 0xC008, 0xC00A, 0xC00C]
    with CdHost(path, second) as host:
        for _ in range(80):
            port, size = random.choice(places), random.choice((1, 2, 4))
            value = random.choice((0xA0, 0xA0, 0xA1, 0xEC, 8)) if port == 0x177 else random.getrandbits(32)
            if random.random() < 0.2:
                host.regions((random.getrandbits(21), random.getrandbits(16)))
            if random.random() < 0.3:
                host.out(Register.COMMAND, Command.PACKET)
                packet = bytes((random.randrange(256), *random.randbytes(11)))
                for at in range(0, 12, 2):
                    host.out(Register.DATA, int.from_bytes(packet[at : at + 2], "little"), 2)
            if random.random() < 0.5:
                host.bus.write(port, size, value)
            else:
                assert 0 <= host.bus.read(port, size) < 1 << 8 * size
    assert path.read_bytes() == blocks(0, 20) and content(second) == plain({3: sectors(b"kept")})
