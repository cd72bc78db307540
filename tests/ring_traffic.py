"""Both ends of a ring in Python, for threads and processes: what one sends, the other checks."""

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from minihv.terms import PAGE_BYTES
from minihv.vmbus.native import Bell, NativeReader, NativeWriter, Patience
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Empty, Full

PACKETS = 20_000
PATIENCE = Patience(spins=200, timeout_ns=20_000_000_000)


def ends(memory: memoryview) -> tuple[RingPages, Bell, Bell]:
    """A ring with its two bells in the page behind it: for packets, and for room."""
    pages = RingPages.of(memory[:-PAGE_BYTES])
    return pages, Bell(memory[-PAGE_BYTES:]), Bell(memory[-PAGE_BYTES + 64 :])


def send(memory: memoryview) -> None:
    """Sends payloads of 0 to 63 units of 8 bytes, each of the packet's number, as fast as there is room."""
    pages, packet_bell, room_bell = ends(memory)
    writer = NativeWriter(pages)
    lengths = 8 * (np.arange(PACKETS, dtype=np.uint32) % 64)
    offsets = np.concatenate([np.zeros(1, np.uint32), np.cumsum(lengths, dtype=np.uint32)])
    numbers = np.arange(PACKETS, dtype=np.uint64)
    payloads = np.repeat(numbers, lengths // 8)
    sent = 0
    while sent < PACKETS:
        count, result = writer.write_payloads(payloads, offsets[sent:], 6, numbers[sent:])
        sent += count
        if writer.commit_write():
            packet_bell.ring()
        if isinstance(result, Full):
            writer.wait_room(result.needed, room_bell, PATIENCE)


def receive(memory: memoryview) -> None:
    """Checks what ``send`` sends."""
    pages, packet_bell, room_bell = ends(memory)
    reader = NativeReader(pages)
    got = 0
    while got < PACKETS:
        rows = reader.read_packets()
        assert not isinstance(rows, Corrupt)
        if isinstance(rows, Empty):
            assert not isinstance(reader.wait_packet(packet_bell, PATIENCE), Empty), "nobody came"
            continue
        words = np.frombuffer(reader.buffer, np.uint64)
        for row in rows:
            first = int(row["payload_offset"]) // 8
            assert row["transaction_id"] == got and row["payload_bytes"] == 8 * (got % 64)
            assert (words[first : first + got % 64] == got).all()
            got += 1
        if reader.commit_read():
            room_bell.ring()


def send_from_afar(name: str) -> None:
    """``send`` in another process."""
    shared = SharedMemory(name)
    send(memory_of(shared))


def memory_of(shared: SharedMemory) -> memoryview:
    """All of it."""
    assert shared.buf is not None
    return shared.buf
