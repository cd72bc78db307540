"""The board on which running machines publish what they do, and from which ``minihv top`` reads.

Stands for: the host's list of its virtual machines.
Simplified: machines of one user on one host; a file for each, replaced as a whole when somebody asks.
Next: ``minihv.cli.top.publisher``

The folder is ``minihv`` in ``$XDG_RUNTIME_DIR``, else one in the folder for temporary files. It is used only
if it belongs to this user alone, since what others could write there would be shown to a terminal. A machine
that cannot publish runs all the same: nobody asked it to.
"""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minihv.cli.top.machine_view import FORMAT, MachineView

MOST_FILE_BYTES = 4 << 20
PATIENCE_SECONDS = 1.0
"""So long a machine may take to answer."""
POLL_SECONDS = 0.02
ENDED = "ZX"
"""States of a process that is dead, but whose parent has not asked yet how it ended."""
ASKED = "asked"
"""The file whose time is that of the last question. All that a machine does for nobody is to look at it."""


def board() -> Path | None:
    """The folder, made if need be; None where there is none that is safe."""
    runtime, user = os.environ.get("XDG_RUNTIME_DIR"), getattr(os, "getuid", lambda: 0)()
    path = Path(runtime, "minihv") if runtime else Path(tempfile.gettempdir(), f"minihv-{user}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return None
    others_may_write = bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not others_may_write
    return path if is_ours else None


def process_start(pid: int) -> int:
    """When the process began, in ticks of the clock; 0 if the host does not say, -1 if it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        state, *numbers = words.rpartition(")")[2].split()
        return -1 if state in ENDED else int(numbers[18])
    except (OSError, IndexError, ValueError):
        return 0


def ask() -> int:
    """Asks all machines to publish what they do now; the number of the question."""
    folder, number = board(), time.time_ns()
    if folder is not None:
        with contextlib.suppress(OSError):
            path = folder / ASKED
            path.touch(mode=0o600)
            os.utime(path, ns=(number, number))
    return number


def question(folder: Path) -> int:
    """The number of the last question; 0 if nobody ever asked."""
    try:
        return (folder / ASKED).stat().st_mtime_ns
    except OSError:
        return 0


def answers(number: int, patience: float = PATIENCE_SECONDS) -> list[MachineView]:
    """Every machine that runs, as soon as all have answered the question or ``patience`` is over."""
    deadline = time.monotonic() + patience
    while True:
        found = machines()
        if all(view.asked >= number for view in found) or time.monotonic() >= deadline:
            return found
        time.sleep(POLL_SECONDS)


def machines() -> list[MachineView]:
    """Every machine that runs, in the order of their processes; what dead ones left is removed."""
    folder = board()
    return sorted(read_all(folder), key=lambda view: view.pid) if folder is not None else []


def read_all(folder: Path) -> Iterator[MachineView]:
    """What is on the board of living processes."""
    for path in folder.glob("*.json"):
        view = read(path)
        if view is not None and is_alive(view):
            yield view
        elif view is not None or not is_running(path.stem):
            for left in (path, path.with_suffix(".new")):
                with contextlib.suppress(OSError):
                    left.unlink(missing_ok=True)
            sweep(folder, path.stem)


def sweep(folder: Path, machine: str) -> None:
    """Removes orders to a machine that ends, and its answers to clients that have ended."""
    if not machine.isdecimal():
        return
    for path in folder.glob(f"{machine}-*"):
        if path.suffix != ".answer" or not is_running(path.stem.partition("-")[2]):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def is_alive(view: MachineView) -> bool:
    """Whether the very process that published ``view`` is still there."""
    return is_running(str(view.pid)) and process_start(view.pid) == view.process_start


def is_running(pid: str) -> bool:
    """Whether there is a process of that number, whosever it is."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:
        pass  # it is another user's
    return True


def read(path: Path) -> MachineView | None:
    """What one file says; None when it is gone, or written by another minihv."""
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            return None
        view = msgspec.json.decode(path.read_bytes(), type=MachineView)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return view if view.format == FORMAT else None
