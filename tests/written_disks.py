"""What guests that try a disk leave on it: four sectors near its beginning, and four at its end."""

from pathlib import Path

from images import content

from minihv.machine.processor import PagingMode

DISK_BYTES = 1 << 20
MODES = [PagingMode.SLAT, PagingMode.SHADOW, PagingMode.HARDWARE]


def expected_words(seed: int) -> bytes:
    """What the guest writes: four sectors of a sequence that begins with ``seed``."""
    words = []
    for _ in range(512):
        seed = (seed * 1664525 + 1013904223) & 0xFFFF_FFFF
        words.append(seed.to_bytes(4, "little"))
    return b"".join(words)


def has_written(path: Path, number: int = 0) -> bool:
    """Whether the guest did so, to its disk ``number``."""
    found = content(path)
    return found[8 * 512 : 12 * 512] == expected_words(number + 1) and found[-2048:] == expected_words(
        number + 11
    )
