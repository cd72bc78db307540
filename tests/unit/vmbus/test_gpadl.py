from struct import pack

import pytest

from minihv.spec.vmbus import GpadlHeader
from minihv.terms import PAGE_BYTES
from minihv.vmbus import limits
from minihv.vmbus.gpadl import Gpadl, GpadlTable, HalfReceived, PageRange
from minihv.vmbus.rules import Refused

RAM_PAGES = 1 << 16


def table() -> GpadlTable:
    """No GPADLs, of a guest with so many pages."""
    return GpadlTable(lambda gpn: 0 <= gpn < RAM_PAGES)


def one_range(gpns: list[int], byte_offset: int = 0, byte_count: int | None = None) -> bytes:
    """A range as a guest sends it."""
    length = len(gpns) * PAGE_BYTES if byte_count is None else byte_count
    return pack(f"<II{len(gpns)}Q", length, byte_offset, *gpns)


def header(
    data: bytes, gpadl: int = 1, relid: int = 1, count: int = 1, length: int | None = None
) -> GpadlHeader:
    """The header of a GPADL of ``data``."""
    return GpadlHeader.build(
        relid=relid, gpadl=gpadl, range_bytes=len(data) if length is None else length, range_count=count
    )


def begin(data: bytes, into: GpadlTable | None = None, **parts: int) -> Gpadl | HalfReceived | Refused:
    """A header that brings all of ``data``."""
    return (table() if into is None else into).begin(header(data, **parts), data)


def text_of(found: Gpadl | HalfReceived | Refused) -> str:
    """The sentence of a refusal."""
    assert isinstance(found, Refused), found
    return found.text


def test_a_gpadl_that_fits_into_its_header_is_granted_at_once() -> None:
    found = begin(one_range([5, 6, 9]), gpadl=7, relid=3)
    assert found == Gpadl(7, 3, (PageRange(3 * PAGE_BYTES, 0, (5, 6, 9)),))
    assert isinstance(found, Gpadl) and found.page_count == 3 and found.ranges[0].is_whole_pages


def test_a_gpadl_of_27_pages_comes_in_two_messages() -> None:
    gpadls, data = table(), one_range(list(range(27)))
    first = gpadls.begin(header(data), data[: 8 + 26 * 8])
    assert isinstance(first, HalfReceived) and first.missing() == 8
    second = gpadls.extend(1, data[8 + 26 * 8 :])
    assert isinstance(second, Gpadl) and second.ranges[0].gpns == tuple(range(27))


def test_the_largest_gpadl_that_a_length_can_say_is_granted() -> None:
    gpadls, data = table(), one_range(list(range(8190)))
    found = gpadls.begin(header(data), data[:216])
    for at in range(216, len(data), 224):
        found = gpadls.extend(1, data[at : at + 224])
    assert isinstance(found, Gpadl) and found.page_count == 8190
    assert gpadls.half_received_bytes == 0 and gpadls.granted_pages == 8190


def test_ranges_need_not_be_whole_pages_and_may_be_several() -> None:
    found = begin(one_range([4, 5], 0xFFF, 2) + one_range([6], 0x10, 0x20), count=2)
    assert isinstance(found, Gpadl)
    assert found.ranges == (PageRange(2, 0xFFF, (4, 5)), PageRange(0x20, 0x10, (6,)))
    assert not any(part.is_whole_pages for part in found.ranges)


def test_a_page_may_be_named_twice() -> None:
    gpadls = table()
    assert isinstance(begin(one_range([5, 5]), gpadls, gpadl=1), Gpadl)
    assert isinstance(begin(one_range([5]), gpadls, gpadl=2), Gpadl)
    assert gpadls.granted_pages == 3


@pytest.mark.parametrize("is_half", [False, True])
def test_an_id_names_one_gpadl_of_the_partition(is_half: bool) -> None:
    gpadls, data = table(), one_range([5])
    gpadls.begin(header(data, relid=1), data[:8] if is_half else data)
    assert text_of(begin(data, gpadls, relid=2)) == "A new GPADL has a new id, and 0x1 is taken."


@pytest.mark.parametrize(
    ("length", "count"), [(16, 0), (0, 0), (0, 1), (8, 1), (17, 1), (24, 2), (0xFFFF, 1)]
)
def test_a_length_is_some_qwords_and_enough_for_the_ranges(length: int, count: int) -> None:
    found = begin(one_range([5]), length=length, count=count)
    assert text_of(found) == f"A GPADL has some qwords, not {length} bytes for {count} ranges."


def test_ranges_are_counted() -> None:
    assert text_of(begin(b"", count=65, length=65 * 16)) == "A GPADL has at most 64 ranges, not 65."
    assert isinstance(begin(one_range([1]), count=64, length=64 * 16), HalfReceived)


@pytest.mark.parametrize("byte_count", [0, 4, 12, 24])
def test_a_part_is_some_qwords_of_what_is_left(byte_count: int) -> None:
    gpadls, data = table(), one_range([5, 6])
    gpadls.begin(header(data), data[:8])
    assert text_of(gpadls.extend(1, bytes(byte_count))) == (
        f"A part of a GPADL is some qwords of the 16 bytes left, not {byte_count} bytes."
    )
    assert len(gpadls) == 0


def test_a_header_brings_no_more_than_it_announces() -> None:
    data = one_range([5])
    assert text_of(table().begin(header(data), data + bytes(8))) == (
        "A part of a GPADL is some qwords of the 16 bytes left, not 24 bytes."
    )


