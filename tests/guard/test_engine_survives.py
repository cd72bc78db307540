"""What the guard lets through does not kill the engine; what it stops would."""

import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from minihv._core import lib

PAGE_BYTES = 4096
BARE_ENGINE = Path(__file__).with_name("bare_engine.py")
# Instructions by what they leave behind in the translator.
LEAKY = {
    1: ["d900", "660f70c01b", "0fc6c000", "660f3a0fc001"],
    2: ["d9c9", "d8c1", "ddd8", "0f00c0", "0f0108", "660f78c00101"],
    4: ["660f3a21c00f"],
}
ROOM = [200, 420]  # in the blocks of a page
PREFIXES = bytes.fromhex("66 67 f0 f2 f3 64 48 41 4c")


def random_bytes(draw: random.Random) -> bytes:
    return draw.randbytes(PAGE_BYTES)


def instruction(draw: random.Random) -> bytes:
    """A few bytes in the shape of an instruction."""
    parts = [bytes([draw.choice(PREFIXES)]) for _ in range(draw.choice([0, 0, 1, 2]))]
    parts.append(draw.choice([b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a", b"\xc5\xf9", b"\xc4\xe3\x79"]))
    return b"".join(parts) + draw.randbytes(draw.randint(1, 4))


def shaped(draw: random.Random) -> bytes:
    return b"".join(instruction(draw) for _ in range(PAGE_BYTES))[:PAGE_BYTES]


def repeated(draw: random.Random) -> bytes:
    once = b"".join(instruction(draw) for _ in range(draw.randint(1, 3)))
    return (once * PAGE_BYTES)[:PAGE_BYTES]


def leaky(draw: random.Random) -> bytes:
    """Runs of what fills the translator, about as long as the guard allows, between jumps."""
    page, room = b"", draw.choice(ROOM)
    while len(page) < PAGE_BYTES:
        weight = draw.choice(list(LEAKY))
        page += bytes.fromhex(draw.choice(LEAKY[weight])) * (draw.randint(40, room) // weight) + b"\xeb\x00"
    return page[:PAGE_BYTES]


def let_through(draw: random.Random, make: Callable[[random.Random], bytes], count: int) -> list[bytes]:
    pages = [make(draw) for _ in range(count)]
    return [page for page in pages if not lib.mhv_guard_suspects(page, PAGE_BYTES)]


def run_bare(records: list[bytes], folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "records"
    path.write_bytes(b"".join(records))
    return subprocess.run([sys.executable, str(BARE_ENGINE), str(path)], capture_output=True, text=True)


def fuzz(seed: int, count: int, folder: Path) -> Counter[str]:
    """How many pages of each kind the engine has survived, two in a row."""
    draw = random.Random(seed)
    shares: Counter[str] = Counter()
    records = []
    for make in (random_bytes, shaped, repeated, leaky):
        pages = let_through(draw, make, count)
        shares[make.__name__] = len(pages)
        records += [page + draw.choice(pages) for page in pages]
    found = run_bare(records, folder)
    assert found.returncode == 0, f"seed {seed}: the engine died ({found.returncode}): {found.stderr[-500:]}"
    return shares


def test_engine_survives_what_the_guard_lets_through(tmp_path: Path) -> None:
    seed, count = secrets.randbits(32), 60
    print("seed", seed)
    shares = fuzz(seed, count, tmp_path)
    print(dict(shares))
    assert shares["random_bytes"] > 0.9 * count
    assert min(shares["shaped"], shares["repeated"], shares["leaky"]) > 0.1 * count


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_engine_survives_long_what_the_guard_lets_through(part: int, tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print("part", part, "seed", seed)
    fuzz(seed, 400, tmp_path)


@pytest.mark.parametrize(
    "code", ["f00fabc0", "f00fbae001", "d9c9" * 512, "660f70c01b" * 512, "660f3a21c00f" * 512]
)
def test_engine_dies_of_what_the_guard_stops(code: str, tmp_path: Path) -> None:
    page = (bytes.fromhex(code) + b"\xf4" * PAGE_BYTES)[:PAGE_BYTES]
    assert lib.mhv_guard_suspects(page, PAGE_BYTES)
    assert run_bare([page + b"\xf4" * PAGE_BYTES], tmp_path).returncode < 0
