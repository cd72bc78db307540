"""Children of the real parent, many at once and in every mode: each does what it does alone."""

from pathlib import Path

import pytest
from guest_images import PROGRAMS, ROOT, builder, built, child_program_names
from parent_machines import CHILD_BYTES, NEEDS_COMPILER, booted, echo_child

from minihv.guests.image import load_image
from minihv.machine.processor import Core, PagingMode
from minihv.parent.children import Child
from minihv.parent.partition import ParentPartition
from minihv.parent.session import ParentSession

pytestmark = pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")

FOREIGN = {"book": ROOT / "docs" / "foreign_guest", "stranger": ROOT / "tests" / "guests" / "strangers"}
MODES = [*((Core.NATIVE, mode) for mode in PagingMode), (Core.REFERENCE, PagingMode.SHADOW)]
ENOUGH_SECONDS = 7


def expected(name: str) -> str:
    """What a program promises to print."""
    return (PROGRAMS / name / "expected.txt").read_text()


@pytest.mark.parametrize(("core", "paging"), MODES)
@pytest.mark.parametrize("name", child_program_names())
def test_program_keeps_its_promise_as_a_child_of_the_parent(
    name: str, core: Core, paging: PagingMode
) -> None:
    with ParentSession(str(built() / f"{name}.elf"), core=core, paging=paging) as session:
        session.shut_down_after(ENOUGH_SECONDS)
        report = session.run()
    assert report.console == expected(name)
    assert (report.stopped, report.exit_status) == ("shutdown", 0)


@pytest.mark.parametrize(("core", "paging"), MODES)
def test_guest_of_the_book_hears_its_echo(core: Core, paging: PagingMode, tmp_path: Path) -> None:
    image = builder().build_one(FOREIGN["book"], tmp_path / "echo.elf")
    with ParentSession(str(image), core=core, paging=paging) as session:
        assert session.run().console == "Transaction 4711: Is anybody out there?\n"


def test_stranger_loses_its_device_and_finds_the_next(tmp_path: Path) -> None:
    image = builder().build_one(FOREIGN["stranger"], tmp_path / "stranger.elf")
    with ParentSession(str(image)) as session:
        parent, bus = session.parent, session.parent.bus_of(session.child)
        echo, console = (
            next(relid for relid, one in bus.services.items() if one.name == name)
            for name in ("echo", "console")
        )
        service = bus.services[echo]
        run_until_idle(session)
        bus.server.rescind(echo)
        parent.vmbus.drain(bus)
        run_until_idle(session)
        parent.vmbus.offer(bus, service)
        parent.vmbus.drain(bus)
        run_until_idle(session)
        bus.server.rescind(console)
        parent.vmbus.drain(bus)
        report = session.run()
    assert "FAILED" not in report.console
    assert "\nsaid through a channel\nsaid through a port\n" in report.console
    assert (report.stopped, report.exit_status) == ("shutdown", 0)


def run_until_idle(session: ParentSession) -> None:
    """Runs until the guest waits for its host."""
    assert session.run().stopped == "stuck"


def hostile_child(parent: ParentPartition) -> Child:
    """A child that lies wherever it can, and floods the parent with signals and messages."""
    image = load_image(built() / "22_hostile.elf")
    return parent.create_child("hostile", CHILD_BYTES, image=image, start=False)


@pytest.mark.parametrize("count", [2, 8, 100])
def test_children_talk_at_once_and_one_of_them_lies(count: int) -> None:
    with booted(*[CHILD_BYTES] * count) as parent:
        free = parent.vid.free_bytes
        good = [echo_child(parent, f"echo {number}", 10 + number % 7) for number in range(count - 1)]
        hostile = hostile_child(parent)
        for child in (hostile, *good):
            parent.begin(child)
        parent.settle()
        assert [child.partition.exit_status for child in good] == [0] * (count - 1)
        assert all(b"FAILED" not in child.partition.console for child in good)
        assert hostile.partition.console.decode() == expected("22_hostile")
        buses = [parent.bus_of(child) for child in good]
        assert [(bus.traced, bus.refused) for bus in buses] == [(0, 0)] * (count - 1)
        assert parent.bus_of(hostile).traced > 50
        for child in (hostile, *good):
            parent.delete_child(child)
        assert list(parent.hypervisor.partitions) == [1]
        assert parent.vid.free_bytes == free


def test_flood_of_a_child_costs_the_others_no_round_trip() -> None:
    """What the honest child costs is the same beside a liar as beside nobody."""

    def exits_of_honest(*, beside_a_liar: bool) -> list[int]:
        with booted(CHILD_BYTES, CHILD_BYTES) as parent:
            honest = echo_child(parent, "honest", 40)
            if beside_a_liar:
                parent.begin(hostile_child(parent))
            parent.begin(honest)
            parent.settle()
            assert honest.partition.exit_status == 0
            return list(honest.partition.vps[0].counters.exits)

    assert exits_of_honest(beside_a_liar=True) == exits_of_honest(beside_a_liar=False)
