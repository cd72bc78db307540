from pathlib import Path

import pytest

from minihv.errors import ConfigurationError
from minihv.guests.catalogue import find_guest, guests
from minihv.terms import MIB

CATALOGUE = """
[[guest]]
name = "02_second"
title = "The second"
shows = "More."
vps = 2
memory_mib = 16
parent = true

[[guest]]
name = "01_hello"
title = "Hello"
shows = "The console."
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    return tmp_path


def test_guests_come_in_the_order_of_their_numbers(images: Path) -> None:
    assert [guest.number for guest in guests(images)] == [1, 2]


def test_guest_says_what_it_is_written_for(images: Path) -> None:
    first, second = guests(images)
    assert (first.title, first.shows) == ("Hello", "The console.")
    assert (first.default_vps, first.memory_bytes) == (1, 64 * MIB)
    assert (second.default_vps, second.memory_bytes) == (2, 16 * MIB)
    assert (first.needs_parent, second.needs_parent) == (False, True)
    assert first.path == images / "01_hello.elf"


@pytest.mark.parametrize("name", ["01_hello", "hello", "1", "01"])
def test_guest_is_found_by_name_and_by_number(images: Path, name: str) -> None:
    assert find_guest(name, images).name == "01_hello"


@pytest.mark.parametrize(("name", "suggestion"), [("01_helo", "01_hello"), ("helo", "hello")])
def test_unknown_name_suggests_the_nearest(images: Path, name: str, suggestion: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        find_guest(name, images)
    assert str(refused.value) == (
        f"A guest must be a file or a built-in program, which {name!r} is not, did you mean {suggestion!r}?"
    )


def test_name_like_no_other_points_to_the_list(images: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        find_guest("xyzzy", images)
    assert str(refused.value) == (
        "A guest must be a file or a built-in program, which 'xyzzy' is not; `minihv guests` lists them all."
    )


def test_guests_that_were_not_built_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        guests(tmp_path)
    assert str(refused.value) == (
        f"The guest programs must be compiled, and {tmp_path / 'catalogue.toml'} is missing; "
        f"'pip install -e .' compiles them."
    )
