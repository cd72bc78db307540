"""A thread rewrites what it shares with one end of a ring, which believes nothing twice and never dies."""

import re
import shutil
from pathlib import Path

import pytest
from ring_programs import RING, STRICT, build, needs_cc
from source_tree import CORE, run

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
SEEDS = range(1, 9)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attack with the sanitizers in it."""
    return build(tmp_path_factory.mktemp("attack") / "ring_attack", ["ring_attack.c"], *SANITIZERS)


def rounds(request: pytest.FixtureRequest) -> str:
    return "50000000" if request.config.getoption("--long") else "400000"


@needs_cc
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_end_survives_a_peer_that_changes_everything(
    watched: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    done = run(watched, rounds(request), str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}
    assert min(counts["ok"], counts["corrupt"], counts["empty"] + counts["full"]) > 0, counts


@needs_cc
@pytest.mark.slow
def test_end_that_fetched_a_descriptor_twice_would_be_caught(tmp_path: Path) -> None:
    source = shutil.copytree(CORE / "src", tmp_path / "src")
    reader = source / "ring_read.c"
    judged, again = "memcpy(buffer, &found->low, UNIT);", "get(ring, ring->position, buffer, UNIT);"
    assert reader.read_text().count(judged) == 1
    reader.write_text(reader.read_text().replace(judged, again))
    files = [CORE / "tests" / "ring_attack.c", *(source / name for name in RING)]
    made = run("cc", *STRICT, f"-I{CORE / 'include'}", *files, "-o", tmp_path / "attack", "-pthread")
    assert made.returncode == 0, made.stderr
    answers = (run(tmp_path / "attack", "20000000", str(seed)).stdout for seed in range(2, 20, 2))
    assert "a packet is not what its copy says\n" in answers  # one after the other, until it is
