"""``minihv dirty`` prints a map as text or JSON, writes a drawing, and refuses in a sentence."""

import json
import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import CommandLine, GuestWriter

FOR_EVER, SHUTS_DOWN_WITH_3 = "ebfe", "b003 e6f4"
FIELDS = {"guest", "memory_bytes", "every", "blocks", "stopped", "why", "written", "touched", "intervals"}
REFUSALS = {
    ("--every", "0"): "An interval is at least one block, not 0: leave --every out for a fitting length.",
    ("--blocks", "0"): "A budget is at least one block, not 0: leave --blocks out for none.",
    ("--svg", "/no/x"): "A drawing is written to a file that can be made, and /no/x cannot "
    "(No such file or directory): choose another name.",
    ("--paging", "hardware"): "A log of pages reads the marks that minihv's walk leaves in second-level "
    "tables, and with paging mode hardware the engine walks, which leaves none: choose slat.",
    ("--memory", "1M"): "A guest must have between 2 MiB and 8 GiB of memory, not 0x100000 bytes; "
    "choose another --memory.",
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.items(), ids=[" ".join(key) for key in REFUSALS])
def test_what_cannot_be_is_refused(minihv: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    done = minihv("dirty", "01_hello", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {sentence}\n")


def test_drawing_may_not_replace_the_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    path = guest(FOR_EVER)
    image = path.read_bytes()
    done = minihv("dirty", path, "--svg", path)
    assert (done.status, done.err) == (
        2,
        f"minihv: A drawing may not be written over the guest that it tells of, and {path} is that guest: "
        "choose another name.\n",
    )
    assert path.read_bytes() == image


def test_people_get_a_map(minihv: CommandLine) -> None:
    done = minihv("dirty", "01_hello", "--every", "30")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0] == "01_hello: pages written in each 30 blocks, one sign for each 4 KiB"
    assert lines[3].split()[0] == "30" and lines[-1].endswith(
        "halted (every VP executed HLT with interrupts disabled)"
    )


@pytest.mark.parametrize("core", ["native", "reference"])
def test_json_is_the_map_in_numbers(
    minihv: CommandLine, guest: GuestWriter, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    monkeypatch.setenv("MINIHV_CORE", core)
    stores = "c6042500902000 01 ebf6"  # to GPA 0x209000, for ever
    options = ("--every", "20", "--blocks", "50", "--memory", "4M", "--json")
    found = json.loads(minihv("dirty", guest(stores), *options).out)
    assert set(found) == FIELDS
    assert [one["blocks"] for one in found["intervals"]] == [20, 40, 50]
    assert all([0x209, 1] in one["written_pages"] for one in found["intervals"])


def test_status_is_that_of_the_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    assert minihv("dirty", guest(SHUTS_DOWN_WITH_3), "--memory", "4M").status == 1


def test_drawing_is_written_beside_the_text(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "map.svg"
    assert "pages written" in minihv("dirty", "01_hello", "--svg", path).out
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_terminal_gets_blocks_unless_it_should_be_plain(minihv: CommandLine) -> None:
    assert "█" in minihv.on_terminal("dirty", "01_hello", PYTHONUTF8="1")
    assert minihv.on_terminal("dirty", "01_hello", "--plain").isascii()


def test_interrupted_run_leaves_what_there_is(
    minihv: CommandLine, guest: GuestWriter, tmp_path: Path
) -> None:
    path = tmp_path / "map.svg"
    process = minihv.start("dirty", guest(FOR_EVER), "--json", "--svg", path)
    while not path.exists():
        time.sleep(0.02)
    time.sleep(0.5)  # the file is made just before the guest begins
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    found = json.loads(out)
    assert (process.returncode, err) == (130, "")
    assert (found["stopped"], found["why"]) == ("budget", "it was interrupted, and could have gone on")
    assert found["intervals"] and path.read_text().startswith("<svg")
