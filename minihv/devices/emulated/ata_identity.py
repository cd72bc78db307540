"""The 512 bytes in which a disk says what it is.

Stands for: what IDENTIFY DEVICE returns.
Spec: INCITS, "ATA8-ACS", "IDENTIFY DEVICE - ECh, PIO Data-In".
Simplified: no security, no power management, no SMART.
Next: ``minihv.devices.emulated.ata_drive``
"""

from minihv.devices.emulated.transfer_modes import CYCLE_NS, FIRST_MODE, mode_words
from minihv.spec.ata import MOST_LBA28
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.disk import Disk, Geometry

MODEL, FIRMWARE = "Virtual HD", "1.1.0"
MOST_MULTIPLE = 128
"""Sectors that READ MULTIPLE moves at once at most."""
DMA, LBA, IORDY = 1 << 8, 1 << 9, 1 << 11
NOP, FLUSH, FLUSH_EXT, LBA48, ALWAYS = 1 << 14, 1 << 12, 1 << 13, 1 << 10, 1 << 14
VERSIONS = 0x01F0
"""ATA-4 to ATA8-ACS."""


def text(value: str, byte_count: int) -> bytes:
    """Letters as ATA has them: the first in the upper half of a word."""
    data = value.encode("ascii").ljust(byte_count)[:byte_count]
    return bytes(data[at ^ 1] for at in range(byte_count))


def identity(disk: Disk, serial: str, translation: Geometry, multiple: int, mode: int = FIRST_MODE) -> bytes:
    """The 256 words of ``disk``, as its controller has set it up."""
    whole, sectors = disk.geometry, disk.sector_count
    words = [0] * 256
    words[0] = 0x0040  # a disk that is not removable
    words[1], words[3], words[6] = whole.cylinders & 0xFFFF, whole.heads, whole.sectors_per_track
    words[47] = 0x8000 | MOST_MULTIPLE
    words[49] = DMA | LBA | IORDY
    words[53] = 0x0007  # words 54 to 58, 64 to 70 and 88 are valid
    words[54] = translation.cylinders & 0xFFFF
    words[55], words[56] = translation.heads, translation.sectors_per_track
    put(words, 57, translation.sector_count, 2)
    words[59] = 0x0100 | multiple if multiple else 0
    put(words, 60, min(sectors, MOST_LBA28), 2)
    words[63], words[88] = mode_words(mode)
    words[64] = 0x0003  # PIO modes 3 and 4
    words[65:69] = [CYCLE_NS] * 4  # of DMA and of PIO
    words[80] = VERSIONS
    words[82], words[83], words[84] = NOP, ALWAYS | FLUSH | FLUSH_EXT | LBA48, ALWAYS
    words[85], words[86], words[87] = NOP, FLUSH | FLUSH_EXT | LBA48, ALWAYS
    put(words, 100, sectors, 4)
    data = bytearray(b"".join(word.to_bytes(2, "little") for word in words))
    data[20:40], data[46:54], data[54:94] = text(serial, 20), text(FIRMWARE, 8), text(MODEL, 40)
    data[510] = 0xA5
    data[511] = -sum(data[:511]) & 0xFF
    assert len(data) == SECTOR_BYTES
    return bytes(data)


def put(words: list[int], first: int, value: int, count: int) -> None:
    """A number over several words, the lowest first."""
    for at in range(count):
        words[first + at] = value >> 16 * at & 0xFFFF
