"""Rows ``disk.*``: what an image costs beside the file that it lies in.

All files are in the page cache, in a folder for temporary ones: what is measured is the way through the
image, and not the host's disk. Requests of 4 KiB are made in batches, as a queue of them comes from a guest;
the other side makes the same requests to a raw file, in C as well.

Next: ``minihv.cli.bench.density``
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.errors import InternalError
from minihv.spec.vhd import SECTOR_BYTES
from minihv.storage.checking import check
from minihv.storage.copying import convert
from minihv.storage.disk import Disk, Outcome
from minihv.storage.host_file import HostFile
from minihv.storage.making import make_dynamic
from minihv.storage.native import raw_read_each, raw_write_each
from minihv.storage.opening import open_disk
from minihv.terms import MIB

SEQUENTIAL_BYTES, RANDOM_BYTES = 1 * MIB, 4096
BATCH = 256
LARGEST_BYTES = 2040 << 30
STATUS = Path("/proc/self/status")
RAW, QEMU = "pread and pwrite of a raw file", "qemu-img"
NO_QEMU = "disk.{}: left out, since qemu-img is not installed (apt-get install qemu-utils)."
WALL = time.perf_counter_ns


@contextmanager
def folder() -> Iterator[Path]:
    """A place for images, gone afterwards."""
    with TemporaryDirectory(prefix="minihv-bench-") as name:
        yield Path(name)


@contextmanager
def both_files(megabytes: int) -> Iterator[tuple[Disk, HostFile]]:
    """A dynamic image and a raw file of the same size, both full of the same."""
    with folder() as place:
        raw, image, piece = place / "raw", place / "image.vhd", np.random.default_rng(1).bytes(MIB)
        make_dynamic(image, megabytes * MIB)
        with open_disk(image, writable=True) as disk, raw.open("wb") as file:
            for number in range(megabytes):
                file.write(piece)
                must(disk.write(number * MIB // SECTOR_BYTES, piece))
        with open_disk(image, writable=True) as disk:
            beside = HostFile(raw, writable=True)
            yield disk, beside
            beside.close()


def must(outcome: Outcome) -> None:
    """A measurement in which something fails is none."""
    if outcome is not Outcome.DONE:
        raise InternalError(f"A disk that is measured has to work, and it does not: {outcome.value}.")


def sequential(*, writes: bool) -> Measure:
    """One request of 1 MiB behind the other, through the whole disk."""

    def measure(effort: Effort) -> Row:
        name, megabytes = f"disk.{'write' if writes else 'read'}", max(4, effort.times(256))
        buffer = memoryview(bytearray(SEQUENTIAL_BYTES))
        with both_files(megabytes) as (disk, file):

            def ours() -> float:
                act = disk.write if writes else disk.read
                return speed(lambda at: must(act(at // SECTOR_BYTES, buffer)))

            def theirs() -> float:
                return speed(lambda at: raw_move(file, at, buffer, writes=writes))

            def speed(move: Callable[[int], object]) -> float:
                places = range(0, megabytes * MIB, SEQUENTIAL_BYTES)
                taken = nanoseconds(lambda: [move(at) for at in places], clock=WALL)
                return megabytes / 1024 / taken * 1e9

            pairs = effort.pairs(name, ours, theirs, turns=2)
        return row(name, "GiB/s", RAW, pairs, Goal("ratio", ">=", 0.90))

    return measure


def raw_move(file: HostFile, at: int, buffer: memoryview, *, writes: bool) -> None:
    """One request, straight to the host."""
    if writes:
        os.pwrite(file.descriptor, buffer, at)
    else:
        os.preadv(file.descriptor, (buffer,), at)


def scattered(*, writes: bool) -> Measure:
    """Requests of 4 KiB anywhere, in batches."""

    def measure(effort: Effort) -> Row:
        name, megabytes = f"disk.{'write' if writes else 'read'}-4k", max(4, effort.times(256))
        count, choose = RANDOM_BYTES // SECTOR_BYTES, np.random.default_rng(2)
        batches = [
            choose.integers(0, megabytes * MIB // RANDOM_BYTES, BATCH, dtype=np.uint64) * np.uint64(count)
            for _ in range(max(1, effort.times(100)))
        ]
        buffer = bytearray(BATCH * RANDOM_BYTES)
        with both_files(megabytes) as (disk, file):

            def ours() -> float:
                act = disk.write_each if writes else disk.read_each
                return rate(lambda batch: must(act(batch, buffer, count)))

            def theirs() -> float:
                act = raw_write_each if writes else raw_read_each
                return rate(lambda batch: act(file.descriptor, batch, buffer, count))

            def rate(move: Callable[[np.ndarray[tuple[int], np.dtype[np.uint64]]], object]) -> float:
                taken = nanoseconds(lambda: [move(batch) for batch in batches], clock=WALL)
                return len(batches) * BATCH / taken * 1e9

            pairs = effort.pairs(name, ours, theirs, turns=4)
        return row(name, "requests/s", RAW, pairs, Goal("ratio", ">=", 0.85))

    return measure


def allocate(effort: Effort) -> Row | str:
    """A stream of 64 KiB into an empty image, in the page cache, beside the same by qemu-img."""
    if shutil.which("qemu-img") is None:
        return NO_QEMU.format("allocate")
    count, piece = max(32, effort.times(4096)), bytes(range(256)) * 256
    with folder() as place:
        image, theirs_image = place / "ours.vhd", place / "theirs.vhd"

        def ours() -> float:
            image.unlink(missing_ok=True)
            make_dynamic(image, 1 << 30)

            with open_disk(image, writable=True) as disk:

                def stream() -> None:
                    for number in range(count):
                        must(disk.write(number * len(piece) // SECTOR_BYTES, piece))

                return count / nanoseconds(stream, clock=WALL) * 1e9

        def theirs() -> float:
            theirs_image.unlink(missing_ok=True)
            qemu("create", "-f", "vpc", str(theirs_image), "1G")
            options = ("-f", "vpc", "-w", "-s", "65536", "-c", str(count), "-d", "1", "-t", "unsafe")
            return count / nanoseconds(lambda: qemu("bench", *options, str(theirs_image)), clock=WALL) * 1e9

        pairs = effort.pairs("disk.allocate", ours, theirs)
    return row("disk.allocate", "requests/s", f"{QEMU} bench", pairs, Goal("ratio", ">=", 2))


def converting(effort: Effort) -> Row | str:
    """A raw image becomes a dynamic one, beside qemu-img."""
    if shutil.which("qemu-img") is None:
        return NO_QEMU.format("convert")
    megabytes = max(4, effort.times(512))
    with folder() as place:
        raw, image, theirs_image = place / "raw.img", place / "ours.vhd", place / "theirs.vhd"
        raw.write_bytes(np.random.default_rng(3).bytes(MIB) * megabytes)

        def ours() -> float:
            image.unlink(missing_ok=True)

            def work() -> None:
                with open_disk(raw, kind="raw") as disk:
                    convert(disk, image, "dynamic", lambda _done, _of: None)

            return megabytes / 1024 / nanoseconds(work, clock=WALL) * 1e9

        def theirs() -> float:
            theirs_image.unlink(missing_ok=True)
            options = ("-f", "raw", "-O", "vpc", "-o", "force_size=on", str(raw), str(theirs_image))
            taken = nanoseconds(lambda: by_qemu(theirs_image, *options), clock=WALL)
            return megabytes / 1024 / taken * 1e9

        pairs = effort.pairs("disk.convert", ours, theirs)
    return row("disk.convert", "GiB/s", f"{QEMU} convert, flushed", pairs, Goal("ratio", ">=", 0.8))


def by_qemu(path: Path, *options: str) -> None:
    """A conversion to ``path``, flushed as ours is: both leave an image that outlives the machine."""
    qemu("convert", *options)
    file = HostFile(path, writable=True)
    must(file.flush())
    file.close()


def qemu(*arguments: str) -> None:
    """Runs qemu-img, which has to succeed."""
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True)


def checking(effort: Effort) -> Row:
    """The tables of an image of 1 GiB whose blocks are all there, beside the reading of them alone."""
    megabytes = max(4, effort.times(1024))
    with folder() as place:
        image = place / "image.vhd"
        make_dynamic(image, megabytes * MIB)
        with open_disk(image, writable=True) as disk:
            for number in range(0, megabytes, 2):
                must(disk.write(number * MIB // SECTOR_BYTES, b"x" * SECTOR_BYTES))

        def ours() -> float:
            taken = nanoseconds(lambda: check(image), clock=WALL)
            if check(image):
                raise InternalError(f"An image that is measured is sound, and {image.name} is not.")
            return taken / 1e6

        def theirs() -> float:
            return nanoseconds(lambda: beginning(image), clock=WALL) / 1e6

        pairs = effort.pairs("disk.check", ours, theirs)
    return row("disk.check", "ms", "a read of its first 64 KiB", pairs, Goal("value", "<=", 50))


def beginning(path: Path) -> bytes:
    """The first bytes of a file, where tables are."""
    with path.open("rb") as file:
        return file.read(64 << 10)


SERVING = """
import random, sys
from minihv.storage.opening import open_disk

