"""GPADLs: the guest names pages that the host may use, over several messages, and takes them back.

Stands for: the table of guest physical address descriptor lists in the parent's VMBus service.
Spec: ``minihv.spec.vmbus``, ``GpadlHeader``, ``GpadlBody`` and ``GpadlRange``.
Simplified: none known. A page may be named twice, in one GPADL or in several: a guest writes to its pages
    when it likes anyway, so it can only confuse itself.
Next: ``minihv.vmbus.ends``
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack

from minihv.spec.vmbus import GpadlHeader, GpadlRange
from minihv.terms import PAGE_BYTES
from minihv.vmbus.limits import (
    MAX_GPADLS,
    MAX_GPADLS_PER_CHANNEL,
    MAX_GRANTED_PAGES,
    MAX_HALF_RECEIVED_BYTES,
    MAX_RANGES,
)
from minihv.vmbus.rules import Refused, Rule, refused

QWORD = 8
LEAST_RANGE_BYTES = GpadlRange.byte_count + QWORD
"""A range that names one page."""


@dataclass(frozen=True, slots=True)
class PageRange:
    """Bytes that lie in pages ``gpns``, one after the other, from ``byte_offset`` in the first one on."""

    byte_count: int
    byte_offset: int
    gpns: tuple[int, ...]

    @property
    def is_whole_pages(self) -> bool:
        """Whether it is made of nothing but whole pages."""
        return self.byte_offset == 0 and self.byte_count % PAGE_BYTES == 0


@dataclass(frozen=True, slots=True)
class Gpadl:
    """Pages that the guest has granted to a channel."""

    id: int
    relid: int
    ranges: tuple[PageRange, ...]

    @property
    def page_count(self) -> int:
        """Pages in all ranges, repetitions counted."""
        return sum(len(part.gpns) for part in self.ranges)


@dataclass(slots=True)
class HalfReceived:
    """A GPADL of which the header has come, and perhaps some bodies."""

    id: int
    relid: int
    range_count: int
    byte_count: int
    """What the header has announced."""
    received: bytearray

    def missing(self) -> int:
        """Bytes that bodies have yet to bring."""
        return self.byte_count - len(self.received)


class GpadlTable:
    """The GPADLs of one partition. ``is_ram`` says of a GPN of any size whether there is RAM."""

    def __init__(self, is_ram: Callable[[int], bool]) -> None:
        self._is_ram = is_ram
        self._whole: dict[int, Gpadl] = {}
        self._half: dict[int, HalfReceived] = {}
        self._of_channel: Counter[int] = Counter()
        self.granted_pages = 0
        """Pages in all GPADLs, repetitions counted."""
        self.half_received_bytes = 0
        """What the headers of half-received GPADLs have announced."""

    def __len__(self) -> int:
        return len(self._whole) + len(self._half)

    def of_channel(self, relid: int) -> list[int]:
        """The ids of a channel's GPADLs, half-received ones included."""
        known: list[Gpadl | HalfReceived] = [*self._whole.values(), *self._half.values()]
        return [gpadl.id for gpadl in known if gpadl.relid == relid]

    def begin(self, header: GpadlHeader, data: bytes) -> Gpadl | HalfReceived | Refused:
        """Takes a header; the channel it names exists."""
        problem = self._problem_of_header(header) or self._problem_of_quota(header)
        if problem:
            return problem
        half = HalfReceived(
            header.gpadl, header.relid, header.range_count, header.range_bytes, received=bytearray()
        )
        self._half[half.id] = half
        self._of_channel[half.relid] += 1
        self.half_received_bytes += half.byte_count
        return self._extend(half, data)

    def extend(self, gpadl_id: int, data: bytes) -> Gpadl | HalfReceived | Refused:
        """Takes a body. After a refusal nothing of the GPADL is left."""
        half = self._half.get(gpadl_id)
        if half is None:
            return refused(Rule.NOT_HALF_RECEIVED, gpadl=gpadl_id)
        return self._extend(half, data)

    def relid_of_half(self, gpadl_id: int) -> int | None:
        """The channel of a half-received GPADL."""
        half = self._half.get(gpadl_id)
        return None if half is None else half.relid

    def find(self, gpadl_id: int, relid: int) -> Gpadl | Refused:
        """The GPADL of that id, if it is whole and the channel's."""
        half = self._half.get(gpadl_id)
        if half is not None and half.relid == relid:
            return refused(Rule.GPADL_UNFINISHED, gpadl=gpadl_id)
        gpadl = self._whole.get(gpadl_id)
        if gpadl is None or gpadl.relid != relid:
            return refused(Rule.NO_GPADL, gpadl=gpadl_id)
        return gpadl

    def remove(self, gpadl_id: int) -> None:
        """The guest has its pages back."""
        gpadl = self._whole.pop(gpadl_id)
        self._of_channel[gpadl.relid] -= 1
        self.granted_pages -= gpadl.page_count

    def drop_channel(self, relid: int) -> None:
        """The channel is no more, and none of its GPADLs."""
        for gpadl in [each for each in self._whole.values() if each.relid == relid]:
            self.remove(gpadl.id)
        for half in [each for each in self._half.values() if each.relid == relid]:
            self._take_half(half)
        del self._of_channel[relid]

    def clear(self) -> None:
        """The connection is no more, and no GPADL."""
        self._whole.clear()
        self._half.clear()
        self._of_channel.clear()
        self.granted_pages = self.half_received_bytes = 0

    def _problem_of_header(self, header: GpadlHeader) -> Refused | None:
        length, count = header.range_bytes, header.range_count
        if header.gpadl in self._whole or header.gpadl in self._half:
            return refused(Rule.GPADL_TAKEN, gpadl=header.gpadl)
        if count > MAX_RANGES:
            return refused(Rule.TOO_MANY_RANGES, limit=MAX_RANGES, found=count)
        if not count or length % QWORD or length < count * LEAST_RANGE_BYTES:
            return refused(Rule.GPADL_LENGTH, found=length, ranges=count)
        return None

    def _problem_of_quota(self, header: GpadlHeader) -> Refused | None:
        if len(self) >= MAX_GPADLS:
            return refused(Rule.TOO_MANY_GPADLS, limit=MAX_GPADLS, whom="a partition")
        if self._of_channel[header.relid] >= MAX_GPADLS_PER_CHANNEL:
            return refused(Rule.TOO_MANY_GPADLS, limit=MAX_GPADLS_PER_CHANNEL, whom="a channel")
        announced = self.half_received_bytes + header.range_bytes
        if announced > MAX_HALF_RECEIVED_BYTES:
            return refused(Rule.TOO_MUCH_HALF_RECEIVED, limit=MAX_HALF_RECEIVED_BYTES, found=announced)
        return None

    def _extend(self, half: HalfReceived, data: bytes) -> Gpadl | HalfReceived | Refused:
        left = half.missing()
        if not data or len(data) % QWORD or len(data) > left:
            self._take_half(half)
            return refused(Rule.BODY_LENGTH, left=left, found=len(data))
        half.received += data
        if half.missing():
            return half
        self._take_half(half)
        return self._grant(half)

    def _take_half(self, half: HalfReceived) -> None:
        del self._half[half.id]
        self._of_channel[half.relid] -= 1
        self.half_received_bytes -= half.byte_count

    def _grant(self, half: HalfReceived) -> Gpadl | Refused:
        ranges = parse_ranges(bytes(half.received), half.range_count)
        if isinstance(ranges, Refused):
            return ranges
        gpadl = Gpadl(half.id, half.relid, ranges)
        total = self.granted_pages + gpadl.page_count
        if total > MAX_GRANTED_PAGES:
            return refused(Rule.TOO_MANY_PAGES, limit=MAX_GRANTED_PAGES, found=total)
        for part in ranges:
            for gpn in part.gpns:
                if not self._is_ram(gpn):
                    return refused(Rule.NOT_RAM, gpn=gpn)
        self._whole[gpadl.id] = gpadl
        self._of_channel[gpadl.relid] += 1
        self.granted_pages = total
        return gpadl


