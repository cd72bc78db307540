"""``minihv top`` finds what runs, runs what it is told to, and ends cleanly."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from command_line import CommandLine, GuestWriter, start_at_terminal

FOR_EVER, SHUTS_DOWN_WITH_3 = "ebfe", "b003 e6f4"
NOBODY = (
    "minihv: No machine runs here: start one by `minihv run GUEST` elsewhere, or write `minihv top GUEST`.\n"
)
REFUSALS = {
    ("--every", "0"): "One looks every 0.1 to 3600 seconds, not every 0: choose --every in that range.",
    (
        "--blocks",
        "5",
    ): "A budget is for a guest that `minihv top` runs itself: name one, or leave --blocks out.",
    ("01_hello", "--blocks", "0"): "A budget is at least one block, not 0: leave --blocks out for none.",
}


@contextmanager
def running(minihv: CommandLine, path: Path, runtime: Path) -> Iterator["subprocess.Popen[str]"]:
    """``path`` runs in another process, and has published."""
    process = minihv.start("run", path, "--memory", "4M")
    while not list((runtime / "minihv").glob("*.json")):
        time.sleep(0.02)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def row_of(out: str, partition: str) -> list[str]:
    """The row of a partition in the table of VPs."""
    return next(line.split() for line in out.splitlines() if line.split()[1:2] == [partition])


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.items(), ids=[" ".join(key) for key in REFUSALS])
def test_what_cannot_be_is_refused(minihv: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    done = minihv("top", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {sentence}\n")


def test_where_nothing_runs_that_is_said(minihv: CommandLine) -> None:
    done = minihv("top")
    assert (done.status, done.out, done.err) == (1, "", NOBODY)


def test_scripts_get_an_empty_list(minihv: CommandLine) -> None:
    done = minihv("top", "--json")
    assert (done.status, json.loads(done.out), done.err) == (1, {"machines": []}, NOBODY)


def test_machine_of_another_process_is_shown(minihv: CommandLine, guest: GuestWriter, runtime: Path) -> None:
    with running(minihv, guest(FOR_EVER), runtime):
        done = minihv("top", "--once", "--plain")
        found = json.loads(minihv("top", "--json").out)["machines"]
    title, columns = done.out.splitlines()[:2]
    row = row_of(done.out, "guest.elf")
    assert (done.status, done.err) == (0, "")
    assert title.startswith("guest.elf (process ") and "slat, 1 LP" in title
    assert columns.split() == ["partition", "VP", "state", "blocks", "exits", "interrupts"]
    assert row[:4] == ["2", "guest.elf", "0", "ready"]
    assert found[0]["partitions"][1]["vps"][0]["blocks"] > int(row[4].replace(",", ""))


def test_channels_of_a_child_are_shown(minihv: CommandLine) -> None:
    found = json.loads(minihv("top", "20_echo", "--blocks", "400000", "--json").out)["machines"]
    parent, child = found[0]["partitions"]
    echo = next(one for one in child["channels"] if one["device"] == "echo")
    assert (parent["name"], child["parent_id"], parent["channels"]) == ("parent", 1, [])
    assert (echo["state"], echo["to_host_bytes"]) == ("open", 4 * 4096)
    assert echo["received_packets"] == echo["signals_received"] > 100
    assert echo["sent_packets"] in (echo["received_packets"], echo["received_packets"] - 1)


def test_channels_are_a_table_of_their_own(minihv: CommandLine) -> None:
    lines = minihv("top", "20_echo", "--blocks", "400000", "--once", "--plain").out.splitlines()
    at = lines.index("Channels")
    assert lines[at + 1].split() == [
        "child",
        "relid",
        "device",
        "state",
        *["to", "parent", "to", "child", "in", "out"],
    ]
    assert [line.split()[:2] for line in lines[at + 2 : at + 8]] == [
        ["2", str(relid)] for relid in range(1, 7)
    ]


def test_guest_alone_has_no_channels(minihv: CommandLine) -> None:
    found = json.loads(minihv("top", "01_hello", "--no-parent", "--json").out)["machines"]
    assert [(one["name"], one["channels"]) for one in found[0]["partitions"]] == [("01_hello", [])]


def test_killed_machine_is_forgotten(minihv: CommandLine, guest: GuestWriter, runtime: Path) -> None:
    with running(minihv, guest(FOR_EVER), runtime):
        pass
    assert minihv("top", "--once").status == 1
    assert list((runtime / "minihv").glob("*.json")) == []


def test_pipe_gets_lines_until_the_last_machine_ends(
    minihv: CommandLine, guest: GuestWriter, runtime: Path
) -> None:
    with running(minihv, guest(FOR_EVER), runtime) as run:
        process = minihv.start("top", "--every", "0.1")
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(6)]
        os.killpg(run.pid, signal.SIGINT)
        rest, err = process.communicate()
    assert (process.returncode, err, rest.splitlines()[-1]) == (0, "", "No machine runs any more.")
    assert all(" guest.elf partition 1 vp 0 idle blocks " in line for line in shown[::2])
    assert all(" guest.elf partition 2 vp 0 ready blocks " in line for line in shown[1::2])
    assert " blocks/s " in shown[-1]


def test_interrupt_ends_it_cleanly(minihv: CommandLine, guest: GuestWriter, runtime: Path) -> None:
    with running(minihv, guest(FOR_EVER), runtime):
        process = minihv.start("top", "--every", "0.1")
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


def test_terminal_is_drawn_in_place_and_left_with_its_cursor(
    minihv: CommandLine, guest: GuestWriter, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with running(minihv, guest(FOR_EVER), runtime):
        process, terminal, shown = start_at_terminal("top", "--every", "0.1", until="\x1b[2K")
        os.write(terminal, b"\x03")
        while "\x1b[?25h" not in shown:
            shown += os.read(terminal, 4096).decode(errors="replace")
        assert process.wait() == 0
        os.close(terminal)
    assert "blocks/s" in shown and "Traceback" not in shown


def test_guest_is_run_and_shown(minihv: CommandLine) -> None:
    done = minihv("top", "01_hello")
    *_, state, end = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert state.split()[1:8] == ["01_hello", "partition", "2", "vp", "0", "halted", "blocks"]
    assert end == "01_hello: halted (every VP executed HLT with interrupts disabled)"


def test_guest_is_shown_once_it_has_ended(minihv: CommandLine) -> None:
    done = minihv("top", "01_hello", "--once", "--plain")
    assert done.out.splitlines()[0].startswith("01_hello (process ")
    assert row_of(done.out, "01_hello")[:4] == ["2", "01_hello", "0", "halted"]


def test_status_is_that_of_the_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    assert minihv("top", guest(SHUTS_DOWN_WITH_3)).status == 1


def test_budget_ends_a_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    alone = ("top", guest(FOR_EVER), "--no-parent", "--blocks", "1000", "--json")
    found = json.loads(minihv(*alone).out)["machines"]
    assert found[0]["partitions"][0]["vps"][0]["blocks"] == 1000


def test_interrupted_guest_is_shown_as_it_was(minihv: CommandLine, guest: GuestWriter) -> None:
    process = minihv.start("top", guest(FOR_EVER), "--every", "0.1")
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    assert out.splitlines()[-1] == "guest.elf: budget (it was interrupted, and could have gone on)"


def test_short_run_does_not_publish(minihv: CommandLine, runtime: Path) -> None:
    assert minihv("run", "01_hello").status == 0
    assert list(runtime.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a terminal")
def test_run_takes_its_machine_off_the_board(minihv: CommandLine, guest: GuestWriter, runtime: Path) -> None:
    with running(minihv, guest(FOR_EVER), runtime) as process:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        assert list((runtime / "minihv").iterdir()) == []
