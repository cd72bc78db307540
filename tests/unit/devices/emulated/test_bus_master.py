"""DMA of a controller: the bytes of a command are moved by it, or nothing is touched."""

from pathlib import Path

import pytest
from dma_hosts import BUFFER, TABLE, DmaHost
from hypothesis import event, given
from hypothesis import strategies as st
from images import content, dynamic, patch_table, plain, sectors
from mortal_files import FailingFile

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.spec.ata import Command, Error, Register, Status
from minihv.storage.disk import Outcome
from minihv.storage.opening import open_file

WRITTEN = {5: sectors(b"five"), 6: sectors(b"six"), 63: sectors(b"last")}
DONE, MORE, ERROR, NOTHING, WAITS = 4, 5, 2, 0, 1
"""The engine's status: done; done, and regions left; no memory; too few regions; nobody has asked."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dynamic(tmp_path / "a.vhd", written=WRITTEN)


@pytest.mark.parametrize("way", ["lba28", "lba48", "chs"])
def test_sectors_are_read_into_regions_of_any_size(path: Path, way: str) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER + 6, 2), (BUFFER + 0x5000, 700), (BUFFER + 0x3000, 322))
        assert host.by_dma(5, 2, writes=False, way=way) == DONE
        found = host.ram.read(BUFFER + 6, 2) + host.ram.read(BUFFER + 0x5000, 700)
        assert found + host.ram.read(BUFFER + 0x3000, 322) == sectors(b"five") + sectors(b"six")
        assert host.channel.interrupt and host.status() == 0x50 and not host.channel.interrupt


@pytest.mark.parametrize("way", ["lba28", "lba48"])
def test_sectors_are_written_from_regions_of_any_size(path: Path, way: str) -> None:
    with DmaHost(path) as host:
        host.ram.write(BUFFER, sectors(b"new") + sectors(b"newer"))
        host.regions((BUFFER, 10), (BUFFER + 10, 1014))
        assert host.by_dma(40, 2, writes=True, way=way) == DONE and host.status() == 0x50
    assert content(path) == plain(WRITTEN | {40: sectors(b"new") + sectors(b"newer")})


def test_region_of_zero_is_64_kib_and_more_than_a_block_is_moved(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", sector_count=300, written={0: sectors(b"a"), 255: sectors(b"z")})
    with DmaHost(path) as host:
        host.regions((0x4_0000, 0), (0x5_0000, 0))
        assert host.by_dma(0, 256, writes=False, way="lba28") == DONE
        assert host.ram.read(0x4_0000, 512) == sectors(b"a")
        assert host.ram.read(0x6_0000 - 512, 512) == sectors(b"z")


def test_engine_waits_for_the_command_as_the_command_for_the_engine(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 512))
        assert host.go(to_memory=True) == WAITS
        host.address(63, 1, "lba28")
        host.out(Register.COMMAND, Command.READ_DMA)
        assert host.engine() == DONE and host.ram.read(BUFFER, 512) == sectors(b"last")


def test_table_that_is_longer_leaves_the_engine_active_for_the_next_command(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 600), (BUFFER + 0x1000, 424))
        assert host.by_dma(5, 1, writes=False) == MORE
        host.address(6, 1, "lba48")
        host.out(Register.COMMAND, Command.READ_DMA_EXT)
        assert host.engine() == DONE
        assert host.ram.read(BUFFER + 512, 88) + host.ram.read(BUFFER + 0x1000, 424) == sectors(b"six")


def test_table_that_is_shorter_ends_without_interrupt_and_another_goes_on(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 514))
        assert host.by_dma(5, 2, writes=False) == NOTHING and not host.channel.interrupt
        assert host.status() & Status.DRQ and host.into(Register.DATA, 2) == 0xFFFF
        host.stop()
        host.regions((BUFFER + 514, 510))
        assert host.go(to_memory=True) == DONE
        assert host.ram.read(BUFFER, 1024) == sectors(b"five") + sectors(b"six")


@pytest.mark.parametrize(
    ("table", "regions"),
    [
        (TABLE, [(BUFFER, 512), (0x7FFF_0000, 512)]),
        (TABLE, [(BUFFER, 512), (0x1F_F000, 0x2000)]),
        (TABLE, [(0x1F_FF00, 0x200), (BUFFER, 512)]),
        (TABLE, [(BUFFER, 512), (0x3_FFF0, 512)]),
    ],
    ids=["beyond", "past the end", "begin inside", "crosses 64 KiB"],
)
@pytest.mark.parametrize("writes", [False, True])
def test_region_that_is_no_ram_is_an_error_and_nothing_is_touched(
    path: Path, table: int, regions: list[tuple[int, int]], writes: bool
) -> None:
    with DmaHost(path) as host:
        host.regions(*regions, at=table)
        before = host.ram.read(0, 0x20_0000)
        assert host.by_dma(5, 2, writes=writes) == ERROR and not host.channel.interrupt
        assert host.ram.read(0, 0x20_0000) == before
    assert content(path) == plain(WRITTEN)


@pytest.mark.parametrize("at", [0x2F_FFF8, 0xFFFF_FFF8, 0x7_FFFC], ids=["no RAM", "top", "crosses 64 KiB"])
def test_table_that_is_no_ram_is_an_error(path: Path, at: int) -> None:
    with DmaHost(path) as host:
        host.bus.write(host.block + 4, 4, at)
        assert host.by_dma(5, 1, writes=False) == ERROR


def test_table_that_does_not_end_in_its_64_kib_is_an_error(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 256), at=0x8_0000 - 8, ended=False)
        host.ram.write(0x8_0000, host.ram.read(0x8_0000 - 8, 8))
        assert host.by_dma(5, 1, writes=False) == ERROR and host.ram.read(BUFFER, 256) == bytes(256)


def test_direction_that_is_not_the_commands_is_an_error(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 512))
        host.address(5, 1, "lba28")
        host.out(Register.COMMAND, Command.READ_DMA)
        assert host.go(to_memory=False) == ERROR
    assert content(path) == plain(WRITTEN)


def test_engine_without_memory_or_permission_moves_nothing(path: Path) -> None:
    with DmaHost(path) as host:
        host.pci.write(7, 1, 4, 1, 2)
        host.regions((BUFFER, 512))
        assert host.by_dma(5, 1, writes=False) == WAITS
        host.pci.write(7, 1, 4, 5, 2)
        assert host.engine() == DONE and host.ram.read(BUFFER, 512) == sectors(b"five")
        host.stop()
        host.bus.ram = None
        assert host.by_dma(5, 1, writes=False) == ERROR


def test_block_that_cannot_be_read_ends_the_transfer_where_it_is(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", sector_count=256, written={0: sectors(b"a"), 200: sectors(b"b")})
    patch_table(path, 25, 0x7FFF_FFFF)
    with DmaHost(path) as host:
        host.ram.write(BUFFER, b"kept" * 0x8000)
        host.regions((BUFFER, 0), (BUFFER + 0x1_0000, 0))
        assert host.by_dma(0, 256, writes=False) == MORE
        assert host.error() == Error.UNC and host.into(Register.LBA_LOW) == 128
        assert host.ram.read(BUFFER, 512) == sectors(b"a")
        assert host.ram.read(BUFFER + 0x1_0000, 0x1_0000) == b"kept" * 0x4000


@pytest.mark.parametrize("outcome", [Outcome.NO_SPACE, Outcome.MEDIUM_ERROR])
def test_host_that_fails_is_an_error_of_the_disk(path: Path, outcome: Outcome) -> None:
    file = FailingFile(path, fails=1)
    file.outcome = outcome
    with open_file(file, None, ()) as disk, DmaHost(AtaDrive(disk, "")) as host:
        host.regions((BUFFER, 512))
        assert host.by_dma(40, 1, writes=True) == MORE and host.error() == Error.UNC


def test_commands_that_reach_too_far_ask_for_nothing(path: Path) -> None:
    with DmaHost(path) as host:
        host.regions((BUFFER, 1024))
        for writes in (False, True):
            assert host.by_dma(63, 2, writes=writes) == MORE
            assert host.error() == Error.IDNF and host.channel.requesting is None
            host.stop()


def test_error_and_interrupt_are_cleared_by_ones_and_notes_are_kept(path: Path) -> None:
    with DmaHost(path) as host:
        host.out(Register.COMMAND, Command.FLUSH)
        host.bus.write(host.block + 2, 1, 0x60)
        assert host.engine() == 0x64
        host.bus.write(host.block + 2, 1, 0x24)
        assert host.engine() == 0x20


def test_registers_are_bytes_of_any_access(path: Path) -> None:
    with DmaHost(path) as host:
        host.bus.write(host.block + 12, 4, 0x1234_5677)
        host.bus.write(host.block + 13, 1, 0xAA)
        assert host.bus.read(host.block + 12, 4) == 0x1234_AA74
        host.bus.write(host.block + 8, 4, 0xFFFF_FFFF)
        assert host.bus.read(host.block + 8, 4) == 0x0061_0009
        assert host.bus.read(host.block + 14, 4) == 0x1234


def test_reset_of_the_channel_takes_the_request_back(path: Path) -> None:
    with DmaHost(path) as host:
        host.address(5, 1, "lba28")
        host.out(Register.COMMAND, Command.READ_DMA)
        host.bus.write(0x3F6, 1, 4)
        host.bus.write(0x3F6, 1, 0)
        host.regions((BUFFER, 512))
        assert host.go(to_memory=True) == WAITS and host.ram.read(BUFFER, 4) == bytes(4)


def test_request_that_a_device_was_left_with_is_not_the_other_ones(path: Path, tmp_path: Path) -> None:
    with DmaHost(path, dynamic(tmp_path / "b.vhd", written={5: sectors(b"other")})) as host:
        host.regions((0x7FFF_0000, 512))
        assert host.by_dma(5, 1, writes=False) == ERROR
        host.stop()
        host.regions((BUFFER, 512))
        host.address(5, 1, "lba28")
        host.out(Register.DEVICE, 0xF0)
        host.out(Register.COMMAND, Command.READ_DMA)
        assert host.go(to_memory=True) == DONE and host.ram.read(BUFFER, 512) == sectors(b"other")


def pieces_of(cuts: list[tuple[int, int]], wanted: int) -> list[tuple[int, int]] | None:
    """What the standard makes of a table for so many bytes. None: an error."""
    pieces = []
    for gpa, size in ((gpa & ~1, size & ~1 or 0x1_0000) for gpa, size in cuts):
        if wanted and gpa % 0x1_0000 + size > 0x1_0000:
            return None
        pieces.append((gpa, min(size, wanted)))
        wanted -= min(size, wanted)
    return pieces


cuts = st.lists(st.tuples(st.integers(0, 0x0F_FFFF), st.integers(0, 0x1000)), min_size=1, max_size=12)


@given(cuts=cuts, count=st.integers(1, 20), writes=st.booleans())
def test_transfer_moves_what_the_table_says_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]], count: int, writes: bool
) -> None:
    path = dynamic(tmp_path_factory.mktemp("dma") / "a.vhd", written=WRITTEN)
    pieces, disk = pieces_of(cuts, count * 512), plain(WRITTEN)
    with DmaHost(path) as host:
        host.ram.write(0, bytes(range(256)) * 0x2000)
        host.regions(*cuts)
        memory, at = bytearray(host.ram.read(0, 0x20_0000)), 0
        status = host.by_dma(0, count, writes=writes)
        given_away = b"".join(bytes(memory[gpa : gpa + size]) for gpa, size in pieces or [])
        for gpa, size in [] if writes else pieces or []:
            memory[gpa : gpa + size] = disk[at : at + size]
            at += size
        assert host.ram.read(0, 0x20_0000) == memory
    event(f"engine {status}")
    assert (status == ERROR) == (pieces is None) and (status in (DONE, MORE)) == (
        len(given_away) == count * 512
    )
    if not writes or pieces is None:
        assert content(path) == disk
    elif status != NOTHING:
        assert content(path) == given_away + disk[count * 512 :]
