"""What a disk does with commands: addresses of three kinds, blocks, errors, and a host that does as it
likes.
"""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ide_hosts import IdeHost
from images import SECTORS, child, content, dynamic, patch_table, plain, sectors
from mortal_files import FailingFile

from minihv.spec.ata import Command, Error, Register, Status
from minihv.storage.disk import Outcome
from minihv.storage.opening import open_disk, open_file

WRITTEN = {5: sectors(b"five"), 6: sectors(b"six"), 63: sectors(b"last")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dynamic(tmp_path / "a.vhd", written=WRITTEN)


@pytest.mark.parametrize("way", ["chs", "lba28", "lba48"])
def test_sector_is_the_same_by_every_kind_of_address(path: Path, way: str) -> None:
    with IdeHost(path) as host:
        assert host.read(5, 2, way) == sectors(b"five") + sectors(b"six")
        assert host.read(63, 1, way) == sectors(b"last")
        assert host.status() == 0x50


@pytest.mark.parametrize("way", ["chs", "lba28", "lba48"])
def test_what_was_written_is_read_and_is_in_the_file_behind_a_flush(path: Path, way: str) -> None:
    with IdeHost(path) as host:
        host.write(10, sectors(b"new", 3), way)
        assert host.read(10, 3, way) == sectors(b"new", 3)
        host.out(Register.COMMAND, Command.FLUSH)
        assert host.status() == 0x50
    assert content(path) == plain(WRITTEN | {10: sectors(b"new", 3)})


def test_count_of_zero_is_256_sectors(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", sector_count=300, written={255: sectors(b"end")})
    with IdeHost(path) as host:
        found = host.read(0, 256, "lba28", count=0)
        assert found[255 * 512 :] == sectors(b"end")


def test_blocks_of_several_sectors_have_one_turn(path: Path) -> None:
    with IdeHost(path) as host:
        host.out(Register.COMMAND, Command.READ_MULTIPLE)
        assert host.status() & Status.ERR and host.into(Register.ERROR) == Error.ABRT
        host.out(Register.COUNT, 4)
        host.out(Register.COMMAND, Command.SET_MULTIPLE)
        assert host.identify()[59] == 0x0104
        turns = host.turns
        data = host.read(4, 6, "lba28", command=Command.READ_MULTIPLE, block=4)
        assert data == plain(WRITTEN)[4 * 512 : 10 * 512] and host.turns - turns == 2
        host.write(20, sectors(b"m", 6), "lba48", command=Command.WRITE_MULTIPLE_EXT, block=4)
        assert host.read(20, 6, "lba48") == sectors(b"m", 6)


@pytest.mark.parametrize("count", [3, 5, 129, 255])
def test_multiple_that_is_no_power_of_two_or_too_large_is_aborted(path: Path, count: int) -> None:
    with IdeHost(path) as host:
        host.out(Register.COUNT, count)
        host.out(Register.COMMAND, Command.SET_MULTIPLE)
        assert host.error() == Error.ABRT


@pytest.mark.parametrize(("sector", "count"), [(SECTORS, 1), (SECTORS - 1, 2), (0, 65), ((1 << 28) - 1, 1)])
@pytest.mark.parametrize("command", [Command.READ_SECTORS, Command.WRITE_SECTORS, Command.READ_VERIFY])
def test_sector_that_is_not_there_is_not_found(path: Path, sector: int, count: int, command: Command) -> None:
    with IdeHost(path) as host:
        host.address(sector, count, "lba28")
        host.out(Register.COMMAND, command)
        assert host.error() == Error.IDNF and not host.status() & Status.DRQ
    assert content(path) == plain(WRITTEN)


def test_head_or_sector_that_the_translation_lacks_is_not_found(path: Path) -> None:
    with IdeHost(path) as host:
        for low, device in ((0, 0xA0), (18, 0xA0), (1, 0xA4)):
            host.out(Register.LBA_LOW, low)
            host.out(Register.DEVICE, device)
            host.out(Register.COMMAND, Command.READ_SECTORS)
            assert host.error() == Error.IDNF
            host.out(Register.COMMAND, Command.READ_VERIFY)
            assert host.error() == Error.IDNF


def test_other_translation_counts_otherwise(path: Path) -> None:
    with IdeHost(path) as host:
        host.out(Register.COUNT, 8)
        host.out(Register.DEVICE, 0xA1)  # two heads
        host.out(Register.COMMAND, Command.INITIALIZE_PARAMETERS)
        assert host.identify()[54:57] == [4, 2, 8]
        for register, value in ((Register.LBA_MID, 3), (Register.LBA_HIGH, 0), (Register.DEVICE, 0xA1)):
            host.out(register, value)
        host.out(Register.LBA_LOW, 8)
        host.out(Register.COUNT, 1)
        host.out(Register.COMMAND, Command.READ_SECTORS)
        assert host.take(512) == sectors(b"last")


def test_block_that_cannot_be_read_is_an_uncorrectable_error_at_its_sector(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a"), 8: sectors(b"b")})
    patch_table(path, 1, 0x7FFF_FFFF)
    with open_disk(path) as disk:
        host = IdeHost(disk)
        host.address(6, 4, "lba28")
        host.out(Register.COMMAND, Command.READ_SECTORS)
        host.take(1024)
        assert host.error() == Error.UNC and host.into(Register.LBA_LOW) == 8
        host.address(6, 4, "lba28")
        host.out(Register.COMMAND, Command.READ_VERIFY)
        assert host.error() == Error.UNC


@pytest.mark.parametrize(
    ("outcome", "error"), [(Outcome.NO_SPACE, Error.UNC), (Outcome.MEDIUM_ERROR, Error.UNC)]
)
def test_host_that_fails_is_an_error_of_the_disk(path: Path, outcome: Outcome, error: Error) -> None:
    file = FailingFile(path, fails=1)
    file.outcome = outcome
    disk = open_file(file, None, ())
    host = IdeHost(disk)
    host.address(40, 1, "lba28")
    host.out(Register.COMMAND, Command.WRITE_SECTORS)
    host.give(sectors(b"x"))
    assert host.error() == error
    host.out(Register.COMMAND, Command.FLUSH)
    assert host.error() == error
    disk.close()


def test_disk_that_may_not_be_written_aborts(tmp_path: Path, path: Path) -> None:
    with open_disk(path) as disk:
        host = IdeHost(disk)
        host.address(3, 1, "lba28")
        host.out(Register.COMMAND, Command.WRITE_SECTORS)
        host.give(sectors(b"x"))
        assert host.error() == Error.ABRT
    assert child(tmp_path / "c.vhd", path).exists()


def test_simple_commands_are_done_and_unknown_ones_aborted(path: Path) -> None:
    with IdeHost(path) as host:
        for command in (Command.RECALIBRATE, Command.IDLE, Command.STANDBY_NOW, Command.FLUSH_EXT):
            host.out(Register.COMMAND, command)
            assert host.status() == 0x50
        host.out(Register.COMMAND, Command.CHECK_POWER)
        assert host.into(Register.COUNT) == 0xFF
        host.out(Register.COUNT, 0x0C)
        for feature, fails in ((0x03, False), (0x02, False), (0x55, True)):
            host.out(Register.FEATURES, feature)
            host.out(Register.COMMAND, Command.SET_FEATURES)
            assert bool(host.status() & Status.ERR) is fails
        host.out(Register.COUNT, 0)
        host.out(Register.COMMAND, Command.INITIALIZE_PARAMETERS)
        assert host.error() == Error.ABRT
        for unknown in (0x00, 0xA1, 0xB0, 0xC7, 0xFF):
            host.out(Register.COMMAND, unknown)
            assert host.error() == Error.ABRT


def test_command_in_the_middle_of_another_ends_that(path: Path) -> None:
    with IdeHost(path) as host:
        host.address(5, 2, "lba28")
        host.out(Register.COMMAND, Command.READ_SECTORS)
        host.take(100)
        host.address(63, 1, "lba28")
        host.out(Register.COMMAND, Command.READ_SECTORS)
        assert host.take(512) == sectors(b"last") and host.into(Register.DATA, 2) == 0xFFFF


def test_data_port_is_as_wide_as_the_instruction(path: Path) -> None:
    with IdeHost(path) as host:
        for size in (1, 2, 4):
            host.address(5, 1, "lba28")
            host.out(Register.COMMAND, Command.READ_SECTORS)
            assert host.take(512, size) == sectors(b"five")


@given(seed=st.integers(0, 1 << 32))
def test_host_that_does_as_it_likes_meets_no_exception(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random, folder = Random(seed), tmp_path_factory.mktemp("fuzz")
    with IdeHost(dynamic(folder / "a.vhd", written=WRITTEN), dynamic(folder / "b.vhd")) as host:
        commands = [*Command, *range(0, 256, 17)]
        for _ in range(150):
            register = random.choice((*range(8), 7, 7, 0, 0, 0, 100))
            size = random.choice((1, 2, 2, 4))
            port = 0x3F6 if register == 100 else 0x1F0 + register
            value = random.choice(commands) if register == 7 else random.getrandbits(32)
            if random.random() < 0.5:
                host.bus.write(port, size, value)
            else:
                assert 0 <= host.bus.read(port, size) < 1 << 8 * size
