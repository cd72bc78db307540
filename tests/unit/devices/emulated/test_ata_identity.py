"""The 256 words of IDENTIFY DEVICE."""

from pathlib import Path

from images import dynamic

from minihv.devices.emulated.ata_identity import identity, text
from minihv.storage.disk import Disk, Geometry
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk


def words_of(disk: Disk, multiple: int = 0) -> list[int]:
    data = identity(disk, "SERIAL", disk.geometry, multiple)
    assert sum(data) % 256 == 0 and len(data) == 512
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, 512, 2)]


def test_letters_are_swapped_within_words_and_padded() -> None:
    assert text("abc", 6) == b"ba c  "


def test_words_say_size_name_and_what_is_known(tmp_path: Path) -> None:
    make_dynamic(tmp_path / "a.vhd", 10 << 30)
    with open_disk(tmp_path / "a.vhd") as disk:
        words = words_of(disk, multiple=16)
    assert words[60] | words[61] << 16 == words[100] | words[101] << 16 == 20_971_520
    assert (words[1], words[3], words[6]) == (20_805, 16, 63)
    assert words[47] == 0x8080 and words[59] == 0x0110 and words[49] == 0x0B00
    assert words[83] >> 10 & 1 and words[86] >> 10 & 1 and words[83] >> 14 == 1
    assert b"".join(word.to_bytes(2, "big") for word in words[27:47]).rstrip() == b"Virtual HD"
    assert b"".join(word.to_bytes(2, "big") for word in words[10:20]).rstrip() == b"SERIAL"


def test_short_address_ends_where_its_bits_do(tmp_path: Path) -> None:
    make_dynamic(tmp_path / "a.vhd", 2040 << 30)
    with open_disk(tmp_path / "a.vhd") as disk:
        words = words_of(disk)
    assert words[60] | words[61] << 16 == (1 << 28) - 1
    assert words[100] | words[101] << 16 | words[102] << 32 == 2040 << 21


def test_translation_that_was_set_is_told(tmp_path: Path) -> None:
    with open_disk(dynamic(tmp_path / "a.vhd")) as disk:
        data = identity(disk, "", Geometry(2, 4, 8), 0)
    assert [int.from_bytes(data[2 * at : 2 * at + 2], "little") for at in range(54, 60)] == [
        2,
        4,
        8,
        64,
        0,
        0,
    ]