def parse_ranges(data: bytes, count: int) -> tuple[PageRange, ...] | Refused:
    """Exactly ``count`` ranges out of ``data``, to its last byte."""
    found: list[PageRange] = []
    at = 0
    for index in range(count):
        part = parse_range(data, at, index)
        if isinstance(part, Refused):
            return part
        found.append(part)
        at += GpadlRange.byte_count + QWORD * len(part.gpns)
    if at != len(data):
        return refused(Rule.RANGES_END, index=count - 1, found=at, length=len(data))
    return tuple(found)


def parse_range(data: bytes, at: int, index: int) -> PageRange | Refused:
    """The range at byte ``at`` of ``data``."""
    first = at + GpadlRange.byte_count
    if first > len(data):
        return refused(Rule.RANGES_END, index=index, found=first, length=len(data))
    head = GpadlRange(data, at)
    if head.range_bytes == 0:
        return refused(Rule.NO_BYTES, index=index)
    if head.byte_offset >= PAGE_BYTES:
        return refused(Rule.OFFSET, found=head.byte_offset)
    page_count = -(-(head.byte_offset + head.range_bytes) // PAGE_BYTES)
    end = first + QWORD * page_count
    if end > len(data):
        return refused(Rule.RANGES_END, index=index, found=end, length=len(data))
    return PageRange(head.range_bytes, head.byte_offset, unpack(f"<{page_count}Q", data[first:end]))
