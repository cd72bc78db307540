"""Names of a parent: as they are written, and which file each of them means."""

from pathlib import Path

import pytest
from images import child, content, dynamic, patch_header, plain, sectors

from minihv.spec.vhd import ABSOLUTE, FOOTER_BYTES, RELATIVE, Header
from minihv.storage.host_file import HostFile
from minihv.storage.parent_names import as_posix, candidates
from minihv.storage.vhd_format import locators_of

WRITTEN = {3: sectors(b"p")}


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A child in a folder beside its parent's."""
    for name in ("above", "below"):
        (tmp_path / name).mkdir()
    dynamic(tmp_path / "below" / "parent.vhd", written=WRITTEN)
    return child(tmp_path / "above" / "child.vhd", tmp_path / "below" / "parent.vhd")


def header_of(path: Path) -> Header:
    return Header(bytearray(path.read_bytes()), FOOTER_BYTES)


def test_child_names_its_parent_three_times(chain: Path, tmp_path: Path) -> None:
    header, data = header_of(chain), chain.read_bytes()
    names = {
        one.platform: data[one.offset : one.offset + one.length].decode("utf-16-le")
        for one in locators_of(header)
    }
    assert names == {RELATIVE: ".\\..\\below\\parent.vhd", ABSOLUTE: str(tmp_path / "below" / "parent.vhd")}
    assert header.parent_name.decode("utf-16-be").rstrip("\0") == "parent.vhd"


def test_chain_that_was_moved_as_a_whole_is_found_by_the_relative_name(chain: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("above", "below"):
        (tmp_path / name).rename(moved / name)
    assert content(moved / "above" / "child.vhd") == plain(WRITTEN)


def test_child_that_was_moved_alone_is_found_by_the_absolute_name(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    chain.rename(tmp_path / "far" / "away" / "child.vhd")
    assert content(tmp_path / "far" / "away" / "child.vhd") == plain(WRITTEN)


def test_parent_beside_its_child_is_found_by_its_own_name(chain: Path, tmp_path: Path) -> None:
    (tmp_path / "below" / "parent.vhd").rename(tmp_path / "above" / "parent.vhd")
    assert content(chain) == plain(WRITTEN)


def test_names_that_cannot_be_read_name_nobody(chain: Path) -> None:
    patch_header(chain, locators=bytes(192), parent_name=bytes(512))
    file = HostFile(chain, writable=False)
    assert list(candidates(file, header_of(chain))) == []
    file.close()


def test_path_of_the_other_system_is_taken_for_what_it_means() -> None:
    assert as_posix(".\\a\\b.vhd\0junk") == "./a/b.vhd"
