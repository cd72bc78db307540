"""Whatever a guest executes, in ring 0 or in ring 3, the machine lives on, answers in time, raises nothing.

Each kind of stream runs in a child process. The seeds are printed; a finding names the one that made it, and
``python tests/streams.py SEED 1 KIND slat`` runs it again.
"""

from collections import Counter
from time import time

import pytest
from hypothesis import settings
from streams import KINDS, run_streams

SUITE_COUNT = {"bytes": 250, "shaped": 350, "repeated": 400, "crossing": 300, "unpaged": 300}
LONG_FACTOR, USUAL_EXAMPLES = 20, 100
"""With fewer examples of properties there are fewer streams."""


@pytest.mark.parametrize("kind", KINDS)
def test_machine_survives_random_code(kind: str, request: pytest.FixtureRequest) -> None:
    is_long = request.config.getoption("--long")
    factor = LONG_FACTOR if is_long else settings().max_examples / USUAL_EXAMPLES
    count = round(SUITE_COUNT[kind] * factor)
    first_seed = int(time()) * 1_000_000 if is_long else 1
    print(f"seeds {first_seed} to {first_seed + count - 1} of kind {kind}")
    ended = run_streams(first_seed, count, kind)
    print(Counter(ended.states))
    assert not ended.complaint
