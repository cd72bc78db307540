"""A guest as the child of a parent gives the same report as one alone, with a row for each partition."""

from pathlib import Path

import pytest
from guest_images import built
from parent_machines import NEEDS_COMPILER, needs_calls

from minihv.guests.session import GuestSession
from minihv.machine.processor import PagingMode
from minihv.parent.session import ParentSession

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]


def image(name: str) -> str:
    return str(built() / f"{name}.elf")


def test_guest_prints_and_exits_as_it_does_alone() -> None:
    with GuestSession(image("01_hello")) as alone, ParentSession(image("01_hello")) as child:
        without, with_parent = alone.run(), child.run()
    assert with_parent.console == without.console
    assert (with_parent.stopped, with_parent.exit_status) == (without.stopped, without.exit_status)
    mine = with_parent.partitions[1]
    assert mine.counters.exits == without.counters.exits and mine.name == "01_hello.elf"


def test_parent_is_a_partition_of_the_report_that_waits() -> None:
    with ParentSession(image("01_hello")) as session:
        report = session.run()
    assert [(one.id, one.name, one.stopped) for one in report.partitions] == [
        (1, "parent", "idle"),
        (2, "01_hello.elf", "halted"),
    ]
    assert report.partitions[0].why == "it waits for its children"
    assert report.counters == report.partitions[1].counters


@pytest.mark.parametrize("blocks", [1, 10, 20, 40, 80])
def test_run_goes_on_where_a_budget_ended_it(blocks: int) -> None:
    with ParentSession(image("01_hello")) as session:
        first = session.run(blocks)
        assert (first.stopped, first.why) == ("budget", "the block budget is used up")
        assert session.run().stopped == "halted"


def test_guest_that_has_not_begun_can_go_on() -> None:
    with ParentSession(image("01_hello")) as session:
        report = session.report()
        assert (report.stopped, report.why) == ("budget", "it has not begun")
        assert [one.stopped for one in report.partitions] == ["idle", "budget"]
        assert session.run().stopped == "halted"


@pytest.mark.parametrize("mode", list(PagingMode))
def test_guest_with_more_vps_and_less_memory_runs_with_any_paging(mode: PagingMode) -> None:
    with ParentSession(image("07_spin_lock"), memory_bytes=8 << 20, vps=2, lps=2, paging=mode) as session:
        report = session.run()
    assert (report.stopped, report.exit_status) == ("shutdown", 0), report.console


def test_child_that_cannot_go_on_says_why(tmp_path: Path) -> None:
    from assembler import assemble
    from elf_files import READ_WRITE, Elf, Part

    code = assemble("lidt [0x9000]; ud2", 0x10_0000)
    path = tmp_path / "faults.elf"
    path.write_bytes(Elf([Part(content=code, flags=READ_WRITE | 1)]).build())
    with ParentSession(str(path)) as session:
        report = session.run()
    assert report.stopped == report.partitions[1].stopped == "triple_fault"
    assert report.why == ("VP 0 met a third fault on its way to the double-fault handler at RIP 0x100008")
