"""From a sector to its place; the C twin is held equal in tests/twins/test_blocks.py."""

import numpy as np

from minihv.storage.block_map import NOWHERE, BlockMap, empty_places
from minihv.storage.disk import Outcome


class Memory:
    """A file in memory that can fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.content, self.fails = bytearray(range(256)) * 64, fails

    def read(self, at: int, into: memoryview, /) -> Outcome:
        into[:] = self.content[at : at + len(into)]
        return Outcome.MEDIUM_ERROR if self.fails else Outcome.DONE

    def write(self, at: int, data: memoryview, /) -> Outcome:
        self.content[at : at + len(data)] = data
        return Outcome.NO_SPACE if self.fails else Outcome.DONE


def blocks_of(memory: Memory) -> BlockMap:
    places = np.array([8192, 0, -1, 4096], dtype=np.int64)
    return BlockMap(memory, 32, 8, places, np.array([1, 1, 1, 2], dtype=np.uint8))


def test_request_over_two_blocks_is_taken_apart() -> None:
    memory = Memory()
    assert blocks_of(memory).write(7, memoryview(b"a" * 512 + b"b" * 512)) == (2, Outcome.DONE)
    assert memory.content[8192 + 3584 : 8192 + 4096] == b"a" * 512 and memory.content[:512] == b"b" * 512


def test_request_ends_before_what_is_not_simply_there() -> None:
    into = memoryview(bytearray(1024))
    assert blocks_of(Memory()).read(15, into) == (1, Outcome.DONE)
    assert blocks_of(Memory()).read(16, into) == blocks_of(Memory()).read(24, into) == (0, Outcome.DONE)
    assert blocks_of(Memory()).read(31, into) == (0, Outcome.DONE)


def test_failure_of_the_file_is_told() -> None:
    blocks, buffer = blocks_of(Memory(fails=True)), memoryview(bytearray(512))
    assert blocks.read(0, buffer) == (0, Outcome.MEDIUM_ERROR)
    assert blocks.write(0, buffer) == (0, Outcome.NO_SPACE)


def test_no_block_lies_anywhere_at_first() -> None:
    assert empty_places(3).tolist() == [NOWHERE] * 3
