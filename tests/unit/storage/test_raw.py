"""A raw disk: the bytes of its file."""

from pathlib import Path

from images import sectors

from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.opening import open_disk
from minihv.storage.raw import RawDisk


def test_sector_is_where_it_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(8 * 512 + 100))
    with open_disk(path, writable=True) as disk:
        assert (disk.sector_count, disk.byte_count) == (8, 4096)
        assert disk.write(7, sectors(b"ab"), fua=True) is Outcome.DONE
        assert disk.write(8, sectors(b"x")) is Outcome.OUT_OF_RANGE
        assert disk.trim(0, 2) is Outcome.DONE
    assert path.read_bytes() == bytes(7 * 512) + b"ab" * 256 + bytes(100)


def test_part_of_a_file_is_a_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1024) + b"y" * 1024)
    disk = RawDisk(HostFile(path, writable=False), start=1024, sector_count=2)
    into = bytearray(512)
    assert disk.read(1, into) is Outcome.DONE and into == b"y" * 512
    assert disk.read(2, into) is Outcome.OUT_OF_RANGE and disk.next_data(0) == 0
    disk.close()
