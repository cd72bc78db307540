"""The guests' reader of FAT volumes, on the host: it reads what others write, and no volume harms it."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fat_reader import Change, Reader, needs_cc
from fat_volumes import (
    GREETING,
    SIZES,
    copy_tree,
    files,
    format_volume,
    line_of,
    make_partition,
    make_volume,
    needs_fat_tools,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from minihv.testing.outcomes import Shares

pytestmark = [needs_fat_tools, needs_cc]
SECTOR_BYTES, DEPTH = 512, 16
SHARES = Shares()


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("volumes")
    return {bits: make_volume(folder / f"fat{bits}.raw", bits) for bits in SIZES}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("bits", list(SIZES))
def test_all_files_are_found_with_their_names_and_bytes(
    reader: Reader, volumes: dict[int, Path], bits: int
) -> None:
    first, *lines = reader(volumes[bits])
    expected = [line_of(name, data) for name, data in files(bits).items()]
    assert first.startswith(f"{SIZES[bits] // SECTOR_BYTES} sectors, FAT{bits} with ")
    assert sorted(lines) == sorted([*expected, "ok      sub/", "ok      sub/deeper/"])


@pytest.mark.parametrize("sector_bytes", [1024, 2048, 4096])
def test_sectors_of_a_volume_may_be_larger_than_those_of_its_disk(
    reader: Reader, tmp_path: Path, sector_bytes: int
) -> None:
    data = bytes(range(256)) * 50
    volume = format_volume(tmp_path / "a.raw", 12, "-S", sector_bytes, "-s", 2)
    (tmp_path / "tree" / "folder").mkdir(parents=True)
    (tmp_path / "tree" / "folder" / "data").write_bytes(data)
    copy_tree(volume, tmp_path / "tree")
    assert reader(volume)[1:] == ["ok      folder/", line_of("folder/data", data)]


def test_volume_may_be_a_partition(reader: Reader, volumes: dict[int, Path], tmp_path: Path) -> None:
    disk = make_partition(tmp_path / "disk.raw", volumes[16])
    assert reader(disk)[1:] == reader(volumes[16])[1:]
    somebody_elses = make_partition(disk, volumes[16], kind=0x83)
    assert reader(somebody_elses)[1:] == [
        "ok      what is on it: there is no volume with a file allocation table (reason 3)"
    ]


def test_chunk_is_more_than_a_cluster_where_clusters_follow_each_other(
    reader: Reader, volumes: dict[int, Path]
) -> None:
    (last,) = reader(volumes[12], path="README.TXT")[-1:]
    assert last == "ok      README.TXT" and reader.read_count < 10
    reader(volumes[12])
    used = sum(-(-len(data) // SECTOR_BYTES) for data in files(12).values())
    assert used < reader.read_count < used + 50


@pytest.mark.parametrize("path", ["README.TXT", "readme.txt"])
def test_text_of_a_file_is_printed(reader: Reader, volumes: dict[int, Path], path: str) -> None:
    assert reader(volumes[32], path=path)[1:] == [GREETING.decode().strip(), f"ok      {path}"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("README", "there is no such file (reason 16)"),
        ("README.TXT.", "there is no such file (reason 16)"),
        ("README.TXT/more", "there is no such file (reason 16)"),
        ("sub/none", "there is no such file (reason 16)"),
        ("sub/deeper", "it is a directory (reason 17)"),
        ("sub/", "it is a directory (reason 17)"),
    ],
)
def test_file_that_cannot_be_printed_is_refused(
    reader: Reader, volumes: dict[int, Path], path: str, reason: str
) -> None:
    assert reader(volumes[16], path=path)[1:] == [f"FAILED  {path}: {reason}"]


# --- volumes that others make ---

LETTERS = "abcXYZ019 -_.,+=[]!Ж仮"
"""None that a short name would hold in the code page of who wrote it."""
RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    "clock$",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
NAMES = st.text(LETTERS, min_size=1, max_size=70).filter(
    lambda name: name == name.strip(" .-") and name.split(".")[0].strip().lower() not in RESERVED
)
CONTENT = st.one_of(
    st.sampled_from([0, 1, 511, 512, 513, 4096]).map(lambda size: b"x" * size), st.binary(max_size=3000)
)
Folder = dict[str, Any]
"""By name, what is in a file or in a folder."""


def are_names_apart(folder: Folder) -> bool:
    """Whether no two names in one folder differ in their case alone."""
    within = (what for what in folder.values() if isinstance(what, dict))
    return len({name.lower() for name in folder}) == len(folder) and all(map(are_names_apart, within))


FILES: st.SearchStrategy[Folder] = st.dictionaries(NAMES, CONTENT, max_size=3)
FOLDERS = st.recursive(
    FILES, lambda inner: st.dictionaries(NAMES, st.one_of(CONTENT, inner), max_size=4), max_leaves=8
).filter(are_names_apart)


def lay_down(tree: Path, folder: Folder) -> None:
    """The folder is one of the host."""
    tree.mkdir()
    for name, what in folder.items():
        if isinstance(what, dict):
            lay_down(tree / name, what)
        else:
            (tree / name).write_bytes(what)


def told_of(folder: Folder, above: str = "") -> Iterator[str]:
    """The lines about it, in some order."""
    for name, what in folder.items():
        if isinstance(what, dict):
            yield f"ok      {above}{name}/"
            yield from told_of(what, f"{above}{name}/")
        else:
            yield line_of(above + name, what)


@settings(max_examples=25)
@given(st.sampled_from(list(SIZES)), st.sampled_from([1, 2]), FOLDERS)
def test_files_that_others_wrote_are_what_they_were(
    reader: Reader, bits: int, cluster_sectors: int, folder: Folder
) -> None:
    with TemporaryDirectory() as place:
        volume, tree = Path(place, "a.raw"), Path(place, "tree")
        format_volume(volume, bits, "-s", 1 if bits == 32 else cluster_sectors)
        lay_down(tree, folder)
        copy_tree(volume, tree)
        assert sorted(reader(volume)[1:]) == sorted(told_of(folder))


# --- volumes that were damaged ---


@pytest.fixture(scope="module")
def metadata(volumes: dict[int, Path]) -> dict[int, list[int]]:
    """Where each volume says where others are: the bytes that are not zero, outside of files."""
    places = {}
    for bits, volume in volumes.items():
        content = bytearray(volume.read_bytes())
        for data in files(bits).values():
            for piece in (data[at : at + SECTOR_BYTES] for at in range(0, len(data), SECTOR_BYTES)):
                at = content.index(piece)
                content[at : at + len(piece)] = bytes(len(piece))
        places[bits] = [found.start() for found in re.finditer(rb"[^\0]", content)]
    return places


@settings(max_examples=200)
@given(st.sampled_from(list(SIZES)), st.data())
def test_any_volume_is_read_to_an_end(
    reader: Reader, volumes: dict[int, Path], metadata: dict[int, list[int]], bits: int, data: st.DataObject
) -> None:
    values = st.one_of(st.sampled_from([0, 1, 2, 3, 0x10, 0xF7, 0xFF]), st.integers(0, 255))
    places = st.one_of(st.sampled_from(range(11, 48)), st.sampled_from(metadata[bits]))
    changes = data.draw(st.lists(st.tuples(places, values.map(lambda one: bytes([one]))), max_size=6))
    first, *lines = reader(volumes[bits], *changes)
    for reason in [line.rpartition(" (")[2] for line in lines if "(reason " in line] or ["no reason)"]:
        SHARES.add(reason.rstrip(")"))
    sectors = SIZES[bits] // SECTOR_BYTES
    assert reader.read_count <= 8 * sectors
    assert all("(reason " in line for line in lines if line.startswith("FAILED"))
    assert ", FAT" in first or len(lines) == 1


def test_damage_reached_many_reasons() -> None:
    assert len(SHARES.counts) >= 6, SHARES.counts
    SHARES.assert_floors({"no reason": 0.1, "reason 4": 0.01, "reason 7": 0.003, "reason 1": 0.01})


def le(value: int, byte_count: int) -> bytes:
    return value.to_bytes(byte_count, "little")


BOOT_SECTORS: dict[str, tuple[int, list[Change]]] = {
    "no signature": (3, [(510, b"\0")]),
    "no jump": (3, [(0, b"\0")]),
    "no bytes in a sector": (4, [(11, le(0, 2))]),
    "sectors of 768 bytes": (4, [(11, le(768, 2))]),
    "sectors of 256 bytes": (4, [(11, le(256, 2))]),
    "sectors of 8192 bytes": (4, [(11, le(8192, 2))]),
    "no sector in a cluster": (5, [(13, b"\0")]),
    "three sectors in a cluster": (5, [(13, b"\3")]),
    "no boot sector": (6, [(14, le(0, 2))]),
    "no table": (6, [(16, b"\0")]),
    "table without sectors": (6, [(22, le(0, 2)), (36, le(0, 4))]),
    "no sectors": (6, [(19, le(0, 2)), (32, le(0, 4))]),
    "tables behind the end": (6, [(22, le(0xFFFF, 2))]),
    "root directory behind the end": (6, [(17, le(0xFFFF, 2)), (19, le(0xFFF, 2))]),
    "more sectors than the disk": (7, [(19, le(SIZES[12] // SECTOR_BYTES + 1, 2))]),
    "table for too few": (8, [(22, le(2, 2))]),
    "no root directory": (9, [(17, le(0, 2))]),
    "no cluster": (5, [(19, le(1 + 2 * 12 + 32, 2))]),
}


@pytest.mark.parametrize(("reason", "changes"), BOOT_SECTORS.values(), ids=list(BOOT_SECTORS))
def test_boot_sector_that_cannot_be_is_refused(
    reader: Reader, volumes: dict[int, Path], reason: int, changes: list[Change]
) -> None:
    (line,) = reader(volumes[12], *changes)[1:]
    assert line.endswith(f" (reason {reason})") and line.startswith("ok" if reason == 3 else "FAILED")


WIDE: dict[str, tuple[int, list[Change]]] = {
    "newer than this reader": (9, [(42, b"\1")]),
    "a narrow root directory": (9, [(17, le(512, 2))]),
    "another table than there are": (6, [(40, b"\x82")]),
}


@pytest.mark.parametrize(("reason", "changes"), WIDE.values(), ids=list(WIDE))
def test_boot_sector_of_fat32_is_refused(
    reader: Reader, volumes: dict[int, Path], reason: int, changes: list[Change]
) -> None:
    (line,) = reader(volumes[32], *changes)[1:]
    assert line.endswith(f" (reason {reason})")


def test_fat32_may_keep_its_second_table_alone(reader: Reader, volumes: dict[int, Path]) -> None:
    content = volumes[32].read_bytes()
    table = int.from_bytes(content[14:16], "little") * SECTOR_BYTES
    lost = (table, bytes(4096))
    assert "FAILED" in "".join(reader(volumes[32], lost))
    assert reader(volumes[32], lost, (40, b"\x81")) == reader(volumes[32])


def changed(volume: Path, needle: bytes, offset: int, data: bytes) -> Change:
    """``data`` at ``offset`` from the only place where ``needle`` is."""
    content = volume.read_bytes()
    assert content.count(needle) == 1
    return content.index(needle) + offset, data


def entry_in_table(volume: Path, name: bytes, value: int) -> Change:
    """What follows the first cluster of the entry ``name``, in a table of 16 bits, is ``value``."""
    content = volume.read_bytes()
    entry, table = content.index(name), int.from_bytes(content[14:16], "little") * SECTOR_BYTES
    first = int.from_bytes(content[entry + 26 : entry + 28], "little")
    return table + 2 * first, le(value, 2)


def first_cluster(volume: Path, name: bytes) -> int:
    content = volume.read_bytes()
    entry = content.index(name)
    return int.from_bytes(content[entry + 26 : entry + 28], "little")


@pytest.mark.parametrize("value", [0, 1, 0xFFF0, 0xFFF7, 0x7FFF])
def test_chain_that_leads_nowhere_is_refused(reader: Reader, volumes: dict[int, Path], value: int) -> None:
    lines = reader(volumes[16], entry_in_table(volumes[16], b"INPIEC", value))
    reason = "a chain leads to a cluster that is free, bad or not there (reason 10)"
    assert f"FAILED  in pieces: 6000 bytes: {reason}" in lines
    assert Counter(line[:6] for line in lines)["FAILED"] == 1


def test_chain_that_comes_back_is_refused(reader: Reader, volumes: dict[int, Path]) -> None:
    volume = volumes[16]
    back = entry_in_table(volume, b"INPIEC", first_cluster(volume, b"INPIEC"))
    lines = reader(volume, back, changed(volume, b"INPIEC", 28, le(1 << 31, 4)))
    assert f"FAILED  in pieces: {1 << 31} bytes: a chain comes back to itself (reason 11)" in lines
    assert reader.read_count < 250


def test_chain_that_ends_before_its_file_is_refused(reader: Reader, volumes: dict[int, Path]) -> None:
    lines = reader(volumes[16], entry_in_table(volumes[16], b"INPIEC", 0xFFFF))
    assert "FAILED  in pieces: 6000 bytes: a chain ends before its file (reason 12)" in lines


def test_files_that_share_their_clusters_are_read_no_more_than_the_volume_has(
    reader: Reader, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(4):
        (tmp_path / "tree" / f"FILE{number}").write_bytes(bytes(900_000 if number == 0 else 1))
    volume = format_volume(tmp_path / "a.raw", 12, "-s", 1)
    copy_tree(volume, tmp_path / "tree")
    one = le(first_cluster(volume, b"FILE0"), 2) + le(900_000, 4)
    lines = reader(volume, *(changed(volume, b"FILE%d" % number, 26, one) for number in (1, 2, 3)))
    shared = "clusters belong to more than one file or directory (reason 13)"
    assert [line.startswith("ok") for line in lines[1:]] == [True, True, False, False]
    assert lines[3:] == [f"FAILED  FILE{number}: 900000 bytes: {shared}" for number in (2, 3)]


@pytest.mark.parametrize("bits", [12, 16])
def test_directory_that_is_in_itself_is_refused(reader: Reader, volumes: dict[int, Path], bits: int) -> None:
    own = le(first_cluster(volumes[bits], b"SUB        "), 2)
    lines = reader(volumes[bits], changed(volumes[bits], b"DEEPER     ", 26, own))
    assert "FAILED  sub/deeper/: a directory is within itself (reason 14)" in lines
    assert line_of("sub/lower.c", files(bits)["sub/lower.c"]) in lines


def test_directory_that_begins_nowhere_is_refused(reader: Reader, volumes: dict[int, Path]) -> None:
    lines = reader(volumes[12], changed(volumes[12], b"DEEPER     ", 26, le(0, 2)))
    reason = "a chain leads to a cluster that is free, bad or not there (reason 10)"
    assert f"FAILED  sub/deeper/: {reason}" in lines


def test_directories_have_a_depth_at_which_they_are_refused(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "tree" / "/".join("d" * DEPTH)).mkdir(parents=True)
    volume = format_volume(tmp_path / "a.raw", 12)
    copy_tree(volume, tmp_path / "tree")
    *_, last = lines = reader(volume)
    assert len(lines) == 1 + DEPTH + 1
    assert last == f"FAILED  {'d/' * DEPTH}: directories are deeper than this reader goes (reason 15)"


# --- names ---


@pytest.mark.parametrize(
    ("letters", "name"),
    [
        ("🐧", "🐧ir of letters"),
        ("\ud83d!", "?!ir of letters"),
        ("a\udc27", "a?ir of letters"),
        ("/\x9b", "??ir of letters"),
        ("\n\\", "??ir of letters"),
    ],
)
def test_letters_that_are_none_and_those_that_mislead_are_not_shown(
    reader: Reader, volumes: dict[int, Path], letters: str, name: str
) -> None:
    halves = letters.encode("utf-16-le", "surrogatepass")
    lines = reader(volumes[12], changed(volumes[12], "pair ".encode("utf-16-le"), 0, halves))
    assert line_of(name, b"") in lines


def test_short_name_in_a_code_page_is_not_guessed(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "Ä.TXT").write_bytes(b"a")
    volume = format_volume(tmp_path / "a.raw", 12)
    copy_tree(volume, tmp_path / "tree")
    assert reader(volume)[1:] == [line_of("?.TXT", b"a")]


def test_long_name_of_somebody_else_is_not_taken(reader: Reader, volumes: dict[int, Path]) -> None:
    lines = reader(volumes[12], changed(volumes[12], b"INPIEC", 0, b"OUTPIE"))
    assert line_of("OUTPIE~1", files(12)["in pieces"]) in lines
