"""Which kind of disk a file is, and the chain of parents behind it.

Stands for: what attaches a virtual hard disk.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Differencing Hard Disk Image".
Next: ``minihv.storage.making``
"""

from pathlib import Path

from minihv.spec.vhd import DiskType, Footer
from minihv.storage.disk import Disk
from minihv.storage.host_file import HostFile
from minihv.storage.parent_names import candidates
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_format import ImageError, disk_type_of, footers_of, read_header, vhd_time
from minihv.storage.vhd_growing import GrowingVhd

LONGEST_CHAIN = 256
KINDS = ("raw", "vhd")


def open_disk(path: Path | str, *, writable: bool = False, kind: str | None = None) -> Disk:
    """The disk that is kept in ``path``; of ``kind`` "raw" or "vhd", or whatever the file says that it is.

    It is read-only, with a reason in ``why_read_only``, when its table is damaged or its parent was changed.

    Raises:
        ConfigurationError: it cannot be opened, is in use, or is no such disk.
    """
    path = Path(path)
    if kind is not None and kind not in KINDS:
        raise ImageError(f"A disk is kept as raw or vhd, not as {kind!r}: choose one of them.")
    file = HostFile(path, writable=writable)
    try:
        return open_file(file, kind, ())
    except BaseException:
        file.close()
        raise


def open_file(file: HostFile, kind: str | None, chain: tuple[bytes, ...]) -> Disk:
    """The disk in ``file``. ``chain`` has the ids of its children."""
    footers = footers_of(file)
    footer = footers.best
    if kind == "raw" or (kind is None and footer is None and file.path.suffix.lower() != ".vhd"):
        return RawDisk(file)
    if footer is None:
        raise ImageError(
            f"A VHD has a footer in its last 512 bytes, or a copy in its first, and {file.path} has neither: "
            "it is no VHD, or damaged; open it as raw to see its bytes."
        )
    if disk_type_of(footer, file.path) is DiskType.FIXED:
        return FixedVhd(file, footer)
    header = read_header(file, footer)
    if footer.disk_type != DiskType.DIFFERENCING:
        return GrowingVhd(file, footer, header)
    parent, why = open_parent(file, footer, (*chain, footer.unique_id))
    try:
        disk = GrowingVhd(file, footer, header, parent)
    except BaseException:
        parent.close()
        raise
    if why:
        disk.forbid_writing(why)
    return disk


def open_parent(file: HostFile, footer: Footer, chain: tuple[bytes, ...]) -> tuple[Disk, str]:
    """The parent of the image in ``file``, and why the image may not be written, if it may not.

    Raises:
        ImageError: it is not there, is another disk, or is one of its own children.
    """
    header, tried = read_header(file, footer), []
    for path in candidates(file, header):
        if path in tried:
            continue
        tried.append(path)
        if path.is_file():
            return open_as_parent(path, header.parent_unique_id, header.parent_timestamp, file.path, chain)
    places = ", ".join(map(str, tried)) or "no name is in it"
    raise ImageError(
        f"A differencing VHD needs its parent, and that of {file.path} is not there ({places}): bring it "
        "back, or put it beside its child."
    )


def open_as_parent(
    path: Path, unique_id: bytes, timestamp: int, child: Path, chain: tuple[bytes, ...]
) -> tuple[Disk, str]:
    """The disk at ``path``, if it is the one that ``child`` was made over."""
    file = HostFile(path, writable=False)
    try:
        footer = footers_of(file).best
        if footer is None or footer.unique_id != unique_id:
            found = "no VHD" if footer is None else f"disk {footer.unique_id.hex()}"
            raise ImageError(
                f"The parent of {child} is disk {unique_id.hex()}, and {path} is {found}: put the right file "
                "there."
            )
        if footer.unique_id in chain or len(chain) >= LONGEST_CHAIN:
            raise ImageError(
                f"A chain of differencing VHDs ends, after {LONGEST_CHAIN} at most, and {path} leads back to "
                f"{child} or goes on: one of them names the wrong parent."
            )
        disk = open_file(file, "vhd", chain)
    except BaseException:
        file.close()
        raise
    changed = vhd_time(path.stat().st_mtime)
    if changed == timestamp:
        return disk, ""
    return disk, f"its parent {path.name} was changed since the child was made"
