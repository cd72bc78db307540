"""The map of a GPA space: pages, frames and rights, also across the parts that it is kept in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minihv.hypervisor.gpa_map import PART_PAGES, READ, READ_WRITE_EXECUTE, GpaMap, runs


def frames(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array(numbers, dtype=np.uint32)


def test_page_that_was_never_mapped_lies_nowhere() -> None:
    found = GpaMap()
    assert (found.frame(5), found.rights(5), found.end) == (None, 0, 0)
    assert not found.read(PART_PAGES - 1, 3)[0].any()


def test_frame_0_is_a_frame() -> None:
    found = GpaMap()
    found.put(7, frames(0), READ)
    assert (found.frame(7), found.rights(7), found.frame(8)) == (0, READ, None)


def test_pages_reach_from_one_part_into_the_next() -> None:
    found = GpaMap()
    found.put(PART_PAGES - 2, frames(9, 8, 7, 6), READ_WRITE_EXECUTE)
    numbers, rights = found.read(PART_PAGES - 3, 6)
    assert numbers.tolist() == [0, 10, 9, 8, 7, 0] and rights.tolist() == [0, 7, 7, 7, 7, 0]
    assert found.all_frames().tolist() == [9, 8, 7, 6] and found.end == PART_PAGES + 2


def test_cleared_pages_lie_nowhere_and_the_end_stays() -> None:
    found = GpaMap()
    found.put(3, frames(1, 2, 3), READ)
    found.clear(4, 2 * PART_PAGES)
    assert found.all_frames().tolist() == [1] and found.end == 6


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((), []), ((4,), [(0, 1)]), ((5, 6, 7, 2, 3), [(0, 3), (3, 2)]), ((3, 2, 2), [(0, 1), (1, 1), (2, 1)])],
)
def test_runs_are_numbers_that_follow_each_other(
    numbers: tuple[int, ...], expected: list[tuple[int, int]]
) -> None:
    assert list(runs(frames(*numbers))) == expected


CHANGES = st.lists(
    st.tuples(
        st.integers(PART_PAGES - 20, PART_PAGES + 20),
        st.lists(st.integers(0, 99), max_size=12),
        st.sampled_from((0, 1, 3, 5, 7, None)),
    ),
    max_size=12,
)


@given(CHANGES)
def test_map_answers_as_a_dictionary(changes: list[tuple[int, list[int], int | None]]) -> None:
    found, model = GpaMap(), dict[int, tuple[int, int]]()
    for gpn, spns, rights in changes:
        if rights is None:
            found.clear(gpn, len(spns))
        else:
            found.put(gpn, frames(*spns), rights)
        for at, spn in enumerate(spns, gpn):
            model.pop(at, None)
            if rights is not None:
                model[at] = spn, rights
    pages = range(PART_PAGES - 24, PART_PAGES + 36)
    assert {
        gpn: (found.frame(gpn), found.rights(gpn)) for gpn in pages if found.frame(gpn) is not None
    } == model
    assert found.all_frames().tolist() == [model[gpn][0] for gpn in sorted(model)]
