"""What devices on a cable share: the task file, and the bytes of DMA."""

from pathlib import Path

import pytest
from images import dynamic, sectors

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_device import TaskFile
from minihv.spec.ata import Command, Device
from minihv.storage.disk import Geometry
from minihv.storage.opening import open_disk


def test_register_keeps_the_byte_before_the_last() -> None:
    task = TaskFile()
    for value in (1, 2, 3):
        task.put("count", value)
    assert task.count == 0x0203 and task.count_of(wide=True) == 0x203 and task.count_of(wide=False) == 3
    assert (TaskFile().count_of(wide=True), TaskFile().count_of(wide=False)) == (0x1_0000, 0x100)


@pytest.mark.parametrize("wide", [False, True])
def test_address_that_is_shown_is_the_one_that_is_read(wide: bool) -> None:
    task = TaskFile(device=Device.LBA)
    sector = 0x1234_5678_9ABC if wide else 0x0ABC_DEF0
    task.show(sector, wide=wide)
    assert task.address(Geometry(1, 1, 1), wide=wide) == sector


def test_bytes_of_dma_are_taken_in_pieces_and_end_with_the_command(tmp_path: Path) -> None:
    with open_disk(dynamic(tmp_path / "a.vhd", written={0: sectors(b"zero")}), writable=True) as disk:
        drive, said = AtaDrive(disk, ""), []
        drive.on_interrupt = lambda: said.append(drive.status)
        drive.execute(Command.READ_DMA, TaskFile(count=1, device=Device.LBA))
        assert drive.dma is not None and drive.dma.left == 512 and drive.dma_read(3) == b"zer"
        assert drive.dma_read(1000) == sectors(b"zero")[3:] and drive.dma is None
        assert said == [0x50] and drive.dma_read(5) == b""
        drive.dma_write(b"nobody asked")
