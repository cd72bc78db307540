"""The guard finds what would kill the engine, at every alignment, and lets ordinary code pass."""

import platform
import struct
from itertools import pairwise
from pathlib import Path

import pytest

import minihv._core
from minihv._core import lib

PAGE_BYTES = 4096
NOP, HALT = b"\x90", b"\xf4"
ENOUGH = 512

# One instruction each, with what it leaves behind in the translator. docs/decisions/010-guard has them all.
LEAVES_TWO = ["d9c9", "d8c1", "dec1", "ddd8", "9c", "0f00c0", "0f0108", "0f08", "0f21c0", "660f78c00101"]
LEAVES_ONE = ["d900", "660f70c01b", "0fc6c000", "8ee0", "0fa1", "0fb400", "f20f38f1c0", "660f3a0fc001"]
LEAVES_FOUR = ["660f3a21c00f"]
FORBIDDEN = [
    "f00fa3c0", "f00fabd9", "f00fb3ff", "f00fbbc1", "f00fbae001", "f00fbaff01",
    "f0480fabc0", "66f00fabc0", "f066450fbbc0", "f02e0fabc0", "f0f20fa3c0",
]  # fmt: skip


def suspects(page: bytes) -> bool:
    return bool(lib.mhv_guard_suspects(page, len(page)))


def forbids(code: bytes) -> bool:
    return bool(lib.mhv_guard_forbids(code, len(code)))


def page_with(code: bytes, at: int) -> bytes:
    """A page of HLT, which ends a block at every alignment, with `code` from byte `at` on."""
    page = HALT * PAGE_BYTES
    return (page[:at] + code + page[at:])[:PAGE_BYTES]


@pytest.mark.parametrize("code", [bytes.fromhex(text) for text in LEAVES_TWO + LEAVES_ONE + LEAVES_FOUR])
def test_long_run_is_suspected_at_every_alignment(code: bytes) -> None:
    for at in range(16, 32):
        assert suspects(page_with(code * ENOUGH, at))


@pytest.mark.parametrize(
    ("texts", "weight"), [(LEAVES_ONE, 1), (LEAVES_TWO, 2), (LEAVES_FOUR, 4)], ids=["one", "two", "four"]
)
def test_run_is_suspected_from_the_limit_on(texts: list[str], weight: int) -> None:
    for code in map(bytes.fromhex, texts):
        most = 416 // weight
        assert not suspects(page_with(code * most, 100))
        assert suspects(page_with(code * (most + 1), 100))


@pytest.mark.parametrize("at_start", [True, False])
def test_run_that_may_go_over_a_page_boundary_has_half_the_room(at_start: bool) -> None:
    def page(count: int) -> bytes:
        code = b"\xd9\xc9" * count
        return page_with(code, 0 if at_start else PAGE_BYTES - len(code))

    assert not suspects(page(104))
    assert suspects(page(105))


def test_branch_ends_a_run() -> None:
    assert not suspects((b"\xd9\xc9" * 100 + HALT) * 20 + HALT * 76)
    assert suspects((b"\xd9\xc9" * 100 + NOP) * 20 + HALT * 76)


@pytest.mark.parametrize("code", [bytes.fromhex(text) for text in FORBIDDEN])
def test_locked_bit_test_of_a_register_is_forbidden(code: bytes) -> None:
    assert forbids(code + NOP * 8)
    assert not any(forbids(code[:byte_count]) for byte_count in range(len(code)))
    for at in (0, 1, 2, 3, 1000, PAGE_BYTES - len(code)):
        assert suspects(page_with(code, at))


@pytest.mark.parametrize("code", [bytes.fromhex(text) for text in FORBIDDEN])
def test_forbidden_instruction_across_a_boundary_makes_one_of_the_pages_suspect(code: bytes) -> None:
    for first_bytes in range(1, len(code)):
        first = page_with(code[:first_bytes], PAGE_BYTES - first_bytes)
        assert suspects(first) or suspects(page_with(code[first_bytes:], 0))


@pytest.mark.parametrize(
    "text", ["f00fab08", "0fabc0", "f00fb1c8", "f00fbac001", "f00fba2801", "f00fc1c0", "f048ffc0"]
)
def test_other_instructions_are_not_forbidden(text: str) -> None:
    assert not forbids(bytes.fromhex(text) + NOP * 8)


@pytest.mark.parametrize("page", [b"", bytes(PAGE_BYTES), NOP * PAGE_BYTES, b"\xff" * PAGE_BYTES, b"\xf0"])
def test_empty_and_uniform_pages_are_not_suspected(page: bytes) -> None:
    assert not suspects(page)


def test_more_than_a_page_is_suspected() -> None:
    assert suspects(NOP * (PAGE_BYTES + 1))


def code_pages(library: Path) -> list[bytes]:
    """The whole pages of the executable segments of an ELF file of this machine."""
    data = library.read_bytes()
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    pages = []
    for header in range(table, table + size * count, size):
        kind, flags, start, _, _, file_bytes = struct.unpack_from("<IIQQQQ", data, header)
        if kind == 1 and flags & 1:
            ends = range(start, start + file_bytes, PAGE_BYTES)
            pages += [data[low:high] for low, high in pairwise(ends)]
    return pages


@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs compiled x86-64 code")
def test_compiled_code_is_rarely_suspected() -> None:
    libraries = [Path(minihv._core.__file__), *Path("/usr/lib/x86_64-linux-gnu").glob("lib[cm].so.6")]
    pages = [page for library in libraries for page in code_pages(library)]
    suspected = sum(map(suspects, pages))
    print(f"{suspected} of {len(pages)} pages suspected")
    assert suspected <= 0.02 * len(pages) + 2
