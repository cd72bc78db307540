"""A session without a parent has the guest's devices in ring -1, and one partition."""

from pathlib import Path

import pytest
from guest_images import built
from parent_machines import NEEDS_COMPILER

from minihv.errors import ConfigurationError
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.storage.making import make_dynamic

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")


def image(name: str) -> str:
    return str(built() / f"{name}.elf")


def test_machine_has_one_partition_that_nobody_leaves() -> None:
    with MonolithicSession(image("20_echo")) as session:
        report = session.run()
    assert [(one.id, one.stopped) for one in report.partitions] == [(1, "shutdown")]
    assert report.counters.world_switches == 1


def test_guest_is_asked_to_shut_down() -> None:
    with MonolithicSession(image("21_integration")) as session:
        session.shut_down_after(7)
        report = session.run(20_000_000)
    assert (report.stopped, report.exit_status) == ("shutdown", 0) and "FAILED" not in report.console


def test_disk_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 20)
    with MonolithicSession(image("20_echo")) as session:
        assert str(session.attach_disk(DiskOption(path, "scsi"))) == "SCSI controller 0, LUN 0"
        assert "storage" in [service.name for service in session.bus.services.values()]
        session.detach_disk(path)
        assert session.disks.attached == []


def test_disk_at_ide_is_there_from_the_start_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 20)
    with MonolithicSession(image("20_echo")) as session, pytest.raises(ConfigurationError) as refusal:
        session.attach_disk(DiskOption(path))
    assert str(refusal.value) == (
        "IDE has no hot plug, and the guest runs: attach the disk to SCSI, or give it to the guest when it "
        "starts."
    )
