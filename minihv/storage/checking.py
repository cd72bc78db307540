"""What is wrong with an image, and what can be done about it.

Stands for: the check that other tools do not have for this format.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minihv.errors import ConfigurationError
from minihv.spec.vhd import FOOTER_BYTES, DiskType, Footer
from minihv.storage.block_table import BlockTable
from minihv.storage.host_file import HostFile
from minihv.storage.making import must
from minihv.storage.opening import open_disk, open_file
from minihv.storage.vhd_format import Footers, ImageError, disk_type_of, footers_of, read_header
from minihv.storage.vhd_growing import GrowingVhd


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. ``is_damage``: data is lost or cannot be trusted."""

    what: str
    is_damage: bool
    repair: str = ""
    """What a repair does about it; nothing, if nothing can be done."""


def check(path: Path, kind: str | None = None) -> list[Finding]:
    """What is wrong with the image at ``path``; an empty list if nothing is.

    Raises:
        ConfigurationError: the file cannot be opened, or is in use.
    """
    file = HostFile(path, writable=False)
    try:
        return list(findings(file, kind))
    finally:
        file.close()


def findings(file: HostFile, kind: str | None) -> Iterator[Finding]:
    """One after the other, from the footers inwards."""
    footers = footers_of(file)
    footer = footers.best
    try:
        if footer is None or disk_type_of(footer, file.path) is DiskType.FIXED:
            open_file(file, kind, ())
            return
        header = read_header(file, footer)
    except ImageError as reason:
        yield Finding(str(reason), is_damage=True)
        return
    yield from footer_findings(footers)
    yield from table_findings(GrowingVhd(file, footer, header).table)
    if footer.disk_type == DiskType.DIFFERENCING:
        yield from parent_findings(file.path)


def footer_findings(footers: Footers) -> Iterator[Finding]:
    """The two copies, and whether they agree."""
    if footers.last is None:
        yield Finding("The last footer is missing: a writer was interrupted.", False, "writes it again")
    elif footers.first is None:
        yield Finding("The copy of the footer in front is damaged.", False, "writes it again")
    elif footers.first != footers.last:
        yield Finding("The two footers differ.", False, "copies the last one to the front")


def table_findings(table: BlockTable) -> Iterator[Finding]:
    """Entries that lead astray, and space that nobody uses."""
    astray = list(table.faults())
    for fault in astray:
        yield Finding(f"The table is damaged: {fault}.", True, "forgets that block, and what it held")
    if not astray:
        leaked = table.leaked_bytes()
        if leaked:
            yield Finding(
                f"{leaked} bytes of the file are used by no block.", False, "cuts off what is at the end"
            )


def parent_findings(path: Path) -> Iterator[Finding]:
    """Whether the parent is there, and is what it was."""
    try:
        with open_disk(path, kind="vhd") as disk:
            if disk.why_read_only:
                yield Finding(f"It may not be written, since {disk.why_read_only}.", is_damage=True)
    except ConfigurationError as reason:
        yield Finding(str(reason), is_damage=True)


def repair(path: Path) -> None:
    """Does what the findings of ``check`` say that a repair does.

    Raises:
        ConfigurationError: the file cannot be written, or is in use.
    """
    file = HostFile(path, writable=True)
    try:
        footers = footers_of(file)
        footer = footers.best
        if footer is None or disk_type_of(footer, path) is DiskType.FIXED:
            return
        table = GrowingVhd(file, footer, read_header(file, footer)).table
        for fault in list(table.faults()):
            table.release(fault.block)
        must(table.write(), path)
        write_footers(file, table, footer, path)
    finally:
        file.close()


def write_footers(file: HostFile, table: BlockTable, footer: Footer, path: Path) -> None:
    """Both copies, and the file ends behind the last block."""
    table.find_free()
    must(file.write(0, bytes(footer)), path)
    must(file.write(table.end, bytes(footer)), path)
    must(file.resize(table.end + FOOTER_BYTES), path)
    must(file.flush(), path)
