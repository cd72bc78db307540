"""The disks of a child: where they are put, and what is refused."""

from pathlib import Path

import pytest
from cd_hosts import iso
from images import dynamic, patch_table, sectors

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_device import IdeDevice
from minihv.devices.emulated.packet_drive import PacketDrive
from minihv.errors import ConfigurationError
from minihv.parent.disks import ChildDisks, DiskOption
from minihv.storage.opening import open_disk


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("a.vhd", DiskOption(Path("a.vhd"), "ide")),
        ("a.vhd:ide", DiskOption(Path("a.vhd"), "ide")),
        ("a.iso:cd", DiskOption(Path("a.iso"), "cd")),
        ("a:b.vhd", DiskOption(Path("a:b.vhd"), "ide")),
        ("ide", DiskOption(Path("ide"), "ide")),
    ],
)
def test_option_is_a_file_and_a_controller(text: str, option: DiskOption) -> None:
    assert DiskOption.parse(text) == option


def size_of(device: IdeDevice | None) -> int | None:
    return device.disk.sector_count if isinstance(device, AtaDrive) else None


def test_disks_fill_the_channels_in_their_order(tmp_path: Path) -> None:
    paths = [dynamic(tmp_path / f"{number}.vhd", sector_count=8 * (number + 1)) for number in range(3)]
    disks = ChildDisks([DiskOption(path) for path in paths])
    found = [[size_of(drive) for drive in channel.drives] for channel in disks.channels]
    assert found == [[8, 16], [24, None]]
    old = [*range(0x170, 0x178), *range(0x1F0, 0x1F8), 0x376, 0x3F6]
    assert list(disks.ports.ports) == [*old, 0xCF8, *range(0xCFC, 0xD00), *range(0xC000, 0xC100)]
    disks.close()
    for path in paths:
        open_disk(path, writable=True).close()


def test_child_without_disks_has_no_ports() -> None:
    disks = ChildDisks([])
    assert list(disks.ports.ports) == [] and len(disks.channels) == 0


def test_fifth_disk_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    with pytest.raises(ConfigurationError) as refused:
        ChildDisks([DiskOption(path)] * 5)
    assert str(refused.value) == (
        "A child has 2 IDE channels with 2 disks each, and was given 5 disks: leave some out."
    )


def test_disk_that_is_given_twice_is_refused_and_the_first_is_free_again(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    with pytest.raises(ConfigurationError) as refused:
        ChildDisks([DiskOption(path), DiskOption(path)])
    assert "is in use by another process or disk" in str(refused.value)
    open_disk(path, writable=True).close()


def test_disk_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")})
    patch_table(path, 0, 1)
    with pytest.raises(ConfigurationError) as refused:
        ChildDisks([DiskOption(path)])
    assert str(refused.value) == (
        f"A guest writes to its disk, and {path} may only be read, since its table is damaged (block 0 at "
        "0x200 lies over the tables): see what `minihv disk check` says."
    )


def test_cd_takes_the_next_place_and_is_shared_with_other_readers(tmp_path: Path) -> None:
    disk, cd = dynamic(tmp_path / "a.vhd"), iso(tmp_path / "a.iso")
    disks = ChildDisks([DiskOption(disk), DiskOption(cd, "cd")])
    others = ChildDisks([DiskOption(cd, "cd")])
    assert isinstance(disks.channels[0].drives[1], PacketDrive)
    with pytest.raises(ConfigurationError, match="is in use by another process or disk"):
        open_disk(cd, writable=True)
    disks.close()
    others.close()
    open_disk(cd, writable=True).close()


def test_cd_without_a_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.iso"
    path.write_bytes(bytes(2047))
    with pytest.raises(ConfigurationError) as refused:
        ChildDisks([DiskOption(path, "cd")])
    assert str(refused.value) == (
        f"A CD holds blocks of 2048 bytes, and {path} is shorter than one: give an ISO image."
    )
    open_disk(path, writable=True).close()
