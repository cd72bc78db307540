"""Rows of starting have both sides."""

import pytest

from minihv.cli.bench import startup
from minihv.cli.bench.rows import Effort, Row
from minihv.errors import InternalError


@pytest.mark.parametrize("name", startup.ROWS)
def test_row_has_both_sides(name: str) -> None:
    found = startup.ROWS[name](Effort(rounds=1))
    assert isinstance(found, Row)
    assert found.name == f"startup.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0


def test_process_that_fails_is_not_measured() -> None:
    with pytest.raises(InternalError) as refusal:
        startup.milliseconds("-c", "raise SystemExit(3)")
    assert str(refusal.value) == "A process of the bench ended with status 3: please report it."
