"""Modes take turns, each run in a process of its own, and a result says what its runs did."""

import os
import signal
import time

import pytest
from command_line import GuestWriter
from comparisons import UNSYNC, sample

from minihv.cli.compare import measure
from minihv.cli.compare.costs import Costs
from minihv.cli.compare.measure import Comparison, Effort, apart, compare, result
from minihv.cli.compare.modes import SLAT, Mode
from minihv.cli.contained import Beat
from minihv.errors import ConfigurationError, InternalError

HARDWARE = Mode("hardware")
FOR_EVER = "ebfe"


def test_modes_take_turns() -> None:
    told: list[str] = []
    (done,) = compare(["01_hello"], [SLAT, HARDWARE], Effort(rounds=2, tell=told.append))
    assert told == [
        "01_hello: slat, round 1 of 2",
        "01_hello: hardware, round 1 of 2",
        "01_hello: slat, round 2 of 2",
        "01_hello: hardware, round 2 of 2",
    ]
    assert [len(done.samples[mode]) for mode in done.modes] == [2, 2]
    assert done.differences() == []


def test_run_is_counted_in_its_own_process() -> None:
    taken = apart("hello", SLAT, None)
    assert (taken.guest, taken.console, taken.stopped) == (
        "01_hello",
        "Hello from ring 0 of a partition.\n",
        "halted",
    )
    assert taken.counters.exits == {"IOIO": len(taken.console), "HLT": 1}
    assert taken.seconds > 0


def test_budget_stops_a_run(guest: GuestWriter) -> None:
    taken = apart(str(guest(FOR_EVER)), SLAT, 1000)
    assert (taken.stopped, taken.counters.blocks) == ("budget", 1000)


def test_refusal_of_a_run_is_a_refusal_here() -> None:
    with pytest.raises(ConfigurationError) as refused:
        apart("01_helo", SLAT, None)
    assert str(refused.value) == (
        "A guest must be a file or a built-in program, which '01_helo' is not, did you mean '01_hello'?"
    )


def test_interrupt_of_a_run_is_an_interrupt_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_guest: str, _mode: Mode, _blocks: int | None, _beat: Beat) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()

    monkeypatch.setattr(measure, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apart("01_hello", SLAT, None)


def test_interrupt_that_comes_too_late_for_a_run_is_an_interrupt_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ends_well(_guest: str, _mode: Mode, _blocks: int | None, _beat: Beat) -> measure.Sample:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(0.2)
        return sample()

    monkeypatch.setattr(measure, "take", ends_well)
    with pytest.raises(KeyboardInterrupt):
        apart("01_hello", SLAT, None)


def test_bug_that_a_run_tells_of_is_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_asked: object) -> None:
        raise InternalError("It is wrong: please report it.")

    monkeypatch.setattr(measure, "take", fail)
    with pytest.raises(InternalError) as broken:
        apart("01_hello", SLAT, None)
    assert str(broken.value) == "It is wrong: please report it."


def test_bug_of_a_run_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measure, "take", lambda *_asked: 1 // 0)
    with pytest.raises(InternalError) as broken:
        apart("01_hello", SLAT, None)
    assert str(broken.value) == (
        "A run must end well, and that of 01_hello under slat ended its process with status 70: "
        "please report it."
    )
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_result_is_the_run_with_the_middle_count_and_the_middle_time() -> None:
    runs = [sample(fills=30, seconds=1), sample(fills=10, seconds=5), sample(fills=20, seconds=2)]
    found = result(UNSYNC, runs, Costs())
    assert (found.name, found.mode, found.policy) == ("shadow/unsync", "shadow", "unsync")
    assert (found.tlb_fills, found.walk_references, found.references_per_fill) == (20, 380, 19)
    assert (found.seconds, found.table_frames, found.exits) == (2, 3, {"IOIO": 1})
    assert found.modelled_cycles == 5 * 1000 + 12 * 380 + 2000


def test_run_without_a_miss_has_no_references_per_fill() -> None:
    assert result(HARDWARE, [sample(fills=0)], Costs()).references_per_fill == 0


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (sample(), None),
        (sample("no\n"), "its console differs"),
        (sample("ok\nmore\n"), "its console differs"),
        (sample(stopped="triple_fault"), "it ended triple_fault and not shutdown"),
        (sample("ok", stopped="budget"), None),
        (sample("ok\nmore\n", stopped="budget"), None),
        (sample("no", stopped="budget"), "its console differs"),
    ],
)
def test_what_differs_between_modes_is_said(other: measure.Sample, why: str | None) -> None:
    comparison = Comparison("guest", [SLAT, UNSYNC], {SLAT: [sample()], UNSYNC: [other, other]})
    sentence = "guest must print and end the same in every mode, and under shadow/unsync it does not: "
    assert comparison.differences() == ([] if why is None else [f"{sentence}{why}."])


def test_comparison_is_complete_when_each_mode_ran() -> None:
    comparison = Comparison("guest", [SLAT, UNSYNC], {SLAT: [sample()]})
    assert not comparison.is_complete
    comparison.samples[UNSYNC] = [sample()]
    assert comparison.is_complete
    assert [one.name for one in comparison.results(Costs())] == ["slat", "shadow/unsync"]
