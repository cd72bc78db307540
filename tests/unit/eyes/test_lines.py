"""Lines, columns and sizes."""

import pytest

from minihv.eyes.lines import Line, aligned, counted, printable, size_text, wrapped


def test_columns_have_one_width_and_no_blanks_at_their_end() -> None:
    assert aligned([("a", "1", "x"), ("bcd", "22", "")], right=(1,)) == ["a     1  x", "bcd  22"]
    assert aligned([]) == []


@pytest.mark.parametrize(
    ("byte_count", "text"),
    [
        (0, "0 bytes"),
        (4096, "4 KiB"),
        (3 << 21, "6 MiB"),
        (1030 << 30, "1,030 GiB"),
        (1 << 40, "1 TiB"),
        (1 << 52, "4 PiB"),
        (5000, "5,000 bytes"),
    ],
)
def test_size_is_in_the_largest_unit_that_divides_it(byte_count: int, text: str) -> None:
    assert size_text(byte_count) == text


def test_nouns_are_counted() -> None:
    assert [counted(number, "page") for number in (0, 1, 2000)] == ["0 pages", "1 page", "2,000 pages"]


def test_words_are_wrapped_and_none_is_lost() -> None:
    assert wrapped("aa bb cc dddddddd e", 5) == ["aa bb", "cc", "dddddddd", "e"]


def test_name_of_a_hostile_file_has_no_power() -> None:
    assert printable("a\x1b[31mb\ud800é") == "a\ufffd[31mb\ufffdé"


def test_line_is_its_text() -> None:
    assert str(Line("x")) == "x"
