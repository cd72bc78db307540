"""The sources of the guests keep their rules, and the catalogue, the folders and the READMEs say the same."""

import re
import tomllib
from pathlib import Path

import pytest
from guest_images import GUESTS, PROGRAMS, program_names

ASSEMBLY = sorted(GUESTS.rglob("*.S"))
CODE = sorted([*GUESTS.rglob("*.[ch]"), *ASSEMBLY])
DESCRIBED = tomllib.loads((PROGRAMS / "catalogue.toml").read_text())["guest"]


def name_of(path: Path) -> str:
    return path.relative_to(GUESTS).as_posix()


@pytest.mark.parametrize("source", ASSEMBLY, ids=name_of)
def test_assembly_is_intel_syntax_and_at_most_sixty_lines(source: Path) -> None:
    lines = source.read_text().splitlines()
    assert len(lines) <= 60
    assert "    .intel_syntax noprefix" in lines


@pytest.mark.parametrize("source", CODE, ids=name_of)
def test_source_begins_by_saying_what_it_is(source: Path) -> None:
    assert re.match(r"// \S.*\S", source.read_text())


def test_programs_are_numbered_without_a_gap() -> None:
    numbers = [int(name.split("_")[0]) for name in program_names()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_catalogue_describes_exactly_the_programs() -> None:
    assert [entry["name"] for entry in DESCRIBED] == program_names()


@pytest.mark.parametrize("entry", DESCRIBED, ids=lambda entry: str(entry["name"]))
def test_readme_begins_as_the_catalogue_does(entry: dict[str, str]) -> None:
    heading, shows, *_ = (PROGRAMS / entry["name"] / "README.md").read_text().split("\n\n")
    assert heading == f"# {entry['name']}: {entry['title']}"
    assert " ".join(shows.split()) == entry["shows"]


@pytest.mark.parametrize("name", program_names())
def test_expected_console_holds_no_failure(name: str) -> None:
    console = (PROGRAMS / name / "expected.txt").read_text()
    assert "FAILED" not in console
    assert name == "01_hello" or re.search(r"^\d+ held, 0 failed\n\Z", console, re.MULTILINE)
