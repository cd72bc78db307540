"""Races of the VMBus ring against other people's queues, each built from its own sources here and now.

A peer is a small library: ``peers/race.c``, which runs a producer and a consumer as two threads or as two
processes over shared memory, and one file that calls the peer. Our ring is run by the same code. Every side
is called in the same way, by one pointer for each push and each pop, and copies each message in and out once.

Next: ``minihv.cli.bench.ring``
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cffi import FFI

from minihv.errors import InternalError
from minihv.machine.native import ffi as core_ffi
from minihv.machine.native import lib as core

SOURCES = Path(__file__).parent / "peers"
FLAGS = ("-O3", "-flto", "-fPIC", "-shared", "-pthread")
C_FLAGS, CXX_FLAGS = ("-std=gnu11",), ("-std=c++17",)

race_ffi = FFI()
race_ffi.cdef("""
    struct race {
        uint64_t message_count;
        uint32_t message_bytes;
        uint32_t batch;
        uint32_t processes;
        int32_t cpus[2];
    };
    struct racer {
        uint64_t queue_bytes;
        void *create;
        void *push;
        void *pop;
    };
    double race_run(const struct racer *racer, const struct race *race);
    const struct racer *race_peer(uint32_t message_bytes);
""")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is raced: messages of ``message_bytes``, ``batch`` of them at a time."""

    message_bytes: int
    batch: int
    processes: bool


@dataclass(frozen=True, slots=True)
class PeerSource:
    """Somebody else's queue: where it is from, and the file that calls it."""

    name: str
    package: str
    file: str

    @property
    def is_cxx(self) -> bool:
        """Whether it is written in C++."""
        return self.file.endswith(".cpp")


PEERS = (
    PeerSource("ck_ring", "libck-dev", "ck_peer.c"),
    PeerSource("boost::lockfree::spsc_queue", "libboost-dev", "boost_peer.cpp"),
)


def find_compiler(*, cxx: bool) -> list[str] | None:
    """The command of a C or C++ compiler, if there is one."""
    asked = os.environ.get("CXX" if cxx else "CC")
    if asked:
        return shlex.split(asked)
    found = shutil.which("g++" if cxx else "gcc")
    return None if found is None else [found]


@cache
def peer_library(peer: PeerSource) -> Any:
    """The library of ``peer``, or ``None`` where it cannot be built. Built once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        harness, library = Path(folder, "race.o"), Path(folder, "peer.so")
        steps = [
            (False, [*C_FLAGS, "-O3", "-flto", "-fPIC", "-c", str(SOURCES / "race.c"), "-o", str(harness)]),
            (
                peer.is_cxx,
                [
                    *(CXX_FLAGS if peer.is_cxx else C_FLAGS), *FLAGS,
                    str(SOURCES / peer.file), str(harness), "-o", str(library),
                ],
            ),
        ]  # fmt: skip
        for cxx, arguments in steps:
            compiler = find_compiler(cxx=cxx)
            if compiler is None:
                return None
            done = subprocess.run([*compiler, *arguments], capture_output=True, check=False)
            if done.returncode:
                return None
        return race_ffi.dlopen(str(library))


def our_racer() -> Any:
    """The ring of the core as a ``struct racer``."""
    pointers = {
        name: race_ffi.cast(
            "void *", int(core_ffi.cast("uintptr_t", core_ffi.addressof(core, f"mhv_queue_{name}")))
        )
        for name in ("create", "push", "pop")
    }
    return race_ffi.new("struct racer *", {"queue_bytes": core.mhv_queue_bytes(), **pointers})


def two_cpus() -> tuple[int, int]:
    """Where the two sides are pinned: two different processors, or nowhere when there is only one."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (cpus[0], cpus[1]) if len(cpus) > 1 else (-1, -1)


def race(library: Any, racer: Any, terms: Terms, count: int) -> float:
    """Million messages a second that ``racer`` passes on.

    Raises:
        InternalError: one was lost.
    """
    messages = max(1, count // terms.batch) * terms.batch
    asked = {
        "message_count": messages,
        "message_bytes": terms.message_bytes,
        "batch": terms.batch,
        "processes": terms.processes,
        "cpus": list(two_cpus()),
    }
    seconds = library.race_run(racer, race_ffi.new("struct race *", asked))
    if seconds <= 0:
        raise InternalError(
            f"A queue passes every message on, and a race of {messages} of {terms.message_bytes} bytes lost "
            "some: please report it."
        )
    return messages / float(seconds) / 1e6
