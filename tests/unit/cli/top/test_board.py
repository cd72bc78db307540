"""The board shows machines that run, and nobody else's; what dead ones left is removed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from machine_views import machine

from minihv.cli.top import board as boards
from minihv.cli.top.board import answers, ask, board, machines, process_start, question
from minihv.cli.top.machine_view import MachineView

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the host has no /proc")


def publish(view: MachineView) -> Path:
    folder = board()
    assert folder is not None
    path = folder / f"{view.pid}.json"
    path.write_bytes(msgspec.json.encode(view))
    return path


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_what_is_published_is_found() -> None:
    publish(machine())
    assert machines() == [machine()]


def test_board_is_the_users_own(runtime: Path) -> None:
    assert board() == runtime / "minihv"
    assert (runtime / "minihv").stat().st_mode & 0o777 == 0o700


def test_without_a_runtime_directory_it_is_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert board() == tmp_path / f"minihv-{os.getuid()}"


def test_board_on_which_others_may_write_is_none(runtime: Path) -> None:
    (runtime / "minihv").mkdir()
    (runtime / "minihv").chmod(0o777)
    assert board() is None
    assert machines() == []
    ask()


def test_link_is_no_board(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (runtime / "minihv").symlink_to(tmp_path / "elsewhere")
    assert board() is None


def test_folder_that_cannot_be_made_is_no_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nothing" / "here"))
    assert board() is None


def test_what_a_dead_process_left_is_removed() -> None:
    path = publish(machine(pid=dead_process()))
    path.with_suffix(".new").write_bytes(b"half")
    assert machines() == []
    assert list(path.parent.iterdir()) == []


@needs_proc
def test_number_of_a_dead_process_may_be_anothers() -> None:
    view = machine()
    view.process_start += 1
    path = publish(view)
    assert (machines(), path.exists()) == ([], False)


@pytest.mark.parametrize("name", ["notes", "-1", "99999999999999999999999"])
def test_file_that_nobody_published_is_removed(name: str) -> None:
    folder = board()
    assert folder is not None
    (folder / f"{name}.json").write_bytes(b"\xff")
    assert (machines(), (folder / f"{name}.json").exists()) == ([], name == "-1")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_file_of_a_living_process_is_left_alone(content: bytes) -> None:
    path = publish(machine())
    path.write_bytes(content)
    assert (machines(), path.exists()) == ([], True)


def test_other_formats_are_not_shown() -> None:
    view = machine()
    view.format += 1
    publish(view)
    assert machines() == []


def test_huge_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "MOST_FILE_BYTES", 10)
    publish(machine())
    assert machines() == []


def test_question_is_heard_by_all() -> None:
    folder = board()
    assert folder is not None
    assert question(folder) == 0
    number = ask()
    assert question(folder) == number > 0


def test_answers_are_waited_for() -> None:
    number = ask()
    publish(machine(asked=number))
    assert [view.asked for view in answers(number, patience=60)] == [number]


def test_machine_that_does_not_answer_is_shown_as_it_was() -> None:
    publish(machine())
    assert [view.asked for view in answers(ask(), patience=0.05)] == [0]


@needs_proc
def test_process_has_a_start_and_nobody_has_none() -> None:
    assert process_start(os.getpid()) > 0
    assert process_start(dead_process()) == 0
