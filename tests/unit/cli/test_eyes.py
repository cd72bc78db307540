"""``minihv walk`` and ``minihv map`` as a user calls them."""

import json
import os
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import CommandLine, GuestWriter, children_of, start_at_terminal
from elf_files import CODE, Elf, symbol

FOR_EVER = "ebfe"
OPTIONS = ("--memory", "4M")
WALK = ("walk", "05_page_tables", "0x8000000000", *OPTIONS)
MAP = ("map", "05_page_tables", *OPTIONS)

SYMBOL_RULE = "is a number or a symbol of the guest, with +OFFSET behind it or not, and"
NEAREST = "'rihgts' names no symbol of 05_page_tables.elf, did you mean 'rights'?"
NO_SUCH_VP = "is not among them: choose another --vp, or give it more --vps."
REFUSALS = {
    (*WALK, "--access", "q"): (
        "An access reads, writes or executes, and 'q' is none of these: write r, w or x."
    ),
    (*WALK, "--ring", "1"): ("An access is one of ring 0 or of ring 3, not of ring 1: choose one of them."),
    (*WALK, "--vp", "3"): f"05_page_tables has 1 VP, counted from 0, and VP 3 {NO_SUCH_VP}",
    (*MAP, "--vp", "-1"): f"05_page_tables has 1 VP, counted from 0, and VP -1 {NO_SUCH_VP}",
    (*MAP, "--at", "rights", "--at", "5"): (
        "A guest is looked at in one moment, and --at was given 'rights' and '5': leave one."
    ),
    (*MAP, "--at", "rihgts"): f"The point for --at {SYMBOL_RULE} {NEAREST}",
    ("walk", "05_page_tables", "rihgts"): f"A GVA {SYMBOL_RULE} {NEAREST}",
    (*MAP, "--at", "0x999999"): (
        "VP 0 of 05_page_tables must come to 0x999999 (0x999999) to be looked at there, and the guest ended "
        "before (shutdown: the guest wrote to the shutdown port): choose a point that it executes."
    ),
    (*MAP, "--svg", "/nowhere/it.svg"): (
        "A drawing is written to a file that can be made, and /nowhere/it.svg cannot (No such file or "
        "directory): choose another name."
    ),
    ("map", "05_page_tables", "--memory", "x"): (
        "A size is a number with K, M or G behind it, not 'x': write 64M or 1G."
    ),
}


@pytest.mark.parametrize("arguments", REFUSALS)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
    minihv: CommandLine, arguments: tuple[str, ...]
) -> None:
    done = minihv(*arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {REFUSALS[arguments]}\n")


def test_drawing_does_not_replace_the_guest(minihv: CommandLine, guest: GuestWriter) -> None:
    path = guest("faf4")
    done = minihv("map", path, "--svg", path)
    assert (done.status, done.err) == (
        2,
        f"minihv: A drawing may not be written over the guest that it shows, and {path} is that guest: "
        "choose another name.\n",
    )
    assert path.read_bytes()[:4] == b"\x7fELF"


def test_walk_shows_where_and_every_reference(minihv: CommandLine) -> None:
    done = minihv(*WALK, "--at", "probe_write", "--access", "w")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0].startswith("05_page_tables, VP 0 at RIP 0x")
    assert lines[0].endswith(" blocks") and "(probe_write) in ring 0, stopped after " in lines[0]
    assert lines[1] == "GVA 0x8000000000: a write by ring 0, with CR0.WP, EFER.NXE"
    assert sum(" guest " in line and "0x" in line for line in lines) >= 4


def test_fault_is_a_picture_and_no_failure(minihv: CommandLine) -> None:
    done = minihv("walk", "01_hello", "0xdead0000", *OPTIONS, "--access", "x", "--ring", "3")
    assert done.status == 0 and "P is 0 in it" in done.out and "bit 4 (I) is 1" in done.out


def test_guest_says_nothing_while_it_is_looked_at(minihv: CommandLine) -> None:
    assert "hello" not in minihv("map", "01_hello").out.replace("01_hello", "").lower()


def test_walk_is_one_json_value(minihv: CommandLine) -> None:
    done = minihv(*WALK, "--at", "guest_main", "--json")
    value = json.loads(done.out)
    assert value["place"]["symbol"] == "guest_main" and value["outcome"] == "page_fault"
    assert [one["number"] for one in value["references"]] == list(range(1, value["reference_count"] + 1))


def test_map_is_one_json_value(minihv: CommandLine) -> None:
    value = json.loads(minihv(*MAP, "--at", "0", "--json").out)
    assert [stage["stage"] for stage in value["stages"]] == ["guest", "second"]
    assert value["place"]["blocks"] == 0 and value["stages"][0]["mapped_bytes"] == 4 << 20


@pytest.mark.parametrize("arguments", [WALK, MAP])
def test_drawing_is_written_beside_the_text(
    minihv: CommandLine, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "it.svg"
    done = minihv(*arguments, "--svg", path)
    assert done.status == 0 and done.out
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("mode", ["slat", "hardware"])
def test_picture_is_the_same_whoever_serves_the_misses(minihv: CommandLine, mode: str) -> None:
    done = minihv(*WALK, "--at", "rights", "--paging", mode)
    assert done.out.splitlines()[-5:-1] == minihv(*WALK, "--at", "rights").out.splitlines()[-5:-1]


def test_vp_is_the_one_that_was_asked_for(minihv: CommandLine) -> None:
    done = minihv("walk", "07_spin_lock", "0x1000", "--vps", "3", "--vp", "2", "--at", "_start")
    assert "VP 2 at RIP" in done.out.splitlines()[0]


def test_hostile_name_has_no_power_over_the_terminal(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "it.elf"
    sections = [(3, 0, b"\0\x1b[31mred\0"), (2, 0, symbol(1, 0x100000))]
    path.write_bytes(Elf(sections=sections).build())
    done = minihv("map", path, "--at", "0", "--svg", tmp_path / "it.svg")
    assert CODE and "\x1b" not in done.out and "[31mred" in done.out
    ElementTree.parse(tmp_path / "it.svg")


def test_first_ctrl_c_shows_how_far_the_guest_came(minihv: CommandLine, guest: GuestWriter) -> None:
    process, above, shown = start_at_terminal("map", str(guest(FOR_EVER)), until="blocks")
    os.write(above, b"\x03")
    while "interrupted" not in shown:
        shown += os.read(above, 4096).decode()
    assert process.wait() == 130
    os.close(above)
    assert "The guest's tables, GVA to GPA" in shown
    assert "minihv: interrupted: what is shown is how far the guest came" in shown


def test_interrupted_command_without_a_terminal_ends_with_its_status(
    minihv: CommandLine, guest: GuestWriter
) -> None:
    process = minihv.start("walk", guest(FOR_EVER), "0x100000", "--at", "500000000000")
    assert process.stdout
    children_of(process.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130 and "Mapped: GVA 0x100000" in out


def test_colour_is_for_terminals_alone(minihv: CommandLine) -> None:
    arguments = ("walk", "01_hello", "0xdead0000", *OPTIONS)
    assert "\x1b[1;31m" in minihv.on_terminal(*arguments)
    assert "\x1b" not in minihv.on_terminal(*arguments, NO_COLOR="1")
    assert "\x1b" not in minihv.on_terminal(*arguments, "--plain")
    assert "\x1b" not in minihv(*arguments).out
