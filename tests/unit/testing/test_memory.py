"""Sparse memory answers as memory over a buffer does."""

from hypothesis import given
from hypothesis import strategies as st

from minihv.testing.memory import ALL_ONES, WordMemory, copy_of, memory_of

BYTES = 0x4000
WORDS = st.dictionaries(st.integers(0, BYTES // 8 + 4).map(lambda n: 8 * n), st.integers(0, ALL_ONES))


@given(WORDS)
def test_sparse_memory_and_buffer_hold_the_same(words: dict[int, int]) -> None:
    sparse, full = WordMemory(BYTES), memory_of(BYTES)
    for pa, value in words.items():
        sparse.write_u64(pa, value)
        full.write_u64(pa, value)
    assert all(sparse.read_u64(pa) == full.read_u64(pa) for pa in [*words, 0, BYTES - 8, BYTES, 1 << 51])
    assert bytes(sparse.as_buffer().view) == bytes(full.view)


def test_outside_of_memory_all_bits_are_one_and_writes_are_lost() -> None:
    memory = WordMemory(BYTES)
    memory.write_u64(BYTES, 7)
    assert (memory.read_u64(BYTES), memory.read_u64(BYTES - 8), memory.words) == (ALL_ONES, 0, {})


def test_copies_do_not_share_what_is_written_later() -> None:
    sparse, full = WordMemory(BYTES, {8: 1}), memory_of(BYTES)
    for memory, copy in ((sparse, sparse.copy()), (full, copy_of(full))):
        before = copy.read_u64(8)
        memory.write_u64(8, 2)
        assert (copy.read_u64(8), memory.read_u64(8)) == (before, 2)
