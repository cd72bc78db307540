"""Rows of exits have both sides."""

import pytest

from minihv.cli.bench import exits
from minihv.cli.bench.rows import Effort
from minihv.cli.bench.sides import Child

TINY = Effort(rounds=1, scale=0.001)


@pytest.mark.parametrize("name", exits.ROWS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = exits.ROWS[name](TINY)
    if isinstance(found, str):
        pytest.skip(found)
    assert found.name == f"exits.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0
    assert found.goal is not None


def test_python_answers_each_rdmsr_with_the_vp_index() -> None:
    with Child(exits.RDMSR) as child:
        child.run(11)
        assert child.vp.counters.exits[0x7C] == 11
        assert child.vp.read("rax") == 0
