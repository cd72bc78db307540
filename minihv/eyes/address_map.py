"""All mappings of a set of tables as ranges, in one stage or in two, found with bounded work.

Stands for: ``info mem`` of a monitor.
Spec: AMD APM vol. 2, "Long-Mode Page Translation" and "Nested Paging".
Simplified: whether a range can be reached is asked as a read does; its rights are shown and not judged.
First reading: ``Scan.table``.
Next: ``minihv.eyes.map_text``
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minihv.eyes.lines import counted
from minihv.paging.access import AccessKind, Paging, PhysicalMemory, StageName, WritesAside
from minihv.paging.formats import ENTRIES_PER_TABLE, NESTED, X86_64, Format
from minihv.paging.nested import SecondMapping, second_walk
from minihv.spec.x86_paging import ACCESSED, DIRTY, FRAME, GLOBAL, NO_EXECUTE, PRESENT, USER, WRITABLE
from minihv.terms import PAGE_BYTES

ALL_RIGHTS = WRITABLE | USER | NO_EXECUTE
"""Joined over all levels; here bit 63 means: may be executed."""
SPACES = {
    StageName.GUEST: ("GVA", "GPA"),
    StageName.SECOND: ("GPA", "SPA"),
    StageName.SHADOW: ("GVA", "SPA"),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a map may cost. Tables that lead into themselves have more mappings than anybody can list.

    All of 8 GiB in pages of 4 KiB takes 4106 tables.
    """

    tables: int = 5120
    ranges: int = 16384


@dataclass(slots=True)
class MappedRange:
    """Pages that follow each other in both spaces, alike in size and rights."""

    begin: int
    target: int
    page_bytes: int
    rights: int
    """Of ``ALL_RIGHTS``, what every level grants."""
    is_global: bool
    what: str = ""
    """What lies there, if somebody said so."""
    page_count: int = 0
    accessed_count: int = 0
    """How many of the pages have A set; ``dirty_count`` likewise."""
    dirty_count: int = 0

    @property
    def byte_count(self) -> int:
        """Of all pages."""
        return self.page_count * self.page_bytes

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.begin + self.byte_count

    @property
    def writable(self) -> bool:
        """W is set at every level."""
        return bool(self.rights & WRITABLE)

    @property
    def user(self) -> bool:
        """U is set at every level: ring 3 may touch it."""
        return bool(self.rights & USER)

    @property
    def executable(self) -> bool:
        """NX is clear at every level."""
        return bool(self.rights & NO_EXECUTE)


@dataclass(frozen=True, slots=True)
class StageMap:
    """The mappings of one set of tables, by rising address."""

    stage: StageName
    root: int
    levels: int
    ranges: tuple[MappedRange, ...]
    tables_read: int
    complete_below: int | None = None
    """Where a limit ended the work; ``None`` when everything is here."""
    hidden: tuple[tuple[int, int], ...] = ()
    """Tables that the second stage refuses: the first address that they translate, and their GPA."""
    hidden_count: int = 0
    reserved_count: int = 0
    """Entries with reserved bits: an access that comes to one ends in a fault."""

    def find(self, address: int) -> MappedRange | None:
        """The range that ``address`` lies in."""
        at = bisect_right(self.ranges, address, key=lambda one: one.begin) - 1
        return self.ranges[at] if at >= 0 and address < self.ranges[at].end else None

    def target_of(self, address: int) -> int | None:
        """What ``address`` is mapped to."""
        found = self.find(address)
        return None if found is None else found.target + address - found.begin

    @property
    def left_out(self) -> str:
        """A sentence on what is not here, or nothing."""
        if self.complete_below is None:
            return ""
        space, ranges = SPACES[self.stage][0], counted(len(self.ranges), "range")
        return (
            f"The map ends below {space} {self.complete_below:#x}: {counted(self.tables_read, 'table')} and "
            f"{ranges} are as much as it takes, and what lies above was left out."
        )


