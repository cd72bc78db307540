"""A process that writes to an image is killed outright, again and again: what it had flushed is there."""

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from command_line import COMMAND
from images import child, content, dynamic, plain, sectors

from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.checking import check
from minihv.storage.making import make_differencing, make_dynamic
from minihv.storage.opening import open_disk

ROUNDS, SECTOR_COUNT = 8, 4096
WRITER = """
import sys
from minihv.storage.opening import open_disk
disk, number = open_disk(sys.argv[1], writable=True), int(sys.argv[2])
while True:
    number += 1
    for part in range(7):
        disk.write((number * 37 + part * 601) % (disk.sector_count - 4), number.to_bytes(8, "little") * 256)
    disk.flush()
    print(number, flush=True)
"""


def expected(number: int) -> bytearray:
    """The disk when round ``number`` was flushed."""
    made = bytearray(SECTOR_COUNT * SECTOR_BYTES)
    for done in range(1, number + 1):
        for part in range(7):
            at = (done * 37 + part * 601) % (SECTOR_COUNT - 4) * SECTOR_BYTES
            made[at : at + 2048] = done.to_bytes(8, "little") * 256
    return made


@pytest.mark.slow
@pytest.mark.parametrize("differs", [False, True], ids=["dynamic", "differencing"])
def test_writer_that_is_killed_leaves_what_it_flushed(tmp_path: Path, differs: bool) -> None:
    path, random, number = tmp_path / "a.vhd", Random(3), 0
    make_dynamic(tmp_path / "p.vhd", SECTOR_COUNT * SECTOR_BYTES, block_bytes=65536)
    if differs:
        make_differencing(path, tmp_path / "p.vhd")
    else:
        (tmp_path / "p.vhd").rename(path)
    for _ in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(number)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(random.randint(1, 40)):
            number = int(writer.stdout.readline())
        writer.kill()
        rest, _ = writer.communicate()
        number = int([str(number), *rest.split()][-1])
        assert not any(one.is_damage for one in check(path))
        number = checked(path, number)


def checked(path: Path, number: int) -> int:
    """The round that the disk shows: the last that was told, or the next one, in whole or in part."""
    with open_disk(path, writable=True) as disk:
        found = bytearray(disk.byte_count)
        disk.read(0, found)
        last, begun = expected(number), expected(number + 1)
        for at in range(0, len(found), SECTOR_BYTES):
            piece = found[at : at + SECTOR_BYTES]
            assert piece in (last[at : at + SECTOR_BYTES], begun[at : at + SECTOR_BYTES]), at // SECTOR_BYTES
        for part in range(7):  # so that the next writer begins with a whole round
            disk.write(
                ((number + 1) * 37 + part * 601) % (SECTOR_COUNT - 4),
                (number + 1).to_bytes(8, "little") * 256,
            )
    return number + 1


@pytest.mark.slow
def test_merge_that_is_killed_leaves_the_same_disk_and_can_be_done_again(tmp_path: Path) -> None:
    random, size = Random(5), 4096
    written = {at * 8: sectors(bytes([at % 255 + 1]), 8) for at in range(512)}
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        below = dynamic(folder / "p.vhd", sector_count=size)
        above = child(folder / "c.vhd", below, written)
        merging = subprocess.Popen([*COMMAND, "disk", "merge", above], stdout=subprocess.DEVNULL)
        try:
            merging.wait(random.uniform(0.1, 0.6))
        except subprocess.TimeoutExpired:
            merging.send_signal(signal.SIGKILL)
            merging.wait()
        if above.exists():
            assert content(above) == plain(written, size)
            assert (
                subprocess.run(
                    [*COMMAND, "disk", "merge", above], check=False, capture_output=True
                ).returncode
                == 0
            )
        assert content(below) == plain(written, size)
        assert not any(one.is_damage for one in check(below))
