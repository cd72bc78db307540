"""The built-in programs as they were installed, by the command that people type."""

import json
import subprocess
import sys

import pytest
from guest_images import PROGRAMS, program_names

from minihv.guests.catalogue import guests
from minihv.guests.image import load_image


def test_every_program_of_the_sources_is_installed() -> None:
    assert [guest.name for guest in guests()] == program_names()


def test_every_installed_image_can_be_loaded() -> None:
    assert all(load_image(guest.path).segments for guest in guests())


@pytest.mark.parametrize("name", program_names())
def test_installed_program_prints_what_its_sources_promise(name: str) -> None:
    command = [sys.executable, "-m", "minihv", "run", name, "--json", "--shutdown-after", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["console"] == (PROGRAMS / name / "expected.txt").read_text()
