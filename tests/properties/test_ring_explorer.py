"""Every interleaving of the two ends of a ring is right, and would not be with any order of memory less."""

import re
from pathlib import Path

import pytest
from ring_programs import build, named_orders, needs_cc
from source_tree import run

pytestmark = needs_cc

RACES = r"the (receiver reads|sender writes to) a byte that the (sender|receiver) may be (writing|reading)"
LOST_WAKE_UP = r"(the receiver sleeps|the sender sleeps|both sleep), and nobody will wake (it|them)"
GOES_WRONG = {
    "PUBLISH_IN": RACES,
    "TAKE_IN": RACES,
    "PUBLISH_OUT": RACES,
    "TAKE_OUT": RACES,
    "IN_BEFORE_MASK": LOST_WAKE_UP,
    "UNMASK_BEFORE_IN": LOST_WAKE_UP,
    "PENDING_BEFORE_OUT": LOST_WAKE_UP,
    "OUT_BEFORE_PENDING": LOST_WAKE_UP,
}


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("explorer") / "ring_explorer"
    return build(program, ["ring_explorer.c"], "-DRING_EXPLORED")


def test_no_interleaving_of_two_ends_goes_wrong(explorer: Path) -> None:
    done = run(explorer)
    assert done.returncode == 0, done.stdout
    explored = [int(count) for count in re.findall(r": (\d+) states, nothing wrong", done.stdout)]
    assert len(explored) == len(done.stdout.splitlines()) >= 8
    assert min(explored) > 1000 and sum(explored) > 100_000


@pytest.mark.parametrize("order", named_orders())
def test_ring_without_this_order_goes_wrong(explorer: Path, order: str) -> None:
    done = run(explorer, order)
    assert done.returncode == 1, f"{order} is not needed: {done.stdout}"
    assert re.search(GOES_WRONG[order], done.stdout), done.stdout


def test_what_went_wrong_is_told_step_by_step(explorer: Path) -> None:
    done = run(explorer, "UNMASK_BEFORE_IN", "trace")
    assert re.search(r"^ +receiver acquire of in: 0, 1 stores old$", done.stdout, re.MULTILINE), done.stdout


def test_order_that_nobody_named_is_refused(explorer: Path) -> None:
    done = run(explorer, "FENCE")
    assert done.returncode == 2
    assert done.stderr == "FENCE is no order or barrier of the ring; see src/ring_order.h\n"
