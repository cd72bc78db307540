"""Guests whose devices are in ring -1 print what they print as children of a parent, in every paging mode."""

from pathlib import Path

import pytest
from parent_machines import NEEDS_COMPILER

from minihv.guests.session import Report
from minihv.machine.processor import PagingMode
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.making import make_dynamic

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")

DISKS = {"26_ide_dma": "ide", "25_scsi": "scsi"}
GUESTS = ("19_hello_vmbus", "20_echo", "21_integration", "22_hostile", "23_startup", *DISKS)
ON_REFERENCE = ("19_hello_vmbus", "23_startup", "25_scsi")
MOST_BLOCKS = 20_000_000


def run(kind: type[ChildSession], guest: str, folder: Path, paging: PagingMode) -> Report:
    disks = []
    if guest in DISKS:
        folder.mkdir()
        make_dynamic(folder / "a.vhd", 1 << 20)
        disks = [DiskOption(folder / "a.vhd", DISKS[guest])]
    with kind(guest, disks=disks, paging=paging) as session:
        session.shut_down_after(7)
        return session.run(MOST_BLOCKS)


@pytest.mark.parametrize("paging", list(PagingMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("guest", GUESTS)
def test_guest_prints_and_ends_as_the_child_of_a_parent(
    guest: str, paging: PagingMode, tmp_path: Path
) -> None:
    child = run(ParentSession, guest, tmp_path / "microkernel", paging)
    mine = run(MonolithicSession, guest, tmp_path / "monolithic", paging)
    assert mine.console == child.console and "FAILED" not in mine.console
    assert (mine.stopped, mine.exit_status) == (child.stopped, child.exit_status) == ("shutdown", 0)


@pytest.mark.parametrize("guest", ON_REFERENCE)
def test_guest_runs_on_the_reference_core(
    guest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIHV_CORE", "reference")
    report = run(MonolithicSession, guest, tmp_path / "monolithic", PagingMode.SLAT)
    assert (report.stopped, report.exit_status) == ("shutdown", 0) and "FAILED" not in report.console
