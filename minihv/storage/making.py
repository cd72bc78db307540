"""New images: fixed, dynamic and differencing.

Stands for: New-VHD.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification".
Next: ``minihv.storage.copying``
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from minihv.errors import ConfigurationError
from minihv.spec.vhd import (
    BLOCK_BYTES,
    FOOTER_BYTES,
    HEADER_BYTES,
    HEADER_COOKIE,
    HEADER_VERSION,
    NO_OFFSET,
    SECTOR_BYTES,
    DiskType,
    Footer,
    Header,
)
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.opening import open_disk
from minihv.storage.parent_names import names_for, put_names
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_format import (
    ImageError,
    check_size,
    footers_of,
    new_footer,
    signed_header,
    vhd_time,
)
from minihv.storage.vhd_growing import GrowingVhd

Told = Callable[[int, int], None]
"""Hears of long work: so many bytes are done, of so many."""


class StorageFull(ConfigurationError):
    """A file cannot be written to its end."""


def must(outcome: Outcome, path: Path) -> None:
    """What is not a guest's request has no status to fail with.

    Raises:
        StorageFull: ``outcome`` is a failure.
    """
    if outcome is not Outcome.DONE:
        raise StorageFull(f"{path} cannot be written: {outcome.value}; make room or choose another place.")


@contextmanager
def new_file(path: Path) -> Iterator[HostFile]:
    """A new file, which is there whole or not at all: it gets its name at the end.

    Raises:
        ConfigurationError: something has that name already, or it cannot be made.
    """
    if path.exists():
        raise ConfigurationError(
            f"A new image needs a name of its own, and {path} is there already: choose another one, or "
            "remove it."
        )
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        file = HostFile(aside, writable=True, create=True)
    except ConfigurationError as reason:
        raise ConfigurationError(str(reason).replace(str(aside), str(path))) from reason
    try:
        yield file
        must(file.flush(), path)
        name_for_good(aside, path)
        flush_folder(path.parent)
    finally:
        file.close()
        aside.unlink(missing_ok=True)


def name_for_good(aside: Path, path: Path) -> None:
    """``aside`` is called ``path``: never over another file, where the file system can promise that."""
    try:
        os.link(aside, path)
    except OSError:
        aside.rename(path)


def flush_folder(folder: Path) -> None:
    """The names in ``folder`` are on the disk that it lies on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_fixed(path: Path, byte_count: int) -> None:
    """A fixed image of ``byte_count`` bytes, all zeros. Its space is taken when it is written."""
    check_size(byte_count, path, fixed=True)
    with new_file(path) as file:
        write_fixed(file, byte_count)


def write_fixed(file: HostFile, byte_count: int) -> FixedVhd:
    """An empty fixed image in ``file``."""
    footer = new_footer(byte_count, DiskType.FIXED)
    must(file.resize(byte_count), file.path)
    must(file.write(byte_count, bytes(footer)), file.path)
    return FixedVhd(file, footer)


def make_dynamic(path: Path, byte_count: int, *, block_bytes: int = BLOCK_BYTES) -> None:
    """A dynamic image of ``byte_count`` bytes, with no block yet."""
    check_size(byte_count, path)
    with new_file(path) as file:
        write_growing(file, byte_count, block_bytes=block_bytes)


def write_growing(file: HostFile, byte_count: int, *, block_bytes: int = BLOCK_BYTES) -> GrowingVhd:
    """An empty dynamic image in ``file``."""
    footer, header = new_footer(byte_count, DiskType.DYNAMIC), new_header(byte_count, block_bytes)
    header.table_offset = FOOTER_BYTES + HEADER_BYTES
    write_tables(file, footer, signed_header(header))
    return GrowingVhd(file, footer, header)


def make_differencing(path: Path, parent: Path) -> None:
    """An image over ``parent``, of which it holds what differs: nothing yet.

    Raises:
        ConfigurationError: the parent is no VHD, or cannot be read.
    """
    with open_disk(parent, kind="vhd") as below, new_file(path) as file:
        reader = HostFile(parent, writable=False)
        of_parent = footers_of(reader).best
        reader.close()
        if of_parent is None:
            raise ImageError(f"The parent of a VHD is a VHD, and {parent} is none: convert it first.")
        footer = new_footer(below.byte_count, DiskType.DIFFERENCING)
        block_bytes = below.header.block_bytes if isinstance(below, GrowingVhd) else BLOCK_BYTES
        header = new_header(below.byte_count, block_bytes)
        header.parent_unique_id = of_parent.unique_id
        header.parent_timestamp = vhd_time(parent.stat().st_mtime)
        names = names_for(path, parent, FOOTER_BYTES + HEADER_BYTES)
        put_names(header, names, parent)
        for name in names:
            must(file.write(name.locator.offset, name.data), path)
        header.table_offset = names[-1].locator.offset + len(names[-1].data)
        write_tables(file, footer, signed_header(header))


def new_header(byte_count: int, block_bytes: int) -> Header:
    """The header of a new image, but for the place of its table."""
    return Header.build(
        cookie=HEADER_COOKIE,
        data_offset=NO_OFFSET,
        header_version=HEADER_VERSION,
        most_entries=-(-byte_count // block_bytes),
        block_bytes=block_bytes,
    )


def write_tables(file: HostFile, footer: Footer, header: Header) -> None:
    """Both footers, the header, and a table that leads nowhere."""
    table_bytes = -(-4 * header.most_entries // SECTOR_BYTES) * SECTOR_BYTES
    must(file.write(header.table_offset, b"\xff" * table_bytes), file.path)
    must(file.write(FOOTER_BYTES, bytes(header)), file.path)
    must(file.write(0, bytes(footer)), file.path)
    must(file.write(header.table_offset + table_bytes, bytes(footer)), file.path)
