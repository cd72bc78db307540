from pathlib import Path

import pytest
from elf_files import CODE, DYNAMIC, INTERPRETER, NOTE, READ_WRITE, Elf, Part, note, symbol
from hypothesis import event, given
from hypothesis import strategies as st

from minihv.errors import ConfigurationError
from minihv.guests.image import Image, Note, check_fits, load_image, read_image
from minihv.terms import MIB


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_image(content, "it.elf")
    return str(refused.value)


def test_image_holds_entry_segments_and_end() -> None:
    data = Part(b"data", gpa=0x101000, flags=READ_WRITE, memory_bytes=0x1800)
    image = read_image(Elf(parts=[Part(), data]).build(), "it.elf")
    code, loaded = image.segments
    assert image.entry == 0x100000
    assert (code.content, code.executable, code.writable, code.end) == (CODE, True, False, 0x100004)
    assert (loaded.content, loaded.memory_bytes, loaded.executable) == (b"data", 0x1800, False)
    assert image.end == 0x103000


def test_segments_are_in_the_order_of_their_addresses() -> None:
    image = read_image(Elf(parts=[Part(gpa=0x200000), Part()]).build(), "it.elf")
    assert [segment.gpa for segment in image.segments] == [0x100000, 0x200000]


def test_segments_that_only_touch_are_accepted() -> None:
    image = read_image(Elf(parts=[Part(), Part(gpa=0x100004)]).build(), "it.elf")
    assert len(image.segments) == 2


def test_segment_without_memory_is_left_out() -> None:
    image = read_image(Elf(parts=[Part(), Part(b"", gpa=0)]).build(), "it.elf")
    assert len(image.segments) == 1


def test_segment_that_holds_only_the_headers_of_the_file_is_left_out() -> None:
    headers = Part(b"", gpa=0xFF000, flags=4, offset=0, file_bytes=64 + 2 * 56)
    image = read_image(Elf(parts=[headers, Part()]).build(), "it.elf")
    assert [segment.gpa for segment in image.segments] == [0x100000]


def test_segment_that_holds_more_than_the_headers_is_not_left_out() -> None:
    headers = Part(b"", gpa=0xFF000, flags=4, offset=0, file_bytes=64 + 2 * 56 + 1)
    assert "must lie at or above 1 MiB, not at GPA 0xff000" in refusal(Elf(parts=[headers, Part()]).build())


def test_symbols_that_name_a_place_are_read() -> None:
    strings = (3, 0, b"\0_start\0table\0")
    symbols = (
        symbol(1, 0x100000) + symbol(8, 0x100100, kind=1) + symbol(1, 7, kind=4) + symbol(8, 9, section=0)
    )
    image = read_image(Elf(sections=[strings, (2, 0, symbols)]).build(), "it.elf")
    assert image.symbols == {"_start": 0x100000, "table": 0x100100}


def test_name_of_a_symbol_is_cut_where_it_is_absurd() -> None:
    strings = (3, 0, b"\0" + b"a" * 10_000)
    image = read_image(Elf(sections=[strings, (2, 0, symbol(1, 0x100000))]).build(), "it.elf")
    assert [len(name) for name in image.symbols] == [4096]


def test_stripped_image_has_no_symbols() -> None:
    assert read_image(Elf().build(), "it.elf").symbols == {}


@pytest.mark.parametrize("padding", [4, 8])
def test_notes_are_read_with_the_padding_of_their_segment(padding: int) -> None:
    content = note(b"GNU", 5, b"abcdef", padding) + note(b"minihv", 1, b"\5\0\0\0", padding)
    image = read_image(Elf(parts=[Part(), Part(content, kind=NOTE, alignment=padding)]).build(), "it.elf")
    assert image.notes == (Note("GNU", 5, b"abcdef"), Note("minihv", 1, b"\5\0\0\0"))
    assert image.paging_levels == 5


def test_image_without_a_paging_note_enters_with_four_levels() -> None:
    foreign = Part(note(b"other", 1, b"\5\0\0\0"), kind=NOTE)
    assert read_image(Elf(parts=[Part(), foreign]).build(), "it.elf").paging_levels == 4


BUILD = "; build it again."
LINK = "; link it with gcc -static -nostdlib."
STATIC = "; link it with -static -no-pie."
COMPILE = "; compile it for x86-64."
SCRIPT = "; correct the linker script."
CUT = "; the file is cut short or damaged, build it again."
WRONG_STRINGS = [(3, 0, b"\0"), (2, 9, symbol(0, 0))]

