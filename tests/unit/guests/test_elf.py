import pytest

from minihv.guests import elf


@pytest.mark.parametrize(
    ("layout", "byte_count"),
    [
        (elf.HEADER, 64),
        (elf.PROGRAM_HEADER, 56),
        (elf.SECTION_HEADER, 64),
        (elf.SYMBOL, 24),
        (elf.NOTE_HEADER, 12),
    ],
)
def test_layout_has_the_size_of_the_standard(layout: object, byte_count: int) -> None:
    assert getattr(layout, "size") == byte_count  # noqa: B009


def test_header_fields_lie_where_the_standard_puts_them() -> None:
    # e_type 16, e_machine 18, e_version 20, e_entry 24, e_phoff 32, e_shoff 40, e_flags 48, e_ehsize 52,
    # e_phentsize 54, e_phnum 56, e_shentsize 58, e_shnum 60, e_shstrndx 62
    content = bytes(range(64))
    header = elf.Header(*elf.HEADER.unpack_from(content))
    first_bytes = [value & 0xFF for value in header]
    assert first_bytes == [16, 18, 20, 24, 32, 40, 48, 52, 54, 56, 58, 60, 62]


def test_program_header_fields_lie_where_the_standard_puts_them() -> None:
    # p_type 0, p_flags 4, p_offset 8, p_vaddr 16, p_paddr 24, p_filesz 32, p_memsz 40, p_align 48
    program = elf.ProgramHeader(*elf.PROGRAM_HEADER.unpack(bytes(range(56))))
    assert [value & 0xFF for value in program] == [0, 4, 8, 16, 24, 32, 40, 48]


def test_section_header_fields_lie_where_the_standard_puts_them() -> None:
    # sh_name 0, sh_type 4, sh_flags 8, sh_addr 16, sh_offset 24, sh_size 32, sh_link 40, sh_info 44,
    # sh_addralign 48, sh_entsize 56
    section = elf.SectionHeader(*elf.SECTION_HEADER.unpack(bytes(range(64))))
    assert [value & 0xFF for value in section] == [0, 4, 8, 16, 24, 32, 40, 44, 48, 56]


def test_symbol_fields_lie_where_the_standard_puts_them() -> None:
    # st_name 0, st_info 4, st_shndx 6, st_value 8
    assert [value & 0xFF for value in elf.SYMBOL.unpack(bytes(range(24)))] == [0, 4, 6, 8]
