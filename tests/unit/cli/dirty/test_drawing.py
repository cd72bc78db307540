"""Drawings of dirty maps: columns are the memory that was touched, signs say how much of it."""

from xml.etree import ElementTree

import pytest
from dirty_maps import map_of, pages

from minihv.cli.dirty.drawing import PLAIN_SIGNS, columns_of, shade, size_of, svg, text

DRAWN = map_of(({3, 4}, {1, 3, 4}), ({4, 700}, {1, 4, 700}))


def test_columns_are_single_pages_while_there_is_room() -> None:
    columns = columns_of(DRAWN)
    assert (columns.pages_each, columns.numbers.tolist()) == (1, [1, 3, 4, 700])
    assert columns.ranges == [(0x1000, 0x1FFF), (0x3000, 0x4FFF), (0x2BC000, 0x2BCFFF)]
    assert size_of(columns) == "4 KiB"


def test_columns_grow_until_they_fit_with_the_gaps_between_them() -> None:
    drawn = map_of((set(), set(range(64)) | {100}))
    assert columns_of(drawn, most=65).pages_each == 2 and columns_of(drawn, most=66).pages_each == 1
    columns = columns_of(drawn, most=10)
    assert (columns.pages_each, columns.numbers.tolist()) == (8, [*range(8), 12])


def test_columns_of_mebibytes_say_so() -> None:
    assert size_of(columns_of(map_of((set(), {0, 600})), most=1)) == "4 MiB"


def test_pages_are_counted_by_column() -> None:
    columns = columns_of(map_of((set(), set(range(16)))), most=4)
    assert columns.counts(pages(0, 3, 4, 15)) == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("written", "touched", "number"),
    [(0, 0, 0), (0, 3, 1), (1, 1, 2), (2, 2, 2), (3, 3, 3), (4, 4, 3), (6, 8, 4), (7, 8, 5), (8, 8, 5)],
)
def test_sign_says_how_much_was_written(written: int, touched: int, number: int) -> None:
    assert shade(written, touched, pages_each=8) == number


def test_text_has_a_row_for_each_interval() -> None:
    assert text(DRAWN).splitlines() == [
        "guest.elf: pages written in each 100 blocks, one sign for each 4 KiB",
        "",
        "       blocks  written   first  touched",
        "          100        2       2        3  ·|██|",
        "          200        2       1        3  ·| █|█",
        "",
        "GPAs: 0x1000-0x1fff | 0x3000-0x4fff | 0x2bc000-0x2bcfff",
        "signs: · touched only; ░ ▒ ▓ █ a quarter, half, three quarters, all of it written",
        "3 pages written and 4 touched in 200 blocks; halted (it was told to)",
    ]


def test_plain_signs_are_such_as_every_terminal_has() -> None:
    assert text(DRAWN, PLAIN_SIGNS).isascii()
    assert "          200        2       1        3  .| #|#" in text(DRAWN, PLAIN_SIGNS)


def test_map_in_which_nothing_happened_is_drawn_too() -> None:
    assert "0 pages written and 0 touched in 0 blocks" in text(map_of())
    assert ElementTree.fromstring(svg(map_of())).tag.endswith("svg")


def test_svg_has_a_box_for_each_column_that_was_touched() -> None:
    drawing = ElementTree.fromstring(svg(DRAWN))
    boxes = [part for part in drawing if part.tag.endswith("rect")]
    assert [box[0].text for box in boxes] == [
        "GPA 0x1000: 0 written, 1 touched, of 1",
        "GPA 0x3000: 1 written, 1 touched, of 1",
        "GPA 0x4000: 1 written, 1 touched, of 1",
        "GPA 0x1000: 0 written, 1 touched, of 1",
        "GPA 0x4000: 1 written, 1 touched, of 1",
        "GPA 0x2bc000: 1 written, 1 touched, of 1",
    ]
    places = {(box.get("x"), box.get("y")) for box in boxes}
    assert len(places) == 6


def test_svg_says_in_words_what_it_shows() -> None:
    assert ElementTree.fromstring(svg(DRAWN)).get("aria-label") == (
        "guest.elf: pages written in each 100 blocks; "
        "3 pages written and 4 touched in 200 blocks; halted (it was told to)"
    )
