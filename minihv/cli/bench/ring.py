"""Rows ``ring.*``: what the ring of VMBus carries, beside other people's queues, and from Python.

A race has one publication for each message, or one for each 32. The peer is the best of those that can be
built here, found anew in every round. Two other rows are one thread that puts messages in and takes them out.

Next: ``minihv.cli.bench.round_trip``
"""

import numpy as np

from minihv.cli.bench.race import PEERS, Terms, our_racer, peer_library, race
from minihv.cli.bench.round_trip import round_trip
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.errors import InternalError
from minihv.machine.native import ffi, lib
from minihv.spec.vmbus_ring import PacketKind
from minihv.terms import PAGE_BYTES
from minihv.vmbus import ring
from minihv.vmbus.native import NativeReader, NativeWriter
from minihv.vmbus.packets import Packet
from minihv.vmbus.pages import RingPages

MESSAGES = 400_000
BATCH = 32
GOALS = {(64, 1): 1.0, (256, 1): 1.0, (64, BATCH): 0.8, (256, BATCH): 1.0}
"""By bytes of a message and messages of a publication."""
BYTES = 64
CALL_BATCH = 2048
"""Messages of one call from Python."""
DATA_PAGES = 64
FASTER_THAN_PYTHON, FROM_PYTHON = Goal("ratio", ">=", 100), Goal("ratio", ">=", 0.5)


def against_peers(name: str, terms: Terms) -> Measure:
    """Races our ring against the peers that are here."""

    def measure(effort: Effort) -> Row | str:
        here = {peer.name: library for peer in PEERS if (library := peer_library(peer)) is not None}
        if not here:
            packages = " or ".join(peer.package for peer in PEERS)
            return f"{name} is left out: it needs gcc, g++ and {packages}, and no peer can be built here."
        harness = next(iter(here.values()))
        ours, count = our_racer(), effort.times(MESSAGES)

        def best() -> float:
            return max(race(one, one.race_peer(terms.message_bytes), terms, count) for one in here.values())

        pairs = effort.pairs(name, lambda: race(harness, ours, terms, count), best)
        goal = Goal("ratio", ">=", GOALS[terms.message_bytes, terms.batch])
        return row(name, "million messages/s", f"the best of {', '.join(here)}", pairs, goal)

    return measure


def rate(nanoseconds_each: float) -> float:
    """Million messages a second."""
    return 1e3 / nanoseconds_each


class InC:
    """One thread of the core that puts messages into a ring and takes them out."""

    def __init__(self) -> None:
        self._room = bytearray(int(lib.mhv_queue_bytes()) + PAGE_BYTES)
        start = ffi.from_buffer(self._room)
        self._queue = start + -int(ffi.cast("uintptr_t", start)) % PAGE_BYTES
        lib.mhv_queue_create(self._queue, BYTES)

    def turn(self, count: int, batch: int) -> float:
        """Nanoseconds for each of ``count`` messages of 64 bytes, ``batch`` of them at a time."""
        return nanoseconds(lambda: self._turn(count, batch), count)

    def _turn(self, count: int, batch: int) -> None:
        done = lib.mhv_queue_turn(self._queue, count, batch)
        if done < count:
            raise InternalError(f"A queue gave back {done} of {count} messages: please report it.")


def a_ring() -> RingPages:
    """A new ring."""
    pages = RingPages.of(bytearray((1 + DATA_PAGES) * PAGE_BYTES))
    ring.clear(pages)
    return pages


class InPython:
    """The reference, one packet at a time."""

    def __init__(self) -> None:
        pages = a_ring()
        self._writer, self._reader = ring.RingWriter(pages), ring.RingReader(pages)
        self._packet = Packet(PacketKind.IN_BAND, bytes(BYTES))

    def turn(self, count: int) -> None:
        """``count`` messages in and out."""
        for _ in range(count):
            self._writer.write(self._packet)
            self._writer.commit_write()
            self._reader.read()
            self._reader.commit_read()


class FromPython:
    """The ring in C, called from Python for many packets at once."""

    def __init__(self) -> None:
        pages = a_ring()
        self._writer, self._reader = NativeWriter(pages), NativeReader(pages)
        self._payloads = bytes(CALL_BATCH * BYTES)
        self._offsets = np.arange(CALL_BATCH + 1, dtype=np.uint32) * np.uint32(BYTES)

    def turn(self, count: int) -> None:
        """``count`` messages in and out."""
        for _ in range(0, count, CALL_BATCH):
            self._writer.write_payloads(self._payloads, self._offsets, PacketKind.IN_BAND)
            self._writer.commit_write()
            self._drain(CALL_BATCH)
            self._reader.commit_read()

    def _drain(self, left: int) -> None:
        while left > 0:
            rows = self._reader.read_packets()
            if not isinstance(rows, np.ndarray):
                raise InternalError(f"A ring with {left} messages in it said {rows}: please report it.")
            left -= len(rows)


def python(effort: Effort) -> Row:
    """The ring in C beside its Python twin, one publication for each message."""
    name, in_c, in_python = "ring.python", InC(), InPython()
    count, few = effort.times(200_000), effort.times(2_000)
    pairs = effort.pairs(
        name,
        lambda: rate(in_c.turn(count, 1)),
        lambda: rate(nanoseconds(lambda: in_python.turn(few), few)),
    )
    return row(name, "million messages/s", "the reference in Python", pairs, FASTER_THAN_PYTHON)


def batch_call(effort: Effort) -> Row:
    """Calls from Python for many messages at once, beside C alone."""
    name, in_c, from_python = "ring.batch-call", InC(), FromPython()
    count = max(1, effort.times(400_000) // CALL_BATCH) * CALL_BATCH
    pairs = effort.pairs(
        name,
        lambda: rate(nanoseconds(lambda: from_python.turn(count), count)),
        lambda: rate(in_c.turn(count, BATCH)),
    )
    return row(name, "million messages/s", f"C alone, {BATCH} at a time", pairs, FROM_PYTHON)


def races() -> dict[str, Measure]:
    """A row for each size, publication, and kind of neighbour."""
    found: dict[str, Measure] = {}
    for message_bytes, batch in GOALS:
        for processes in (False, True):
            suffix = "-batch" if batch > 1 else ""
            short = f"{message_bytes}{suffix}-{'processes' if processes else 'threads'}"
            found[short] = against_peers(f"ring.{short}", Terms(message_bytes, batch, processes))
    return found


ROWS: dict[str, Measure] = {**races(), "python": python, "batch-call": batch_call, "round-trip": round_trip}
