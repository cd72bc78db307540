"""Reads the ELF image of a guest, and refuses what the boot contract cannot load.

Stands for: the first half of a boot loader.
Spec: System V ABI, "Object Files" and "Program Loading"; the AMD64 supplement, "Object Files".
Simplified: static executables only; nothing is relocated and no library is loaded.
Next: ``minihv.guests.boot``
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path

from minihv.errors import ConfigurationError
from minihv.guests import elf
from minihv.guests.elf import Header, ProgramHeader, SectionHeader
from minihv.terms import MIB, Gpa, Gva, page_align_up

LOWEST_GPA = Gpa(MIB)
"""Below lies what the boot contract writes: descriptors, info page, page tables, stacks."""

LONGEST_NAME = 4096
"""Bytes of a symbol's name; a longer one is cut, or many could make reading them take for ever."""

NOTE_OWNER = "minihv"
NOTE_PAGING_LEVELS = 1
"""Type of the note whose content, a u32, is the number of paging levels that the image enters with."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes that are loaded at ``gpa``; behind ``content`` follow zeros up to ``memory_bytes``."""

    gva: Gva
    gpa: Gpa
    content: bytes = field(repr=False)
    memory_bytes: int
    readable: bool
    writable: bool
    executable: bool

    @property
    def end(self) -> Gpa:
        """The first GPA behind the segment."""
        return Gpa(self.gpa + self.memory_bytes)

    def __contains__(self, gpa: int) -> bool:
        """Whether the segment covers ``gpa``."""
        return self.gpa <= gpa < self.end


@dataclass(frozen=True, slots=True)
class Note:
    """A note of the image: who defined its ``kind``, and the content."""

    owner: str
    kind: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """A guest that can be loaded, in memory that is large enough for ``end``."""

    name: str
    entry: Gva
    segments: tuple[Segment, ...]
    notes: tuple[Note, ...]
    symbols: Mapping[str, Gva] = field(repr=False)
    paging_levels: int

    @property
    def end(self) -> Gpa:
        """The first GPA behind the image, page-aligned."""
        return Gpa(page_align_up(max(segment.end for segment in self.segments)))


