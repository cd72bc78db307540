"""A dirty map counts what its intervals say, and shows itself in text and in notebooks."""

from xml.etree import ElementTree

import msgspec
from dirty_maps import map_of, pages

from minihv.cli.dirty import drawing
from minihv.cli.dirty.dirty_map import Interval


def test_map_counts_each_page_once_and_says_when_it_was_first_written() -> None:
    report = map_of(({3, 4}, {1, 3, 4}), ({4, 5, 6}, {1, 4, 5, 6}), ({6}, {6})).report()
    assert [(one.blocks, one.written, one.first, one.touched) for one in report.intervals] == [
        (100, 2, 2, 3), (200, 3, 2, 4), (300, 1, 0, 1),
    ]  # fmt: skip
    assert (report.written, report.touched, report.blocks) == (4, 5, 300)
    assert (report.guest, report.memory_bytes, report.every) == ("guest.elf", 4 << 20, 100)
    assert (report.stopped, report.why) == ("halted", "it was told to")


def test_pages_are_reported_as_runs() -> None:
    (interval,) = map_of(({1, 2, 3, 9}, {9})).report().intervals
    assert interval.written_pages == [(1, 3), (9, 1)] and interval.touched_pages == [(9, 1)]
    assert msgspec.json.encode(interval.written_pages) == b"[[1,3],[9,1]]"


def test_map_without_intervals_is_empty() -> None:
    report = map_of().report()
    assert (report.blocks, report.written, report.touched, report.intervals) == (0, 0, 0, [])


def test_two_intervals_become_one_that_has_the_pages_of_both() -> None:
    one, other = Interval(7, pages(1), pages(1, 2)), Interval(9, pages(1, 3), pages(4))
    both = one.with_next(other)
    assert (both.end, both.written, both.touched) == (9, pages(1, 3), pages(1, 2, 4))
    assert (one.written, other.written) == (pages(1), pages(1, 3))


def test_map_shows_itself() -> None:
    drawn = map_of(({1}, {1}))
    assert str(drawn) == drawing.text(drawn)
    assert drawn._repr_svg_() == drawing.svg(drawn)
    figure = ElementTree.fromstring(drawn._repr_html_())
    assert [part.tag.split("}")[-1] for part in figure] == ["svg", "figcaption"]
    assert figure[1].text == "guest.elf: pages written in each 100 blocks"
