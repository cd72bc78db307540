import struct

import pytest
from elf_files import NOTE, Elf, Part, note
from hypothesis import given
from hypothesis import strategies as st

from minihv.errors import ConfigurationError
from minihv.guests.boot import INFO, MOST_ARGUMENT_BYTES, InitialState, boot, check_memory, hand_arguments
from minihv.guests.image import read_image
from minihv.terms import MIB, Gpa

FIVE_LEVELS = Part(note(b"minihv", 1, b"\5\0\0\0"), kind=NOTE)


class Ram:
    """Sparse memory that remembers what was written."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def write(self, gpa: Gpa, content: bytes) -> None:
        self.bytes |= dict(enumerate(content, gpa))

    def read(self, gpa: int, byte_count: int) -> bytes:
        return bytes(self.bytes.get(at, 0) for at in range(gpa, gpa + byte_count))

    def u64(self, gpa: int) -> int:
        return int.from_bytes(self.read(gpa, 8), "little")


def booted(
    *parts: Part, memory_bytes: int = 64 * MIB, vp_count: int = 1
) -> tuple[Ram, tuple[InitialState, ...]]:
    ram = Ram()
    image = read_image(Elf(parts=[Part(), *parts]).build(), "it.elf")
    return ram, boot(image, ram.write, memory_bytes=memory_bytes, vp_count=vp_count)


def test_segments_are_in_memory() -> None:
    ram, _ = booted(Part(b"data", gpa=0x101000, memory_bytes=0x2000))
    assert ram.read(0x100000, 4) == b"\xfa\xf4\xeb\xfc"
    assert ram.read(0x101000, 6) == b"data\0\0"


def test_info_page_describes_the_machine() -> None:
    ram, _ = booted(Part(b"data", gpa=0x101000), memory_bytes=16 * MIB, vp_count=3)
    fields = struct.unpack("<8sIIQQQII", ram.read(0x1000, 48))
    assert fields == (b"MINIHV\0\1", 1, 3, 16 * MIB, 0x102000, 0x3000, 4, 0)


def test_arguments_are_behind_the_info_page_with_a_zero_at_their_end() -> None:
    ram, _ = booted()
    hand_arguments(ram.write, "scsi straße/a.txt")
    assert ram.read(0x1030, 32).partition(b"\0")[0] == "scsi straße/a.txt".encode()
    assert ram.read(0x1000, 8) == b"MINIHV\0\1"


def test_longest_arguments_fill_the_info_page_and_no_more() -> None:
    ram, _ = booted()
    gdt = ram.read(0x2000, 16)
    hand_arguments(ram.write, "x" * MOST_ARGUMENT_BYTES)
    assert ram.read(0x1FF0, 16) == b"x" * 15 + b"\0" and ram.read(0x2000, 16) == gdt
    assert MOST_ARGUMENT_BYTES + INFO.size == 4095


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "é" * 2024,
            "The arguments of a guest have at most 4,047 bytes, not 4,048; choose a shorter --append.",
        ),
        (
            "a\0b",
            "The arguments of a guest end at a zero, and there is one within 'a\\x00b'; leave it out.",
        ),
    ],
)
def test_arguments_that_a_guest_could_not_read_are_refused(arguments: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        hand_arguments(Ram().write, arguments)
    assert str(refused.value) == sentence


def test_every_vp_enters_at_the_entry_with_a_stack_of_its_own() -> None:
    _, states = booted(vp_count=32)
    assert [state.rip for state in states] == [0x100000] * 32
    assert [state.rsi for state in states] == list(range(32))
    assert [state.rsp for state in states] == [0x14000 + 0x4000 * index for index in range(32)]


def test_registers_are_those_of_the_contract() -> None:
    _, (state,) = booted()
    assert state.registers == {
        "rip": 0x100000, "rsp": 0x14000, "rdi": 0x1000, "rsi": 0, "rflags": 2,
        "cr0": 0x80010033, "cr3": 0x3000, "cr4": 0x620, "efer": 0xD00,
    }  # fmt: skip


def test_segment_registers_are_loaded_from_the_gdt() -> None:
    ram, (state,) = booted()
    gdtr = state.segments["gdtr"]
    assert (gdtr.base, gdtr.limit) == (0x2000, 47)
    for name, selector in {"cs": 0x08, "ss": 0x10, "ds": 0x10, "es": 0x10, "fs": 0x10, "gs": 0x10}.items():
        register, descriptor = state.segments[name], ram.u64(0x2000 + selector)
        assert (register.selector, register.base, register.limit) == (selector, 0, 0xFFFFFFFF)
        assert register.attributes == descriptor >> 40 & 0xF0FF


def test_gdt_has_the_segments_that_sysret_counts_on() -> None:
    ram, _ = booted()
    descriptors = [ram.u64(0x2000 + 8 * number) for number in range(6)]
    privilege = [descriptor >> 45 & 3 for descriptor in descriptors]
    is_long_code = [bool(descriptor >> 53 & 1) for descriptor in descriptors]
    assert privilege == [0, 0, 0, 3, 3, 3]
    assert is_long_code == [False, True, False, False, False, True]


def test_an_interrupt_before_the_guest_has_an_idt_finds_none() -> None:
    _, (state,) = booted()
    assert state.segments["idtr"].limit == 0
    assert state.segments["tr"].limit == 0


def walk(ram: Ram, root: int, levels: int, gva: int) -> tuple[int, int] | None:
    """The GPA that ``gva`` leads to, and the rights of its leaf; None where the tables end."""
    table = root
    for level in range(levels, 0, -1):
        entry = ram.u64(table + 8 * (gva >> 12 + 9 * (level - 1) & 0x1FF))
        if not entry & 1:
            return None
        if entry & 0x80:
            offset = (1 << 12 + 9 * (level - 1)) - 1
            return entry & 0x000F_FFFF_FFFF_F000 & ~offset | gva & offset, entry & 0x8000_0000_0000_0FFF
        table = entry & 0x000F_FFFF_FFFF_F000
    raise AssertionError("the boot tables have no small pages")


@given(st.sampled_from([4, 5]), st.integers(2, 4 * 1024), st.data())
def test_all_of_ram_is_identity_mapped_by_writable_pages(
    levels: int, memory_mib: int, data: st.DataObject
) -> None:
    parts = [FIVE_LEVELS] if levels == 5 else []
    ram, (state,) = booted(*parts, memory_bytes=memory_mib * MIB)
    gpa = data.draw(st.integers(0, memory_mib * MIB - 1))
    assert walk(ram, state.cr3, levels, gpa) == (gpa, 0x83)
    assert walk(ram, state.cr3, levels, (memory_mib + 1) * MIB) is None


def test_tables_of_the_largest_memory_end_below_the_stacks() -> None:
    ram, _ = booted(FIVE_LEVELS, memory_bytes=8192 * MIB)
    low = [gpa for gpa in ram.bytes if gpa < 0x100000]
    assert max(low) < 0x10000


def test_five_levels_are_entered_with_la57() -> None:
    ram, (state,) = booted(FIVE_LEVELS)
    assert state.cr4 == 0x1620
    assert struct.unpack_from("<I", ram.read(0x1028, 4)) == (5,)


def refusal(memory_bytes: int, vp_count: int) -> str:
    with pytest.raises(ConfigurationError) as refused:
        booted(memory_bytes=memory_bytes, vp_count=vp_count)
    return str(refused.value)


@pytest.mark.parametrize("vp_count", [0, -1, 33])
def test_absurd_number_of_vps_is_refused(vp_count: int) -> None:
    assert refusal(64 * MIB, vp_count) == (
        f"A guest must have between 1 and 32 VPs, not {vp_count}; choose another --vps."
    )


@pytest.mark.parametrize("memory_bytes", [0, MIB, 8192 * MIB + 4096])
def test_absurd_size_of_memory_is_refused(memory_bytes: int) -> None:
    assert refusal(memory_bytes, 1) == (
        f"A guest must have between 2 MiB and 8 GiB of memory, not {memory_bytes:#x} bytes; "
        f"choose another --memory."
    )


def test_memory_that_ends_within_a_page_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_memory(64 * MIB + 1)
    assert str(refused.value) == (
        "The memory of a guest must be a multiple of 0x1000 bytes, not 0x4000001; choose another --memory."
    )


def test_image_beyond_the_memory_is_refused_before_anything_is_written() -> None:
    ram = Ram()
    image = read_image(Elf(parts=[Part(memory_bytes=4 * MIB)]).build(), "it.elf")
    with pytest.raises(ConfigurationError, match="must end within the 0x200000 bytes of memory"):
        boot(image, ram.write, memory_bytes=2 * MIB, vp_count=1)
    assert ram.bytes == {}
