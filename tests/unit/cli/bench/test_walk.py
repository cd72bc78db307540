"""Walks of the bench read 24 entries each, and every load of the stride misses."""

import pytest

from minihv.cli.bench import walk
from minihv.cli.bench.rows import Effort, Row
from minihv.errors import InternalError

TINY = Effort(rounds=1, scale=0.05)


@pytest.mark.parametrize("name", walk.ROWS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = walk.ROWS[name](TINY)
    assert isinstance(found, Row)
    assert found.name == f"walk.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0
    assert found.goal is not None


def test_every_load_of_the_stride_misses_and_each_miss_reads_24_entries() -> None:
    with walk.Strider() as child:
        child.run(1)
        counters = child.vp.counters
        fills, references = counters.tlb_fills, counters.walk_references
        child.run(3000)
        assert 2990 <= counters.tlb_fills - fills <= 3010
        assert counters.walk_references - references == 24 * (counters.tlb_fills - fills)


def test_shorter_walks_are_not_reported() -> None:
    with pytest.raises(InternalError) as refusal:
        walk.walks_per_second(1.0, walks=10, references=190)
    assert str(refusal.value) == "10 walks should read 240 entries, not 190: please report it."
