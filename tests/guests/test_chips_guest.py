"""A guest that has never heard of a hypervisor uses the chips of a PC, whoever emulates them."""

from pathlib import Path

import pytest
from guest_images import PROGRAMS, built, promised
from parent_machines import NEEDS_COMPILER

from minihv.devices.crash import CrashSwitch
from minihv.guests.session import GuestSession
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.making import make_dynamic

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")
KINDS = [ParentSession, MonolithicSession]
NAME = "29_chips"
END_OF_A_TICK = 16
"""Which access to the controllers it is."""
SCREEN = "minihv: the chips of a PC\nAll have been used."


def image() -> str:
    return str(built() / f"{NAME}.elf")


@pytest.mark.parametrize("kind", KINDS)
def test_all_chips_answer_and_interrupt(kind: type[ChildSession]) -> None:
    with kind(image()) as session:
        report = session.run()
        board = session.child.wires.board
    assert report.console == (PROGRAMS / NAME / "expected.txt").read_text()
    assert report.screen == SCREEN
    assert {**report.counters.exits} == promised(NAME, "Exit")
    assert report.counters.interrupts == 5 + 1 + 3 + 1 + 5 + 3 + 1  # one edge of the timer was old
    assert not board.pic.master.isr and not any(entry.remote_irr for entry in board.io_apic.entries)


@pytest.mark.parametrize("kind", KINDS)
def test_disk_interrupts_when_it_has_flushed(kind: type[ChildSession], tmp_path: Path) -> None:
    make_dynamic(tmp_path / "a.vhd", 1 << 20)
    with kind(image(), disks=[DiskOption(tmp_path / "a.vhd")]) as session:
        report = session.run()
    assert "ok      flushes that the disk told of = 0x1\n" in report.console
    assert report.exit_status == 0


def test_worker_that_is_started_anew_has_chips_as_after_power_on() -> None:
    with ParentSession(image()) as session:
        session.crash(CrashSwitch("pic", END_OF_A_TICK))
        report = session.run()
        board = session.child.wires.board
    assert report.crash is not None and report.crash.restarts == 1
    assert report.stopped == "stuck"  # it waits for an interrupt that is masked now
    assert (board.pic.master.imr, board.pic.master.vector_base) == (0xFF, 0)


def test_program_without_a_board_says_so_and_ends() -> None:
    with GuestSession(image()) as session:
        report = session.run()
    assert report.console == "FAILED  there are two interrupt controllers\n0 held, 1 failed\n"
    assert report.exit_status == 1 and report.screen == ""
