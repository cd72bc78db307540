"""Footers and headers: what is believed, and what is refused and why."""

from pathlib import Path
from uuid import UUID

import pytest
from images import BLOCK, SECTORS, dynamic, patch, patch_footer, patch_header

from minihv.spec.vhd import FOOTER_BYTES, MOST_BYTES, DiskType, Footer, checksum
from minihv.storage.host_file import HostFile
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk
from minihv.storage.vhd_format import FOOTER_SUM, ImageError, check_size, footers_of, new_footer, vhd_time


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as refused:
        open_disk(path)
    return str(refused.value)


def test_new_footer_says_what_others_ask_for() -> None:
    footer = new_footer(10 << 30, DiskType.DYNAMIC)
    assert (footer.cookie, footer.features, footer.file_version) == (b"conectix", 2, 0x1_0000)
    assert (footer.creator, footer.creator_host, footer.data_offset) == (b"win ", b"Wi2k", 512)
    assert footer.original_bytes == footer.current_bytes == 10 << 30
    assert (footer.cylinders, footer.heads, footer.sectors_per_track) == (20_805, 16, 63)
    assert footer.checksum == checksum(footer, FOOTER_SUM) and UUID(bytes=footer.unique_id).version == 4
    assert new_footer(512, DiskType.FIXED).data_offset == (1 << 64) - 1


def test_time_counts_from_the_year_2000() -> None:
    assert vhd_time(946_684_800 + 5) == 5 and vhd_time(0) == 0


def test_either_footer_will_do_and_the_last_one_counts(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch(path, -FOOTER_BYTES, b"x")
    open_disk(path).close()
    other = dynamic(tmp_path / "b.vhd")
    patch(other, 0, b"x")
    open_disk(other).close()
    file = HostFile(other, writable=False)
    assert footers_of(file).first is None and footers_of(file).best == footers_of(file).last
    file.close()


def test_file_without_a_footer_is_no_vhd(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch(path, -FOOTER_BYTES, b"x")
    patch(path, 0, b"x")
    assert refusal(path) == (
        f"A VHD has a footer in its last 512 bytes, or a copy in its first, and {path} has neither: it is no "
        "VHD, or damaged; open it as raw to see its bytes."
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"disk_type": 7},
            "A VHD is of type 2 (fixed), 3 (dynamic) or 4 (differencing), and {path} says 7: it was made by "
            "something else, or is damaged.",
        ),
        (
            {"file_version": 0x2_0000},
            "A VHD is of version 1, and {path} says 2: convert it with what made it.",
        ),
        (
            {"current_bytes": 1000},
            "A disk has one sector of 512 bytes or more, and nothing else, and {path} would have 1000 "
            "bytes: choose a multiple of 512.",
        ),
        (
            {"current_bytes": 0},
            "A disk has one sector of 512 bytes or more, and nothing else, and {path} would have 0 bytes: "
            "choose a multiple of 512.",
        ),
        (
            {"current_bytes": (1 << 63)},
            "A VHD that grows has at most 2040 GiB, since it counts sectors in 32 bits and needs some for "
            "its tables, and {path} would have 9223372036854775808 bytes: make it smaller, or keep the disk "
            "as a raw image.",
        ),
        (
            {"current_bytes": 10 * SECTORS * 512},
            "The table of a VHD has an entry for each block, 80 for 327680 bytes, and that of {path} has 8: "
            "the header is damaged.",
        ),
        (
            {"data_offset": 1 << 40},
            "The header of a VHD lies in the file at a multiple of 512, and {path} says 0x10000000000: the "
            "file was cut off or is damaged.",
        ),
        (
            {"data_offset": 513},
            "The header of a VHD lies in the file at a multiple of 512, and {path} says 0x201: the file was "
            "cut off or is damaged.",
        ),
        (
            {"data_offset": 1024},
            "The header of a VHD begins with 'cxsparse' and has a sum, and at 0x400 of {path} that does not "
            "hold: the file is damaged.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_footer_that_cannot_be_is_refused(tmp_path: Path, values: dict[str, int], message: str) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch_footer(path, both=True, **values)
    assert refusal(path) == message.format(path=path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"header_version": 0x2_0000},
            "The header of a VHD is of version 1, and that of {path} of 2: convert the image with what made "
            "it.",
        ),
        (
            {"block_bytes": 3000},
            "A block of a VHD has 4 KiB to 256 MiB, a power of two, and those of {path} 3000 bytes: the "
            "header is damaged.",
        ),
        (
            {"block_bytes": 0},
            "A block of a VHD has 4 KiB to 256 MiB, a power of two, and those of {path} 0 bytes: the header "
            "is damaged.",
        ),
        (
            {"most_entries": 7},
            "The table of a VHD has an entry for each block, 8 for 32768 bytes, and that of {path} has 7: "
            "the header is damaged.",
        ),
        (
            {"table_offset": 1 << 30},
            "The table of a VHD lies in the file at a multiple of 512, and that of {path} at 0x40000000 up "
            "to 0x40000020 of 0xa00: the file was cut off or is damaged.",
        ),
        (
            {"most_entries": 0xFFFF_FFFF},
            "The table of a VHD lies in the file at a multiple of 512, and that of {path} at 0x600 up to "
            "0x4000005fc of 0xa00: the file was cut off or is damaged.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_header_that_cannot_be_is_refused(tmp_path: Path, values: dict[str, int], message: str) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch_header(path, **values)
    assert refusal(path) == message.format(path=path)


def test_header_with_a_wrong_sum_is_refused(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    patch(path, 0x240, b"x")
    assert "begins with 'cxsparse' and has a sum" in refusal(path)


def test_disk_of_2040_gib_is_the_largest_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "big.vhd"
    make_dynamic(path, MOST_BYTES)
    with open_disk(path) as disk:
        assert disk.byte_count == MOST_BYTES == 2040 << 30
    with pytest.raises(ImageError) as refused:
        make_dynamic(tmp_path / "bigger.vhd", MOST_BYTES + 512)
    assert "at most 2040 GiB" in str(refused.value) and not (tmp_path / "bigger.vhd").exists()
    check_size(MOST_BYTES + 512, path, fixed=True)


def test_footer_of_511_bytes_of_old_images_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = dynamic(tmp_path / "a.vhd")
    path.write_bytes(path.read_bytes()[:-1])
    with open_disk(path, writable=True) as disk:
        assert disk.byte_count == SECTORS * 512
    assert Footer(path.read_bytes()[-512:]).cookie == b"conectix" and path.stat().st_size % 512 == 0
    assert BLOCK == 4096
