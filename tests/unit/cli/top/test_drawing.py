"""Tables of machines, rates between two looks, and lines for pipes."""

import pytest
from machine_views import OFFERED, OPEN, machine, partition, vp

from minihv.cli.top.drawing import Rates, gauge, heading, lines, sheets, short


def test_machine_has_a_table_of_vps() -> None:
    (sheet,) = sheets(machine(partition(vp(0), vp(1, state="idle"))), None, 0, plain=True)
    assert sheet.columns == ("partition", "VP", "state", "blocks", "exits", "interrupts")
    assert sheet.rows == [
        ["1 01_hello", "0", "ready", "1,000", "7", "2"],
        ["1 01_hello", "1", "idle", "1,000", "7", "2"],
    ]
    assert sheet.right == [False, True, False, True, True, True]


def test_vps_of_a_partition_that_ended_are_not_ready() -> None:
    (sheet,) = sheets(machine(partition(vp(), state="shut down")), None, 0, plain=True)
    assert sheet.rows[0][2] == "shut down"


def test_channels_are_a_table_of_their_own() -> None:
    _, sheet = sheets(machine(partition(channels=[OFFERED, OPEN])), None, 0, plain=True)
    assert sheet.rows == [
        ["1", "1", "heartbeat", "offered", "", "", "0", "0"],
        ["1", "3", "echo", "open", "1,024 of 4,096", "0 of 4,096", "12,345", "6"],
    ]


def test_heading_says_what_the_machine_is() -> None:
    one = machine(pid=77)
    assert heading(one, 0) == "01_hello (process 77): slat, 1 LP, 1,234 ms of virtual time"
    one.lps = 2
    assert "2 LPs" in heading(one, 0)


def test_heading_says_how_old_the_figures_are() -> None:
    late = heading(machine(published_at=100.0, asked=1), 103_500_000_000)
    assert late.endswith("of virtual time, as it was 3.5 s ago")


def test_names_have_no_power_over_the_terminal() -> None:
    one = machine(partition(name="\x1b[2J"))
    one.guest = "\x1b[31m"
    (sheet,) = sheets(one, None, 0, plain=True)
    assert "\x1b" not in sheet.title + sheet.rows[0][0] + "".join(lines(one, Rates()))


def test_rates_are_what_happened_between_two_looks() -> None:
    rates = Rates()
    first, second = machine(), machine(partition(vp(blocks=2000, exits=17)), published_at=102.0)
    rates.look([first])
    (before,) = sheets(first, rates, 0, plain=False)
    rates.look([second])
    rates.look([second])
    (after,) = sheets(second, rates, 0, plain=False)
    assert after.columns[-2:] == ("blocks/s", "exits/s")
    assert (before.rows[0][-2:], after.rows[0][-2:]) == (["", ""], ["500", "5"])


def test_vp_that_was_not_there_before_has_no_rate() -> None:
    rates = Rates()
    later = machine(partition(vp(0), vp(1)), published_at=101.0)
    rates.look([machine()])
    rates.look([later])
    (sheet,) = sheets(later, rates, 0, plain=False)
    assert [row[-1] for row in sheet.rows] == ["0", ""]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (123_456, "123k"),
        (5_250_000, "5.2M"),
        (7 * 10**9, "7.0G"),
        (3 * 10**12, "3.0T"),
    ],
)
def test_long_numbers_are_shortened(number: int | None, text: str) -> None:
    assert short(number) == text


def test_gauge_shows_how_full_a_ring_is() -> None:
    assert gauge(0, 0, plain=False) == ""
    assert gauge(0, 4096, plain=False) == "░░░░░ 0 %"
    assert gauge(1, 4096, plain=False) == "█░░░░ 0 %"
    assert gauge(4096, 4096, plain=False) == "█████ 100 %"


def test_line_says_by_itself_what_it_is_about() -> None:
    rates = Rates()
    one = machine(partition(channels=[OFFERED, OPEN]), pid=77)
    rates.look([one])
    assert list(lines(one, rates)) == [
        "77 01_hello partition 1 vp 0 ready blocks 1000 exits 7",
        "77 01_hello partition 1 channel 3 echo to-parent 1024/4096 to-child 0/4096 in 12345 out 6",
    ]
    later = machine(pid=77, published_at=101.0)
    rates.look([later])
    assert list(lines(later, rates)) == [
        "77 01_hello partition 1 vp 0 ready blocks 1000 exits 7 blocks/s 0 exits/s 0"
    ]
