"""The C builder of tables answers and refuses as the Python one, and leaves the same image and pool."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging import native
from minihv.paging.access import BufferMemory
from minihv.paging.formats import NESTED, X86_64, Format
from minihv.paging.tables import FramePool, PageTables
from minihv.spec.x86_paging import ACCESSED, DIRTY, USER, WRITABLE
from minihv.terms import LARGE_PAGE_BYTES
from minihv.testing import Change, Shares, changes, memory_of

FORMATS = [X86_64[4], X86_64[5], NESTED[4]]
FLOORS = {
    "map: done": 0.05,
    "unmap: done": 0.02,
    "protect: done": 0.01,
    "split: done": 0.002,
    "merge: done": 0.0005,
    "MISALIGNED": 0.005,
    "OUT_OF_REACH": 0.005,
    "ALREADY_MAPPED": 0.01,
    "NOT_MAPPED": 0.02,
    "WOULD_SPLIT": 0.002,
    "NO_FRAMES": 0.002,
    "NOT_UNIFORM": 0.002,
    "NO_SUCH_PAGE": 0.005,
    "BAD_FLAGS": 0.005,
}


def verdict(change: Change, answer: object) -> str:
    """The answer of a change in a few words."""
    return f"{change.verb}: {answer[0].name if isinstance(answer, tuple) else 'done'}"


def test_native_tables_change_as_the_reference() -> None:
    shares = Shares()

    @given(st.sampled_from(FORMATS), st.integers(3, 14), changes())
    def tables_agree(form: Format, frame_count: int, wanted: list[Change]) -> None:
        pool = FramePool([0x1000 * number for number in range(frame_count, 0, -1)])
        ours, theirs = memory_of(0x10000), memory_of(0x10000)
        twin = native.PageTables(theirs, form, pool.frames)
        tables = PageTables(ours, form, pool.allocate, pool.free)
        for change in wanted:
            answer = change.apply(tables)
            assert change.apply(twin) == answer
            assert twin.find(change.arguments[0]) == tables.find(change.arguments[0])
            shares.add(verdict(change, answer))
        assert (twin.root, twin.frames) == (tables.root, pool.frames)
        assert np.array_equal(theirs.view, ours.view)

    tables_agree()
    shares.assert_floors(FLOORS)


def fill(
    tables: PageTables | native.PageTables, memory: BufferMemory, marks: dict[int, int], odd: int | None
) -> None:
    """512 pages in a row from the one at 0, as a kernel maps them and a walker marks them; one may be odd."""
    first = tables.find(0)
    assert first is not None
    for i in range(512):
        word = first.entry + i * first.page_bytes | marks.get(i, 0) | (USER if i == odd else 0)
        memory.write_u64(first.entry_pa + 8 * i, word)


def test_native_merge_answers_as_the_reference_for_any_512_pages() -> None:
    shares = Shares()

    @given(
        st.sampled_from([0x1000, LARGE_PAGE_BYTES]),
        st.sampled_from([0, 0, 1, 511, 512]),
        st.dictionaries(st.integers(0, 511), st.sampled_from([ACCESSED, ACCESSED | DIRTY])),
        st.sampled_from([None, None, 0, 7, 511]),
    )
    def merges_agree(page_bytes: int, first: int, marks: dict[int, int], odd: int | None) -> None:
        pool = FramePool([0x4000, 0x3000, 0x2000, 0x1000])
        ours, theirs = memory_of(0x5000), memory_of(0x5000)
        twin = native.PageTables(theirs, X86_64[4], pool.frames)
        tables = PageTables(ours, X86_64[4], pool.allocate, pool.free)
        for each, memory in ((tables, ours), (twin, theirs)):
            each.map(0, first * page_bytes, page_bytes, WRITABLE)
            fill(each, memory, marks, odd)
        answer = Change("merge", (0,)).apply(tables)
        assert Change("merge", (0,)).apply(twin) == answer
        assert np.array_equal(theirs.view, ours.view)
        shares.add(verdict(Change("merge", ()), answer))

    merges_agree()
    shares.assert_floors({"done": 0.05, "NOT_UNIFORM": 0.05})
