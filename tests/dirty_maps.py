"""Dirty maps for tests, made by hand."""

from minihv.cli.dirty.dirty_map import DirtyMap, Interval
from minihv.paging.dirty import PageBitmap
from minihv.terms import PAGE_BYTES

PAGES = 1024


def pages(*gpns: int) -> PageBitmap:
    """These of ``PAGES`` pages."""
    bitmap = PageBitmap(0, PAGES)
    for gpn in gpns:
        bitmap.add(gpn)
    return bitmap


def map_of(*intervals: tuple[set[int], set[int]], every: int = 100) -> DirtyMap:
    """A map whose intervals have written and touched these pages."""
    made = DirtyMap("guest.elf", PAGES * PAGE_BYTES, every, "halted", "it was told to")
    for number, (written, touched) in enumerate(intervals, start=1):
        made.intervals.append(Interval(every * number, pages(*written), pages(*touched)))
    return made
