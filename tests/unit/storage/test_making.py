"""New images: what they say, and that a name belongs to one file."""

from pathlib import Path

import pytest
from images import BLOCK, by_qemu, child, content, dynamic, needs_qemu, plain, qemu_img, sectors

from minihv.errors import ConfigurationError
from minihv.spec.vhd import FOOTER_BYTES, DiskType, Footer
from minihv.storage import making
from minihv.storage.disk import Outcome
from minihv.storage.making import (
    StorageFull,
    make_differencing,
    make_dynamic,
    make_fixed,
    must,
    new_file,
    write_growing,
)
from minihv.storage.opening import open_disk


def test_dynamic_image_begins_small_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 30)
    assert path.stat().st_size == 512 + 1024 + 2048 + 512
    data = path.read_bytes()
    assert data[:FOOTER_BYTES] == data[-FOOTER_BYTES:] and Footer(data).disk_type == DiskType.DYNAMIC
    with open_disk(path) as disk:
        assert disk.byte_count == 1 << 30


def test_differencing_image_has_its_parent_s_size_and_blocks(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={5: sectors(b"p")})
    path = child(tmp_path / "c.vhd", below)
    assert Footer(path.read_bytes()).disk_type == DiskType.DIFFERENCING
    assert content(path) == plain({5: sectors(b"p")})
    with open_disk(path) as disk:
        assert disk.header.block_bytes == BLOCK  # type: ignore[attr-defined]


def test_fixed_image_is_a_parent_too(tmp_path: Path) -> None:
    make_fixed(tmp_path / "p.vhd", 1 << 16)
    assert content(child(tmp_path / "c.vhd", tmp_path / "p.vhd")) == bytes(1 << 16)


def test_raw_image_is_no_parent(tmp_path: Path) -> None:
    (tmp_path / "p.img").write_bytes(bytes(4096))
    with pytest.raises(ConfigurationError) as refused:
        make_differencing(tmp_path / "c.vhd", tmp_path / "p.img")
    assert "has neither" in str(refused.value) and not (tmp_path / "c.vhd").exists()


def test_name_that_is_taken_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_text("mine")
    with pytest.raises(ConfigurationError) as refused:
        make_dynamic(path, 1 << 20)
    assert str(refused.value) == (
        f"A new image needs a name of its own, and {path} is there already: choose another one, or remove it."
    )
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]


def test_folder_that_is_not_there_is_refused_by_the_name_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make_dynamic(tmp_path / "none" / "a.vhd", 1 << 20)
    assert f"{tmp_path}/none/a.vhd cannot (No such file or directory)" in str(refused.value)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, StorageFull])
def test_interrupted_image_leaves_nothing_behind(tmp_path: Path, failure: type[BaseException]) -> None:
    def is_interrupted() -> None:
        with new_file(tmp_path / "a.vhd") as file:
            write_growing(file, 1 << 20)
            raise failure

    with pytest.raises(failure):
        is_interrupted()
    assert list(tmp_path.iterdir()) == []


def test_file_system_without_links_gets_its_name_by_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError("no links")

    monkeypatch.setattr(making.os, "link", refuses)
    make_dynamic(tmp_path / "a.vhd", 1 << 20)
    assert [path.name for path in tmp_path.iterdir()] == ["a.vhd"]


def test_failure_that_no_guest_waits_for_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(StorageFull) as refused:
        must(Outcome.NO_SPACE, tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} cannot be written: there is no space left where the disk is kept; make room or choose "
        "another place."
    )


@needs_qemu
@pytest.mark.parametrize("byte_count", [512, 5 << 20, 127 << 30, (127 << 30) + 512, 2040 << 30])
def test_qemu_reads_the_size_that_was_asked_for(tmp_path: Path, byte_count: int) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, byte_count)
    assert f"({byte_count} bytes)" in qemu_img("info", "-f", "vpc", path)


@needs_qemu
def test_qemu_reads_a_fixed_image(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_fixed(path, 3 << 20)
    with open_disk(path, writable=True) as disk:
        assert disk.write(1000, sectors(b"abc", 50)) is Outcome.DONE
    assert by_qemu(path) == content(path)
