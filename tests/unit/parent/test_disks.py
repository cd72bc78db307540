"""The disks of a child: where they are put, when they come and go, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from cd_hosts import iso
from images import dynamic, patch_table, sectors

from minihv.devices.emulated.ata_drive import AtaDrive
from minihv.devices.emulated.ide_device import IdeDevice
from minihv.devices.emulated.packet_drive import PacketDrive
from minihv.devices.synthetic.scsi_controller import ScsiController
from minihv.errors import ConfigurationError
from minihv.parent.disks import SHIPPED, ChildDisks, DiskLimits, DiskOption
from minihv.spec.integration import Interface
from minihv.storage.opening import open_disk

SMALL = DiskLimits("small", 2)


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("a.vhd", DiskOption(Path("a.vhd"), "ide")),
        ("a.vhd:ide", DiskOption(Path("a.vhd"), "ide")),
        ("a.vhd:scsi", DiskOption(Path("a.vhd"), "scsi")),
        ("a.vhd:scsi3", DiskOption(Path("a.vhd"), "scsi3")),
        ("a.vhd:scsi4", DiskOption(Path("a.vhd:scsi4"), "ide")),
        ("/dev/sdb:passthrough", DiskOption(Path("/dev/sdb"), "passthrough")),
        ("a.iso:cd", DiskOption(Path("a.iso"), "cd")),
        ("a:b.vhd", DiskOption(Path("a:b.vhd"), "ide")),
        ("ide", DiskOption(Path("ide"), "ide")),
        (":scsi", DiskOption(Path(":scsi"), "ide")),
    ],
)
def test_option_is_a_file_and_a_controller(text: str, option: DiskOption) -> None:
    assert DiskOption.parse(text) == option


def size_of(device: IdeDevice | None) -> int | None:
    return device.disk.sector_count if isinstance(device, AtaDrive) else None


def images(folder: Path, count: int, controller: str = "ide") -> list[DiskOption]:
    """Images of 8, 16, 24 ... sectors."""
    return [
        DiskOption(dynamic(folder / f"{controller}{n}.vhd", sector_count=8 * (n + 1)), controller)
        for n in range(count)
    ]


def refusal_of(options: Sequence[DiskOption], limits: DiskLimits = SHIPPED) -> str:
    with pytest.raises(ConfigurationError) as refused:
        ChildDisks(options, limits)
    return str(refused.value)


def test_disks_fill_the_channels_in_their_order(tmp_path: Path) -> None:
    options = images(tmp_path, 3)
    disks = ChildDisks(options)
    found = [[size_of(drive) for drive in channel.drives] for channel in disks.channels]
    assert found == [[8, 16], [24, None]]
    old = [*range(0x170, 0x178), *range(0x1F0, 0x1F8), 0x376, 0x3F6]
    assert list(disks.ports.ports) == [*old, 0xCF8, *range(0xCFC, 0xD00), *range(0xC000, 0xC100)]
    disks.close()
    for option in options:
        open_disk(option.path, writable=True).close()


def test_disk_at_ide_has_a_fast_way_too(tmp_path: Path) -> None:
    disks = ChildDisks(images(tmp_path, 4))
    assert {one.interface for one in disks.services} == {Interface.IDE_ACCELERATOR.value}
    assert [(one.instance, one.controller.target) for one in disks.services] == [
        (UUID("00000000-0000-8899-0000-000000000000"), 0),
        (UUID("00000000-0001-8899-0000-000000000000"), 1),
        (UUID("00000001-0000-8899-0000-000000000000"), 0),
        (UUID("00000001-0001-8899-0000-000000000000"), 1),
    ]
    disks.close()


def test_child_without_disks_has_neither_ports_nor_channels() -> None:
    disks = ChildDisks([])
    assert list(disks.ports.ports) == [] and len(disks.channels) == 0 and disks.services == []


def test_scsi_disks_fill_one_controller_after_the_other(tmp_path: Path) -> None:
    disks = ChildDisks(images(tmp_path, 5, "scsi"), SMALL)
    assert [str(one) for one in disks.attached] == [
        "SCSI controller 0, LUN 0",
        "SCSI controller 0, LUN 1",
        "SCSI controller 1, LUN 0",
        "SCSI controller 1, LUN 1",
        "SCSI controller 2, LUN 0",
    ]
    assert [len(one.controller) for one in disks.services] == [2, 2, 1]
    assert len({one.instance for one in disks.services}) == 3
    disks.close()


def test_controller_can_be_named(tmp_path: Path) -> None:
    disks = ChildDisks([*images(tmp_path, 1, "scsi2"), *images(tmp_path, 1), *images(tmp_path, 1, "scsi")])
    assert [str(one) for one in disks.attached] == [
        "SCSI controller 2, LUN 0",
        "IDE channel 0, device 0",
        "SCSI controller 0, LUN 0",
    ]
    disks.close()


def test_disks_without_a_place_are_refused(tmp_path: Path) -> None:
    assert refusal_of(images(tmp_path, 5)) == (
        "A child has 2 IDE channels with 2 disks each, and all have one: leave some out, or put them behind "
        "SCSI (FILE:scsi)."
    )
    assert refusal_of(images(tmp_path, 3, "scsi1"), SMALL) == (
        "A SCSI controller has at most 2 disks and a child 4 controllers, and controller 1 is full: leave "
        "some out."
    )
    assert refusal_of(images(tmp_path, 9, "scsi"), SMALL) == (
        "A SCSI controller has at most 2 disks and a child 4 controllers, and all are full: leave some out."
    )


def test_disk_that_is_given_twice_is_refused_and_the_first_is_free_again(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    assert "is in use by another process or disk" in refusal_of([DiskOption(path), DiskOption(path, "scsi")])
    open_disk(path, writable=True).close()


def test_disk_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")})
    patch_table(path, 0, 1)
    assert refusal_of([DiskOption(path)]) == (
        f"A guest writes to its disk, and {path} may only be read, since its table is damaged (block 0 at "
        "0x200 lies over the tables): see what `minihv disk check` says."
    )
    open_disk(path, writable=True).close()


def test_cd_takes_the_next_place_and_is_shared_with_other_readers(tmp_path: Path) -> None:
    disk, cd = dynamic(tmp_path / "a.vhd"), iso(tmp_path / "a.iso")
    disks = ChildDisks([DiskOption(disk), DiskOption(cd, "cd")])
    others = ChildDisks([DiskOption(cd, "cd")])
    assert isinstance(disks.channels[0].drives[1], PacketDrive) and len(disks.services) == 1
    with pytest.raises(ConfigurationError, match="is in use by another process or disk"):
        open_disk(cd, writable=True)
    disks.close()
    others.close()
    open_disk(cd, writable=True).close()


def test_whole_file_is_passed_through_to_scsi(tmp_path: Path) -> None:
    path = tmp_path / "whole.img"
    path.write_bytes(bytes(4096))
    disks = ChildDisks([DiskOption(path, "passthrough")])
    assert [str(one) for one in disks.attached] == ["SCSI controller 0, LUN 0"]
    disks.close()
    image = dynamic(tmp_path / "a.vhd")
    assert "is a VHD: attach it with FILE:scsi" in refusal_of([DiskOption(image, "passthrough")])


def test_cd_without_a_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.iso"
    path.write_bytes(bytes(2047))
    assert refusal_of([DiskOption(path, "cd")]) == (
        f"A CD holds blocks of 2048 bytes, and {path} is shorter than one: give an ISO image."
    )
    open_disk(path, writable=True).close()


# While the guest runs.


def test_scsi_disks_come_and_go_and_their_places_are_free_again(tmp_path: Path) -> None:
    first, second, third = images(tmp_path, 3, "scsi")
    disks = ChildDisks([first])
    disks.power_on()
    assert str(disks.attach(second)) == "SCSI controller 0, LUN 1"
    assert str(disks.detach(first.path)) == "SCSI controller 0, LUN 0"
    open_disk(first.path, writable=True).close()
    assert str(disks.attach(third)) == "SCSI controller 0, LUN 0"
    assert len(disks.services) == 1
    disks.close()


def test_ide_has_no_hot_plug(tmp_path: Path) -> None:
    first, second = images(tmp_path, 2)
    disks = ChildDisks([first])
    disks.power_on()
    with pytest.raises(ConfigurationError) as refused:
        disks.attach(second)
    assert str(refused.value) == (
        "IDE has no hot plug, and the guest runs: attach the disk to SCSI, or give it to the guest when it "
        "starts."
    )
    with pytest.raises(ConfigurationError) as refused:
        disks.detach(first.path)
    assert str(refused.value) == (
        f"IDE has no hot plug, and {first.path} is at IDE channel 0, device 0: end the guest first, or use "
        "SCSI for disks that come and go."
    )
    disks.close()
    open_disk(second.path, writable=True).close()


@pytest.mark.parametrize("controller", ["ide", "cd"])
def test_file_without_a_place_is_not_opened(tmp_path: Path, controller: str) -> None:
    disks = ChildDisks([])
    disks.power_on()
    with pytest.raises(ConfigurationError, match=r"^IDE has no hot plug, and the guest runs"):
        disks.attach(DiskOption(tmp_path / "none.vhd", controller))
    full = [*images(tmp_path, 2, "scsi0"), DiskOption(tmp_path / "none.vhd", "scsi0")]
    assert "and controller 0 is full" in refusal_of(full, SMALL)


@pytest.mark.parametrize("controller", ["ide", "scsi"])
def test_disk_that_cannot_be_connected_is_closed(
    tmp_path: Path, controller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise ConfigurationError("No.")

    (option,) = images(tmp_path, 1, controller)
    disks = ChildDisks([])
    with monkeypatch.context() as patched:
        patched.setattr(ScsiController, "attach", refuse)
        with pytest.raises(ConfigurationError, match=r"^No\.$"):
            disks.attach(option)
    assert disks.attached == []
    assert disks.attach(option).path == option.path
    assert len(disks.services) == 1
    disks.close()


def test_disk_that_is_not_there_cannot_be_detached(tmp_path: Path) -> None:
    (option,) = images(tmp_path, 1, "scsi")
    disks = ChildDisks([option])
    with pytest.raises(ConfigurationError) as refused:
        disks.detach(tmp_path / "other.vhd")
    assert str(refused.value) == (
        f"What is detached was attached, and {tmp_path / 'other.vhd'} is no disk of the guest: it has "
        f"{option.path}."
    )
    disks.close()
