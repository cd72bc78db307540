"""Rows compare neighbours, and a goal is about the value or about the ratio."""

import pytest

from minihv.cli.bench.rows import Effort, Goal, nanoseconds, row


def test_ratio_is_the_median_of_the_ratios_of_neighbours() -> None:
    found = row("r", "ns", "peer", [(10, 5), (40, 10), (9, 3)])
    assert (found.value, found.against_value, found.ratio) == (10, 5, 3)


@pytest.mark.parametrize(
    ("goal", "holds"),
    [
        (Goal("ratio", "<=", 2), True),
        (Goal("ratio", ">=", 2), True),
        (Goal("ratio", "<=", 1.9), False),
        (Goal("value", "<=", 9), False),
        (Goal("value", ">=", 10), True),
    ],
    ids=str,
)
def test_goal_holds_up_to_its_bound(goal: Goal, holds: bool) -> None:
    found = row("r", "ns", "peer", [(10, 5)], goal)
    assert (found.goal, found.holds) == (str(goal), holds)


def test_row_without_a_goal_neither_holds_nor_fails() -> None:
    found = row("r", "ns", "peer", [(10, 5)])
    assert (found.goal, found.holds) == (None, None)


def test_sides_take_turns_and_the_first_pair_does_not_count() -> None:
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    pairs = Effort(rounds=2).pairs("r", lambda: side("ours", 1.0), lambda: side("theirs", 2.0), turns=2)
    assert pairs == [(1.0, 2.0)] * 2
    assert order == ["ours", "theirs", "theirs", "ours"] * 3


def test_effort_scales_but_never_to_nothing() -> None:
    assert Effort(scale=0.5).times(10) == 5
    assert Effort(scale=0.001).times(10) == 1


def test_nanoseconds_are_those_of_one_part() -> None:
    clock = iter([100, 700]).__next__
    assert nanoseconds(lambda: None, 3, clock) == 200
