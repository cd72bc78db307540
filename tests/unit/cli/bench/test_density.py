"""Many partitions run to their end in one process."""

import pytest

from minihv.cli.bench import density
from minihv.cli.bench.rows import Effort, Row
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes

TINY = Effort(rounds=1, scale=0.02)


@pytest.mark.parametrize("name", density.ROWS)
def test_row_has_both_sides_where_it_can_be_measured(name: str) -> None:
    found = density.ROWS[name](TINY)
    if isinstance(found, str):
        pytest.skip(found)
    assert isinstance(found, Row)
    assert found.name == f"density.{name}"
    assert found.against_value > 0


def test_each_guest_exits_for_its_character_for_cpuid_and_for_its_halt() -> None:
    with Hypervisor(machine_bytes(density.RAM_BYTES, 5)) as hypervisor:
        density.add_partitions(hypervisor, 5)
        exits = [list(one.vps[0].counters.exits) for one in hypervisor.partitions.values()]
    assert [(one[0x72], one[0x78], one[0x7B], sum(one)) for one in exits] == [(1, 1, 1, 3)] * 5
