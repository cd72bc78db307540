"""The numbers of the tour are those of runs that this test makes by itself."""

import re
from collections.abc import Callable

import pytest

from minihv.cli.acts import act1
from minihv.cli.narrator import TERM, Narrator
from minihv.guests.session import GuestSession, Report

Play = Callable[[Callable[[Narrator], None]], str]


@pytest.fixture
def play(capsys: pytest.CaptureFixture[str]) -> Play:
    """Plays a scene; what it shows."""

    def one(scene: Callable[[Narrator], None]) -> str:
        scene(Narrator(plain=True, pause=False, beat=lambda: None))
        return capsys.readouterr().out

    return one


class Listener(Narrator):
    """Keeps what is said, with its marks."""

    def __init__(self) -> None:
        super().__init__(plain=True, pause=False, beat=lambda: None)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(" ".join(text.split()))


def counted(name: str) -> Report:
    with GuestSession(name) as session:
        return session.run()


def behind_bars(shown: str) -> list[str]:
    return [line[4:] for line in shown.splitlines() if line.startswith("  | ")]


def test_frames_add_up_and_the_guest_has_its_memory(play: Play) -> None:
    shown = play(act1.a_machine).replace(",", "")
    counts = [int(count) for count in re.findall(r"^  \| [a-z0-9 ]+? {2,}(\d+) +\d+$", shown, re.MULTILINE)]
    assert len(counts) == 4
    assert sum(counts[:-1]) == counts[-1]
    assert counts[1] == act1.SMALL_MEMORY // 4096


def test_first_instruction_is_the_entry_point(play: Play) -> None:
    shown = play(act1.first_instructions)
    with GuestSession("01_hello") as session:
        assert f"  | {session.image.entry:#x}  31ed" in shown
    assert "a frame of the hypervisor" in shown
    assert "VMRUN was executed once for this." in shown


def test_first_exit_is_the_port_of_the_console(play: Play) -> None:
    shown = play(act1.first_exit)
    assert re.search(r"instruction \d+: 0x[0-9a-f]+  ee +out dx, al", shown)
    assert re.search(r"EXITCODE +0x7b  IOIO", shown)
    assert re.search(r"EXITINFO1 +0x[0-9a-f]+  OUT, 8 bits, port 0xe9", shown)
    assert "  | 'H'" in shown


def test_run_in_pieces_counts_what_a_run_in_one_counts(play: Play) -> None:
    report = counted("01_hello")
    shown = play(act1.first_exit)
    assert all(f"{count:>8,}  {name}" in shown for name, count in report.counters.exits.items())
    assert f"{len(report.console)} characters" in shown


def test_every_hypercall_is_shown_with_its_status(play: Play) -> None:
    shown = behind_bars(play(act1.who_is_there))
    calls = counted("02_discovery").counters.hypercalls
    names = [line.split()[1] for line in shown if re.match(r" *0x", line)]
    assert {name: names.count(name) for name in names} == calls
    assert 'which is the text "Microsoft Hv"' in shown
    assert any(line.endswith("0x4 INVALID_ALIGNMENT") for line in shown)


def test_walk_has_24_references_and_the_processor_counts_the_same(play: Play) -> None:
    shown = play(act1.one_address)
    assert "24 references to memory for one address." in " ".join(shown.split())
    numbers = re.findall(r"^  \| +(\d+)  (?:guest|second) ", shown, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 25)]
    costs = re.findall(r"^  \| +(\d+) +(\d+)  0x[0-9a-f]+  (mov|hlt)", shown, re.MULTILINE)
    assert [int(references) for _, references, _ in costs] == [48, 0, 0, 0, 48, 0]
    assert all(int(references) == 24 * int(walks) for walks, references, _ in costs)


def test_exceptions_are_those_of_the_guest_and_no_exits(play: Play) -> None:
    report, shown = counted("03_exceptions"), play(act1.no_exits)
    assert f"together {sum(report.counters.exceptions.values())}" in shown
    assert "exits by an exception: 0" in shown
    assert f"{report.counters.exits['IOIO']:,}  IOIO" in shown


def test_guest_reaches_its_own_frames_only(play: Play) -> None:
    shown = play(act1.isolation)
    assert behind_bars(shown)[-2:] == [
        "   513 pages lead to a frame of partition 1",
        "   513 pages lead to nothing",
    ]
    assert "the VP is suspended" in shown
    held, got = re.search(r"holds +(0x\w+)", shown), re.search(r"gets +(0x\w+)", shown)
    assert held and got and held[1] != got[1]


def test_three_walkers_agree(play: Play) -> None:
    shown = play(act1.three_walkers)
    report = counted("02_discovery")
    assert "exits are the same: yes" in shown and "consoles are the same: yes" in shown
    for name, count in report.counters.exits.items():
        assert re.search(rf"exits {name} +{count:,} +{count:,} +{count:,}$", shown, re.MULTILINE)


def test_no_word_is_used_before_it_is_explained() -> None:
    listener = Listener()
    act1.play(listener)
    told = ""
    for text in listener.said:
        for found in TERM.finditer(text):
            before = told + " " + TERM.sub("", text[: found.start()])
            assert not re.search(rf"\b{re.escape(found[1])}\b", before, re.IGNORECASE), found[1]
        told += " " + text


def test_commands_to_try_exist() -> None:
    verbs = {re.sub(r"^\w+=\w+ ", "", command).split()[1] for command, _ in act1.TO_TRY}
    assert verbs <= {"run", "walk", "map", "guests", "doctor", "tour", "bench"}


@pytest.mark.parametrize(
    "command",
    [command for command, _ in act1.TO_TRY if " run " in f" {command} " and "--trace" not in command],
)
def test_runs_to_try_work(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = command.split()
    guest = words[words.index("run") + 1]
    with GuestSession(guest) as session:
        assert session.run().stopped in ("halted", "shutdown")


@pytest.mark.parametrize(("count", "word"), [(1, "once"), (2, "2 times")])
def test_counts_are_words(count: int, word: str) -> None:
    assert act1.times(count) == word


def test_facts_are_words() -> None:
    assert (act1.yes(True), act1.yes(False)) == ("yes", "no")
