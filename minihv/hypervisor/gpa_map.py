"""The map of a GPA space: for each guest page the frame behind it, and what the guest may do with it.

Stands for: ring -1's own record of a partition's memory; second-level tables are made from it.
Spec: TLFS, "Guest Physical Address Spaces" and "HvCallMapGpaPages".
Simplified: the record lies in the host's memory and is not paid for by anybody.
Next: ``minihv.hypervisor.gpa_space``
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from minihv.spec.hypercalls import MapFlags

PART_SHIFT = 18
PART_PAGES = 1 << PART_SHIFT
"""The record is kept in parts of 1 GiB: a page at the end of the space does not cost all before it."""
NOWHERE = 0
"""A guest page without a frame: what is stored is the number of the frame plus one."""

READ, WRITE, EXECUTE = int(MapFlags.READ), int(MapFlags.WRITE), int(MapFlags.EXECUTE)
READ_WRITE_EXECUTE = READ | WRITE | EXECUTE
VALID_RIGHTS = frozenset((0, READ, READ | WRITE, READ | EXECUTE, READ_WRITE_EXECUTE))
"""None, R, RW, RX, RWX: what second-level tables can say.  Spec: TLFS, "HvCallMapGpaPages"."""

Frames = NDArray[np.uint32]
Rights = NDArray[np.uint8]


class GpaMap:
    """Guest pages to frames and rights. ``end`` is behind the highest page that ever was there."""

    def __init__(self) -> None:
        self.end = 0
        self._parts: dict[int, tuple[Frames, Rights]] = {}

    def frame(self, gpn: int) -> int | None:
        """The frame behind page ``gpn``, if there is one."""
        part = self._parts.get(gpn >> PART_SHIFT)
        found = NOWHERE if part is None else int(part[0][gpn & PART_PAGES - 1])
        return None if found == NOWHERE else found - 1

    def rights(self, gpn: int) -> int:
        """What the guest may do with page ``gpn``: ``MapFlags``; nothing where there is none."""
        part = self._parts.get(gpn >> PART_SHIFT)
        return 0 if part is None else int(part[1][gpn & PART_PAGES - 1])

    def read(self, gpn: int, count: int) -> tuple[Frames, Rights]:
        """For each of ``count`` pages the number of its frame plus one (0: none), and its rights. Copies."""
        frames, rights = np.zeros(count, np.uint32), np.zeros(count, np.uint8)
        for at, piece, inside in pieces(gpn, count):
            part = self._parts.get(at)
            if part is not None:
                frames[piece], rights[piece] = part[0][inside], part[1][inside]
        return frames, rights

    def look_up(self, gpns: NDArray[np.uint64]) -> Frames:
        """For each page of a list the number of its frame plus one, or 0."""
        found = np.zeros(len(gpns), np.uint32)
        at = gpns >> np.uint64(PART_SHIFT)
        for part in np.unique(at).tolist():
            if part in self._parts:
                here = at == part
                found[here] = self._parts[part][0][gpns[here] & np.uint64(PART_PAGES - 1)]
        return found

    def put(self, gpn: int, spns: Frames, rights: int) -> None:
        """Pages from ``gpn`` on lie in the frames ``spns``, all with ``rights``."""
        for at, piece, inside in pieces(gpn, len(spns)):
            part = self._parts.setdefault(at, (np.empty(0, np.uint32), np.empty(0, np.uint8)))
            if not len(part[0]):
                part = self._parts[at] = np.zeros(PART_PAGES, np.uint32), np.zeros(PART_PAGES, np.uint8)
            part[0][inside], part[1][inside] = spns[piece] + np.uint32(1), rights
        self.end = max(self.end, gpn + len(spns))

    def clear(self, gpn: int, count: int) -> None:
        """Pages from ``gpn`` on lie nowhere."""
        for at, _, inside in pieces(gpn, count):
            part = self._parts.get(at)
            if part is not None:
                part[0][inside], part[1][inside] = NOWHERE, 0

    def all_frames(self) -> Frames:
        """The frame of every page that has one, in the order of the pages."""
        found = [frames[frames != NOWHERE] - np.uint32(1) for _, (frames, _) in sorted(self._parts.items())]
        return np.concatenate(found) if found else np.zeros(0, np.uint32)


def pieces(gpn: int, count: int) -> Iterator[tuple[int, slice, slice]]:
    """Cuts pages from ``gpn`` on where parts begin: the part, the slice of the pages, that of the part."""
    done = 0
    while done < count:
        inside = gpn + done & PART_PAGES - 1
        size = min(PART_PAGES - inside, count - done)
        yield gpn + done >> PART_SHIFT, slice(done, done + size), slice(inside, inside + size)
        done += size


def runs(numbers: Frames | NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Where numbers that follow each other begin, and how many there are: 5 6 7 2 3 gives (0, 3), (3, 2)."""
    if not len(numbers):
        return
    edges = [0, *(np.flatnonzero(np.diff(numbers.astype(np.int64)) != 1) + 1).tolist(), len(numbers)]
    yield from ((begin, end - begin) for begin, end in pairwise(edges))
