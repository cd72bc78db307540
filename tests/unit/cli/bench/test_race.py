"""A race passes every message on, whoever runs."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from minihv.cli.bench import race
from minihv.cli.bench.race import PEERS, Terms
from minihv.errors import InternalError

ALL_TERMS = [
    Terms(size, batch, processes) for size in (64, 256) for batch in (1, 32) for processes in (False, True)
]
LOSING_PEER = """
#include "race.h"
static void create(void *queue, uint32_t message_bytes) { (void)queue; (void)message_bytes; }
static uint32_t push(void *queue, const void *messages, uint32_t count)
{ (void)queue; (void)messages; return count; }
static uint32_t pop(void *queue, void *room, uint32_t count, struct race_taken *ret)
{
    (void)queue;
    *(uint64_t *)room = 7;
    *ret = (struct race_taken){room, 64};
    return count ? 1 : 0;
}
const struct racer *race_peer(uint32_t message_bytes)
{
    static const struct racer racer = {8, create, push, pop};
    return message_bytes == 64 ? &racer : 0;
}
"""


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The code that runs a race, with a peer that loses messages."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("race")
    (folder / "peer.c").write_text(LOSING_PEER)
    command = ["gcc", "-std=gnu11", "-O2", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Werror"]
    sources = [str(race.SOURCES / "race.c"), "peer.c"]
    subprocess.run([*command, f"-I{race.SOURCES}", *sources, "-o", "peer.so"], cwd=folder, check=True)
    return race.race_ffi.dlopen(str(folder / "peer.so"))


@pytest.mark.parametrize("terms", ALL_TERMS, ids=str)
def test_our_ring_passes_every_message_on(harness: Any, terms: Terms) -> None:
    assert race.race(harness, race.our_racer(), terms, 3200) > 0


def test_lost_message_is_no_result(harness: Any) -> None:
    with pytest.raises(InternalError) as refusal:
        race.race(harness, harness.race_peer(64), Terms(64, 1, processes=False), 10)
    assert str(refusal.value) == (
        "A queue passes every message on, and a race of 10 of 64 bytes lost some: please report it."
    )


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("processes", [False, True])
def test_peer_that_is_installed_passes_every_message_on(peer: race.PeerSource, processes: bool) -> None:
    library = race.peer_library(peer)
    if library is None:
        pytest.skip(f"{peer.package} is not installed")
    assert race.race(library, library.race_peer(256), Terms(256, 32, processes), 3200) > 0


def test_peer_that_cannot_be_built_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(race, "SOURCES", tmp_path)
    assert race.peer_library(race.PeerSource("nobody", "lib-nobody", "nobody.c")) is None


def test_without_a_compiler_there_is_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "find_compiler", lambda *, cxx: None)
    assert race.peer_library(race.PeerSource("ck", "lib-ck", "ck_peer.c")) is None
