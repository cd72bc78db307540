"""``minihv compare``: what can be typed, and what is said about it."""

import subprocess
import sys

import pytest
from command_line import CommandLine

VERBS = ("paging", "io", "architecture")


def test_without_a_verb_it_shows_them_and_says_that_nothing_was_done(minihv: CommandLine) -> None:
    done = minihv("compare")
    assert done.status == 2 and all(f"\n  {verb} " in done.out + done.err for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(minihv: CommandLine, verb: str) -> None:
    done = minihv("compare", verb, "-h")
    assert done.status == 0
    assert f"Usage: minihv compare {verb}" in done.out and "--rounds N" in done.out


def test_nothing_that_compares_is_imported_before_it_is_used() -> None:
    look = "import sys; import minihv.cli.compare.verbs; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert {name for name in shown.split() if name.startswith("minihv.cli.")} == {
        "minihv.cli.compare",
        "minihv.cli.compare.verbs",
        "minihv.cli.options",
    }
