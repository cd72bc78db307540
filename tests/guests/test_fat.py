"""The guests' reader of FAT volumes, on the host: it reads what others write, and no volume harms it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fat_volumes import SIZES, checksum, files, make_volume, needs_fat_tools
from hypothesis import given, settings
from hypothesis import strategies as st
from source_tree import ROOT

from minihv.testing.outcomes import Shares

COMPILER = shutil.which("gcc") or shutil.which("clang")
pytestmark = [
    needs_fat_tools,
    pytest.mark.skipif(COMPILER is None, reason="no C compiler is installed"),
]
GUESTS = ROOT / "native" / "guests"
MOST_ENTRIES, MOST_DEPTH = 20_000, 12
"""That the walk tells of, and how deep directories may be."""
SHARES = Shares()
Reader = Callable[..., list[str]]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("volumes")
    return {bits: make_volume(folder / f"fat{bits}.raw", bits) for bits in SIZES}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Lists a volume some of whose bytes were changed; it ends well whatever they are."""
    program = tmp_path_factory.mktemp("fat") / "fat_host"
    sources = [GUESTS / "lib" / f"{name}.c" for name in ("fat", "fat_names", "fat_tree", "crc32")]
    source = Path(__file__).with_name("fat_host.c")
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{GUESTS}"]
    safe = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    for extra in (safe, []):  # without the sanitizers where they are not installed
        command = [COMPILER, *flags, *extra, "-o", program, source, *sources]
        built = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if built.returncode == 0:
            break
    assert built.returncode == 0, built.stderr

    def read(volume: Path, *changes: tuple[int, int]) -> list[str]:
        said = [f"{offset}:{value}" for offset, value in changes]
        done = subprocess.run([program, volume, *said], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().splitlines()

    return read


@pytest.mark.parametrize("bits", list(SIZES))
def test_all_files_are_found_with_their_names_and_bytes(
    reader: Reader, volumes: dict[int, Path], bits: int
) -> None:
    lines = reader(volumes[bits])
    expected = {f"{name}: {len(data)} end {checksum(data):08x}" for name, data in files(bits).items()}
    assert lines[0] == f"open ok {bits}"
    assert set(lines[1:-1]) == expected | {"sub/", "sub/deeper/"} and len(lines) == len(expected) + 4


def test_volume_may_be_a_partition(reader: Reader, volumes: dict[int, Path], tmp_path: Path) -> None:
    disk, first = tmp_path / "disk.raw", 63
    table = bytearray(512)
    table[446 + 16 :][:16] = b""
    table[446 + 16 : 446 + 32] = bytes([0, 0, 0, 0, 6, 0, 0, 0]) + first.to_bytes(4, "little") + bytes(4)
    table[510:] = b"\x55\xaa"
    disk.write_bytes(bytes(table) + bytes(512 * (first - 1)) + volumes[16].read_bytes())
    assert reader(disk)[:-1] == reader(volumes[16])[:-1]
    assert reader(disk, (446 + 20, 0x83))[0] == "open none 0"  # somebody else's partition


def places(bits: int) -> st.SearchStrategy[int]:
    """Bytes that say where others are: the boot sector, the tables, directories."""
    return st.integers(0, 100) | st.integers(500, 80_000 if bits == 12 else 700_000)


CHANGES = {bits: st.lists(st.tuples(places(bits), st.integers(0, 255)), max_size=12) for bits in (12, 32)}


@settings(max_examples=150)
@given(st.sampled_from([12, 32]).flatmap(lambda bits: st.tuples(st.just(bits), CHANGES[bits])))
def test_any_volume_is_read_to_an_end(
    reader: Reader, volumes: dict[int, Path], damage: tuple[int, list[tuple[int, int]]]
) -> None:
    bits, changes = damage
    lines = reader(volumes[bits], *changes)
    opened, reads = lines[0].split()[1], int(lines[-1].split()[1])
    SHARES.add(opened)
    for line in lines[1:-1]:
        SHARES.add("broken" if "broken" in line else "read")
    sectors = SIZES[bits] // 512
    assert reads <= 2 + 2 * sectors * (MOST_DEPTH + len(files(bits)) + 1)
    assert len(lines) <= MOST_ENTRIES + 3


def test_damage_reached_every_outcome() -> None:
    SHARES.assert_floors({"none": 0.005, "ok": 0.02, "broken": 0.005, "read": 0.2})


def changed(volume: Path, needle: bytes, offset: int, data: bytes) -> list[tuple[int, int]]:
    """``data`` at ``offset`` from the only place where ``needle`` is."""
    content = volume.read_bytes()
    assert content.count(needle) == 1
    at = content.index(needle) + offset
    return [(at + number, value) for number, value in enumerate(data)]


@pytest.mark.parametrize(
    ("letters", "name"),
    [("🐧", "🐧ir of letters"), ("\ud83d!", "?!ir of letters"), ("a\udc27", "a?ir of letters")],
)
def test_two_halves_are_a_letter_and_one_is_none(
    reader: Reader, volumes: dict[int, Path], letters: str, name: str
) -> None:
    halves = letters.encode("utf-16-le", "surrogatepass")
    lines = reader(volumes[12], *changed(volumes[12], "pair ".encode("utf-16-le"), 0, halves))
    assert f"{name}: 0 end 00000000" in lines


def test_long_name_of_somebody_else_is_not_taken(reader: Reader, volumes: dict[int, Path]) -> None:
    lines = reader(volumes[12], *changed(volumes[12], b"INPIEC", 0, b"OUTPIE"))
    assert any(line.startswith("OUTPIE~1: 20000 end ") for line in lines)


def test_directory_that_is_in_itself_ends_at_some_depth(reader: Reader, volumes: dict[int, Path]) -> None:
    content = volumes[12].read_bytes()
    entry = content.index(b"SUB        ")
    own = content[entry + 26 : entry + 28]
    lines = reader(volumes[12], *changed(volumes[12], b"DEEPER     ", 26, own))
    assert "walk broken" in lines and max(line.count("/") for line in lines) == MOST_DEPTH


def test_chain_that_comes_back_is_broken(reader: Reader, volumes: dict[int, Path]) -> None:
    content = volumes[16].read_bytes()
    entry = content.index(b"INPIEC")
    first = int.from_bytes(content[entry + 26 : entry + 28], "little")
    table = int.from_bytes(content[14:16], "little") * 512
    back = [(table + 2 * first + at, value) for at, value in enumerate(first.to_bytes(2, "little"))]
    grown = [(entry + 28 + at, value) for at, value in enumerate((1 << 31).to_bytes(4, "little"))]
    lines = reader(volumes[16], *back, *grown)
    (line,) = (line for line in lines if line.startswith("in pieces: "))
    assert line.startswith(f"in pieces: {1 << 31} broken ")
