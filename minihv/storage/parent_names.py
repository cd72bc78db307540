"""Where the parent of a differencing image is: the names in the child, and the files that they may mean.

Stands for: parent locators, which name a file for the system that wrote them.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Parent Locator Entries", "Parent Unicode
    Name".
Next: ``minihv.storage.opening``
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from minihv.spec.vhd import ABSOLUTE, LOCATORS, RELATIVE, SECTOR_BYTES, Header, Locator
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.vhd_format import locators_of

NAME_BYTES = Header.parent_name.byte_count


@dataclass(frozen=True, slots=True)
class ParentName:
    """A name of the parent for one platform, with its place in the file."""

    locator: Locator
    data: bytes


def names_for(child: Path, parent: Path, place: int) -> list[ParentName]:
    """The names that a new child has for its parent: from its folder on, and from the root. They begin at
    ``place``.
    """
    relative = os.path.relpath(parent.resolve(), child.resolve().parent)
    texts = {RELATIVE: ".\\" + relative.replace("/", "\\"), ABSOLUTE: str(parent.resolve())}
    names = []
    for platform, text in texts.items():
        data = text.encode("utf-16-le")
        space = -(-len(data) // SECTOR_BYTES)
        locator = Locator.build(platform=platform, space=space, length=len(data), offset=place)
        names.append(ParentName(locator, data.ljust(space * SECTOR_BYTES, b"\0")))
        place += space * SECTOR_BYTES
    return names


def put_names(header: Header, names: list[ParentName], parent: Path) -> None:
    """Writes the names' locators, and the file's own name, into a header."""
    packed = b"".join(bytes(name.locator) for name in names)
    header.locators = packed.ljust(LOCATORS * Locator.byte_count, b"\0")
    header.parent_name = parent.name.encode("utf-16-be")[:NAME_BYTES].ljust(NAME_BYTES, b"\0")


def candidates(file: HostFile, header: Header) -> Iterator[Path]:
    """The files that may be the parent, in the order of preference: the nearer first."""
    folder = file.path.resolve().parent
    texts: dict[bytes, str] = {}
    for locator in locators_of(header):
        data = bytearray(locator.length)
        if file.read(locator.offset, data) is Outcome.DONE:
            texts.setdefault(locator.platform, bytes(data).decode("utf-16-le", "replace"))
    if RELATIVE in texts:
        yield folder / as_posix(texts[RELATIVE])
    name = header.parent_name.decode("utf-16-be", "replace").split("\0")[0]
    if ABSOLUTE in texts:
        yield folder / as_posix(texts[ABSOLUTE])
    if name:
        yield folder / PureWindowsPath(name).name


def as_posix(text: str) -> str:
    """A path of either system for this one."""
    text = text.split("\0")[0]
    return text if os.sep == "\\" else text.replace("\\", "/")
