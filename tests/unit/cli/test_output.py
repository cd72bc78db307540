import io
import json
import sys

import msgspec
import pytest

from minihv.cli.output import Progress, harmless, is_plain, print_json, print_lines, print_table, signs_for
from minihv.eyes.lines import Line, Role

ROWS = [("IOIO", 1505), ("HLT", 1)]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


def test_terminal_gets_colour(terminal: pytest.MonkeyPatch) -> None:
    assert not is_plain(False)


def test_plain_may_be_asked_for(terminal: pytest.MonkeyPatch) -> None:
    assert is_plain(True)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_environment_may_ask_for_plain(terminal: pytest.MonkeyPatch, name: str, value: str) -> None:
    terminal.setenv(name, value)
    assert is_plain(False)


def test_empty_no_color_asks_for_nothing(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("NO_COLOR", "")
    assert not is_plain(False)


def test_pipe_is_plain(terminal: pytest.MonkeyPatch) -> None:
    terminal.setattr(sys.stdout, "isatty", lambda: False)
    assert is_plain(False)


def test_plain_table_aligns_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Exits", ("exit", "count"), ROWS, plain=True)
    assert capsys.readouterr().out == "Exits\nexit  count\nIOIO  1,505\nHLT       1\n"


def test_table_can_be_told_what_is_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Times", ("what", "ms"), [("a", "9.5"), ("b", "10")], plain=True, right=[False, True])
    assert capsys.readouterr().out == "Times\nwhat   ms\na     9.5\nb      10\n"


def test_rich_table_has_every_cell_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Exits", ("exit", "count"), [("[bold]x", 7)], plain=False)
    assert "[bold]x" in capsys.readouterr().out


def test_table_without_rich_is_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minihv.cli.output.find_spec", lambda _name: None)
    print_table("Exits", ("exit", "count"), ROWS, plain=False)
    assert capsys.readouterr().out.startswith("Exits\nexit  count\n")


@pytest.mark.parametrize("plain", [True, False])
def test_lines_of_a_picture_are_shown_as_they_are(capsys: pytest.CaptureFixture[str], plain: bool) -> None:
    words = "x" * 200
    print_lines([Line("[bold]a", Role.HEADING), Line(words), Line("", Role.REFUSED)], plain=plain)
    assert capsys.readouterr().out == f"[bold]a\n{words}\n\n"


def test_json_is_one_value_and_a_line_end(capsys: pytest.CaptureFixture[str]) -> None:
    class Pair(msgspec.Struct):
        name: str
        value: int

    print_json([Pair("é", 1)])
    shown = capsys.readouterr().out
    assert json.loads(shown) == [{"name": "é", "value": 1}]
    assert shown.endswith("]\n")


def test_letter_beyond_16_bits_is_escaped_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_shown, encoding="ascii", write_through=True))
    print_json({"é": "\U0001f600"})
    assert bytes_shown.getvalue() == b'{\n  "\\u00e9": "\\ud83d\\ude00"\n}\n'


@pytest.mark.parametrize(
    ("plain", "variables", "told"),
    [(False, {}, "\rhalf"), (True, {}, ""), (False, {"NO_COLOR": "1"}, ""), (False, {"TERM": "dumb"}, "")],
)
def test_progress_moves_only_where_nothing_asks_for_plain(
    terminal: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plain: bool,
    variables: dict[str, str],
    told: str,
) -> None:
    terminal.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in variables.items():
        terminal.setenv(name, value)
    Progress(plain=plain).tell("half")
    assert capsys.readouterr().err == told


def test_progress_is_told_beside_a_pipe_too(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setattr(sys.stderr, "isatty", lambda: True)
    terminal.setattr(sys.stdout, "isatty", lambda: False)
    progress = Progress()
    progress.tell("half")
    progress.clear()
    assert capsys.readouterr().err == "\rhalf\r    \r"


def test_text_of_a_guest_has_no_power_over_a_terminal() -> None:
    assert harmless("a\x1b[2Jb\x07\x9b\x7f") == "a\\x1b[2Jb\\x07\\x9b\\x7f"


def test_lines_tabs_and_letters_stay_as_they_are() -> None:
    assert harmless("é\tx\r\n") == "é\tx\r\n"


@pytest.mark.parametrize(
    ("plain", "encoding", "shown"),
    [(False, "utf-8", "\u2588"), (True, "utf-8", "#"), (False, "ascii", "#"), (False, "no such", "#")],
)
def test_signs_are_shown_where_they_can_be(plain: bool, encoding: str, shown: str) -> None:
    assert signs_for("\u2588", "#", plain=plain, encoding=encoding) == shown
