"""Compares a layout of ``minihv.spec`` with the compiler's, and with a table quoted from the standard."""

import re
from enum import IntEnum, IntFlag
from typing import Any

from minihv._core import ffi, lib
from minihv.spec.bits import Bits, Layout


def words_of(name: str) -> str:
    """``SegmentDescriptor`` as the C core spells it: ``SEGMENT_DESCRIPTOR``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def python_offsets(layout: type[Layout]) -> dict[str, tuple[int, int]]:
    """Offset and size of every member, as Python has them."""
    return {name: (member.offset, member.byte_count) for name, member in layout.members().items()}


def compiler_offsets(struct: str) -> dict[str, tuple[int, int]]:
    """The same of a C structure, as the compiler laid it out; reserved members aside."""
    members = ffi.typeof(f"struct {struct}").fields
    return {
        name: (member.offset, ffi.sizeof(member.type))
        for name, member in members
        if not name.startswith("reserved")
    }


def python_bits(layout: type[Bits]) -> dict[str, tuple[int, int]]:
    """Highest and lowest bit of every field."""
    return {name: (field.high, field.low) for name, field in layout.fields().items()}


def compiler_bits(layout: type[Bits], prefix: str | None = None) -> dict[str, tuple[int, int]]:
    """The same from the enumerators of the C core."""
    stem = f"MHV_{prefix or words_of(layout.__name__)}"
    found = {}
    for name in layout.fields():
        low = getattr(lib, f"{stem}_{name.upper()}")
        found[name] = (getattr(lib, f"{stem}_{name.upper()}_TOP", low), low)
    return found


def compiler_flags(flags: type[IntFlag], prefix: str | None = None) -> dict[str, int]:
    """The masks that the enumerators of the C core stand for."""
    found = {}
    for name in flags.__members__:
        stem = f"MHV_{prefix or words_of(flags.__name__)}_{name}"
        low = getattr(lib, stem)
        found[name] = (2 << getattr(lib, f"{stem}_TOP", low)) - (1 << low)
    return found


def python_numbers(numbers: type[IntEnum] | type[IntFlag]) -> dict[str, int]:
    """Every name with its number, several names of one number included."""
    return {name: int(member) for name, member in numbers.__members__.items()}


def compiler_numbers(numbers: type[IntEnum], prefix: str | None = None) -> dict[str, int]:
    """The enumerators of the C core, as unsigned numbers of 64 bits."""
    stem = f"MHV_{prefix or words_of(numbers.__name__)}"
    found = {name: getattr(lib, f"{stem}_{name}", None) for name in numbers.__members__}
    return {name: number & (1 << 64) - 1 for name, number in found.items() if number is not None}


def quoted(text: str) -> dict[str, Any]:
    """A table of the standard: a name and its place on each line, as ``63:12``, ``7``, or ``0x40+8``."""
    found: dict[str, Any] = {}
    for line in text.strip().splitlines():
        name, place = line.split()
        if ":" in place:
            high, low = place.split(":")
            found[name] = (int(high), int(low))
        elif "+" in place:
            offset, size = place.split("+")
            found[name] = (int(offset, 16), int(size))
        elif place.lower().startswith("0x"):
            found[name] = int(place, 16)
        else:
            found[name] = (int(place), int(place))
    return found
