"""Every built-in program, in every paging mode and on both cores: its console, its exits, its exceptions.

The numbers are those that the READMEs promise; where a mode would change one, this is where it shows.
"""

import shutil
import tomllib
from typing import Any

import pytest
from builders import without_shadow
from guest_images import PROGRAMS, built, lone_program_names, promised

from minihv.guests.session import GuestSession, Report
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.spec.x86_exceptions import Vector

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("gcc", "clang")), reason="no C compiler is installed"
)

VPS = {
    entry["name"]: entry.get("vps", 1)
    for entry in tomllib.loads((PROGRAMS / "catalogue.toml").read_text())["guest"]
}
MOST_BLOCKS = 50_000_000


Mode = tuple[PagingMode] | tuple[PagingMode, ShadowPolicy]
SLAT: Mode = (PagingMode.SLAT,)
MODES: list[Mode] = [SLAT, (PagingMode.HARDWARE,), *((PagingMode.SHADOW, policy) for policy in ShadowPolicy)]


def run(name: str, mode: Mode = SLAT, *, vps: int | None = None, lps: int = 1) -> Report:
    path, shadow = built() / f"{name}.elf", ShadowOptions(*mode[1:])
    with GuestSession(str(path), vps=vps or VPS[name], lps=lps, paging=mode[0], shadow=shadow) as session:
        return session.run(MOST_BLOCKS)


UNSYNC: Mode = (PagingMode.SHADOW, ShadowPolicy.UNSYNC)
SLOW = {
    "13_small_pages": None,
    "14_large_pages": UNSYNC,
    "15_fork": None,
    "16_remap": None,
    "17_address_spaces": SLAT,
}
"""Of misses and faults alone: the Python core takes ten seconds and more for each, so one mode has to do.

Those that take most run on it with ``--long`` alone.
"""


def ways() -> list[Any]:
    """Every program in every mode on both cores; on the Python core the slow ones in one."""
    return [
        pytest.param(
            *(name, mode, core),
            id="-".join((name, *(part.value for part in mode), core)),
            marks=[pytest.mark.long] if core == "reference" and mode != SLOW.get(name, mode) else [],
        )
        for name in lone_program_names()
        for core in ("native", "reference")
        for mode in MODES
    ]


@pytest.mark.parametrize(("name", "mode", "core"), ways())
def test_program_does_what_its_readme_says(
    name: str, mode: Mode, core: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIHV_CORE", core)
    report = run(name, mode)
    exceptions = {
        f"#{Vector(int(vector)).name}": count for vector, count in report.counters.exceptions.items()
    }
    assert report.console == (PROGRAMS / name / "expected.txt").read_text()
    assert (report.stopped, report.exit_status) == (
        ("halted", None) if name == "01_hello" else ("shutdown", 0)
    )
    exits = promised(name, "Exit")
    if mode[0] is PagingMode.SHADOW:
        exits.pop("NPF", None)  # it comes as a page fault there
    assert without_shadow(report.counters.exits) == exits
    assert exceptions == promised(name, "Exception")
    assert report.counters.hypercalls == promised(name, "Hypercall")


@pytest.mark.parametrize("lps", [1, 2, 3, 32])
@pytest.mark.parametrize("vps", [1, 2, 3, 32])
def test_no_addition_is_lost_with_any_number_of_processors(vps: int, lps: int) -> None:
    report = run("07_spin_lock", vps=vps, lps=lps)
    lines = report.console.splitlines()
    assert lines[0] == f"VPs: {vps}"
    assert lines[-1] == "4 held, 0 failed"
    assert report.counters.exits["IOIO"] == len(report.console) + 1


@pytest.mark.parametrize("name", lone_program_names())
def test_program_takes_the_same_time_in_every_mode(name: str) -> None:
    blocks = {mode: run(name, mode).counters.blocks for mode in MODES}
    assert len(set(blocks.values())) == 1, blocks


def test_both_cores_give_the_processors_the_same_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocks(core: str) -> tuple[int, str]:
        monkeypatch.setenv("MINIHV_CORE", core)
        report = run("07_spin_lock", vps=4, lps=3)
        return report.counters.blocks, report.console

    assert blocks("reference") == blocks("native")


@pytest.mark.parametrize("name", lone_program_names())
def test_virtual_processors_that_a_program_does_not_use_only_halt(name: str) -> None:
    report = run(name, vps=3, lps=2)
    if name != "07_spin_lock":
        assert report.console == (PROGRAMS / name / "expected.txt").read_text()
    assert report.stopped == ("halted" if name == "01_hello" else "shutdown")


def test_same_run_twice_counts_the_same() -> None:
    first, second = run("07_spin_lock", lps=2), run("07_spin_lock", lps=2)
    assert first.counters.blocks == second.counters.blocks
    assert first.counters.exits == second.counters.exits
