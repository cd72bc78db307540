import os
import re
import subprocess

import pytest
from command_line import COMMAND, CommandLine, Done, read_all, start_at_terminal

from minihv.cli import tour
from minihv.cli.acts import act1, act2, act3
from minihv.cli.narrator import Narrator

PLAYED: list[Done] = []


@pytest.fixture
def tour_told(minihv: CommandLine) -> Done:
    """The whole tour, which is played once."""
    if not PLAYED:
        PLAYED.append(minihv("tour"))
    return PLAYED[0]


def test_tour_plays_every_scene(tour_told: Done) -> None:
    done = tour_told
    assert (done.status, done.err) == (0, "")
    numbers = [str(n + 1) for act in (act1, act2, act3) for n in range(len(act.SCENES) + 1)]
    assert re.findall(r"^(\d)\. ", done.out, re.MULTILINE) == numbers


def test_tour_fits_a_terminal(tour_told: Done) -> None:
    assert max(map(len, tour_told.out.splitlines())) <= 80


def test_tour_in_a_pipe_is_plain(tour_told: Done) -> None:
    shown = tour_told.out
    assert "\x1b" not in shown
    assert "*" not in shown
    assert shown.isascii()


def test_tour_in_a_pipe_is_the_same_every_time_and_waits_for_nobody(
    minihv: CommandLine, tour_told: Done
) -> None:
    assert minihv("tour", "--pause").out == tour_told.out


def test_tour_on_a_terminal_has_colour(minihv: CommandLine) -> None:
    assert "\x1b[1m" in minihv.on_terminal("tour", "2")


@pytest.mark.parametrize(("options", "environment"), [(("--plain",), {}), ((), {"NO_COLOR": "1"})])
def test_tour_on_a_terminal_may_be_plain(
    minihv: CommandLine, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert "\x1b" not in minihv.on_terminal("tour", "2", *options, **environment)


@pytest.mark.parametrize(
    ("key", "status", "end"), [(b"\n", 0, "minihv top 20_echo"), (b"\x03", 130, "interrupted")]
)
def test_tour_waits_at_a_terminal_and_can_be_left(key: bytes, status: int, end: str) -> None:
    process, terminal, shown = start_at_terminal("tour", "--pause", until="Ctrl-C: leave")
    assert "2. " not in shown
    os.write(terminal, key * (len(act1.SCENES) + 1 + len(act2.SCENES) + 1 + len(act3.SCENES)))
    shown += read_all(terminal)
    os.close(terminal)
    assert process.wait() == status
    assert end in shown


def test_acts_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    monkeypatch.setattr(
        tour, "ACTS", (lambda _tell: played.append("one"), lambda _tell: played.append("two"))
    )
    narrator = Narrator(plain=True, pause=False, beat=lambda: None)
    assert [tour.perform(tour.chosen(act), narrator) for act in (None, 2)] == [0, 0]
    assert played == ["one", "two", "two"]


def test_act_that_is_not_there_is_refused(minihv: CommandLine) -> None:
    for act in ("0", "4"):
        done = minihv("tour", act)
        assert (done.status, done.out) == (2, "")
        said = f"minihv: The tour has acts 1 to 3, not {act}: choose one of them, or none for all.\n"
        assert done.err == said


def test_one_act_has_its_own_scenes(minihv: CommandLine) -> None:
    shown = minihv("tour", "2").out
    assert shown.startswith("A parent, and a bus without wires\n")
    assert re.findall(r"^(\d)\. ", shown, re.MULTILINE) == [str(n + 1) for n in range(len(act2.SCENES) + 1)]


def test_module_runs_as_the_command() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("minihv ")
