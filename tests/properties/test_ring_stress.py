"""Two ends at once: threads in C, under ThreadSanitizer too; threads and processes of Python."""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from threading import Thread

import pytest
from ring_programs import build, needs_cc
from ring_traffic import ends, memory_of, receive, send, send_from_afar
from source_tree import run

from minihv.terms import PAGE_BYTES
from minihv.vmbus.native import NativeReader, NativeWriter, Patience, clear
from minihv.vmbus.packets import Packet, Reason
from minihv.vmbus.ring import Corrupt, Empty, Full, Ok

SOURCES = ["ring_stress.c", "../src/bell.c"]


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


def test_python_threads_pass_packets_and_sleep_meanwhile() -> None:
    memory = memoryview(bytearray(10 * PAGE_BYTES))
    clear(ends(memory)[0])
    sender = Thread(target=send, args=(memory,))
    sender.start()
    receive(memory)
    sender.join()


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
