"""Ctrl-C at a run: what it has is whole, and nobody is left."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from command_line import CommandLine, GuestWriter, children_of

FOR_EVER, PRINTS_FOR_EVER = "ebfe", "b041 e6e9 ebfc"

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="the host does not list the children of a process"
)


def interrupt_when_it_runs(pid: int) -> None:
    """Ctrl-C, as a terminal sends it to everybody."""
    children_of(pid)
    os.killpg(pid, signal.SIGINT)


def runs(pid: int) -> bool:
    """Whether the process exists, and is not only waiting for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def nobody_is_left(group: int) -> bool:
    """Whether no process of ``group`` exists any more."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("core", ["native", "reference"])
@pytest.mark.parametrize("code", [FOR_EVER, PRINTS_FOR_EVER], ids=["silent", "printing"])
def test_interrupted_run_says_what_it_has(
    minihv: CommandLine, guest: GuestWriter, monkeypatch: pytest.MonkeyPatch, code: str, core: str
) -> None:
    monkeypatch.setenv("MINIHV_CORE", core)
    process = minihv.start("run", guest(code), "--json")
    interrupt_when_it_runs(process.pid)
    out, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    report = json.loads(out)
    assert (report["stopped"], report["why"]) == ("budget", "it was interrupted, and could have gone on")
    assert nobody_is_left(process.pid)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_interrupt_while_the_report_is_written_cuts_nothing(
    minihv: CommandLine, guest: GuestWriter, monkeypatch: pytest.MonkeyPatch, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = minihv.start("run", guest(PRINTS_FOR_EVER), "--json")
    (child,) = children_of(process.pid)
    os.kill(child, signal.SIGINT)
    assert process.stdout
    begin = process.stdout.read(1)  # the rest is more than a pipe holds, so the child still writes
    os.kill(child, signal.SIGINT)
    report = json.loads(begin + process.stdout.read())
    assert report["why"] == "it was interrupted, and could have gone on"
    process.communicate()


@pytest.mark.parametrize("name", ["trace.json", "trace.jsonl"])
def test_interrupted_trace_is_whole(
    minihv: CommandLine, guest: GuestWriter, tmp_path: Path, name: str
) -> None:
    trace = tmp_path / name
    process = minihv.start("run", guest(PRINTS_FOR_EVER), "--trace", trace)
    interrupt_when_it_runs(process.pid)
    process.communicate()
    text = trace.read_text()
    events = json.loads(text)["traceEvents"] if name.endswith(".json") else map(json.loads, text.splitlines())
    assert "IOIO" in {event["name"] for event in events}


def test_end_of_the_command_is_the_end_of_its_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    process = minihv.start("run", guest(FOR_EVER))
    (child,) = children_of(process.pid)
    process.terminate()
    process.communicate()
    deadline = time.monotonic() + 20
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(child)
