"""The table of memory regions that a bus master walks, and how far it has come.

Stands for: the part of a bus-master IDE controller that reads Physical Region Descriptors.
Spec: Intel, "Programming Interface for Bus Master IDE Controller", "Physical Region Descriptor".
Simplified: none known.
Next: ``minihv.devices.emulated.bus_master``

The walk is over before the first byte is moved: where any entry or any page that is needed is not RAM, or
crosses 64 KiB, nothing is touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from minihv.devices.emulated.port_bus import Ram
from minihv.spec.bus_master import ENTRY_BYTES, REGION_BYTES, RegionEntry
from minihv.terms import PAGE_BYTES, PAGE_SHIFT


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next entry lies, and what is left of the region before it: ``left`` bytes from ``gpa`` on."""

    entry: int
    gpa: int = 0
    left: int = 0
    is_last: bool = False

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left of the last region."""
        return self.is_last and not self.left


@dataclass(frozen=True, slots=True)
class Walk:
    """Pieces of memory in their order, each with its GPA and its bytes, and the place behind them."""

    pieces: tuple[tuple[int, int], ...]
    behind: Cursor


def walk(ram: Ram, cursor: Cursor, byte_count: int) -> Walk | None:
    """The memory for ``byte_count`` bytes, or for as many as the table has. None: it cannot be reached."""
    pieces = []
    while byte_count and not cursor.is_spent:
        if not cursor.left:
            found = next_region(ram, cursor.entry)
            if found is None:
                return None
            cursor = found
        size = min(cursor.left, byte_count)
        pieces.append((cursor.gpa, size))
        byte_count -= size
        cursor = replace(cursor, gpa=cursor.gpa + size, left=cursor.left - size)
    return Walk(tuple(pieces), cursor)


def next_region(ram: Ram, place: int) -> Cursor | None:
    """The region of the entry at ``place``. None: entry or region is not RAM, or crosses 64 KiB."""
    if not is_whole(ram, place, ENTRY_BYTES):
        return None
    entry = RegionEntry(int.from_bytes(ram.read(place, ENTRY_BYTES), "little"))
    gpa, size = entry.half_base * 2, entry.half_count * 2 or REGION_BYTES
    if not is_whole(ram, gpa, size):
        return None
    behind = place + ENTRY_BYTES
    if behind % REGION_BYTES == 0:
        behind -= 1  # an entry from there on crosses the boundary: there is no next one
    return Cursor(behind, gpa, size, entry.end_of_table)


def is_whole(ram: Ram, gpa: int, byte_count: int) -> bool:
    """Whether the bytes lie in 64 KiB, and all of their pages are RAM."""
    in_one = gpa // REGION_BYTES == (gpa + byte_count - 1) // REGION_BYTES
    return in_one and all(map(ram.is_ram, pages(gpa, byte_count)))


def pages(gpa: int, byte_count: int) -> Iterator[int]:
    """The numbers of the pages that so many bytes touch."""
    yield from range(gpa >> PAGE_SHIFT, (gpa + byte_count + PAGE_BYTES - 1) >> PAGE_SHIFT)