chosen, buffer = random.Random(4), bytearray(4096)
with open_disk(sys.argv[1], writable=True, kind=sys.argv[2]) as disk:
    for _ in range(int(sys.argv[3])):
        disk.write(8 * chosen.randrange(disk.sector_count // 8), buffer)
        disk.read(8 * chosen.randrange(disk.sector_count // 8), buffer)
print(*(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
"""A process that writes and reads 4 KiB anywhere on a disk, and says how many MiB it had resident at most."""


def memory(effort: Effort) -> Row | str:
    """What the largest of all images takes to be served, beside a raw file of the same size."""
    if not STATUS.exists():
        return "disk.memory: left out, since this system has no /proc/self/status to read it from."
    count = effort.times(2000)
    with folder() as place:
        image, raw = place / "largest.vhd", place / "largest.img"
        make_dynamic(image, LARGEST_BYTES)
        raw.touch()
        os.truncate(raw, LARGEST_BYTES)
        pairs = effort.pairs(
            "disk.memory", lambda: served(image, "vhd", count), lambda: served(raw, "raw", count)
        )
    return row("disk.memory", "MiB", "a raw file as large", pairs, Goal("value", "<=", 64))


def served(path: Path, kind: str, count: int) -> float:
    """Resident memory of a process that serves ``count`` writes and as many reads, in MiB at its height."""
    command = [sys.executable, "-c", SERVING, str(path), kind, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


ROWS: dict[str, Measure] = {
    "read": sequential(writes=False),
    "write": sequential(writes=True),
    "read-4k": scattered(writes=False),
    "write-4k": scattered(writes=True),
    "allocate": allocate,
    "convert": converting,
    "check": checking,
    "memory": memory,
}
