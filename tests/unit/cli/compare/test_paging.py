"""The command: options and what is refused, JSON and tables, interrupts, and consoles that differ."""

import json
import os
from pathlib import Path

import pytest
from command_line import CommandLine, read_all, start_at_terminal
from comparisons import UNSYNC, result, sample

from minihv.cli.compare import measure, paging
from minihv.cli.compare.costs import Costs
from minihv.cli.compare.modes import MODES, SLAT, Mode
from minihv.guests.catalogue import guests

HARDWARE = Mode("hardware")
FIELDS = [
    "guest", "mode", "policy", "exits_total", "exits", "tlb_fills", "walk_references", "references_per_fill",
    "table_frames", "blocks", "seconds", "modelled_cycles",
]  # fmt: skip
QUICK = ("01_hello", "--rounds", "1")


@pytest.fixture
def two_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MODES", (SLAT, HARDWARE))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[Mode, list[measure.Sample]]:
    """What the runs of each mode give, one after the other; Ctrl-C when there is no more."""
    given = {SLAT: [sample()], UNSYNC: [sample(seconds=3)]}

    def next_one(_guest: str, mode: Mode, _blocks: int | None) -> measure.Sample:
        if not given[mode]:
            raise KeyboardInterrupt
        return given[mode].pop(0)

    monkeypatch.setattr(paging, "MODES", (SLAT, UNSYNC))
    monkeypatch.setattr(measure, "apart", next_one)
    return given


REFUSALS = {
    ("--rounds", "0"): "A comparison takes at least one round, not 0: leave --rounds out for 3.",
    ("--blocks", "0"): "A budget is at least one block, not 0: leave --blocks out for none.",
    ("01_hello", "01_helo"): "A guest must be a file or a built-in program, which '01_helo' is not, "
    "did you mean '01_hello'?",
    ("--costs", "/no/costs.toml"): "A table of costs is a file that can be read, and /no/costs.toml cannot "
    "(No such file or directory): check the path.",
    ("--plot", "plot.pdf"): "A plot is a file that ends in .svg or .png, which plot.pdf does not: rename it.",
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSALS.items(), ids=[" ".join(key) for key in REFUSALS])
def test_what_cannot_be_is_refused(minihv: CommandLine, arguments: tuple[str, ...], sentence: str) -> None:
    done = minihv("compare", "paging", *arguments)
    assert (done.status, done.out, done.err) == (2, "", f"minihv: {sentence}\n")


def test_guests_of_a_comparison_are_built_in() -> None:
    assert set(paging.GUESTS) <= {guest.name for guest in guests()}


def test_json_has_one_object_for_each_guest_and_mode(minihv: CommandLine) -> None:
    done = minihv("compare", "paging", "2", *QUICK, "--json")
    found = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert [list(one) for one in found] == [FIELDS] * (2 * len(MODES))
    assert [one["guest"] for one in found[:: len(MODES)]] == ["02_discovery", "01_hello"]
    assert [(one["mode"], one["policy"]) for one in found[: len(MODES)]] == [
        (mode.paging, mode.policy) for mode in MODES
    ]


@pytest.mark.usefixtures("two_modes")
def test_json_is_what_was_counted(minihv: CommandLine) -> None:
    slat, hardware = json.loads(minihv("compare", "paging", *QUICK, "--json").out)
    assert slat["exits"] == hardware["exits"] == {"IOIO": 34, "HLT": 1}
    assert slat["references_per_fill"] == slat["walk_references"] / slat["tlb_fills"] == 15
    cycles = 5 * slat["blocks"] + 12 * slat["walk_references"] + 2000 * slat["exits_total"]
    assert slat["modelled_cycles"] == cycles
    assert hardware["tlb_fills"] == hardware["references_per_fill"] == 0


@pytest.mark.usefixtures("two_modes")
def test_budget_bounds_every_run(minihv: CommandLine) -> None:
    found = json.loads(
        minihv("compare", "paging", "12_sort", "--rounds", "1", "--blocks", "5000", "--json").out
    )
    assert [one["blocks"] for one in found] == [5000, 5000]


def test_table_has_ratios_to_slat_and_a_verdict(minihv: CommandLine, made_up: object) -> None:
    done = minihv("compare", "paging", *QUICK)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[:11] == [
        "guest",
        "slat shadow/unsync",
        "exits 1 1",
        "TLB fills 10 10",
        "references a fill 19.0 19.0",
        "frames of tables 3 3",
        "blocks 1,000 1,000",
        "ms 1,000.0 3,000.0",
        "to slat 1.00 3.00",
        "modelled cycles 9,280 9,280",
        "to slat 1.00 1.00",
    ]
    assert lines[11].startswith("Nobody wins: ")
    assert lines[-1].startswith("Fills are those of the engine's TLB")


def test_costs_can_be_replaced_and_are_explained(
    minihv: CommandLine, made_up: object, tmp_path: Path
) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text("exit = 0\nblock = 0\nwalk_reference = 1000\n")
    done = minihv("compare", "paging", *QUICK, "--costs", costs, "--explain")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "modelled cycles 190,000 190,000" in lines
    assert "walk_reference 190,000 190,000" in lines
    assert lines[lines.index("exit = 0: an exit: from the guest to the hypervisor and back") + 1] == (
        "your own number"
    )


