"""ELF files for tests, built field by field: every default makes an image that is accepted."""

import struct
from dataclasses import dataclass, field

LOAD, DYNAMIC, INTERPRETER, NOTE = 1, 2, 3, 4
READ_EXECUTE, READ_WRITE = 5, 6
CODE = b"\xfa\xf4\xeb\xfc"  # CLI; HLT; and again


@dataclass
class Part:
    """A program header and the bytes it names; what is ``None`` follows from the others."""

    content: bytes = CODE
    gpa: int = 0x100000
    kind: int = LOAD
    flags: int = READ_EXECUTE
    gva: int | None = None
    offset: int | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None
    alignment: int = 4096


@dataclass
class Elf:
    """A whole file. Sections are given as (type, link, content)."""

    parts: list[Part] = field(default_factory=lambda: [Part()])
    sections: list[tuple[int, int, bytes]] = field(default_factory=list)
    magic: bytes = b"\x7fELF"
    file_class: int = 2
    encoding: int = 1
    version: int = 1
    kind: int = 2
    machine: int = 62
    entry: int = 0x100000
    program_bytes: int = 56
    program_offset: int = 64
    section_bytes: int = 64

    def build(self) -> bytes:
        """The bytes of the file: header, program headers, contents, section headers."""
        at = 64 + 56 * len(self.parts)
        headers, body = b"", b""
        for part in self.parts:
            place = at + len(body)
            size = len(part.content) if part.file_bytes is None else part.file_bytes
            headers += struct.pack(
                "<2I6Q",
                part.kind,
                part.flags,
                place if part.offset is None else part.offset,
                part.gpa if part.gva is None else part.gva,
                part.gpa,
                size,
                size if part.memory_bytes is None else part.memory_bytes,
                part.alignment,
            )
            body += part.content
        table = b""
        for kind, link, content in self.sections:
            table += struct.pack("<2I4Q2I2Q", 0, kind, 0, 0, at + len(body), len(content), link, 0, 0, 0)
            body += content
        section_offset = at + len(body) if self.sections else 0
        return self.header(section_offset) + headers + body + table

    def header(self, section_offset: int) -> bytes:
        """The first 64 bytes."""
        identification = self.magic + bytes([self.file_class, self.encoding, self.version])
        return identification.ljust(16, b"\0") + struct.pack(
            "<2HI3QI6H",
            self.kind,
            self.machine,
            1,
            self.entry,
            self.program_offset,
            section_offset,
            0,
            64,
            self.program_bytes,
            len(self.parts),
            self.section_bytes,
            len(self.sections),
            0,
        )


def note(owner: bytes, kind: int, content: bytes, padding: int = 4) -> bytes:
    """One note; its content begins and ends at multiples of ``padding``."""
    begin = struct.pack("<3I", len(owner) + 1, len(content), kind) + owner + b"\0"
    begin += b"\0" * (-len(begin) % padding)
    return begin + content + b"\0" * (-len(content) % padding)


def symbol(name_offset: int, gva: int, kind: int = 2, section: int = 1) -> bytes:
    """One entry of a symbol table, of a global symbol."""
    return struct.pack("<IBBHQQ", name_offset, 1 << 4 | kind, 0, section, gva, 0)
