import os
import re
import subprocess

import pytest
from command_line import COMMAND, CommandLine, read_all, start_at_terminal

from minihv.cli import tour
from minihv.cli.acts.act1 import SCENES
from minihv.cli.narrator import Narrator


def test_tour_plays_every_scene(minihv: CommandLine) -> None:
    done = minihv("tour")
    assert (done.status, done.err) == (0, "")
    assert re.findall(r"^(\d)\. ", done.out, re.MULTILINE) == [str(n + 1) for n in range(len(SCENES) + 1)]


def test_tour_fits_a_terminal(minihv: CommandLine) -> None:
    assert max(map(len, minihv("tour").out.splitlines())) <= 80


def test_tour_in_a_pipe_is_plain(minihv: CommandLine) -> None:
    shown = minihv("tour").out
    assert "\x1b" not in shown
    assert "*" not in shown
    assert shown.isascii()


def test_tour_is_the_same_every_time(minihv: CommandLine) -> None:
    assert minihv("tour").out == minihv("tour").out


def test_tour_in_a_pipe_waits_for_nobody(minihv: CommandLine) -> None:
    assert minihv("tour", "--pause").out == minihv("tour").out


def test_tour_on_a_terminal_has_colour(minihv: CommandLine) -> None:
    assert "\x1b[1m" in minihv.on_terminal("tour")


@pytest.mark.parametrize(("options", "environment"), [(("--plain",), {}), ((), {"NO_COLOR": "1"})])
def test_tour_on_a_terminal_may_be_plain(
    minihv: CommandLine, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert "\x1b" not in minihv.on_terminal("tour", *options, **environment)


@pytest.mark.parametrize(
    ("key", "status", "end"), [(b"\n", 0, "minihv doctor"), (b"\x03", 130, "interrupted")]
)
def test_tour_waits_at_a_terminal_and_can_be_left(key: bytes, status: int, end: str) -> None:
    process, terminal, shown = start_at_terminal("tour", "--pause", until="Ctrl-C: leave")
    assert "2. " not in shown
    os.write(terminal, key * len(SCENES))
    shown += read_all(terminal)
    os.close(terminal)
    assert process.wait() == status
    assert end in shown


def test_acts_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    monkeypatch.setattr(
        tour, "ACTS", (lambda _tell: played.append("one"), lambda _tell: played.append("two"))
    )
    assert tour.perform(Narrator(plain=True, pause=False, beat=lambda: None)) == 0
    assert played == ["one", "two"]


def test_module_runs_as_the_command() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("minihv ")
