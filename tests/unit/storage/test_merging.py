"""Merging: a child goes into its parent, and can go again if it was stopped."""

import os
from pathlib import Path

import pytest
from images import SECTORS, child, content, dynamic, fill, plain, sectors

from minihv.storage.checking import check
from minihv.storage.merging import merge
from minihv.storage.opening import open_disk
from minihv.storage.resizing import resize
from minihv.storage.vhd_format import ImageError

BELOW, ABOVE = {0: sectors(b"p", 20)}, {4: sectors(b"c", 9), 50: sectors(b"d")}


def quiet(_done: int, _of: int) -> None:
    """Nobody is told."""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    path = dynamic(tmp_path / "p.vhd", written=BELOW)
    os.utime(path, (1_000_000_000, 1_000_000_000))  # long ago: times count seconds
    return path


@pytest.fixture
def above(parent: Path) -> Path:
    return child(parent.with_name("c.vhd"), parent, ABOVE)


def test_parent_becomes_the_disk_that_the_chain_was(parent: Path, above: Path) -> None:
    assert merge(above, quiet) == parent
    assert content(parent) == plain(BELOW | ABOVE) and not above.exists() and check(parent) == []


def test_child_stays_if_it_is_to_be_kept(parent: Path, above: Path) -> None:
    merge(above, quiet, keep=True)
    assert content(parent) == content(above) == plain(BELOW | ABOVE)
    with open_disk(above, writable=True) as disk:
        assert "was changed since the child was made" in disk.why_read_only


@pytest.mark.parametrize("after", [1, 2])
def test_interrupted_merge_leaves_the_same_disk_and_can_be_done_again(
    parent: Path, above: Path, after: int
) -> None:
    told: list[int] = []

    def stops(done: int, _of: int) -> None:
        told.append(done)
        if len(told) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(above, stops)
    assert content(above) == plain(BELOW | ABOVE)
    merge(above, quiet)
    assert content(parent) == plain(BELOW | ABOVE)


def test_middle_of_a_chain_is_not_merged_into_what_is_in_use(parent: Path, above: Path) -> None:
    with open_disk(above), pytest.raises(Exception, match="is in use by another process or disk"):
        merge(above, quiet)


def test_image_without_a_parent_is_refused(parent: Path) -> None:
    with pytest.raises(ImageError) as refused:
        merge(parent, quiet)
    assert str(refused.value) == (
        f"A differencing VHD is merged into its parent, and {parent} is none: nothing is to do."
    )


def test_parent_that_is_smaller_is_refused(parent: Path, above: Path) -> None:
    with open_disk(above, writable=True) as disk:
        resize(disk, 2 * SECTORS * 512)
    with pytest.raises(ImageError) as refused:
        merge(above, quiet)
    assert str(refused.value) == (
        f"A parent takes all sectors of its child, 128, and {parent} has 64: resize the parent first."
    )


def test_parent_that_is_not_there_is_refused(parent: Path, above: Path) -> None:
    parent.unlink()
    with pytest.raises(ImageError) as refused:
        merge(above, quiet)
    assert str(refused.value) == (
        f"A differencing VHD is merged into its parent, and that of {above} is not there: put it beside its "
        "child."
    )
    fill(dynamic(parent), {})
    with pytest.raises(ImageError):
        merge(above, quiet)
