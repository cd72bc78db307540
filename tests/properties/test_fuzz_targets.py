"""The fuzz targets on the inputs that were kept, and on what grows out of those."""

import importlib.util
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from fat_reader import GUESTS, PLAYER, READER, TARGET
from fat_reader import build as build_reader
from fuzz_vmbus import run_one
from ring_programs import RING, STRICT, build, needs_cc
from source_tree import CORE, ROOT, run

RING_CORPUS, VMBUS_CORPUS = CORE / "tests" / "corpus" / "ring", ROOT / "tests" / "corpus" / "vmbus"
FAT_CORPUS = GUESTS / "tests" / "corpus" / "fat"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
LONG_SECONDS = 600


def kept(corpus: Path) -> list[Path]:
    """The inputs, of which there are some."""
    found = sorted(path for path in corpus.iterdir() if path.is_file())
    assert found
    return found


@needs_cc
@pytest.mark.slow
def test_ring_survives_every_input_that_was_kept(tmp_path: Path) -> None:
    program = build(tmp_path / "fuzz_ring", ["fuzz_ring.c", "fuzz_main.c"], *SANITIZERS)
    inputs = kept(RING_CORPUS)
    done = run(program, *map(str, inputs))
    assert (done.returncode, done.stdout) == (0, f"{len(inputs)} inputs\n"), done.stderr


@needs_cc
@pytest.mark.slow
def test_ring_without_a_check_dies_of_an_input_that_was_kept(tmp_path: Path) -> None:
    source = shutil.copytree(CORE / "src", tmp_path / "src")
    reader, check = source / "ring_read.c", "found.length > capacity"
    assert reader.read_text().count(check) == 2
    reader.write_text(reader.read_text().replace(check, "false"))
    programs = [CORE / "tests" / name for name in ("fuzz_ring.c", "fuzz_main.c")]
    files = [*programs, *(source / name for name in RING)]
    includes = (f"-I{CORE / 'include'}", f"-I{CORE / 'tests'}")
    loose = [flag for flag in STRICT if flag not in ("-Wextra", "-Werror")]
    made = run("cc", *loose, *SANITIZERS, *includes, *files, "-o", tmp_path / "fuzz_ring")
    if made.returncode:
        pytest.skip("the compiler has no sanitizers here")
    done = run(tmp_path / "fuzz_ring", *map(str, kept(RING_CORPUS)))
    assert done.returncode != 0 and "AddressSanitizer" in done.stderr


def effort(request: pytest.FixtureRequest, count: int) -> list[str]:
    """How long libFuzzer works: for so many inputs, or with ``--long`` for a time."""
    if request.config.getoption("--long"):
        return [f"-max_total_time={LONG_SECONDS}"]
    return [f"-runs={count}", "-seed=1"]


