"""The images hold what the sources say: assemblers take a misspelt register for a symbol, and say nothing."""

import shutil

import capstone
import pytest
from guest_images import built, program_names

from minihv.guests import elf
from minihv.guests.image import Image, Segment, load_image

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("gcc", "clang")), reason="no C compiler is installed"
)

RELOCATIONS = (4, 9)  # SHT_RELA, SHT_REL
WITH_ERROR_CODE = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30}


def image(name: str) -> Image:
    return load_image(built() / f"{name}.elf")


def sections(name: str) -> list[elf.SectionHeader]:
    content = (built() / f"{name}.elf").read_bytes()
    header = elf.Header(*elf.HEADER.unpack_from(content))
    end = header.section_offset + 64 * header.section_count
    return [
        elf.SectionHeader(*row)
        for row in elf.SECTION_HEADER.iter_unpack(content[header.section_offset : end])
    ]


def bytes_at(guest: Image, gva: int, byte_count: int) -> bytes:
    segment = next(segment for segment in guest.segments if gva in segment)
    return segment.content[gva - segment.gva :][:byte_count]


@pytest.mark.parametrize("name", program_names())
def test_image_begins_at_1_mib_with_start(name: str) -> None:
    guest = image(name)
    assert guest.segments[0].gpa == guest.entry == guest.symbols["_start"] == 0x100000


@pytest.mark.parametrize("name", program_names())
def test_each_kind_of_memory_has_pages_of_its_own(name: str) -> None:
    def rights(segment: Segment) -> str:
        return "".join(
            "rwx"[n] for n, has in enumerate((segment.readable, segment.writable, segment.executable)) if has
        )

    guest = image(name)
    assert [rights(segment) for segment in guest.segments] in (["rx", "r", "rw"], ["rx", "r"])
    assert all(segment.gpa % 4096 == 0 and segment.gpa == segment.gva for segment in guest.segments)


@pytest.mark.parametrize("name", program_names())
def test_nothing_is_left_to_relocate(name: str) -> None:
    assert not [section for section in sections(name) if section.kind in RELOCATIONS]


@pytest.mark.parametrize("name", program_names())
def test_image_holds_debug_information(name: str) -> None:
    content = (built() / f"{name}.elf").read_bytes()
    assert b".debug_info\0" in content and b".debug_line\0" in content
    assert b"native/guests" in content and str(built()).encode() not in content


@pytest.mark.parametrize("name", program_names())
def test_no_sse_register_is_used(name: str) -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    (text,) = [segment for segment in image(name).segments if segment.executable]
    operands = [line for _, _, _, line in decoder.disasm_lite(text.content, text.gva)]
    assert len(operands) > 100
    assert not [line for line in operands if "mm" in line]


def test_every_vector_has_a_stub_that_evens_out_the_error_code() -> None:
    guest = image("03_exceptions")
    stubs, common = guest.symbols["trap_stubs"], guest.symbols["trap_common"]
    for vector in range(256):
        pushes = b"" if vector in WITH_ERROR_CODE else b"\x6a\0"
        code = pushes + b"\x68" + vector.to_bytes(4, "little")
        stub = bytes_at(guest, stubs + 16 * vector, 16)
        assert stub.startswith(code)
        jump, size = (stub[len(code)], 1) if stub[len(code)] == 0xEB else (stub[len(code)], 4)
        distance = int.from_bytes(stub[len(code) + 1 :][:size], "little", signed=True)
        assert jump in (0xEB, 0xE9)
        assert stubs + 16 * vector + len(code) + 1 + size + distance == common


def test_only_one_image_asks_for_five_levels() -> None:
    levels = {name: image(name).paging_levels for name in program_names()}
    assert [name for name, count in levels.items() if count == 5] == ["08_five_levels"]


