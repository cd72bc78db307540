"""The C harvest finds and refuses as the Python one, and leaves the same image."""

import numpy as np
from hypothesis import given

from minihv.paging import native
from minihv.paging.access import AccessKind, Paging
from minihv.paging.dirty import HarvestError, PageBitmap, harvest, mark_page
from minihv.paging.nested import SecondMapping, second_walk
from minihv.testing import CrowdedWorld, Shares, copy_of, crowded_worlds

ACCESSED, DIRTY, LARGE = 1 << 5, 1 << 6, 1 << 7
FLOORS = {
    "found: some": 0.1,
    "found: none": 0.02,
    "found: all of a large page": 0.01,
    "found: a part of a large page": 0.005,
    "MISALIGNED": 0.02,
    "OUT_OF_REACH": 0.01,
    "BAD_FLAGS": 0.02,
}


def asked(world: CrowdedWorld, second: Paging) -> tuple[int, int, int]:
    """First page, number of pages, mark: mostly a range that can be harvested, of few tables."""
    random = world.random
    mark = random.choice((ACCESSED, DIRTY) * 4 + (0, LARGE, ACCESSED | DIRTY))
    if random.random() < 0.3:
        return *large_range(world, second), mark
    gpn = any_page(world) & random.choice((-8, -8, -512, -1))
    return gpn, random.choice((0, 1, 7, 8, 100, 512, 600, 2000, 1 << 46)), mark


def large_range(world: CrowdedWorld, second: Paging) -> tuple[int, int]:
    """All of a page of 2 MiB, if one is soon found."""
    gpns = [any_page(world) & -512 for _ in range(20)]
    return next((gpn for gpn in gpns if large_page_at(world, second, gpn)), gpns[0]), 512


def any_page(world: CrowdedWorld) -> int:
    """The number of a page."""
    return (world.gpa() & (1 << 48) - 1) >> 12


def verdict(answer: PageBitmap | tuple[object, str], large: SecondMapping | None) -> str:
    """The answer in a few words; ``large`` is the large page at the beginning, if there is one."""
    if isinstance(answer, tuple):
        return str(answer[0])
    if not answer.count:
        return "found: none"
    begin = answer.gpn << 12
    if large is None or answer.count != answer.page_count:
        return "found: some"
    part = begin % large.second_page_bytes or (answer.page_count << 12) % large.second_page_bytes
    return "found: a part of a large page" if part else "found: all of a large page"


def large_page_at(world: CrowdedWorld, second: Paging, gpn: int) -> SecondMapping | None:
    """What the tables have for the first page, when it is large."""
    found = second_walk(copy_of(world.memory), second, gpn << 12, AccessKind.READ)
    return found if isinstance(found, SecondMapping) and found.second_page_bytes > 1 << 12 else None


def test_native_harvest_finds_as_the_reference() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def harvests_agree(world: CrowdedWorld) -> None:
        twin = copy_of(world.memory)
        for _ in range(20):
            second = world.second()
            wanted = asked(world, second)
            answers: list[PageBitmap | tuple[object, str]] = []
            large = large_page_at(world, second, wanted[0])
            for memory, made in ((world.memory, harvest), (twin, native.harvest)):
                try:
                    answers.append(made(memory, second, *wanted))
                except HarvestError as refusal:
                    answers.append((refusal.status.name, str(refusal)))
            assert answers[0] == answers[1]
            shares.add(verdict(answers[0], large))
        assert np.array_equal(twin.view, world.memory.view)

    harvests_agree()
    shares.assert_floors(FLOORS)


def test_native_marks_the_pages_that_the_reference_marks() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def marks_agree(world: CrowdedWorld) -> None:
        twin, ram = copy_of(world.memory), native.c_ram(world.memory)
        for _ in range(20):
            second, mark = world.second(), world.random.choice((ACCESSED, DIRTY))
            gpn = any_page(world) << world.random.choice((0, 0, 0, 4))
            wanted = second.root, second.levels, gpn, mark
            marked = native.mark_page(ram, *wanted)
            assert marked == mark_page(twin, *wanted)
            shares.add("marked" if marked else "no leaf")
        assert np.array_equal(twin.view, world.memory.view)

    marks_agree()
    shares.assert_floors({"marked": 0.1, "no leaf": 0.02})


def test_page_that_was_marked_is_harvested() -> None:
    shares = Shares()

    @given(crowded_worlds())
    def mark_is_found(world: CrowdedWorld) -> None:
        second, gpn = world.second(), any_page(world)
        if gpn >> 9 * second.levels:
            return
        marked = mark_page(world.memory, second.root, second.levels, gpn, DIRTY)
        first = gpn & -512
        assert (gpn in harvest(world.memory, second, first, 512, DIRTY)) is marked
        shares.add(str(marked))

    mark_is_found()
    shares.assert_floors({"True": 0.05})