@dataclass(frozen=True, slots=True)
class AddressMap:
    """What is mapped where, stage by stage."""

    stages: tuple[StageMap, ...]
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists; addresses in hexadecimal."""
        from minihv.eyes.map_json import map_json

        return map_json(self)

    def __str__(self) -> str:
        """The ranges in lines of text."""
        from minihv.eyes.map_text import map_lines

        return "\n".join(str(line) for line in map_lines(self))

    def _repr_svg_(self) -> str:
        """The drawing, for notebooks and for the book."""
        from minihv.eyes.map_svg import map_svg

        return map_svg(self)

    def _repr_html_(self) -> str:
        """The drawing, with the text behind it."""
        from minihv.eyes.svg import figure

        return figure(self._repr_svg_(), str(self))


def map_stage(  # noqa: PLR0913 - tables, where they lie, and how much to read
    memory: PhysicalMemory,
    paging: Paging,
    stage: StageName,
    *,
    second: Paging | None = None,
    names: Mapping[int, str] | None = None,
    limits: Limits | None = None,
) -> StageMap:
    """The mappings of the tables under ``paging``, which lie where ``second`` says if there is one.

    ``names`` says of some pages, by the address of the page, what lies there. ``memory`` stays as it is.
    """
    aside = WritesAside(memory)

    def reach(table: int) -> int | None:
        """As a walk finds a table of the guest: as if it wrote to it."""
        if second is None:
            return table
        found = second_walk(aside, second, table, AccessKind.WRITE)
        return found.spa if isinstance(found, SecondMapping) else None

    format = (NESTED if stage is StageName.SECOND else X86_64)[paging.levels]
    scan = Scan(memory, paging, format, reach, names or {}, limits or Limits())
    scan.table(0, paging.root & FRAME, 0, ALL_RIGHTS)
    return StageMap(
        stage,
        paging.root,
        paging.levels,
        tuple(scan.ranges),
        scan.tables_read,
        scan.stopped_at,
        tuple(scan.hidden),
        scan.hidden_count,
        scan.reserved_count,
    )


@dataclass(slots=True)
class Scan:
    """One pass over a set of tables, from the lowest address up."""

    memory: PhysicalMemory
    paging: Paging
    format: Format
    reach: Callable[[int], int | None]
    names: Mapping[int, str]
    limits: Limits
    ranges: list[MappedRange] = field(default_factory=list)
    tables_read: int = 0
    stopped_at: int | None = None
    hidden: list[tuple[int, int]] = field(default_factory=list)
    hidden_count: int = 0
    reserved_count: int = 0
    _next: tuple[int, int, tuple[int, int, bool, str]] = (-1, -1, (0, 0, False, ""))
    """The page that would continue the last range: its address, its target, and what makes it alike."""

    def table(self, depth: int, table: int, begin: int, rights: int) -> None:
        """Everything below the table at ``table``, which translates addresses from ``begin`` on."""
        place = self.reach(table)
        if place is None:
            self._hide(begin, table)
            return
        if self.tables_read == self.limits.tables:
            self.stopped_at = self._extended(begin)
            return
        self.tables_read += 1
        level = self.format.levels[depth]
        for index in range(ENTRIES_PER_TABLE):
            entry = self.memory.read_u64(place + 8 * index)
            if not entry & PRESENT:
                continue
            at = begin + index * level.page_bytes
            if entry & (self.paging.reserved | level.reserved(entry)):
                self.reserved_count += 1
                continue
            granted = rights & (entry ^ NO_EXECUTE)
            if level.is_page(entry):
                self._page(at, entry, level.page_bytes, granted)
            else:
                self.table(depth + 1, entry & FRAME, at, granted)
            if self.stopped_at is not None:
                return

    def _page(self, at: int, entry: int, page_bytes: int, rights: int) -> None:
        begin, target = self._extended(at), entry & FRAME & -page_bytes
        likeness = (page_bytes, rights, bool(entry & GLOBAL), self._name(begin))
        if (begin, target, likeness) != self._next:
            if len(self.ranges) == self.limits.ranges:
                self.stopped_at = begin
                return
            self.ranges.append(MappedRange(begin, target, *likeness))
        last = self.ranges[-1]
        last.page_count += 1
        last.accessed_count += bool(entry & ACCESSED)
        last.dirty_count += bool(entry & DIRTY)
        self._next = begin + page_bytes, target + page_bytes, likeness

    def _hide(self, at: int, table: int) -> None:
        self.hidden_count += 1
        if len(self.hidden) < 8:
            self.hidden.append((self._extended(at), table))

    def _name(self, begin: int) -> str:
        return self.names.get(begin & -PAGE_BYTES, "") if self.names else ""

    def _extended(self, at: int) -> int:
        """The whole address, of which the indexes say the translated bits."""
        bits = self.format.address_bits
        if self.format.sign_extended and at >> bits - 1 & 1:
            return at | (1 << 64) - (1 << bits)
        return at
