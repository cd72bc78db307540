"""System physical memory: reads and writes that fit, refusals, and the door that tells the engine of them."""

import resource
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from minihv.errors import AccessError, ConfigurationError
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.native import ffi, lib
from minihv.terms import MIB, PAGE_BYTES

FETCHED, STALE, SCANNED = lib.MHV_FRAME_FETCHED, lib.MHV_FRAME_STALE, lib.MHV_FRAME_SCANNED
ALL_ONES = 0xFFFF_FFFF_FFFF_FFFF
GIB = 1024 * MIB


@pytest.fixture
def memory() -> Iterator[SystemMemory]:
    made = SystemMemory(MIB)
    yield made
    made.close()


@pytest.mark.parametrize("byte_count", [-MIB, 0, MIB - PAGE_BYTES, MIB + 1, 64 * GIB + PAGE_BYTES])
def test_memory_of_a_size_that_cannot_be_is_refused(byte_count: int) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        SystemMemory(byte_count)
    assert str(refusal.value) == (
        f"System memory must be a multiple of 4 KiB from 1 MiB to 64 GiB, not {byte_count} bytes: "
        "choose a size in that range."
    )


def test_memory_that_the_host_does_not_give_is_refused() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * MIB, hard))
    try:
        with pytest.raises(ConfigurationError) as refusal:
            SystemMemory(128 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(refusal.value) == (
        "The host did not give 128 MiB of memory: ask for less, or raise its limits."
    )


def test_new_memory_is_zeroed_and_nobodys(memory: SystemMemory) -> None:
    assert memory.byte_count == len(memory.view) == MIB and not memory.view.any()
    assert memory.frames.free_count == MIB // PAGE_BYTES


def test_closing_twice_is_as_closing_once() -> None:
    memory = SystemMemory(MIB)
    memory.close()
    memory.close()
    assert memory.handle == ffi.NULL


@pytest.mark.parametrize("data", [b"four", bytearray(b"four"), memoryview(b"four")])
@pytest.mark.parametrize("spa", [0, 0x1FFE, MIB - 4])
def test_bytes_that_were_written_are_read_and_seen(
    memory: SystemMemory, spa: int, data: bytes | bytearray | memoryview
) -> None:
    memory.write(spa, data)
    assert memory.read(spa, 4) == b"four" == memory.view[spa : spa + 4].tobytes()
    assert int(memory.view.astype(int).sum()) == sum(b"four")


def test_nothing_may_be_read_and_written_at_the_end(memory: SystemMemory) -> None:
    memory.write(MIB, b"")
    memory.fill_zero(MIB, 0)
    assert memory.read(MIB, 0) == b""


@pytest.mark.parametrize(("spa", "byte_count"), [(-1, 1), (MIB, 1), (MIB - 1, 2), (MIB + 1, 0), (1 << 64, 4)])
@pytest.mark.parametrize("access", ["read", "write", "fill_zero"])
def test_range_that_does_not_lie_in_memory_is_refused(
    memory: SystemMemory, access: str, spa: int, byte_count: int
) -> None:
    memory.view[:] = 0xAA
    argument = b"\x55" * byte_count if access == "write" else byte_count
    with pytest.raises(AccessError) as refusal:
        getattr(memory, access)(spa, argument)
    assert str(refusal.value) == (
        f"System memory ends at SPA 0x100000, and {byte_count} bytes at SPA {spa:#x} do not lie in it: "
        "check the address."
    )
    assert (memory.view == 0xAA).all()


def test_negative_count_is_refused(memory: SystemMemory) -> None:
    with pytest.raises(AccessError, match=r"-1 bytes at SPA 0x1000 do not lie in it"):
        memory.read(0x1000, -1)


def test_eight_bytes_are_a_number_of_little_end(memory: SystemMemory) -> None:
    memory.write_u64(0x1004, 0x1122_3344_5566_7788)
    assert memory.read(0x1004, 8) == bytes.fromhex("8877665544332211")
    assert memory.read_u64(0x1004) == 0x1122_3344_5566_7788


@pytest.mark.parametrize("spa", [-8, -1, MIB - 7, MIB, 1 << 52])
def test_number_outside_memory_reads_as_all_ones_and_its_write_is_lost(
    memory: SystemMemory, spa: int
) -> None:
    memory.write_u64(spa, 0)
    assert memory.read_u64(spa) == ALL_ONES
    assert memory.handle.write_count == 0 and not memory.view.any()


@pytest.mark.parametrize("access", ["write", "write_u64", "fill_zero"])
def test_every_write_goes_through_the_door(memory: SystemMemory, access: str) -> None:
    argument = {"write": b"\0" * 8, "write_u64": 0, "fill_zero": 8}[access]
    memory.handle.frame_flags[1] = FETCHED | SCANNED
    getattr(memory, access)(0x1800, argument)
    assert memory.handle.write_count == 1 == memory.handle.stale_count
    assert memory.handle.frame_flags[1] == FETCHED | STALE


def test_write_marks_the_translated_ones_of_the_frames_it_touches(memory: SystemMemory) -> None:
    for frame in (0, 1, 3, 4):
        memory.handle.frame_flags[frame] = FETCHED
    memory.write(0x1FFF, b"\0" * (PAGE_BYTES + 2))
    assert [memory.handle.frame_flags[frame] for frame in range(5)] == [1, 1 | STALE, 0, 1 | STALE, 1]
    assert memory.handle.stale_count == 2


def test_frame_that_is_stale_already_is_not_counted_again(memory: SystemMemory) -> None:
    memory.handle.frame_flags[0] = FETCHED
    memory.write(0, b"one")
    memory.write(0, b"two")
    assert (memory.handle.stale_count, memory.handle.write_count) == (1, 2)


@pytest.mark.parametrize("access", ["read", "read_u64"])
def test_reading_marks_nothing(memory: SystemMemory, access: str) -> None:
    memory.handle.frame_flags[0] = FETCHED | SCANNED
    assert getattr(memory, access)(*((0, 8) if access == "read" else (0,))) in (bytes(8), 0)
    assert memory.handle.frame_flags[0] == FETCHED | SCANNED and memory.handle.write_count == 0


def test_core_refuses_a_write_that_does_not_fit(memory: SystemMemory) -> None:
    data = ffi.new("uint8_t[]", b"data")
    assert not lib.mhv_memory_write(memory.handle, MIB - 3, data, 4)
    assert not lib.mhv_memory_touch(memory.handle, ALL_ONES, 4)
    assert memory.handle.write_count == 0 and not memory.view.any()


def test_zeroed_frames_that_nobody_had_are_left_as_the_host_gave_them(memory: SystemMemory) -> None:
    assert memory.allocate_zeroed(1, 4, align=2) == 0
    assert memory.handle.write_count == 0 and memory.frames.owned_by(1) == 4


def test_only_the_used_ones_of_zeroed_frames_are_written(memory: SystemMemory) -> None:
    memory.view[:] = 0xFF
    memory.frames.used[[2, 3, 6, 8]] = True
    assert memory.allocate_zeroed(2, 8) == 0
    assert memory.handle.write_count == 2  # one for each run
    assert memory.view[: 9 * PAGE_BYTES : PAGE_BYTES].tolist() == [255, 255, 0, 0, 255, 255, 0, 255, 255]


def test_zeroed_frames_that_held_translated_code_are_marked_stale(memory: SystemMemory) -> None:
    memory.frames.free(1, memory.frames.allocate(1))
    memory.handle.frame_flags[0] = FETCHED
    memory.allocate_zeroed(2)
    assert memory.handle.frame_flags[0] == FETCHED | STALE


def test_zeroed_frames_are_zero_whoever_wrote_there_before() -> None:
    seen: Counter[str] = Counter()

    @given(
        st.lists(st.tuples(st.integers(1, 2), st.integers(1, 24), st.booleans()), min_size=12, max_size=40)
    )
    def check(steps: list[tuple[int, int, bool]]) -> None:
        memory = SystemMemory(MIB)
        for owner, count, leaves in steps:
            outcome = scribble(memory, owner, count, leaves=leaves)
            event(outcome)
            seen[outcome] += 1
        memory.close()

    check()
    assert min(seen[outcome] / seen.total() for outcome in ("new", "used", "left")) > 0.02, seen


def scribble(memory: SystemMemory, owner: int, count: int, *, leaves: bool) -> str:
    """``owner`` leaves, or takes frames, sees that they are zero, and writes all over them."""
    if leaves or memory.frames.free_count < 3 * 24:
        memory.frames.free_all(owner)
        return "left"
    before = memory.handle.write_count
    spa = memory.allocate_zeroed(owner, count)
    assert memory.read(spa, count * PAGE_BYTES) == bytes(count * PAGE_BYTES)
    memory.view[spa : spa + count * PAGE_BYTES] = 0xFF
    return "used" if memory.handle.write_count > before else "new"


def test_hypervisors_frames_can_be_zeroed_too(memory: SystemMemory) -> None:
    assert memory.frames.owner_of(memory.allocate_zeroed(HYPERVISOR)) == HYPERVISOR
