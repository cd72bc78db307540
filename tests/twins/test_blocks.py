"""The C way from sectors to blocks moves what the Python one moves, and as far."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.block_map import BlockMap
from minihv.storage.disk import Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.native import Blocks, outcome_of, punch_hole
from minihv.testing import Shares

BLOCK_SECTORS, BLOCKS, FILE_SECTORS = 8, 12, 160
states = st.lists(
    st.tuples(st.integers(-1, 15), st.sampled_from((0, 1, 1, 1, 2))), min_size=BLOCKS, max_size=BLOCKS
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks")


def test_native_blocks_move_what_the_reference_moves(folder: Path) -> None:
    shares = Shares()
    path, content = folder / "file", np.random.default_rng(1).bytes(FILE_SECTORS * SECTOR_BYTES)

    @settings(max_examples=200)
    @given(
        states=states,
        size=st.integers(BLOCK_SECTORS * (BLOCKS - 1) + 1, BLOCK_SECTORS * BLOCKS),
        sector=st.integers(0, 100),
        count=st.integers(0, 40),
        writes=st.booleans(),
    )
    def agree(states: list[tuple[int, int]], size: int, sector: int, count: int, writes: bool) -> None:
        found = []
        places = np.array(
            [place * 9 * SECTOR_BYTES if place >= 0 else -1 for place, _ in states], dtype=np.int64
        )
        whole = np.array([flag for _, flag in states], dtype=np.uint8)
        for native in (False, True):
            path.write_bytes(content)
            file = HostFile(path, writable=True)
            blocks: Blocks | BlockMap = (
                Blocks(file.descriptor, size, BLOCK_SECTORS, places, whole)
                if native
                else BlockMap(file, size, BLOCK_SECTORS, places, whole)
            )
            buffer = memoryview(bytearray(b"\x5a" * (count * SECTOR_BYTES)))
            moved = blocks.write(sector, buffer) if writes else blocks.read(sector, buffer)
            file.close()
            done = moved[0] * SECTOR_BYTES
            found.append((moved, bytes(buffer[:done]), path.read_bytes()))
        assert found[0] == found[1]
        (done, outcome), *_ = found[0]
        shares.add(
            "failed"
            if outcome is not Outcome.DONE
            else "all"
            if done == count
            else "some"
            if done
            else "none"
        )

    agree()
    shares.assert_floors({"all": 0.05, "some": 0.03, "none": 0.1})


def test_batch_stops_at_the_first_request_that_is_not_simply_there(folder: Path) -> None:
    path = folder / "batch"
    path.write_bytes(bytes(range(256)) * 64)
    file = HostFile(path, writable=True)
    places, whole = np.array([0, 4096, -1], dtype=np.int64), np.array([1, 1, 0], dtype=np.uint8)
    blocks = Blocks(file.descriptor, 24, BLOCK_SECTORS, places, whole)
    into = bytearray(4 * SECTOR_BYTES)
    wanted = np.array([9, 0, 17, 1], dtype=np.uint64)
    assert blocks.read_each(wanted, into, 1) == 2
    assert into[: 2 * SECTOR_BYTES] == path.read_bytes()[9 * 512 : 10 * 512] + path.read_bytes()[:512]
    assert blocks.write_each(wanted[:2], b"x" * 1024, 1) == 2
    file.close()
    assert path.read_bytes()[:512] == path.read_bytes()[9 * 512 : 10 * 512] == b"x" * 512


def test_file_that_ends_within_a_block_is_a_medium_error(folder: Path) -> None:
    path = folder / "short"
    path.write_bytes(bytes(1000))
    file = HostFile(path, writable=True)
    places, whole = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.uint8)
    for blocks in (
        Blocks(file.descriptor, 8, BLOCK_SECTORS, places, whole),
        BlockMap(file, 8, BLOCK_SECTORS, places, whole),
    ):
        assert blocks.read(0, memoryview(bytearray(4096))) == (0, Outcome.MEDIUM_ERROR)
    file.close()


@pytest.mark.parametrize(
    ("number", "outcome"), [(28, Outcome.NO_SPACE), (27, Outcome.NO_SPACE), (5, Outcome.MEDIUM_ERROR)]
)
def test_failure_of_the_host_is_a_failure_of_the_disk(number: int, outcome: Outcome) -> None:
    assert outcome_of(number) is outcome


def test_hole_reads_as_zeros_or_cannot_be_made(folder: Path) -> None:
    path = folder / "hole"
    path.write_bytes(b"x" * 16384)
    file = HostFile(path, writable=True)
    made = punch_hole(file.descriptor, 4096, 4096)
    file.close()
    assert path.read_bytes() == b"x" * 4096 + (b"\0" if made else b"x") * 4096 + b"x" * 8192
