"""The guest that the book shows is compiled as the book says, and runs."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from minihv.guests.session import GuestSession

BOOK = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: apt-get install gcc")
def test_guest_of_the_book_says_what_it_is(tmp_path: Path) -> None:
    lines = (BOOK / "guests.rst").read_text(encoding="utf-8").split("$ gcc ")[1].split("\n\n")[0]
    command = shlex.split("gcc " + lines.split("$ minihv")[0].replace("\\\n", " "))
    shutil.copy(BOOK / "mine.c", tmp_path)
    subprocess.run(command, cwd=tmp_path, check=True)
    with GuestSession(str(tmp_path / "mine.elf")) as session:
        report = session.run()
    assert (report.console, report.stopped, report.counters.exits) == (
        "Mine.\n",
        "halted",
        {"IOIO": 6, "HLT": 1},
    )
