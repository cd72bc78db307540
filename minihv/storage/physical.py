"""A physical disk: a whole device of the host, or a whole file in its place, for one guest alone.

Stands for: a disk that the host has taken offline and hands to a virtual machine ("pass-through").
Spec: Linux, "include/uapi/linux/fs.h" (BLKSSZGET, BLKPBSZGET); open(2), O_EXCL of a block device.
Simplified: requests go through the host's file system or its block layer, and not past them.
Next: ``minihv.storage.opening``
"""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from minihv.errors import ConfigurationError
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.host_file import HostFile
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_format import footers_of

try:
    import fcntl
except ImportError:  # a system without such devices
    fcntl = None  # type: ignore[assignment]

LOGICAL_SECTOR, PHYSICAL_SECTOR = 0x1268, 0x127B
"""BLKSSZGET and BLKPBSZGET: what a device is asked for the sizes of its sectors."""
MOUNTS, DEVICES = Path("/proc/self/mounts"), Path("/sys/block")


def open_physical(path: Path | str) -> RawDisk:
    """The disk that ``path`` is, to be written by its guest and used by nobody else meanwhile.

    Raises:
        ConfigurationError: it cannot be opened, the host or another guest uses it, or it is no such disk.
    """
    path = Path(path)
    refuse_used(path)
    is_device = path.exists() and stat.S_ISBLK(path.stat().st_mode)
    file = HostFile(path, writable=True, exclusive=is_device)
    try:
        disk = RawDisk(file)
        if is_device:
            disk.physical_sector_bytes = sector_bytes_of(file)
        refuse_odd(disk, file)
    except BaseException:
        file.close()
        raise
    return disk


def refuse_used(path: Path) -> None:
    """Refuses what the host has not taken offline."""
    real = os.path.realpath(path)
    for user, how in users():
        if user == real or (user.startswith(real) and user[len(real) :].lstrip("p").isdigit()):
            raise ConfigurationError(
                f"A physical disk is offline to the host while a guest has it, and {path} is in use ({how}): "
                "unmount it first, or use an image."
            )


def users(mounts: Path = MOUNTS, devices: Path = DEVICES) -> Iterator[tuple[str, str]]:
    """Files and devices that the host uses, and how: what is mounted, and what is behind a loop device."""
    if mounts.exists():
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            source, place, *_ = line.split()
            if source.startswith("/"):
                yield os.path.realpath(source), f"mounted at {place}"
    for behind in devices.glob("loop*/loop/backing_file"):
        yield behind.read_text(encoding="utf-8", errors="replace").strip(), f"as /dev/{behind.parts[-3]}"


def refuse_odd(disk: RawDisk, file: HostFile) -> None:
    """Refuses an image, which holds a disk but is none, and what has no whole sectors."""
    if footers_of(file).best is not None:
        raise ConfigurationError(
            f"What is passed through is a disk and not the image of one, and {file.path} is a VHD: attach it "
            "with FILE:scsi."
        )
    if disk.sector_count == 0 or file.byte_count % SECTOR_BYTES:
        raise ConfigurationError(
            f"A physical disk is a number of sectors of {SECTOR_BYTES} bytes, and {file.path} has "
            f"{file.byte_count:,} bytes: make it longer or shorter."
        )


def sector_bytes_of(file: HostFile) -> int:
    """The size of a device's physical sectors.

    Raises:
        ConfigurationError: its logical sectors have another size than a guest is told.
    """
    if ask(file, LOGICAL_SECTOR) != SECTOR_BYTES:
        raise ConfigurationError(
            f"A guest is told of sectors of {SECTOR_BYTES} bytes, and those of {file.path} have "
            f"{ask(file, LOGICAL_SECTOR)}: use an image on it."
        )
    return ask(file, PHYSICAL_SECTOR)


def ask(file: HostFile, what: int) -> int:
    """A number that a device tells."""
    found: int = struct.unpack("i", fcntl.ioctl(file.descriptor, what, bytes(4)))[0]
    return found
