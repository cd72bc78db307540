"""The command ``minihv`` as tests call it: in this process, in one of its own, or on a terminal."""

import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from elf_files import Elf, Part

from minihv.cli.main import main

COMMAND = (sys.executable, "-m", "minihv")
TAKE_TERMINAL = """
import os, sys
terminal = os.open(sys.argv[1], os.O_RDWR)
for descriptor in (0, 1, 2):
    os.dup2(terminal, descriptor)
os.close(terminal)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""The first terminal that the leader of a session opens is the one whose Ctrl-C it gets."""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str


class CommandLine:
    """Calls ``minihv`` with arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str | Path) -> Done:
        """In this process."""
        self._capfd.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["minihv", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capfd.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        """In a process of its own, with a process group of its own."""
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def on_terminal(self, *arguments: str | Path, **environment: str) -> str:
        """On a terminal of 80 columns; all that appears there."""
        above, below = pty.openpty()
        command, variables = [*COMMAND, *map(str, arguments)], os.environ | environment
        with subprocess.Popen(command, stdin=below, stdout=below, stderr=below, env=variables) as process:
            os.close(below)
            shown = read_all(above)
        os.close(above)
        assert process.returncode == 0, shown
        return shown


def start_at_terminal(*arguments: str, until: str) -> "tuple[subprocess.Popen[bytes], int, str]":
    """The command in a session of its own, the end of its terminal at which one types, and what it shows
    up to ``until``."""
    above, below = pty.openpty()
    command = [sys.executable, "-c", TAKE_TERMINAL, os.ttyname(below), *COMMAND, *arguments]
    process = subprocess.Popen(command, start_new_session=True)
    shown = ""
    while until not in shown:
        shown += os.read(above, 4096).decode(errors="replace")
    os.close(below)
    return process, above, shown


def read_all(terminal: int) -> str:
    """Everything that is shown until the other end is closed."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when nobody has the other end any more
            part = b""
        if not part:
            return shown.decode(errors="replace")
        shown += part


class GuestWriter:
    """Writes images of a few instructions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, code: str, name: str = "guest.elf") -> Path:
        """An image with ``code``, given in hexadecimal."""
        path = self._folder / name
        path.write_bytes(Elf(parts=[Part(content=bytes.fromhex(code))]).build())
        return path


def children_of(pid: int) -> list[int]:
    """The processes that the command started, as soon as there is one and it had time to begin."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    while not listed.read_text().split():
        time.sleep(0.02)
    time.sleep(0.4)
    return [int(child) for child in listed.read_text().split()]