ASSEMBLED = {
    "01_hello": {"_start": "31ed e8"},
    "03_exceptions": {
        "fault_divide": "48f7f7 c3",
        "fault_breakpoint": "cc c3",
        "fault_int4": "cd04 c3",
        "fault_into": "ce c3",
        "fault_undefined": "0f0b",
        "fault_x87": "d9e8 c3",
        "fault_load_ds": "8edf c3",
        "fault_load_ss": "8ed7 c3",
        "fault_read": "488b07 c3",
        "fault_write": "488907 c3",
        "fault_jump": "ffe7",
        "fault_int_short_tss": "cd90 c3",
        "fault_int_absent": "cd91 c3",
        "fault_int_beyond": "cd92 c3",
        "compare_and_write": "4839ff 488907 c3",
        "single_step": "9c 48810c2400010000 9d 90 90 c3",
        "x87_divide_at": "9b c3",
        "attempt_call": "9c 53 55 4154 4155 4156 4157 488925",
        "attempt_unwound": "415f 415e 415d 415c 5d 5b 9d c3",
        "trap_common": "50 53 51 52 55 56 57 4150 4151 4152 4153 4154 4155 4156 4157 fc 4889e7 e8",
    },
    "04_rings": {
        "enter_ring3_by_iretq": "6a23 ff7708 ff7710 6a2b ff37 488b7f18 48cf",
        "enter_ring3_by_sysret": "488b0f 4c8b5f10 488b6708 488b7f18 480f07",
        "user_int": "488d4701 cd80",
        "user_int_refused": "cd81",
        "user_syscall": "0f05 9c 5b cd80",
        "user_print": "89f8",
        "user_out": "e6e9 cd80",
        "user_in": "e4e9 cd80",
        "user_read": "488b07 cd80",
        "user_hlt": "f4",
        "user_cli": "fa",
        "user_mov_cr0": "0f20c0",
        "user_mov_cr3": "0f22d8",
        "user_mov_dr7": "0f21f8",
        "user_clts": "0f06",
        "user_lgdt": "0f0117",
        "user_lidt": "0f011f",
        "user_ltr": "0f00df",
        "user_invlpg": "0f013f",
        "user_wrmsr": "0f30",
        "user_rdmsr": "0f32",
        "user_swapgs": "0f01f8",
        "user_sysret": "480f07",
        "user_wbinvd": "0f09",
        "user_vmmcall": "0f01d9",
    },
    "05_page_tables": {
        "probe_read": "488b07 c3",
        "probe_write": "48c7072a000000 c3",
        "probe_call": "ffd7 c3",
        "probe_read_with_ac": "0f01cb 488b07 0f01ca c3",
        "user_read": "488b07 cd80",
        "user_write": "48893f cd80",
        "user_return": "c3",
    },
    "11_exit_state": {
        "way_cpuid": "0fa2 c3",
        "way_rdtsc": "0f31 c3",
        "way_rdmsr": "0f32 c3",
        "way_wrmsr": "0f30 c3",
        "way_out": "e680 c3",
        "way_in": "e480 c3",
        "way_hypercall": "ffd3 c3",
        "way_interrupt": "cd80 c3",
        "way_page_fault": "498b07 c3",
        "way_load_cr3": "0f20d8 0f22d8 c3",
        "way_loop": "e2fe c3",
        "around": "53 55 4154 4155 4156 4157 56 52 480fae8f90000000 ffb780000000 9d 488b07 488b4f08 488b5710",
    },
    "06_self_modifying": {
        "answer": "b800000000 c3",
        "count_itself": "ff0508000000 8b0502000000 eb04 00000000 c3",
        "patch_ahead": "893d01000000 b800000000 c3",
    },
}


@pytest.mark.parametrize(
    ("name", "symbol", "expected"),
    [(name, symbol, code) for name, symbols in ASSEMBLED.items() for symbol, code in symbols.items()],
)
def test_assembly_is_what_its_source_means(name: str, symbol: str, expected: str) -> None:
    guest = image(name)
    code = bytes.fromhex(expected)
    assert bytes_at(guest, guest.symbols[symbol], len(code)) == code