REFUSALS = {
    "empty": (
        b"",
        "A guest image must be an ELF file, and it.elf begins with nothing instead of 7f 45 4c 46; "
        "link one with gcc -static -nostdlib.",
    ),
    "not an ELF": (
        b"#!/bin/sh\n",
        "A guest image must be an ELF file, and it.elf begins with 23 21 2f 62 instead of 7f 45 4c 46; "
        "link one with gcc -static -nostdlib.",
    ),
    "header cut": (
        Elf().build()[:63],
        "The ELF header of it.elf must have 64 bytes, and the file ends after 63" + BUILD,
    ),
    "32 bits": (Elf(file_class=1).build(), "it.elf must be 64-bit (class 2), not class 1" + COMPILE),
    "big-endian": (
        Elf(encoding=2).build(),
        "it.elf must be little-endian (encoding 1), not encoding 2" + COMPILE,
    ),
    "version": (Elf(version=0).build(), "it.elf must be of ELF version 1, not version 0" + COMPILE),
    "machine": (
        Elf(machine=183).build(),
        "it.elf must be for x86-64 (machine 62), not machine 183" + COMPILE,
    ),
    "relocatable": (Elf(kind=1).build(), "it.elf must be linked, not relocatable (type 1)" + LINK),
    "position-independent": (
        Elf(kind=3).build(),
        "it.elf must be linked to fixed addresses, not position-independent (type 3)" + STATIC,
    ),
    "core dump": (Elf(kind=4).build(), "it.elf must be an executable (type 2), not of type 4" + LINK),
    "program header size": (
        Elf(program_bytes=32).build(),
        "The program headers of it.elf must have 56 bytes each, not 32" + BUILD,
    ),
    "program headers outside": (
        Elf(program_offset=0x1000).build(),
        "The program headers of it.elf must lie inside the file of 0x7c bytes, not at 0x1000 to 0x1038" + CUT,
    ),
    "interpreter": (
        Elf(parts=[Part(), Part(b"ld.so", kind=INTERPRETER)]).build(),
        "it.elf must be static, and it has a PT_INTERP segment for a dynamic linker" + STATIC,
    ),
    "dynamic": (
        Elf(parts=[Part(), Part(kind=DYNAMIC)]).build(),
        "it.elf must be static, and it has a PT_DYNAMIC segment for a dynamic linker" + STATIC,
    ),
    "nothing to load": (
        Elf(parts=[]).build(),
        "it.elf must have a segment to load (PT_LOAD), and it has none" + LINK,
    ),
    "more in the file": (
        Elf(parts=[Part(memory_bytes=3)]).build(),
        "Segment 0 of it.elf must not have more bytes in the file (0x4) than in memory (0x3)" + BUILD,
    ),
    "segment outside": (
        Elf(parts=[Part(offset=0x7B)]).build(),
        "The bytes of segment 0 of it.elf must lie inside the file of 0x7c bytes, not at 0x7b to 0x7f" + CUT,
    ),
    "GPA wraps": (
        Elf(parts=[Part(), Part(gpa=(1 << 64) - 2, gva=0)]).build(),
        "Segment 1 of it.elf must not wrap around the end of the address space, and it has 0x4 bytes from "
        "GPA 0xfffffffffffffffe" + SCRIPT,
    ),
    "GVA wraps": (
        Elf(parts=[Part(gva=(1 << 64) - 2)]).build(),
        "Segment 0 of it.elf must not wrap around the end of the address space, and it has 0x4 bytes from "
        "GVA 0xfffffffffffffffe" + SCRIPT,
    ),
    "below 1 MiB": (
        Elf(parts=[Part(gpa=0xFFFFC)]).build(),
        "Segment 0 of it.elf must lie at or above 1 MiB, not at GPA 0xffffc; "
        "link it with -Wl,-Ttext-segment=0x100000.",
    ),
    "overlap": (
        Elf(parts=[Part(gpa=0x100003), Part()]).build(),
        "Segments of it.elf must not overlap, and segment 0 ends at 0x100004 behind the begin of segment 1 "
        "at 0x100003" + SCRIPT,
    ),
    "entry outside": (
        Elf(entry=0x100004).build(),
        "The entry point of it.elf must lie in an executable segment, and 0x100004 does not; "
        "define _start, or name another symbol with -Wl,-e.",
    ),
    "entry in data": (
        Elf(parts=[Part(flags=READ_WRITE)]).build(),
        "The entry point of it.elf must lie in an executable segment, and 0x100000 does not; "
        "define _start, or name another symbol with -Wl,-e.",
    ),
    "notes outside": (
        Elf(parts=[Part(), Part(b"", kind=NOTE, file_bytes=1)]).build(),
        "The notes of it.elf must lie inside the file of 0xb4 bytes, not at 0xb4 to 0xb5" + CUT,
    ),
    "note too long": (
        Elf(parts=[Part(), Part(note(b"minihv", 1, b"\5\0\0\0")[:-1], kind=NOTE)]).build(),
        "The notes of it.elf must end at offset 0xcb, and the one at 0xb4 goes on to 0xcc" + BUILD,
    ),
    "paging levels": (
        Elf(parts=[Part(), Part(note(b"minihv", 1, b"\6\0\0\0"), kind=NOTE)]).build(),
        "The paging note of it.elf must hold 4 or 5 as a u32, not 06 00 00 00; "
        "leave the note out for 4 levels.",
    ),
    "section header size": (
        Elf(sections=[(3, 0, b"\0")], section_bytes=40).build(),
        "The section headers of it.elf must have 64 bytes each, not 40; "
        "build it again, or remove them with strip.",
    ),
    "section headers outside": (
        Elf(sections=[(3, 0, b"\0")]).build()[:-1],
        "The section headers of it.elf must lie inside the file of 0xbc bytes, not at 0x7d to 0xbd" + CUT,
    ),
    "no names of symbols": (
        Elf(sections=WRONG_STRINGS).build(),
        "The symbol table of it.elf must name a section that holds its strings, not section 9 of 2; "
        "build it again, or remove it with strip.",
    ),
}