def test_a_body_belongs_to_a_half_received_gpadl() -> None:
    gpadls = table()
    expected = "A body belongs to a half-received GPADL, and 0x1 is none."
    assert text_of(gpadls.extend(1, bytes(8))) == expected
    begin(one_range([5]), gpadls)
    assert text_of(gpadls.extend(1, bytes(8))) == expected


def test_a_range_has_bytes() -> None:
    found = begin(one_range([5]) + one_range([6], 0, 0), count=2)
    assert text_of(found) == "A range has bytes, and range 1 has none."


def test_a_range_begins_in_its_first_page() -> None:
    found = begin(one_range([5, 6], 0x1000, 8))
    assert text_of(found) == "A range begins in its first page, not at byte 0x1000 of it."


@pytest.mark.parametrize(
    ("data", "count", "text"),
    [
        (one_range([5, 6], 0, 8), 1, "range 0 ends at 16 of 24 bytes"),
        (one_range([5], 0, 4097), 1, "range 0 ends at 24 of 16 bytes"),
        (one_range([5], 0, 0xFFFF_FFFF), 1, "range 0 ends at 8388616 of 16 bytes"),
        (one_range([5, 6], 0, 8192) + one_range([7])[:8], 2, "range 1 ends at 40 of 32 bytes"),
        (one_range([5, 6, 7]), 2, "range 1 ends at 40 of 32 bytes"),
    ],
)
def test_ranges_fill_the_length_exactly(data: bytes, count: int, text: str) -> None:
    assert text_of(begin(data, count=count)) == f"The ranges fill the length exactly, and {text}."


@pytest.mark.parametrize("gpn", [RAM_PAGES, 1 << 52, (1 << 64) - 1])
def test_pages_outside_ram_are_not_granted(gpn: int) -> None:
    gpadls = table()
    found = begin(one_range([5, gpn]), gpadls)
    assert text_of(found) == f"A GPADL grants pages of RAM, and GPN {gpn:#x} is none."
    assert len(gpadls) == 0


def test_a_channel_has_so_many_gpadls() -> None:
    gpadls = table()
    for number in range(limits.MAX_GPADLS_PER_CHANNEL):
        assert isinstance(begin(one_range([5]), gpadls, gpadl=number), Gpadl)
    assert text_of(begin(one_range([5]), gpadls, gpadl=99)) == "At most 64 GPADLs are kept for a channel."
    assert isinstance(begin(one_range([5]), gpadls, gpadl=99, relid=2), Gpadl)


def test_a_partition_has_so_many_gpadls() -> None:
    gpadls = table()
    for number in range(limits.MAX_GPADLS):
        assert isinstance(begin(one_range([5]), gpadls, gpadl=number, relid=number // 64), Gpadl)
    found = begin(one_range([5]), gpadls, gpadl=9999, relid=9999)
    assert text_of(found) == "At most 4096 GPADLs are kept for a partition."


def test_half_received_gpadls_have_so_many_bytes() -> None:
    gpadls = table()
    for number in range(16):
        found = begin(one_range([5])[:8], gpadls, gpadl=number, length=65528)
        assert isinstance(found, HalfReceived)
    assert text_of(begin(one_range([5]), gpadls, gpadl=99, length=65528)) == (
        "Half-received GPADLs have at most 1048576 bytes, not 1113976."
    )


def test_a_partition_grants_so_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minihv.vmbus.gpadl.MAX_GRANTED_PAGES", 5)
    gpadls = table()
    assert isinstance(begin(one_range([1, 2, 3]), gpadls, gpadl=1), Gpadl)
    assert text_of(begin(one_range([1, 2, 3]), gpadls, gpadl=2)) == (
        "A partition grants at most 5 pages, not 6."
    )
    gpadls.remove(1)
    assert isinstance(begin(one_range([1, 2, 3]), gpadls, gpadl=2), Gpadl)


def test_a_gpadl_is_found_by_its_channel_only() -> None:
    gpadls = table()
    granted = begin(one_range([5]), gpadls, gpadl=7, relid=3)
    assert gpadls.find(7, 3) == granted
    assert text_of(gpadls.find(7, 4)) == "A GPADL of the channel must be named, and 0x7 is none."
    assert text_of(gpadls.find(8, 3)) == "A GPADL of the channel must be named, and 0x8 is none."


def test_a_half_received_gpadl_is_not_used() -> None:
    gpadls, data = table(), one_range([5])
    gpadls.begin(header(data, relid=3), data[:8])
    assert gpadls.relid_of_half(1) == 3 and gpadls.relid_of_half(2) is None
    assert text_of(gpadls.find(1, 3)) == (
        "A GPADL is used once all of it has come, and 0x1 is half-received."
    )
    assert text_of(gpadls.find(1, 4)) == "A GPADL of the channel must be named, and 0x1 is none."


def test_with_a_channel_go_its_gpadls_and_no_others() -> None:
    gpadls, data = table(), one_range([5])
    begin(data, gpadls, gpadl=1, relid=1)
    gpadls.begin(header(data, gpadl=2, relid=1), data[:8])
    begin(data, gpadls, gpadl=3, relid=2)
    assert gpadls.of_channel(1) == [1, 2]
    gpadls.drop_channel(1)
    assert gpadls.of_channel(1) == [] and gpadls.of_channel(2) == [3] and len(gpadls) == 1


def test_with_the_connection_go_all_gpadls() -> None:
    gpadls, data = table(), one_range([5])
    begin(data, gpadls, gpadl=1)
    gpadls.begin(header(data, gpadl=2), data[:8])
    gpadls.clear()
    assert len(gpadls) == gpadls.granted_pages == gpadls.half_received_bytes == 0
