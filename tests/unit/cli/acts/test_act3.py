"""The numbers of the tour's third act are those of machines that this test runs by itself."""

import re
from collections.abc import Callable

import pytest
from parent_machines import NEEDS_COMPILER, needs_calls

from minihv.cli.acts import act3
from minihv.cli.acts.act3 import access_name, access_rows, event_rows
from minihv.cli.compare.ways import SCSI, measure
from minihv.cli.narrator import Narrator
from minihv.errors import InternalError

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]

Play = Callable[[Callable[[Narrator], None]], str]
STATUS_READ, DATA_READ, COMMAND_WRITTEN = 0x1F7_0001, 0x1F0_0001, 0x1F7_0000


@pytest.fixture
def play(capsys: pytest.CaptureFixture[str]) -> Play:
    """Plays a scene; what it shows."""

    def one(scene: Callable[[Narrator], None]) -> str:
        scene(Narrator(plain=True, pause=False, beat=lambda: None))
        return capsys.readouterr().out

    return one


@pytest.mark.parametrize(
    ("information", "name"),
    [
        (STATUS_READ, "IN  0x1f7  status"),
        (DATA_READ, "IN  0x1f0  data"),
        (COMMAND_WRITTEN, "OUT 0x1f7  command"),
        (0x1F1_0000, "OUT 0x1f1  features"),
        (0x3F6_0000, "OUT 0x3f6  other"),
    ],
)
def test_access_has_the_name_of_its_register(information: int, name: str) -> None:
    assert access_name(information) == name


def test_accesses_that_follow_each_other_are_one_line() -> None:
    assert list(access_rows([STATUS_READ, DATA_READ, DATA_READ, STATUS_READ])) == [
        "IN  0x1f7  status",
        "IN  0x1f0  data                 2 times",
        "IN  0x1f7  status",
    ]


def test_sector_is_ten_registers_a_status_and_256_words(play: Play) -> None:
    shown = play(act3.registers)
    lines = re.findall(r"^  \| ((?:IN|OUT) .*)$", shown, re.MULTILINE)
    assert len(lines) == 12 and lines[9] == "OUT 0x1f7  command"
    assert lines[-1].split() == ["IN", "0x1f0", "data", "256", "times"]
    assert "Each of these 267 lines" not in shown and "267 accesses" in " ".join(shown.split())


def test_each_access_is_a_message_two_switches_and_an_answer(play: Play) -> None:
    rows = dict(re.findall(r"^  \| ((?:child|parent) .*?) +([\d,]+)$", play(act3.one_sector_emulated), re.M))
    assert {name: int(count) for name, count in rows.items()} == {
        "child   exit IOIO": 267,
        "child   intercept IO_PORT_INTERCEPT": 267,
        "child   world switch VMRUN": 267,
        "parent  exit HLT": 267,
        "parent  exit VMMCALL": 2 * 267,
        "parent  interrupt vector 0x40": 267,
        "parent  message placed": 267,
        "parent  world switch VMRUN": 267,
    }


def test_synthetic_read_is_five_exits_and_no_change_of_ring(play: Play) -> None:
    shown = play(act3.one_sector_synthetic)
    sums = re.findall(r"^  \| (child|parent) +[\d,]+ +(\d+) +(\d+) +(\d+)$", shown, re.MULTILINE)
    assert sums == [("child", "2", "1", "0"), ("parent", "3", "1", "0")]
    assert all(f"  | {number}. " in shown for number in act3.MEANINGS)


def test_both_lives_fit_beside_each_other(play: Play) -> None:
    shown = play(act3.side_by_side).splitlines()
    assert any(
        line.startswith("  | ide-pio: 4096 bytes") and line.endswith("scsi: 4096 bytes") for line in shown
    )
    assert max(map(len, shown)) <= 80


def test_prices_are_those_of_the_comparison(play: Play) -> None:
    shown = play(act3.what_counts)
    found = measure(next(task for task in act3.TASKS if task.way is SCSI), lambda: None)
    assert re.search(rf"^  \| scsi +512 +1 +{found.exits_per_request:.2f} +0.0 +0.0$", shown, re.MULTILINE)
    assert f"and {found.exits_per_request:.0f} by a packet" in " ".join(shown.split())


def test_disk_behind_has_one_block(play: Play) -> None:
    assert re.search(r"^  \| blocks that are there +1$", play(act3.below), re.MULTILINE)


def test_events_are_counted_by_whom_they_happened_to() -> None:
    with act3.about_to_read(SCSI) as reading:
        reading.finish()
        rows = event_rows(reading.events, reading.session.partition.id)
    assert [row.split() for row in rows if " exit " in row] == [
        ["child", "exit", "HLT", "1"],
        ["child", "exit", "VMMCALL", "1"],
        ["parent", "exit", "HLT", "1"],
        ["parent", "exit", "VMMCALL", "2"],
    ]


def test_guest_that_never_gets_there_is_a_bug() -> None:
    with act3.about_to_read(SCSI) as reading:
        reading.finish()
        with pytest.raises(InternalError) as failed:
            reading.run_to("io_begin")
    assert str(failed.value) == "28_io never enters io_begin: please report it."
