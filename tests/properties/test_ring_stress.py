"""Two ends at once: threads in C, under ThreadSanitizer too; threads and processes of Python."""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from ring_programs import build, needs_cc
from source_tree import run

from minihv.terms import PAGE_BYTES
from minihv.vmbus.native import Bell, NativeReader, NativeWriter, Patience, clear
from minihv.vmbus.packets import Packet, Reason
from minihv.vmbus.pages import RingPages
from minihv.vmbus.ring import Corrupt, Empty, Full, Ok

SOURCES = ["ring_stress.c", "../src/bell.c"]
PACKETS = 20_000
PATIENCE = Patience(spins=200, timeout_ns=20_000_000_000)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program with ThreadSanitizer in it, which knows no fences, so gcc warns of them."""
    program = tmp_path_factory.mktemp("stress") / "ring_stress"
    return build(program, SOURCES, "-fsanitize=thread", "-Wno-tsan", compiler="gcc")


@needs_cc
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_thread_sanitizer_finds_no_race(watched: Path, seed: int, request: pytest.FixtureRequest) -> None:
    packets = 1_000_000 if request.config.getoption("--long") else 10_000
    done = run(watched, str(packets), str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{packets} packets through ")


@needs_cc
@pytest.mark.slow
def test_packets_of_two_threads_arrive_in_order(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    program = build(tmp_path / "ring_stress", SOURCES)
    packets = 20_000_000 if request.config.getoption("--long") else 200_000
    for seed in range(1, 5):
        done = run(program, str(packets), str(seed))
        assert done.returncode == 0, done.stdout + done.stderr


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


def test_python_threads_pass_packets_and_sleep_meanwhile() -> None:
    memory = memoryview(bytearray(10 * PAGE_BYTES))
    clear(ends(memory)[0])
    sender = Thread(target=send, args=(memory,))
    sender.start()
    receive(memory)
    sender.join()


def memory_of(shared: SharedMemory) -> memoryview:
    """All of it."""
    assert shared.buf is not None
    return shared.buf


def in_shared_memory(test: Callable[[SharedMemory], None]) -> None:
    shared = SharedMemory(create=True, size=10 * PAGE_BYTES)
    try:
        test(shared)
    finally:
        shared.unlink()
        shared.close = lambda: None  # type: ignore[method-assign]  # the ends hold on to its memory


def test_processes_pass_packets_through_shared_memory() -> None:
    def pass_packets(shared: SharedMemory) -> None:
        clear(ends(memory_of(shared))[0])
        sender = get_context("spawn").Process(target=send_from_afar, args=(shared.name,))
        sender.start()
        receive(memory_of(shared))
        sender.join()
        assert sender.exitcode == 0

    in_shared_memory(pass_packets)


class TestTimeIsOver:
    def test_receiver_that_nobody_sends_to_gives_up(self) -> None:
        pages, packet_bell, _ = ends(memoryview(bytearray(3 * PAGE_BYTES)))
        clear(pages)
        waited = NativeReader(pages).wait_packet(packet_bell, Patience(10, timeout_ns=1_000_000))
        assert isinstance(waited, Empty)

    def test_sender_that_nobody_reads_from_gives_up(self) -> None:
        pages, _, room_bell = ends(memoryview(bytearray(3 * PAGE_BYTES)))
        clear(pages)
        writer = NativeWriter(pages)
        while isinstance(writer.write(Packet(6, bytes(1000))), Full) is False:
            writer.commit_write()
        assert writer.wait_room(1024, room_bell, Patience(10, timeout_ns=1_000_000)) == Full(1024)

    def test_receiver_hears_of_a_lie_at_once(self) -> None:
        memory = memoryview(bytearray(3 * PAGE_BYTES))
        pages, packet_bell, _ = ends(memory)
        clear(pages)
        memory[0] = 4
        reader = NativeReader(pages)
        assert reader.wait_packet(packet_bell, Patience(10)) == Ok()
        assert reader.read() == Corrupt(Reason.INDEX_MISALIGNED)
