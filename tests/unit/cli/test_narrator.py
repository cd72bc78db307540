import sys

import pytest

from minihv.cli.narrator import COLUMNS, Narrator

LONG = "a word and *several words that belong together* and ring -1 " * 4


@pytest.fixture
def plain() -> Narrator:
    return Narrator(plain=True, pause=False, beat=lambda: None)


@pytest.fixture
def coloured(monkeypatch: pytest.MonkeyPatch) -> Narrator:
    monkeypatch.setattr("minihv.cli.narrator.is_plain", lambda _asked: False)
    return Narrator(plain=False, pause=False, beat=lambda: None)


def test_sentences_are_wrapped(plain: Narrator, capsys: pytest.CaptureFixture[str]) -> None:
    plain.say(LONG)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= COLUMNS


def test_words_that_belong_together_stay_on_a_line(
    plain: Narrator, capsys: pytest.CaptureFixture[str]
) -> None:
    plain.say(LONG)
    shown = capsys.readouterr().out
    assert shown.count("several words that belong together") == 4
    assert shown.count("ring -1") == 4


def test_plain_marks_nothing(plain: Narrator, capsys: pytest.CaptureFixture[str]) -> None:
    plain.act("Act")
    plain.scene("Scene")
    plain.say("An *exit* is")
    plain.show(["one", "", "two"])
    assert capsys.readouterr().out == ("Act\n===\n\n1. Scene\n\nAn exit is\n\n  | one\n  |\n  | two\n\n")


def test_terminal_marks_titles_terms_and_output(
    coloured: Narrator, capsys: pytest.CaptureFixture[str]
) -> None:
    coloured.say("An *exit* is")
    coloured.show(["one"])
    assert capsys.readouterr().out == "An \033[1mexit\033[0m is\n\n  | \033[36mone\033[0m\n\n"


def test_scenes_are_numbered(plain: Narrator, capsys: pytest.CaptureFixture[str]) -> None:
    plain.scene("First")
    plain.scene("Second")
    assert [line for line in capsys.readouterr().out.splitlines() if line] == ["1. First", "2. Second"]


def test_every_scene_is_a_sign_of_life() -> None:
    beats: list[int] = []
    tell = Narrator(plain=True, pause=False, beat=lambda: beats.append(1))
    tell.scene("First")
    tell.scene("Second")
    assert len(beats) == 2


def test_nobody_waits_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_nothing(*_: object) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr("minihv.cli.narrator.select.select", read_nothing)
    tell = Narrator(plain=True, pause=True, beat=lambda: None)
    tell.scene("First")
    tell.scene("Second")


def test_who_waits_is_alive(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers, beats = [[], [], [sys.stdin]], []
    monkeypatch.setattr("minihv.cli.narrator.select.select", lambda *_: (answers.pop(0), [], []))
    monkeypatch.setattr("minihv.cli.narrator.os.read", lambda *_: b"\n")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "fileno", lambda: 0)
    tell = Narrator(plain=True, pause=True, beat=lambda: beats.append(1))
    tell.scene("First")
    tell.scene("Second")
    assert len(beats) == 4
    assert "[Enter: next scene   Ctrl-C: leave] " in capsys.readouterr().out
