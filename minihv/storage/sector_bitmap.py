"""The bitmap of one block: which of its sectors are in it.

Stands for: the bitmap in front of a block's data.
Spec: Microsoft, "Virtual Hard Disk Image Format Specification", "Data Blocks": the highest bit of a byte is
    its first sector.
Next: ``minihv.storage.block_table``
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np


class SectorBitmap:
    """A bit for each of ``count`` sectors, in so many bytes as the file has for them."""

    def __init__(self, count: int, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))[:count].astype(bool)
        self._byte_count = len(data)

    def __bytes__(self) -> bytes:
        """As the file has it."""
        return np.packbits(self._bits).tobytes().ljust(self._byte_count, b"\0")

    @property
    def is_whole(self) -> bool:
        """Whether every sector is there."""
        return bool(self._bits.all())

    @property
    def is_empty(self) -> bool:
        """Whether none is."""
        return not self._bits.any()

    def mark(self, first: int, count: int) -> bool:
        """Sectors are there from now on; whether that is news for one of them."""
        news = not self._bits[first : first + count].all()
        self._bits[first : first + count] = True
        return news

    def runs(self, first: int, count: int) -> Iterator[tuple[int, int, bool]]:
        """The sectors from ``first`` on as runs of those that are there and those that are not."""
        bits = self._bits[first : first + count]
        edges = [0, *(np.flatnonzero(bits[1:] != bits[:-1]) + 1).tolist(), count]
        for begin, end in pairwise(edges):
            yield first + begin, end - begin, bool(bits[begin])
