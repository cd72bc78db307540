"""``minihv disk``: what can be typed, and what is said about it."""

import pytest
from command_line import CommandLine

VERBS = ("new", "info", "check", "convert", "resize", "compact", "merge", "map", "attach", "detach")


def test_help_names_every_verb(minihv: CommandLine) -> None:
    done = minihv("disk", "--help")
    assert done.status == 0 and all(f"\n  {verb} " in done.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_without_a_file_says_what_it_lacks(minihv: CommandLine, verb: str) -> None:
    done = minihv("disk", verb)
    assert done.status == 2 and "Missing argument 'FILE'" in done.err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(minihv: CommandLine, verb: str) -> None:
    done = minihv("disk", verb, "-h")
    assert done.status == 0 and "FILE" in done.out and "Options:" in done.out
