"""The frames of shadow tables: found by what they mirror, and let go without anybody pointing at them."""

import pytest

from minihv.errors import ConfigurationError
from minihv.paging.formats import PD, PT
from minihv.paging.shadow_pages import LEVELS, ShadowPage, ShadowPages, check_count, slots_of
from minihv.spec.x86_paging import ACCESSED, DIRTY, LARGE, PRESENT, WRITABLE
from minihv.testing import memory_of

BASE, COUNT = 0x10_0000, 16
LEAF = 0x20_3000 | PRESENT | ACCESSED | WRITABLE | DIRTY


class Pool(ShadowPages):
    """Sixteen frames in a small memory."""

    def __init__(self) -> None:
        super().__init__(memory_of(0x40_0000), BASE, COUNT)

    def page(self, table: int, level: int = 1, *, direct: bool = False) -> ShadowPage:
        return self.make(table, LEVELS[level], direct, ())

    def linked(self) -> tuple[ShadowPage, ShadowPage]:
        """A table with a leaf, and one above that points to it."""
        upper, lower = self.page(0x20_0000, 2), self.page(0x20_1000)
        self.link(upper.frame, lower, WRITABLE)
        self.put_leaf(lower.frame + 8, LEAF)
        return upper, lower


@pytest.mark.parametrize("count", [0, 15, -3])
def test_too_few_frames_are_refused(count: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_count(count)
    assert str(refused.value) == (
        f"Shadow tables need at least 16 frames, not {count}: allow more with --shadow-frames."
    )


def test_page_is_found_by_table_level_and_kind() -> None:
    pool = Pool()
    page = pool.page(0x20_0000, 2)
    assert pool.find(0x20_0000, PD, direct=False) is page
    assert pool.find(0x20_0000, PT, direct=False) is None
    assert pool.find(0x20_0000, PD, direct=True) is None


def test_frames_are_handed_out_from_the_first_and_emptied() -> None:
    pool = Pool()
    pool.memory.write_u64(BASE, 7)
    assert pool.page(0x20_0000).frame == BASE and pool.memory.read_u64(BASE) == 0
    assert pool.page(0x20_1000).frame == BASE + 0x1000


def test_oldest_pages_go_when_no_frame_is_left() -> None:
    pool = Pool()
    pages = [pool.page(number << 12) for number in range(COUNT)]
    fresh = pool.make(0x30_0000, PT, False, busy=pages[:1])
    assert [page for page in pages if page not in list(pool)] == pages[1:3]
    assert fresh.frame == pages[2].frame and pool.stale
    assert (pool.counters.pages, pool.counters.peak, pool.counters.evicted) == (15, 16, 2)


def test_nothing_points_to_a_page_that_was_released() -> None:
    pool = Pool()
    upper, lower = pool.linked()
    pool.release(lower)
    assert pool.memory.read_u64(upper.frame) == 0 and pool.child(upper.frame) is None


def test_page_that_is_released_points_nowhere() -> None:
    pool = Pool()
    upper, lower = pool.linked()
    pool.release(upper)
    assert not lower.parents


def test_table_in_sync_takes_the_right_to_write_to_it_from_leaves() -> None:
    pool = Pool()
    _, lower = pool.linked()
    pool.protect(pool.page(0x20_3000))
    assert pool.memory.read_u64(lower.frame + 8) == LEAF & ~(WRITABLE | DIRTY)
    assert pool.is_protected(0x20_3ABC) and not pool.is_protected(0x20_4000)


def test_large_leaf_around_a_table_in_sync_goes() -> None:
    pool = Pool()
    page = pool.page(0x20_0000, 2)
    pool.put_leaf(page.frame, 0x20_0000 | LARGE | PRESENT | WRITABLE | DIRTY)
    pool.protect(pool.page(0x20_3000))
    assert pool.memory.read_u64(page.frame) == 0 and pool.is_protected_near(0x3F_F000)


def test_table_out_of_sync_is_protected_no_more() -> None:
    pool = Pool()
    page = pool.page(0x20_3000)
    pool.protect(page)
    pool.let_go(page)
    assert not pool.is_protected(0x20_3000) and not pool.is_protected_near(0x20_3000)


def test_leaf_that_allows_more_takes_no_translation_away() -> None:
    pool = Pool()
    page = pool.page(0x20_1000)
    pool.put_leaf(page.frame, LEAF & ~(WRITABLE | DIRTY))
    pool.stale = False
    pool.put_leaf(page.frame, LEAF)
    assert not pool.stale
    pool.put_leaf(page.frame, LEAF & ~(WRITABLE | DIRTY))
    assert pool.stale


def test_all_rights_to_write_can_be_taken_at_once() -> None:
    pool = Pool()
    _, lower = pool.linked()
    pool.take_writes()
    assert not pool.memory.read_u64(lower.frame + 8) & WRITABLE


@pytest.mark.parametrize(
    ("spa", "byte_count", "slots"),
    [(0x1000, 8, range(1)), (0x1007, 2, range(2)), (0xFFF, 2, range(1)), (0x1FF8, 0x100, range(511, 512))],
)
def test_write_touches_these_entries(spa: int, byte_count: int, slots: range) -> None:
    assert slots_of(0x1000, spa, byte_count) == slots