def test_guest_that_differs_is_told_and_status_1(
    minihv: CommandLine, made_up: dict[Mode, list[measure.Sample]]
) -> None:
    made_up[UNSYNC] = [sample("no\n")]
    done = minihv("compare", "paging", *QUICK, "--json")
    assert (done.status, len(json.loads(done.out))) == (1, 2)
    assert done.err == (
        "minihv: guest must print and end the same in every mode, and under shadow/unsync it does not: "
        "its console differs.\n"
    )


def test_interrupt_keeps_what_is_there(minihv: CommandLine, made_up: object) -> None:
    done = minihv("compare", "paging", "01_hello", "02_discovery", "--rounds", "2", "--json")
    assert (done.status, [one["seconds"] for one in json.loads(done.out)]) == (130, [1.0, 3.0])
    assert done.err == (
        "minihv: interrupted: 1 of 2 guests ran in every mode, guest of fewer than 2 rounds.\n"
    )


def test_interrupt_before_anything_is_whole_keeps_nothing(
    minihv: CommandLine, made_up: dict[Mode, list[measure.Sample]]
) -> None:
    made_up[UNSYNC] = []
    done = minihv("compare", "paging", "01_hello")
    assert (done.status, done.out) == (130, "")
    assert done.err == "minihv: interrupted: 0 of 1 guests ran in every mode.\n"


def test_ctrl_c_ends_a_comparison_that_runs() -> None:
    process, terminal, _ = start_at_terminal(
        "compare", "paging", "12_sort", "--rounds", "1000", until="round 2 "
    )
    os.write(terminal, b"\x03")
    shown = read_all(terminal)
    os.close(terminal)
    assert process.wait() == 130
    assert "minihv: interrupted: 1 of 1 guests ran in every mode, 12_sort of fewer than 1000 rounds." in shown
    assert "slat" in shown


def test_terminal_shows_progress_and_plain_does_not(minihv: CommandLine) -> None:
    assert "01_hello: slat, round 1 of 1" in minihv.on_terminal("compare", "paging", *QUICK)
    assert "round 1 of 1" not in minihv.on_terminal("compare", "paging", *QUICK, "--plain")


def test_plot_is_drawn(minihv: CommandLine, made_up: object, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.svg"
    assert minihv("compare", "paging", *QUICK, "--plot", path).status == 0
    assert "</svg>" in path.read_text()


def test_rows_are_relative_to_slat() -> None:
    dear = result(UNSYNC, {"EXCP14": 10}, seconds=2)
    rows = paging.rows([result(SLAT), dear])
    assert [row[1:] for row in rows if row[0] == "  to slat"] == [("1.00", "2.00"), ("1.00", "4.02")]


def test_explanation_has_a_line_for_each_cost_and_its_source() -> None:
    assert list(paging.explanation(Costs()))[-2].startswith("  invalidation = 500: ")


def test_textbook_crossover_appears_by_itself(minihv: CommandLine) -> None:
    found = json.loads(minihv("compare", "paging", "--rounds", "1", "--json").out)
    cycles: dict[str, dict[str, int]] = {}
    for one in found:
        cycles.setdefault(one["guest"], {})[f"{one['mode']}/{one['policy']}"] = one["modelled_cycles"]
    best = {guest: min(row, key=lambda mode: row[mode]).split("/")[0] for guest, row in cycles.items()}
    assert (best["13_small_pages"], best["15_fork"], best["16_remap"]) == ("shadow", "slat", "slat")
    assert best["17_address_spaces"] == "slat"
    sort = cycles["12_sort"].values()
    assert max(sort) < 1.1 * min(sort)


def test_only_shadow_paging_leaves_for_changes_of_tables(minihv: CommandLine) -> None:
    found = json.loads(
        minihv("compare", "paging", "15_fork", "13_small_pages", "--rounds", "1", "--json").out
    )
    exits = {(one["guest"], one["mode"], one["policy"]): one["exits"] for one in found}
    assert set(exits["15_fork", "slat", None]) == {"IOIO"}
    for policy in ("trap", "unsync", "flush"):
        assert exits["15_fork", "shadow", policy]["EXCP14"] > 9600  # every fault of the guest, and its tables
        assert exits["15_fork", "shadow", policy]["CR3_WRITE"] >= 200
        assert exits["13_small_pages", "shadow", policy]["EXCP14"] < 10_000


def test_large_pages_move_the_line_behind_a_modelled_tlb(minihv: CommandLine) -> None:
    guests = ("13_small_pages", "14_large_pages")
    done = minihv("compare", "paging", *guests, "--rounds", "1", "--tlb", "64x4", "--json")
    fills = {(one["guest"], one["policy"]): one["tlb_fills"] for one in json.loads(done.out)}
    for policy in (None, "trap", "unsync", "flush"):
        assert fills["13_small_pages", policy] > 100_000
        assert fills["14_large_pages", policy] < 100


def test_remark_says_whose_misses_they_are(minihv: CommandLine) -> None:
    said = minihv("compare", "paging", "01_hello", "--rounds", "1", "--tlb", "16x2").out.splitlines()[-1]
    assert said == "Fills are misses of a modelled TLB of 16x2, the same in every run."


def test_tlb_that_is_none_is_refused(minihv: CommandLine) -> None:
    done = minihv("compare", "paging", "01_hello", "--tlb", "big")
    assert done.status == 2 and done.err.startswith("minihv: A TLB is so many sets of so many ways")
