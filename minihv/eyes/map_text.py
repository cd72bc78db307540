"""A map of addresses in lines of text.

Next: ``minihv.eyes.map_svg``
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minihv.eyes.address_map import SPACES
from minihv.eyes.lines import Line, Role, aligned, counted, size_text
from minihv.paging.access import StageName

if TYPE_CHECKING:
    from minihv.eyes.address_map import AddressMap, MappedRange, StageMap

NAMES = {
    StageName.GUEST: "The guest's tables",
    StageName.SECOND: "The second-level tables",
    StageName.SHADOW: "Shadow tables",
}
NUMBERS = (3, 4, 6, 7)


def map_lines(picture: "AddressMap") -> list[Line]:
    """All stages, each with its totals."""
    lines = [Line(picture.title, Role.HEADING)] if picture.title else []
    for stage in picture.stages:
        lines += [Line(""), *stage_lines(stage)] if lines else stage_lines(stage)
    return lines


def stage_lines(stage: "StageMap") -> list[Line]:
    """The ranges of one stage, what they add up to, and what is not among them."""
    source, target = SPACES[stage.stage]
    root = {StageName.GUEST: "CR3", StageName.SECOND: "nested CR3", StageName.SHADOW: "root"}[stage.stage]
    lines = [
        Line(
            f"{NAMES[stage.stage]}, {source} to {target} ({root} {stage.root:#x}, {stage.levels} levels)",
            Role.HEADING,
        )
    ]
    named = any(one.what for one in stage.ranges)
    head = (f"{source} begin", "last byte", target, "bytes", "pages of", "rights", "A", "D", "what")
    cells = [head, *(range_cells(one) for one in stage.ranges)]
    if not named:
        cells = [row[:-1] for row in cells]
    if stage.ranges:
        texts = aligned(cells, right=NUMBERS)
        lines += [Line(texts[0], Role.ASIDE), *map(Line, texts[1:])]
    return [*lines, *(Line(text) for text in total_lines(stage)), *notes(stage)]


def range_cells(one: "MappedRange") -> tuple[str, ...]:
    """One range."""
    return (
        f"{one.begin:#x}",
        f"{one.end - 1:#x}",
        f"{one.target:#x}",
        size_text(one.byte_count),
        f"{one.page_count:,} x {size_text(one.page_bytes)}",
        rights_text(one),
        f"{one.accessed_count:,}",
        f"{one.dirty_count:,}",
        one.what,
    )


def rights_text(one: "MappedRange") -> str:
    """``rwxug``, with a dash for what is not so: write, execute, user, global."""
    letters = ((one.writable, "w"), (one.executable, "x"), (one.user, "u"), (one.is_global, "g"))
    return "r" + "".join(letter if so else "-" for so, letter in letters)


def total_lines(stage: "StageMap") -> Iterator[str]:
    """What is mapped in all."""
    pages: Counter[int] = Counter()
    for one in stage.ranges:
        pages[one.page_bytes] += one.page_count
    sizes = ", ".join(f"{count:,} of {size_text(size)}" for size, count in sorted(pages.items()))
    mapped = sum(one.byte_count for one in stage.ranges)
    yield (
        f"  {size_text(mapped)} in {counted(len(stage.ranges), 'range')}; pages: {sizes or 'none'}; "
        f"{counted(stage.tables_read, 'table')} read"
    )
    both = sum(one.byte_count for one in stage.ranges if one.writable and one.executable)
    rings = sum(one.byte_count for one in stage.ranges if one.user)
    yield f"  writable and executable: {size_text(both)}; of ring 3: {size_text(rings)}"


def notes(stage: "StageMap") -> Iterator[Line]:
    """What a reader must know about what is not listed."""
    if stage.hidden_count:
        at, table = stage.hidden[0]
        yield Line(
            f"  The second level refuses {counted(stage.hidden_count, 'table')} of the guest, the first at "
            f"GPA {table:#x}, for GVA {at:#x}: what would be mapped there cannot be reached.",
            Role.REFUSED,
        )
    if stage.reserved_count:
        yield Line(
            f"  Entries with reserved bits: {stage.reserved_count:,}; what comes to one of them faults.",
            Role.REFUSED,
        )
    if stage.left_out:
        yield Line(f"  {stage.left_out}", Role.REFUSED)
