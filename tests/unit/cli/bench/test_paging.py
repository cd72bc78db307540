"""Rows of the group ``paging``: every load misses, and each miss reads what its mode says."""

import pytest

from minihv.cli.bench import paging, qemu
from minihv.cli.bench.rows import Effort, Row
from minihv.cli.bench.walk import Strider
from minihv.errors import InternalError

TINY = Effort(rounds=1, scale=0.05)


@pytest.mark.parametrize("name", paging.ROWS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = paging.ROWS[name](TINY)
    if isinstance(found, str):
        assert found == f"paging.{name} is left out: qemu-system-x86_64 is not installed."
        assert qemu.find() is None
        return
    assert isinstance(found, Row) and found.name == f"paging.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0 and found.goal is not None


@pytest.mark.parametrize(
    ("strider", "references"), [(paging.ShadowStrider, 4), (Strider, 24), (paging.ForgetfulStrider, 24)]
)
def test_every_load_misses_and_reads_so_many_entries(strider: type[Strider], references: int) -> None:
    with strider() as child:
        child.run(1)
        counters = child.vp.counters
        fills, read = counters.tlb_fills, counters.walk_references
        child.run(3000)
        assert 2990 <= counters.tlb_fills - fills <= 3010
        assert counters.walk_references - read == references * (counters.tlb_fills - fills)


def test_exit_in_the_middle_is_no_measurement() -> None:
    with paging.ShadowStrider() as child:
        assert child.partition.shadow is not None
        child.partition.shadow.drop()
        child.hypervisor.processor.flush()
        with pytest.raises(InternalError) as refused:
            child.nanoseconds_per_miss(3000)
        assert "3000" in str(refused.value) and str(refused.value).endswith("please report it.")
