"""The guest programs that come with minihv, by name and by number.

Their sources are in ``native/guests/programs``. The build compiles them and puts the images, and
the catalogue that says what each shows, beside this module.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from minihv.errors import ConfigurationError, nearest
from minihv.terms import MIB

IMAGES = Path(__file__).resolve().parent / "images"
CATALOGUE = "catalogue.toml"


@dataclass(frozen=True, slots=True)
class Guest:
    """A built-in program, and the partition it is written for."""

    name: str
    title: str
    shows: str
    path: Path
    default_vps: int
    memory_bytes: int
    needs_parent: bool = False
    """Whether it is written for a child, and can do nothing without a parent partition."""

    @property
    def number(self) -> int:
        """Its place in the course: 1 for ``01_hello``."""
        return int(self.name.partition("_")[0])


def guests(images: Path = IMAGES) -> tuple[Guest, ...]:
    """All built-in programs, by number.

    Raises:
        ConfigurationError: They were not built.
    """
    try:
        described = tomllib.loads((images / CATALOGUE).read_text(encoding="utf-8"))["guest"]
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The guest programs must be compiled, and {images / CATALOGUE} is missing; "
            f"'pip install -e .' compiles them."
        ) from error
    return tuple(
        Guest(
            name=entry["name"],
            title=entry["title"],
            shows=entry["shows"],
            path=images / f"{entry['name']}.elf",
            default_vps=entry.get("vps", 1),
            memory_bytes=entry.get("memory_mib", 64) * MIB,
            needs_parent=entry.get("parent", False),
        )
        for entry in sorted(described, key=lambda entry: str(entry["name"]))
    )


def find_guest(name: str, images: Path = IMAGES) -> Guest:
    """The program called ``name``: in full, without its number, or by its number alone.

    Raises:
        ConfigurationError: There is none; the message has the nearest name.
    """
    known = {guest.name: guest for guest in guests(images)}
    for guest in known.values():
        if name in (guest.name, guest.name.partition("_")[2], str(guest.number), f"{guest.number:02}"):
            return guest
    short = {full.partition("_")[2] for full in known}
    suggestion = nearest(name, [*known, *sorted(short)]) or "; `minihv guests` lists them all."
    raise ConfigurationError(
        f"A guest must be a file or a built-in program, which {name!r} is not{suggestion}"
    )