def load_image(path: Path) -> Image:
    """The image in the file at ``path``.

    Raises:
        ConfigurationError: The file cannot be read, or ``read_image`` refuses it.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"A guest image must be a file, which {path} is not; `minihv guests` lists the built-in ones."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"A guest image must be readable, and {path} is not ({error.strerror}); check its permissions."
        ) from error
    return read_image(content, path.name)


def read_image(content: bytes, name: str) -> Image:
    """The image that ``content`` holds, called ``name`` in messages.

    Raises:
        ConfigurationError: It is not a static x86-64 executable that can be loaded above 1 MiB.
    """
    header = _read_header(content, name)
    programs = _read_program_headers(content, name, header)
    segments = _read_segments(content, name, header, programs)
    _check_entry(name, header.entry, segments)
    notes = _read_notes(content, name, programs)
    symbols = _read_symbols(content, name, header)
    return Image(name, Gva(header.entry), segments, notes, symbols, _paging_levels(name, notes))


def check_fits(image: Image, memory_bytes: int) -> None:
    """Refuses ``image`` when RAM from GPA 0 to ``memory_bytes`` cannot hold it."""
    for number, segment in enumerate(image.segments):
        if segment.end > memory_bytes:
            raise ConfigurationError(
                f"Segment {number} of {image.name} must end within the {memory_bytes:#x} bytes of memory, "
                f"not at {segment.end:#x}; give the partition more memory or link the image lower."
            )


def _read_header(content: bytes, name: str) -> Header:
    if content[:4] != elf.MAGIC:
        begin = content[:4].hex(" ") or "nothing"
        raise ConfigurationError(
            f"A guest image must be an ELF file, and {name} begins with {begin} instead of 7f 45 4c 46; "
            f"link one with gcc -static -nostdlib."
        )
    if len(content) < elf.HEADER.size:
        raise ConfigurationError(
            f"The ELF header of {name} must have {elf.HEADER.size} bytes, and the file ends "
            f"after {len(content)}; build it again."
        )
    header = Header(*elf.HEADER.unpack_from(content))
    for actual, expected, what, instead in (
        (content[4], elf.CLASS_64, "64-bit (class 2)", "class"),
        (content[5], elf.LITTLE_ENDIAN, "little-endian (encoding 1)", "encoding"),
        (content[6], elf.VERSION, "of ELF version 1", "version"),
        (header.machine, elf.X86_64, "for x86-64 (machine 62)", "machine"),
    ):
        if actual != expected:
            raise ConfigurationError(f"{name} must be {what}, not {instead} {actual}; compile it for x86-64.")
    _check_kind(name, header.kind)
    return header


def _check_kind(name: str, kind: int) -> None:
    if kind == elf.RELOCATABLE:
        raise ConfigurationError(
            f"{name} must be linked, not relocatable (type 1); link it with gcc -static -nostdlib."
        )
    if kind == elf.SHARED:
        raise ConfigurationError(
            f"{name} must be linked to fixed addresses, not position-independent (type 3); "
            f"link it with -static -no-pie."
        )
    if kind != elf.EXECUTABLE:
        raise ConfigurationError(
            f"{name} must be an executable (type 2), not of type {kind}; link it with gcc -static -nostdlib."
        )


def _read_program_headers(content: bytes, name: str, header: Header) -> list[ProgramHeader]:
    if header.program_bytes != elf.PROGRAM_HEADER.size:
        raise ConfigurationError(
            f"The program headers of {name} must have {elf.PROGRAM_HEADER.size} bytes each, "
            f"not {header.program_bytes}; build it again."
        )
    end = header.program_offset + header.program_count * elf.PROGRAM_HEADER.size
    _check_inside(content, name, "program headers", header.program_offset, end)
    table = content[header.program_offset : end]
    programs = [ProgramHeader(*values) for values in elf.PROGRAM_HEADER.iter_unpack(table)]
    for what, kind in (("PT_INTERP", elf.INTERPRETER), ("PT_DYNAMIC", elf.DYNAMIC)):
        if any(program.kind == kind for program in programs):
            raise ConfigurationError(
                f"{name} must be static, and it has a {what} segment for a dynamic linker; "
                f"link it with -static -no-pie."
            )
    return programs


def _check_inside(content: bytes, name: str, what: str, offset: int, end: int) -> None:
    if end > len(content):
        raise ConfigurationError(
            f"The {what} of {name} must lie inside the file of {len(content):#x} bytes, "
            f"not at {offset:#x} to {end:#x}; the file is cut short or damaged, build it again."
        )


def _is_loaded(program: ProgramHeader, header: Header) -> bool:
    """Whether a segment is for the guest.

    A linker that begins the code at 1 MiB puts the headers of the file, which no guest reads, into a segment
    of their own on the page below.
    """
    end_of_headers = header.program_offset + header.program_count * elf.PROGRAM_HEADER.size
    is_headers = (
        program.offset == 0
        and program.file_bytes == program.memory_bytes <= end_of_headers
        and program.gpa < LOWEST_GPA
        and program.flags == elf.READABLE
    )
    return program.kind == elf.LOAD and program.memory_bytes > 0 and not is_headers


def _read_segments(
    content: bytes, name: str, header: Header, programs: list[ProgramHeader]
) -> tuple[Segment, ...]:
    loads = sorted(
        (program for program in programs if _is_loaded(program, header)), key=lambda program: program.gpa
    )
    if not loads:
        raise ConfigurationError(
            f"{name} must have a segment to load (PT_LOAD), and it has none; "
            f"link it with gcc -static -nostdlib."
        )
    for number, program in enumerate(loads):
        _check_segment(content, name, number, program)
    for number, (lower, upper) in enumerate(pairwise(loads)):
        if lower.gpa + lower.memory_bytes > upper.gpa:
            raise ConfigurationError(
                f"Segments of {name} must not overlap, and segment {number} ends at "
                f"{lower.gpa + lower.memory_bytes:#x} behind the begin of segment {number + 1} at "
                f"{upper.gpa:#x}; correct the linker script."
            )
    return tuple(
        Segment(
            Gva(program.gva),
            Gpa(program.gpa),
            content[program.offset : program.offset + program.file_bytes],
            program.memory_bytes,
            bool(program.flags & elf.READABLE),
            bool(program.flags & elf.WRITABLE),
            bool(program.flags & elf.EXECUTABLE_SEGMENT),
        )
        for program in loads
    )


def _check_segment(content: bytes, name: str, number: int, program: ProgramHeader) -> None:
    """Segment ``number``, counted by GPA, can be copied to its place."""
    if program.file_bytes > program.memory_bytes:
        raise ConfigurationError(
            f"Segment {number} of {name} must not have more bytes in the file ({program.file_bytes:#x}) "
            f"than in memory ({program.memory_bytes:#x}); build it again."
        )
    end = program.offset + program.file_bytes
    _check_inside(content, name, f"bytes of segment {number}", program.offset, end)
    for space, begin in (("GPA", program.gpa), ("GVA", program.gva)):
        if begin + program.memory_bytes > 1 << 64:
            raise ConfigurationError(
                f"Segment {number} of {name} must not wrap around the end of the address space, and it has "
                f"{program.memory_bytes:#x} bytes from {space} {begin:#x}; correct the linker script."
            )
    if program.gpa < LOWEST_GPA:
        raise ConfigurationError(
            f"Segment {number} of {name} must lie at or above 1 MiB, not at GPA {program.gpa:#x}; "
            f"link it with -Wl,-Ttext-segment=0x100000."
        )


def _check_entry(name: str, entry: int, segments: tuple[Segment, ...]) -> None:
    if not any(segment.executable and entry in segment for segment in segments):
        raise ConfigurationError(
            f"The entry point of {name} must lie in an executable segment, and {entry:#x} does not; "
            f"define _start, or name another symbol with -Wl,-e."
        )


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _read_notes(content: bytes, name: str, programs: list[ProgramHeader]) -> tuple[Note, ...]:
    notes = [_notes(content, name, program) for program in programs if program.kind == elf.NOTE]
    return tuple(chain.from_iterable(notes))


def _notes(content: bytes, name: str, program: ProgramHeader) -> list[Note]:
    """The notes of a PT_NOTE segment. Names and contents are padded to 4 bytes, or to 8 if it says so."""
    end = program.offset + program.file_bytes
    _check_inside(content, name, "notes", program.offset, end)
    alignment = 8 if program.alignment == 8 else 4
    notes = []
    at = program.offset
    while at + elf.NOTE_HEADER.size <= end:
        name_bytes, content_bytes, kind = elf.NOTE_HEADER.unpack_from(content, at)
        begin = at + elf.NOTE_HEADER.size
        value = _aligned(begin + name_bytes - program.offset, alignment) + program.offset
        if value + content_bytes > end:
            raise ConfigurationError(
                f"The notes of {name} must end at offset {end:#x}, and the one at {at:#x} goes on to "
                f"{value + content_bytes:#x}; build it again."
            )
        owner = content[begin : begin + name_bytes].rstrip(b"\0").decode("utf-8", "replace")
        notes.append(Note(owner, kind, content[value : value + content_bytes]))
        at = _aligned(value + content_bytes - program.offset, alignment) + program.offset
    return notes


def _paging_levels(name: str, notes: tuple[Note, ...]) -> int:
    """How many levels of page tables the image asks for; 4 if it does not ask."""
    levels = 4
    for note in notes:
        if (note.owner, note.kind) == (NOTE_OWNER, NOTE_PAGING_LEVELS):
            levels = int.from_bytes(note.content, "little")
            if levels not in (4, 5) or len(note.content) != 4:
                raise ConfigurationError(
                    f"The paging note of {name} must hold 4 or 5 as a u32, not "
                    f"{note.content.hex(' ') or 'nothing'}; leave the note out for 4 levels."
                )
    return levels


def _read_symbols(content: bytes, name: str, header: Header) -> dict[str, Gva]:
    """The symbols that name places; none if the image is stripped."""
    if header.section_offset == 0 or header.section_count == 0:
        return {}
    if header.section_bytes != elf.SECTION_HEADER.size:
        raise ConfigurationError(
            f"The section headers of {name} must have {elf.SECTION_HEADER.size} bytes each, "
            f"not {header.section_bytes}; build it again, or remove them with strip."
        )
    end = header.section_offset + header.section_count * elf.SECTION_HEADER.size
    _check_inside(content, name, "section headers", header.section_offset, end)
    table = content[header.section_offset : end]
    sections = [SectionHeader(*values) for values in elf.SECTION_HEADER.iter_unpack(table)]
    symbols: dict[str, Gva] = {}
    for section in sections:
        if section.kind == elf.SYMBOL_TABLE:
            symbols |= _symbols_of(content, name, section, sections)
    return symbols


def _symbols_of(
    content: bytes, name: str, section: SectionHeader, sections: list[SectionHeader]
) -> dict[str, Gva]:
    if section.link >= len(sections):
        raise ConfigurationError(
            f"The symbol table of {name} must name a section that holds its strings, not section "
            f"{section.link} of {len(sections)}; build it again, or remove it with strip."
        )
    strings = sections[section.link]
    for what, part in (("symbol table", section), ("names of symbols", strings)):
        _check_inside(content, name, what, part.offset, part.offset + part.file_bytes)
    names = content[strings.offset : strings.offset + strings.file_bytes]
    whole = section.file_bytes - section.file_bytes % elf.SYMBOL.size
    entries = content[section.offset : section.offset + whole]
    symbols = {}
    for name_offset, info, where, value in elf.SYMBOL.iter_unpack(entries):
        if where == elf.UNDEFINED_SECTION or info & 0xF not in elf.PLACE_KINDS or name_offset >= len(names):
            continue
        letters, _, _ = names[name_offset : name_offset + LONGEST_NAME].partition(b"\0")
        symbol = letters.decode("utf-8", "replace")
        if symbol:
            symbols[symbol] = Gva(value)
    return symbols
