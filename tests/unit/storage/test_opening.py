"""Which disk a file is; chains, and what is wrong with them."""

import os
from pathlib import Path

import pytest
from images import child, content, dynamic, fill, patch_footer, patch_header, plain, sectors

from minihv.errors import ConfigurationError
from minihv.spec.vhd import FOOTER_BYTES, Footer
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.making import make_fixed
from minihv.storage.opening import open_disk
from minihv.storage.raw import RawDisk
from minihv.storage.vhd_fixed import FixedVhd
from minihv.storage.vhd_growing import GrowingVhd


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        open_disk(path, **options)  # type: ignore[arg-type]
    return str(refused.value)


def is_free(path: Path) -> bool:
    """Whether nobody has ``path`` open, so that a writer can begin."""
    try:
        HostFile(path, writable=True).close()
    except ConfigurationError:
        return False
    return True


def test_file_says_what_it_is_and_a_format_overrules_it(tmp_path: Path) -> None:
    raw, fixed, grows = tmp_path / "a.img", tmp_path / "f.vhd", dynamic(tmp_path / "d.vhd")
    raw.write_bytes(bytes(4096))
    make_fixed(fixed, 4096)
    kinds = [RawDisk, FixedVhd, GrowingVhd]
    for path, kind in zip((raw, fixed, grows), kinds, strict=True):
        with open_disk(path) as disk:
            assert type(disk) is kind
    with open_disk(grows, kind="raw") as disk:
        assert type(disk) is RawDisk and disk.byte_count == grows.stat().st_size
    assert refusal(raw, kind="qcow2") == "A disk is kept as raw or vhd, not as 'qcow2': choose one of them."


def test_parent_is_read_and_never_written(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd", written={0: sectors(b"p", 8)})
    before = below.read_bytes()
    above = child(tmp_path / "c.vhd", below, {0: sectors(b"c")})
    assert below.read_bytes() == before and content(above) == plain({0: sectors(b"c"), 1: sectors(b"p", 7)})
    with open_disk(above, writable=True), pytest.raises(ConfigurationError) as refused:
        open_disk(below, writable=True)
    assert "is in use by another process or disk" in str(refused.value)


def test_parent_that_is_not_there_is_named(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd")
    above = child(tmp_path / "c.vhd", below)
    below.unlink()
    assert refusal(above) == (
        f"A differencing VHD needs its parent, and that of {above} is not there ({tmp_path}/p.vhd): bring it "
        "back, or put it beside its child."
    )


def test_other_disk_in_the_parent_s_place_is_refused(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd")
    above = child(tmp_path / "c.vhd", below)
    wanted = Footer(below.read_bytes()[-FOOTER_BYTES:]).unique_id.hex()
    below.unlink()
    dynamic(below)
    found = Footer(below.read_bytes()[-FOOTER_BYTES:]).unique_id.hex()
    assert refusal(above) == (
        f"The parent of {above} is disk {wanted}, and {below} is disk {found}: put the right file there."
    )
    below.write_bytes(bytes(1024))
    assert refusal(above).endswith(f"and {below} is no VHD: put the right file there.")


def test_parent_that_was_changed_makes_its_child_read_only(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd")
    above = child(tmp_path / "c.vhd", below)
    os.utime(below, (1_000_000_000, 1_000_000_000))
    with open_disk(above, writable=True) as disk:
        assert disk.why_read_only == "its parent p.vhd was changed since the child was made"
        assert disk.write(0, sectors(b"x")) is Outcome.READ_ONLY


def test_image_that_is_its_own_parent_is_refused(tmp_path: Path) -> None:
    below = dynamic(tmp_path / "p.vhd")
    above = child(tmp_path / "c.vhd", below)
    own = Footer(above.read_bytes()[-FOOTER_BYTES:]).unique_id
    patch_header(above, parent_unique_id=own)
    below.write_bytes(above.read_bytes())
    assert refusal(above) == (
        f"A chain of differencing VHDs ends, after 256 at most, and {below} leads back to {above} or goes "
        "on: one of them names the wrong parent."
    )


def test_two_images_that_are_each_other_s_parent_are_refused(tmp_path: Path) -> None:
    first = dynamic(tmp_path / "1.vhd")
    second = child(tmp_path / "2.vhd", first)
    third = child(tmp_path / "1.new", second)
    first.unlink()
    third.rename(first)
    ids = [Footer(path.read_bytes()[-FOOTER_BYTES:]).unique_id for path in (first, second)]
    patch_header(second, parent_unique_id=ids[0])
    for one, other in ((first, second), (second, first)):
        assert refusal(one) == (
            f"A chain of differencing VHDs ends, after 256 at most, and {one} leads back to {other} or goes "
            "on: one of them names the wrong parent."
        )
        assert is_free(one) and is_free(other)


def test_refused_image_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch_footer(path, disk_type=9)
    assert refusal(path, writable=True).endswith(
        f"and {path} says 9: it was made by something else, or is damaged."
    )
    patch_footer(path, disk_type=3)
    assert content(fill(path, {0: sectors(b"a")})) == plain({0: sectors(b"a")})


def test_file_that_was_cut_behind_its_table_is_read_only(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")})
    path.write_bytes(path.read_bytes()[:4000])
    with open_disk(path, writable=True) as disk:
        assert disk.why_read_only == (
            "its table is damaged (block 0 at 0xe00 ends behind the file, which has 0xfa0 bytes)"
        )
        assert disk.read(0, bytearray(512)) is Outcome.MEDIUM_ERROR
        assert disk.write(8, sectors(b"b")) is Outcome.READ_ONLY


NO_FOOTER = (
    "A VHD has a footer in its last 512 bytes, or a copy in its first, and {path} has neither: it is no VHD, "
    "or damaged; open it as raw to see its bytes."
)
NO_HEADER = (
    "The header of a VHD lies in the file at a multiple of 512, and {path} says 0x200: the file was cut off "
    "or is damaged."
)
NO_TABLE = (
    "The table of a VHD lies in the file at a multiple of 512, and that of {path} at 0x600 up to 0x620 of "
    "{length:#x}: the file was cut off or is damaged."
)
CUTS = {
    **dict.fromkeys((0, 1, 511), NO_FOOTER),
    **dict.fromkeys((512, 1023), NO_HEADER),
    **dict.fromkeys((1536, 1560), NO_TABLE),
}


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(("length", "sentence"), CUTS.items())
def test_file_that_was_cut_before_its_table_ends_is_refused(
    tmp_path: Path, length: int, sentence: str, writable: bool
) -> None:
    path = dynamic(tmp_path / "a.vhd", written={0: sectors(b"a")})
    cut = path.read_bytes()[:length]
    path.write_bytes(cut)
    assert refusal(path, writable=writable) == sentence.format(path=path, length=length)
    assert path.read_bytes() == cut and is_free(path)
