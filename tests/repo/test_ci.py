"""What runs on every change is what the README tells a reader to run."""

import re

from source_tree import ROOT, run


def commands_of_readme() -> list[str]:
    """The commands that the README shows, one a line, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_readme_sets_up_and_runs_in_one_line() -> None:
    assert (
        commands_of_readme()[0] == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/minihv tour"
    )


def test_readme_sets_up_and_tests_in_one_line() -> None:
    assert commands_of_readme()[1] == (
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test,docs]' && "
        ".venv/bin/pytest -n auto --dist loadfile"
    )


def test_ci_runs_exactly_the_test_line_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[-1] == commands_of_readme()[1]
    assert sum("pytest" in line for line in lines) == 1
    assert "export MINIHV_WERROR=1" in lines


def test_ci_script_is_sound_shell() -> None:
    done = run("bash", "-n", ROOT / ".ci" / "run")
    assert done.returncode == 0, done.stderr
