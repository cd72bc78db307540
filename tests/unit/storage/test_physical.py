"""A physical disk: a whole file or a whole device, and never one that somebody uses."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import dynamic, sectors

from minihv.errors import ConfigurationError
from minihv.storage import physical
from minihv.storage.disk import Outcome
from minihv.storage.opening import open_disk
from minihv.storage.physical import open_physical, users


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "whole.img"
    made.write_bytes(bytes(64 * 512))
    return made


@pytest.fixture
def device(path: Path) -> Iterator[Path]:
    """A loop device, where one can be made."""
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("only root makes loop devices")
    done = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device can be made here: {done.stderr.strip()}")
    yield Path(done.stdout.strip())
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


def refusal_of(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        open_physical(path)
    return str(refused.value)


def test_byte_of_the_disk_is_byte_of_the_file(path: Path) -> None:
    with open_physical(path) as disk:
        assert (disk.sector_count, disk.read_only) == (64, False)
        assert disk.write(5, sectors(b"whole"), fua=True) is Outcome.DONE
        assert disk.trim(5, 0) is Outcome.DONE
    assert path.read_bytes()[5 * 512 : 6 * 512] == sectors(b"whole")


def test_trimmed_sectors_read_as_zeros(path: Path) -> None:
    path.write_bytes(sectors(b"full", 64))
    with open_physical(path) as disk:
        assert disk.trim(8, 8) is Outcome.DONE
    assert path.read_bytes() == sectors(b"full", 8) + bytes(4096) + sectors(b"full", 48)


def test_disk_has_one_user(path: Path) -> None:
    with open_physical(path):
        assert refusal_of(path) == (
            f"A disk has one writer or any number of readers, and {path} is in use by another process or "
            "disk: detach it there first."
        )
        with pytest.raises(ConfigurationError):
            open_disk(path)
    open_physical(path).close()


def test_image_is_no_disk(tmp_path: Path) -> None:
    image = dynamic(tmp_path / "a.vhd")
    assert refusal_of(image) == (
        f"What is passed through is a disk and not the image of one, and {image} is a VHD: attach it with "
        "FILE:scsi."
    )
    open_disk(image, writable=True).close()


@pytest.mark.parametrize("size", [0, 1000])
def test_file_that_is_no_number_of_sectors_is_refused(tmp_path: Path, size: int) -> None:
    odd = tmp_path / "odd.img"
    odd.write_bytes(bytes(size))
    assert refusal_of(odd) == (
        f"A physical disk is a number of sectors of 512 bytes, and {odd} has {size:,} bytes: make it longer "
        "or shorter."
    )


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot (No such file or directory)" in refusal_of(tmp_path / "none.img")


@pytest.mark.parametrize("user", ["{}", "{}1", "{}p2"])
def test_disk_that_the_host_uses_is_refused(monkeypatch: pytest.MonkeyPatch, path: Path, user: str) -> None:
    monkeypatch.setattr(physical, "users", lambda: [(user.format(path), "mounted at /data")])
    assert refusal_of(path) == (
        f"A physical disk is offline to the host while a guest has it, and {path} is in use (mounted at "
        "/data): unmount it first, or use an image."
    )


def test_neighbour_of_what_the_host_uses_is_free(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(physical, "users", lambda: [(f"{path}.old", "mounted at /data")])
    with open_physical(path) as disk:
        assert disk.sector_count == 64


def test_host_tells_what_it_uses(tmp_path: Path) -> None:
    mounts, devices = tmp_path / "mounts", tmp_path / "block"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n")
    (devices / "loop3" / "loop").mkdir(parents=True)
    (devices / "loop3" / "loop" / "backing_file").write_text("/data/disk.img\n")
    assert list(users(mounts, devices)) == [
        (os.path.realpath("/dev/sda1"), "mounted at /"),
        ("/data/disk.img", "as /dev/loop3"),
    ]
    assert list(users(tmp_path / "none", tmp_path / "none")) == []


def test_device_is_a_disk_and_its_file_is_in_use(device: Path, path: Path) -> None:
    with open_physical(device) as disk:
        assert (disk.sector_count, disk.physical_sector_bytes % 512) == (64, 0)
        assert disk.write(63, sectors(b"end"), fua=True) is Outcome.DONE
        assert "Device or resource busy" in refusal_of(device)
    assert f"in use (as {device})" in refusal_of(path)
    assert path.read_bytes()[63 * 512 :] == sectors(b"end")
