"""A device model that crashes ends what it runs in: its worker, the parent with all children, or ring -1."""

from collections.abc import Callable
from pathlib import Path

import pytest
from guest_images import built
from parent_machines import NEEDS_COMPILER

from minihv.devices.crash import CrashSwitch, name_of
from minihv.errors import ConfigurationError
from minihv.guests.session import CrashReport, Report
from minihv.hypervisor.device_models import ModelCrash
from minihv.parent.disks import DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.parent.worker import MOST_RESTARTS
from minihv.storage.making import make_dynamic

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")
Crash = Callable[[type[ChildSession], str, str], tuple[Report, CrashReport]]


@pytest.fixture
def crashed(tmp_path: Path) -> Crash:
    def run(kind: type[ChildSession], guest: str, crash: str) -> tuple[Report, CrashReport]:
        disks = []
        if guest != "20_echo":
            make_dynamic(tmp_path / "a.vhd", 1 << 20)
            disks = [DiskOption(tmp_path / "a.vhd", "scsi" if guest == "25_scsi" else "ide")]
        with kind(str(built() / f"{guest}.elf"), disks=disks) as session:
            session.crash(CrashSwitch.parse(crash))
            report = session.run(20_000_000)
        assert report.crash is not None
        return report, report.crash

    return run


def test_chip_takes_its_worker_along_and_a_new_one_answers_what_was_asked(crashed: Crash) -> None:
    report, crash = crashed(ParentSession, "26_ide_dma", "ide@1")
    assert (crash.ring, crash.died, crash.restarts) == (3, ["worker of 26_ide_dma.elf"], 1)
    assert crash.went_on == ["parent", "26_ide_dma.elf"]
    assert crash.what.startswith("the worker met #PF at RIP 0x4000000000") and "with CR2 0x" in crash.what
    assert (report.stopped, report.exit_status) == ("shutdown", 0)  # no command was on its way


def test_worker_whose_model_crashes_again_and_again_is_left_alone_after_three_times() -> None:
    def bug(chip: object) -> None:
        if name_of(chip) == "keyboard":
            raise ModelCrash("a bug that comes again")

    with ParentSession(str(built() / "29_chips.elf")) as session:
        session.child.wires.board.ports.before = bug
        report = session.run()
        deaths = session.parent.workers.deaths
        assert session.child.restarts == MOST_RESTARTS == len(deaths) - 1 == 3
    assert report.stopped == "stuck"
    assert report.why == (
        f"its worker met exception 14 at RIP {deaths[-1].rip:#x}, with CR2 {deaths[-1].cr2:#x}"
    )


def test_service_in_ring_0_takes_the_parent_and_all_children_along(crashed: Crash) -> None:
    report, crash = crashed(ParentSession, "25_scsi", "storage@3")
    assert (crash.ring, crash.died, crash.went_on) == (0, ["parent", "25_scsi.elf"], [])
    assert crash.what.startswith("The kernel of the parent met #PF at 0x")
    assert crash.what.endswith("CR2 0xffff800000000000")
    assert report.stopped == "crashed" and report.partitions[0].exit_status == 3


@pytest.mark.parametrize(("guest", "what"), [("24_ide", "ide@100"), ("25_scsi", "storage@3")])
def test_any_device_of_a_monolith_takes_the_machine_along(crashed: Crash, guest: str, what: str) -> None:
    report, crash = crashed(MonolithicSession, guest, what)
    assert (crash.ring, crash.died, crash.went_on) == (-1, ["ring -1", f"{guest}.elf"], [])
    device, _, at = what.partition("@")
    assert (
        report.why
        == crash.what
        == (f"ring -1 has crashed: the device model {device} did at operation {at} what no code may do")
    )
    assert report.stopped == "crashed"


def test_device_that_is_used_less_does_not_crash(crashed: Crash) -> None:
    report, crash = crashed(ParentSession, "20_echo", "echo@999999")
    assert (report.exit_status, crash.ring, crash.died) == (0, None, [])
    assert crash.what == f"it was used {crash.operations} times, and did not crash" and crash.operations > 200


@pytest.mark.parametrize("kind", [ParentSession, MonolithicSession])
def test_device_that_the_guest_has_not_is_refused_with_a_list(kind: type[ChildSession]) -> None:
    with kind(str(built() / "20_echo.elf")) as session, pytest.raises(ConfigurationError) as refusal:
        session.crash(CrashSwitch("floppy", 1))
    assert str(refusal.value) == (
        "It is a device of the guest that crashes, and 'floppy' is none (console, echo, heartbeat, "
        "io-apic, key-value-exchange, keyboard, pic, pit, rtc, shutdown, time-sync, uart, vga): choose "
        "one of these."
    )