@pytest.mark.parametrize(("content", "message"), REFUSALS.values(), ids=list(REFUSALS))
def test_refusal_says_rule_value_and_way_out(content: bytes, message: str) -> None:
    assert refusal(content) == message


def test_symbol_table_that_is_cut_off_is_refused() -> None:
    content = bytearray(Elf(sections=[(2, 0, symbol(0, 0))]).build())
    content[-32:-24] = (0x1000).to_bytes(8, "little")  # sh_size
    assert refusal(bytes(content)) == (
        "The symbol table of it.elf must lie inside the file of 0xd4 bytes, not at 0x7c to 0x107c" + CUT
    )


def test_image_that_does_not_fit_in_memory_is_refused() -> None:
    image = read_image(Elf(parts=[Part(memory_bytes=16 * MIB)]).build(), "it.elf")
    check_fits(image, 17 * MIB)
    with pytest.raises(ConfigurationError) as refused:
        check_fits(image, 17 * MIB - 1)
    assert str(refused.value) == (
        "Segment 0 of it.elf must end within the 0x10fffff bytes of memory, not at 0x1100000; "
        "give the partition more memory or link the image lower."
    )


def test_file_is_read_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.elf"
    path.write_bytes(Elf().build())
    assert load_image(path).name == "mine.elf"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_image(tmp_path)
    assert str(refused.value) == (
        f"A guest image must be a file, which {tmp_path} is not; `minihv guests` lists the built-in ones."
    )


def test_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "mine.elf"
    path.write_bytes(b"")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigurationError) as refused:
        load_image(path)
    assert str(refused.value) == (
        f"A guest image must be readable, and {path} is not (Permission denied); check its permissions."
    )


WHOLE = Elf(
    parts=[Part(), Part(note(b"minihv", 1, b"\5\0\0\0"), kind=NOTE), Part(b"x" * 9, gpa=0x101000)],
    sections=[(3, 0, b"\0_start\0"), (2, 0, symbol(1, 0x100000))],
).build()
INTERESTING = [0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An image that was sound, with bytes changed, mostly in its headers, and perhaps cut."""
    content = bytearray(WHOLE)
    where = st.one_of(st.integers(0, 231), st.integers(0, len(content) - 1))
    value = st.one_of(st.sampled_from(INTERESTING), st.integers(0, 255))
    for at, byte in draw(st.lists(st.tuples(where, value), max_size=6)):
        content[at] = byte
    cut = draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return bytes(content[:cut])


def test_damaged_image_is_read_or_refused_and_nothing_else() -> None:
    outcomes = {"read": 0, "refused": 0}

    @given(damaged())
    def read_or_refuse(content: bytes) -> None:
        try:
            image = read_image(content, "it.elf")
            outcome = "read" if is_sound(image, content) else "unsound"
        except ConfigurationError:
            outcome = "refused"
        event(outcome)
        outcomes[outcome] += 1

    read_or_refuse()
    total = sum(outcomes.values())
    assert outcomes["read"] >= total // 20 and outcomes["refused"] >= total // 5, outcomes


def is_sound(image: Image, content: bytes) -> bool:
    """What a loader relies on, whatever the file said."""
    ends = [segment.end for segment in image.segments]
    return (
        all(segment.gpa >= MIB and len(segment.content) <= segment.memory_bytes for segment in image.segments)
        and all(segment.content in content for segment in image.segments)
        and all(end <= segment.gpa for end, segment in zip(ends, image.segments[1:], strict=False))
        and max(ends) <= 1 << 64
        and image.paging_levels in (4, 5)
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        read_image(content, "it.elf")


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_sound_identification_are_refused_or_read(content: bytes) -> None:
    try:
        read_image(WHOLE[:24] + content, "it.elf")
    except ConfigurationError:
        event("refused")
