"""A disk that takes its time delays its owner in the host's time, and nobody in virtual time."""

from pathlib import Path
from time import sleep
from typing import Any

import pytest
from written_disks import DISK_BYTES, has_written

from minihv.guests.session import Report
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.making import make_dynamic

SECONDS = 0.01
"""Of each request: a disk that has to turn."""


def run(kind: type[ChildSession], guest: str, folder: Path, *, slow: bool) -> tuple[Report, int]:
    """The report, and how often the disk was slow."""
    folder.mkdir()
    option = DiskOption(folder / "a.vhd", guest.partition("_")[2])
    make_dynamic(option.path, DISK_BYTES)
    delays = 0
    with kind(guest, disks=[option]) as session:
        disk: Any = session.disks.attached[0].disk

        def delayed(does: Any) -> Any:
            def do(*arguments: Any, **options: Any) -> Any:
                nonlocal delays
                delays += 1
                sleep(SECONDS)
                return does(*arguments, **options)

            return do

        if slow:
            for name in ("read", "write", "flush"):
                setattr(disk, name, delayed(getattr(disk, name)))
        report = session.run()
    assert has_written(option.path)
    return report, delays


@pytest.mark.parametrize(
    ("kind", "guest"),
    [(ParentSession, "25_scsi"), (MonolithicSession, "25_scsi"), (MonolithicSession, "24_ide")],
)
def test_slow_disk_changes_no_count(kind: type[ChildSession], guest: str, tmp_path: Path) -> None:
    fast, _ = run(kind, guest, tmp_path / "fast", slow=False)
    slow, delays = run(kind, guest, tmp_path / "slow", slow=True)
    assert delays > 5 and slow == fast and fast.exit_status == 0