@pytest.mark.slow
def test_fuzzer_of_clang_finds_nothing_in_the_ring(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files = [CORE / "tests" / "fuzz_ring.c", *(CORE / "src" / name for name in RING)]
    includes = (f"-I{CORE / 'include'}", f"-I{CORE / 'tests'}")
    program, sanitizers = tmp_path / "fuzz_ring", ("-fsanitize=fuzzer,address,undefined", SANITIZERS[1])
    if (
        not shutil.which("clang")
        or run("clang", "-g", "-O1", *sanitizers, *includes, *files, "-o", program).returncode
    ):
        pytest.skip("clang with libFuzzer is not installed: apt-get install clang libclang-rt-14-dev")
    corpus = shutil.copytree(RING_CORPUS, tmp_path / "corpus")
    done = run(program, "-max_len=2048", *effort(request, 50_000), corpus, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


ACTIONS = {"Post", "SignalChannel", "ConnectEvent", "DisconnectEvent", "Trace"}


def reached(inputs: Iterable[bytes]) -> Counter[str]:
    """By type of action, how many inputs had the server want one; after each it serves an honest guest."""
    return Counter(name for data in inputs for name in set(run_one(data)))


@needs_cc
def test_reader_of_volumes_survives_every_input_that_was_kept(tmp_path: Path) -> None:
    program = build_reader(tmp_path / "fuzz_fat", [TARGET, PLAYER, *READER], *SANITIZERS)
    inputs = kept(FAT_CORPUS)
    done = run(program, *map(str, inputs))
    assert (done.returncode, done.stdout) == (0, f"{len(inputs)} inputs\n"), done.stderr


CHECKS = {
    "a cluster is one of the volume": ("fat.c", "!is_cluster(volume, cluster)"),
    "clusters are read once": ("fat.c", "volume->clusters_left == 0"),
    "the volume ends on its disk": (
        "fat_volume.c",
        "first + (uint64_t)boot->sectors * scale > volume->device->sector_count",
    ),
    "the table is long enough": (
        "fat_volume.c",
        "volume->cluster_count + (uint64_t)FAT_FIRST_CLUSTER > table_bits / volume->bits",
    ),
    "a partition begins on the disk": ("fat_volume.c", "first >= volume->device->sector_count"),
}


@needs_cc
@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), CHECKS.values(), ids=list(CHECKS))
def test_reader_without_a_check_dies_of_an_input_that_was_kept(tmp_path: Path, name: str, check: str) -> None:
    sources = {source.name: source for source in READER}
    text = sources[name].read_text()
    assert text.count(check) == 1
    sources[name] = tmp_path / name
    sources[name].write_text(text.replace(check, "false"))
    flags = ("-g", *SANITIZERS, f"-I{GUESTS}")
    assert not run("cc", *flags, TARGET, PLAYER, *sources.values(), "-o", tmp_path / "fuzz").returncode
    assert run(tmp_path / "fuzz", *map(str, kept(FAT_CORPUS))).returncode != 0


@pytest.mark.slow
def test_fuzzer_of_clang_finds_nothing_in_the_reader_of_volumes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    flags = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", SANITIZERS[1], f"-I{GUESTS}")
    program = tmp_path / "fuzz_fat"
    if not shutil.which("clang") or run("clang", *flags, TARGET, *READER, "-o", program).returncode:
        pytest.skip("clang with libFuzzer is not installed: apt-get install clang libclang-rt-14-dev")
    corpus = shutil.copytree(FAT_CORPUS, tmp_path / "corpus")
    done = run(program, "-max_len=12288", *effort(request, 50_000), corpus, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_server_serves_an_honest_guest_after_every_input_that_was_kept() -> None:
    found = reached(path.read_bytes() for path in kept(VMBUS_CORPUS))
    assert set(found) == ACTIONS, f"the inputs reach too little: {found}"


def test_server_serves_an_honest_guest_after_what_grows_out_of_the_inputs(
    request: pytest.FixtureRequest,
) -> None:
    random, count = Random(4711), 200_000 if request.config.getoption("--long") else 1_500
    inputs = [path.read_bytes() for path in kept(VMBUS_CORPUS)]
    found = reached(grown(random, inputs) for _ in range(count))
    assert set(found) == ACTIONS, f"what grew reaches too little: {found}"
    assert found["ConnectEvent"] == count, "every input is of a server with offers"
    assert found["Post"] > count / 2, "most inputs are answered"
    assert found["DisconnectEvent"] > count / 20, "some lose a channel"


def grown(random: Random, inputs: list[bytes]) -> bytes:
    """Two inputs crossed, with some bytes changed, doubled or left out."""
    one, other = random.choices(inputs, k=2)
    mixed = bytearray(one[: random.randint(0, len(one))] + other[random.randint(0, len(other)) :])
    for _ in range(random.choice((0, 1, 1, 2, 8))):
        if mixed:
            at = random.randrange(len(mixed))
            mixed[at : at + random.choice((0, 1, 1))] = random.choice(
                (b"", bytes((random.randrange(256),)), b"\xff", bytes(mixed[at : at + 8]))
            )
    return bytes(mixed)


@pytest.mark.slow
def test_fuzzer_of_python_finds_nothing_in_the_server(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install atheris")
    corpus = shutil.copytree(VMBUS_CORPUS, tmp_path / "corpus")
    target = ROOT / "tests" / "fuzz_vmbus.py"
    done = run(sys.executable, str(target), str(corpus), *effort(request, 3000), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
