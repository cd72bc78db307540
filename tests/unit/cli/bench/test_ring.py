"""Rows of the ring have both sides, or say what they need."""

import pytest

from minihv.cli.bench import ring
from minihv.cli.bench.rows import Effort

TINY = Effort(rounds=1, scale=0.01)


@pytest.mark.parametrize("name", ring.ROWS)
def test_row_has_both_sides_and_a_goal(name: str) -> None:
    found = ring.ROWS[name](TINY)
    if isinstance(found, str):
        pytest.skip(found)
    assert found.name == f"ring.{name}"
    assert min(found.value, found.against_value, found.ratio) > 0
    assert found.goal is not None


def test_row_without_any_peer_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "peer_library", lambda _peer: None)
    assert ring.ROWS["64-threads"](TINY) == (
        "ring.64-threads is left out: it needs gcc, g++ and libck-dev or libboost-dev, and no peer can be "
        "built here."
    )
