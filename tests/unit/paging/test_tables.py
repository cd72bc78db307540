"""The builder of tables: what it makes is what the walk finds, and each refusal has its words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from builders import NO_EXECUTE, USER, USER_READ, WRITABLE
from hypothesis import given
from hypothesis import strategies as st

from minihv.paging.access import BufferMemory, Paging
from minihv.paging.formats import X86_64
from minihv.paging.tables import FramePool, PageTables, TableError, TableStatus
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.testing import Change, changes, copy_of, memory_of

ACCESSED, DIRTY = 1 << 5, 1 << 6
KIB_4, MIB_2, GIB_1 = 1 << 12, 1 << 21, 1 << 30


def tables_with(frame_count: int = 20, levels: int = 4) -> tuple[PageTables, FramePool, BufferMemory]:
    pool = FramePool([0x1000 * number for number in range(frame_count, 0, -1)])
    memory = memory_of(0x1000 * (frame_count + 1))
    return PageTables(memory, X86_64[levels], pool.allocate, pool.free), pool, memory


@contextmanager
def refused(status: TableStatus, message: str) -> Iterator[None]:
    with pytest.raises(TableError) as refusal:
        yield
    assert (refusal.value.status, str(refusal.value)) == (status, message)


def test_mapped_page_is_found() -> None:
    tables, _, _ = tables_with()
    tables.map(0x7000, 0x5000, KIB_4, WRITABLE)
    page = tables.find(0x7FFF)
    assert page is not None
    assert (page.va, page.pa, page.page_bytes, page.flags) == (0x7000, 0x5000, KIB_4, WRITABLE)


def test_root_can_be_given() -> None:
    tables, pool, memory = tables_with()
    tables.map(0x7000, 0x5000, KIB_4, 0)
    again = PageTables(memory, X86_64[4], pool.allocate, pool.free, root=tables.root)
    assert again.find(0x7000) == tables.find(0x7000)


def test_range_is_mapped_with_the_largest_pages_that_fit() -> None:
    tables, _, _ = tables_with()
    tables.map_range(MIB_2 - KIB_4, 3 * MIB_2 - KIB_4, 2 * KIB_4 + MIB_2, USER, largest=MIB_2)
    pages = [tables.find(va) for va in (MIB_2 - KIB_4, MIB_2, 2 * MIB_2)]
    assert [page.page_bytes for page in pages if page] == [KIB_4, MIB_2, KIB_4]
    assert [page.pa - page.va for page in pages if page] == [2 * MIB_2] * 3


def test_unmapping_everything_gives_every_table_back() -> None:
    tables, pool, _ = tables_with()
    before = list(pool.frames)
    tables.map(0x7000, 0x5000, KIB_4, 0)
    tables.map(GIB_1, 0, MIB_2, 0)
    assert tables.unmap(0, 1 << 47) == KIB_4 + MIB_2
    assert sorted(pool.frames) == sorted(before)


def test_table_in_use_is_kept() -> None:
    tables, pool, _ = tables_with()
    tables.map_range(0, 0, 2 * KIB_4, 0)
    left = len(pool.frames)
    assert tables.unmap(0, KIB_4) == KIB_4
    assert (len(pool.frames), tables.find(0), tables.find(KIB_4) is None) == (left, None, False)


def test_protection_keeps_the_marks_of_the_walker() -> None:
    tables, _, memory = tables_with()
    tables.map(0, 0x5000, KIB_4, USER)
    walk(memory, Paging(tables.root), 0, USER_READ)
    assert tables.protect(0, MIB_2, USER | NO_EXECUTE) == KIB_4
    page = tables.find(0)
    assert page is not None
    assert page.flags == USER | NO_EXECUTE | ACCESSED


def test_split_page_maps_the_same_in_smaller_pages() -> None:
    tables, _, _ = tables_with()
    tables.map(GIB_1, GIB_1, GIB_1, USER | DIRTY)
    tables.split(GIB_1)
    tables.split(GIB_1 + MIB_2)
    page = tables.find(GIB_1 + MIB_2 + KIB_4)
    assert page is not None
    assert (page.pa, page.page_bytes, page.flags) == (GIB_1 + MIB_2 + KIB_4, KIB_4, USER | DIRTY)


def test_merged_page_is_dirty_if_one_of_its_pages_was() -> None:
    tables, pool, memory = tables_with()
    tables.map(MIB_2, 0, MIB_2, WRITABLE)
    tables.split(MIB_2)
    page = tables.find(MIB_2 + 5 * KIB_4)
    assert page is not None
    memory.write_u64(page.entry_pa, page.entry | DIRTY)
    left = len(pool.frames)
    tables.merge(MIB_2)
    merged = tables.find(MIB_2)
    assert merged is not None
    assert (merged.page_bytes, merged.flags, len(pool.frames)) == (MIB_2, WRITABLE | DIRTY, left + 1)


def test_frames_taken_for_a_refused_page_are_given_back() -> None:
    tables, pool, _ = tables_with(frame_count=3)
    before = list(pool.frames)
    with refused(
        TableStatus.NO_FRAMES,
        "A new table takes a frame, and none is left for 0x1000: give the tables more frames.",
    ):
        tables.map(0x1000, 0, KIB_4, 0)
    assert pool.frames == before


def test_unaligned_page_is_refused() -> None:
    with refused(
        TableStatus.MISALIGNED,
        "Pages lie at multiples of their size, and 0x200000 bytes at 0x200000 to 0x1000 do not: align both "
        "addresses and the size.",
    ):
        tables_with()[0].map(MIB_2, KIB_4, MIB_2, 0)


def test_unaligned_range_is_refused() -> None:
    message = (
        "Pages lie at multiples of their size, and 0x64 bytes at 0x1000 to 0x0 do not: align both addresses "
        "and the size."
    )
    with refused(TableStatus.MISALIGNED, message):
        tables_with()[0].unmap(0x1000, 100)
    with refused(TableStatus.MISALIGNED, message):
        tables_with()[0].map_range(0x1000, 0, 100, 0)


def test_range_across_the_hole_is_refused() -> None:
    with refused(
        TableStatus.OUT_OF_REACH,
        "Tables of x86-64, 4 levels do not translate 0xffff800000002000 bytes at 0x7ffffffff000 to 0x0: "
        "choose a range inside.",
    ):
        tables_with()[0].unmap((1 << 47) - KIB_4, 0xFFFF_8000_0000_2000)


def test_second_page_at_an_address_is_refused() -> None:
    tables, _, _ = tables_with()
    tables.map(0, 0, MIB_2, 0)
    with refused(
        TableStatus.ALREADY_MAPPED,
        "An address is mapped once, and there is something at 0x1000: unmap it first.",
    ):
        tables.map(0x1000, 0, KIB_4, 0)


def test_splitting_nothing_is_refused() -> None:
    with refused(
        TableStatus.NOT_MAPPED,
        "Only a mapped page can be changed, and there is none at 0x1000: map it first.",
    ):
        tables_with()[0].split(0x1000)


def test_range_that_cuts_a_large_page_is_refused() -> None:
    tables, _, _ = tables_with()
    tables.map(0, 0, MIB_2, 0)
    with refused(
        TableStatus.WOULD_SPLIT,
        "A range begins and ends where pages do, and 0x1000 bytes at 0x0 end inside a large one: "
        "split it first.",
    ):
        tables.unmap(0, KIB_4)


def test_pages_that_differ_make_no_large_one() -> None:
    tables, _, _ = tables_with()
    tables.map(0, 0, KIB_4, 0)
    with refused(
        TableStatus.NOT_UNIFORM,
        "A large page is made of 512 that follow each other with equal flags, and those around 0x0 do not: "
        "map them alike first.",
    ):
        tables.merge(0)


def test_page_of_another_size_is_refused() -> None:
    with refused(
        TableStatus.NO_SUCH_PAGE,
        "Pages have 0x1000, 0x200000 or 0x40000000 bytes, not 0x2000 as at 0x0: choose one of these sizes.",
    ):
        tables_with()[0].map(0, 0, 0x2000, 0)


def test_flags_that_belong_to_the_tables_are_refused() -> None:
    with refused(
        TableStatus.BAD_FLAGS,
        "Flags of a page leave P, PS and the address alone, and 0x83 does not: clear 0x81.",
    ):
        tables_with()[0].map(0, 0, KIB_4, 0x83)


@dataclass(frozen=True)
class ModelPage:
    pa: int
    page_bytes: int
    flags: int


class Model:
    """What the tables stand for: a dictionary of pages. It believes the builder's refusals."""

    def __init__(self) -> None:
        self.pages: dict[int, ModelPage] = {}

    def apply(self, change: Change) -> None:
        va, *rest = change.arguments
        if change.verb == "map":
            self.pages[va] = ModelPage(*rest)
        elif change.verb == "unmap":
            self.pages = {at: page for at, page in self.pages.items() if not va <= at < va + rest[0]}
        elif change.verb == "protect":
            inside = {at: page for at, page in self.pages.items() if va <= at < va + rest[0]}
            self.pages |= {at: ModelPage(p.pa, p.page_bytes, rest[1]) for at, p in inside.items()}
        else:
            self.resize(va, change.verb)

    def resize(self, va: int, verb: str) -> None:
        at = self.page_at(va)
        assert at is not None
        page = self.pages[at]
        if verb == "split":
            size = page.page_bytes // 512
            del self.pages[at]
            parts = {at + i * size: ModelPage(page.pa + i * size, size, page.flags) for i in range(512)}
            self.pages |= parts
        else:
            size = page.page_bytes * 512
            first = self.pages[at & -size]
            for i in range(512):
                del self.pages[(at & -size) + i * page.page_bytes]
            self.pages[at & -size] = ModelPage(first.pa, size, page.flags)

    def page_at(self, va: int) -> int | None:
        bases = (va & -size for size in (KIB_4, MIB_2, GIB_1))
        return next((b for b in bases if b in self.pages and va < b + self.pages[b].page_bytes), None)

    def agrees(self, va: int, found: Mapping | PageFault | NotCanonical) -> bool:
        """Whether a read of ring 3 at ``va`` finds what the dictionary says."""
        at = self.page_at(va)
        if at is None:
            return not isinstance(found, Mapping) and getattr(found, "error_code", 4) == 4
        page = self.pages[at]
        if not page.flags & USER:
            return isinstance(found, PageFault) and found.error_code == 5
        return (
            isinstance(found, Mapping)
            and (found.gpa, found.page_bytes) == (page.pa + va - at, page.page_bytes)
            and found.writable == bool(page.flags & WRITABLE)
            and found.executable == (not page.flags & NO_EXECUTE)
        )


@given(st.integers(3, 14), st.sampled_from([4, 5]), changes())
def test_walk_of_every_address_finds_what_a_dictionary_says(
    frame_count: int, levels: int, wanted: list[Change]
) -> None:
    tables, pool, memory = tables_with(frame_count, levels)
    model, addresses = Model(), {0}
    for change in wanted:
        if not isinstance(change.apply(tables), tuple):
            model.apply(change)
        addresses |= {change.arguments[0] + step & (1 << 64) - 1 for step in (0, KIB_4, MIB_2 - 1, MIB_2)}
    image = copy_of(memory)
    paging = Paging(tables.root, levels)
    for va in addresses:
        assert model.agrees(va, walk(image, paging, va, USER_READ)), hex(va)
    assert len(set(pool.frames)) == len(pool.frames)
