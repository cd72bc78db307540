"""The memory of children: pages of the parent in long runs, zeroed, and every one of them comes back."""

import pytest

from minihv.errors import AccessError, ConfigurationError
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.machine.memory import SystemMemory
from minihv.parent.vid import Run, Vid, smaller
from minihv.terms import MIB, PAGE_BYTES, Gpa

PARENT, SIZE = 1, 32 * MIB
FREE_FROM = 3 * MIB + 1


@pytest.fixture
def space() -> GpaSpace:
    made = GpaSpace(SystemMemory(48 * MIB), PARENT)
    made.add_ram(SIZE)
    return made


@pytest.fixture
def vid(space: GpaSpace) -> Vid:
    return Vid(space, FREE_FROM, SIZE)


def test_pages_of_the_kernel_are_nobody_elses(vid: Vid) -> None:
    assert vid.free_bytes == SIZE - 3 * MIB - PAGE_BYTES
    runs = vid.allocate(2, vid.free_bytes).runs
    assert min(run.parent_gpn for run in runs) == 3 * MIB // PAGE_BYTES + 1


def test_memory_of_a_child_is_one_run_that_begins_at_a_large_page(vid: Vid) -> None:
    assert vid.allocate(2, 8 * MIB).runs == (Run(0, 1024, 2048),)


def test_memory_between_others_is_found_in_parts_that_stay_large(vid: Vid) -> None:
    for child in range(2, 9):
        vid.allocate(child, 4 * MIB)
    for child in (3, 5, 7):
        vid.give_back(child)
    runs = vid.allocate(10, 12 * MIB).runs
    assert [run.page_count for run in runs] == [512, 1024, 512, 1024]
    assert all(run.gpn % 512 == run.parent_gpn % 512 == 0 for run in runs)


def test_odd_memory_ends_in_a_part_of_a_large_page(vid: Vid) -> None:
    memory = vid.allocate(2, 2 * MIB + PAGE_BYTES)
    assert memory.byte_count == 2 * MIB + PAGE_BYTES
    assert list(memory.pages())[::512] == [(0, 1024), (512, 1536)]


def test_every_page_comes_back(vid: Vid) -> None:
    before = vid.free_bytes
    vid.allocate(2, 8 * MIB)
    assert len(set(vid.take_pages(2, 5))) == 5 and vid.owned_by(2) == 2048 + 5
    assert vid.give_back(2) == 2048 + 5
    assert vid.free_bytes == before and vid.owned_by(2) == 0


def test_more_than_there_is_is_refused(vid: Vid) -> None:
    with pytest.raises(ConfigurationError) as refused:
        vid.allocate(2, 64 * MIB)
    assert str(refused.value) == (
        "The parent has 28 MiB left for children, and 64 MiB are asked for: give it more memory, or its "
        "children less."
    )
    assert vid.owned_by(2) == 0


def test_next_child_finds_zeros(vid: Vid, space: GpaSpace) -> None:
    first = vid.allocate(2, 2 * MIB)
    first.write(Gpa(0x1234), b"secret")
    assert space.read(first.runs[0].parent_gpn * PAGE_BYTES + 0x1234, 6) == b"secret"
    vid.give_back(2)
    again = vid.allocate(3, 2 * MIB)
    assert again.runs == first.runs and again.read(0x1234, 6) == bytes(6)


def test_bytes_across_two_runs_are_one(vid: Vid) -> None:
    for child in range(2, 16):
        vid.allocate(child, 2 * MIB)
    for child in (3, 5):
        vid.give_back(child)
    memory = vid.allocate(20, 4 * MIB)
    assert len(memory.runs) == 2
    memory.write(Gpa(2 * MIB - 3), b"across")
    assert memory.read(2 * MIB - 4, 8) == b"\0across\0"


@pytest.mark.parametrize(("gpa", "byte_count"), [(2 * MIB - 1, 2), (-1, 1), (1 << 40, 1)])
def test_what_is_no_memory_of_the_child_is_refused(vid: Vid, gpa: int, byte_count: int) -> None:
    memory = vid.allocate(2, 2 * MIB)
    with pytest.raises(AccessError) as refused:
        memory.write(Gpa(gpa), bytes(byte_count))
    assert str(refused.value) == (
        f"A child of 0x200000 bytes has no {byte_count} bytes at GPA {gpa:#x}: check the address, or give it "
        "more memory."
    )


@pytest.mark.parametrize(
    ("count", "expected"), [(2, 1), (3, 1), (1024, 512), (1536, 512), (513, 256), (512, 256)]
)
def test_next_length_to_try_keeps_large_pages_whole(count: int, expected: int) -> None:
    assert smaller(count) == expected
