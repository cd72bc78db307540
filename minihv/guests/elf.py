"""The layouts of an ELF64 file that a guest image is read by.

Stands for: the file format of executables.
Spec: System V ABI, "Object Files"; the AMD64 supplement, "ELF Header".
Simplified: no relocations, no section groups, no compressed sections.
Next: ``minihv.guests.image``
"""

import struct
from typing import NamedTuple

# Spec: System V ABI, "ELF Header" and "Program Header".
MAGIC = b"\x7fELF"
CLASS_64, LITTLE_ENDIAN, VERSION = 2, 1, 1
RELOCATABLE, EXECUTABLE, SHARED = 1, 2, 3
X86_64 = 62
LOAD, DYNAMIC, INTERPRETER, NOTE = 1, 2, 3, 4
READABLE, WRITABLE, EXECUTABLE_SEGMENT = 4, 2, 1
SYMBOL_TABLE = 2
UNDEFINED_SECTION = 0
PLACE_KINDS = (0, 1, 2)
"""Types of symbols that name a place in memory: without type, object, function."""


class Header(NamedTuple):
    """The ELF header from byte 16 on, behind the identification."""

    kind: int
    machine: int
    version: int
    entry: int
    program_offset: int
    section_offset: int
    flags: int
    header_bytes: int
    program_bytes: int
    program_count: int
    section_bytes: int
    section_count: int
    name_section: int


class ProgramHeader(NamedTuple):
    """One entry of the program header table."""

    kind: int
    flags: int
    offset: int
    gva: int
    gpa: int
    file_bytes: int
    memory_bytes: int
    alignment: int


class SectionHeader(NamedTuple):
    """One entry of the section header table."""

    name: int
    kind: int
    flags: int
    gva: int
    offset: int
    file_bytes: int
    link: int
    info: int
    alignment: int
    entry_bytes: int


HEADER = struct.Struct("<16x2HI3QI6H")
PROGRAM_HEADER = struct.Struct("<2I6Q")
SECTION_HEADER = struct.Struct("<2I4Q2I2Q")
SYMBOL = struct.Struct("<IBxHQ8x")
NOTE_HEADER = struct.Struct("<3I")
