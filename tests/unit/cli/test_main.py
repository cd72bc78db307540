import faulthandler
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import COMMAND, CommandLine, GuestWriter

from minihv import __version__

VERBS = ("run", "top", "walk", "map", "dirty", "guests", "doctor", "tour", "bench", "compare")
FULL = Path("/dev/full")


def test_without_arguments_it_shows_its_verbs_and_says_that_nothing_was_done(minihv: CommandLine) -> None:
    done = minihv()
    assert done.status == 2
    assert all(f"\n  {verb} " in done.out + done.err for verb in VERBS)


def test_version_is_that_of_the_package(minihv: CommandLine) -> None:
    assert minihv("--version").out == f"minihv {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",)])
def test_help_cuts_no_sentence_short(minihv: CommandLine, arguments: tuple[str, ...]) -> None:
    done = minihv(*arguments)
    assert done.status == 0
    assert "..." not in done.out.replace("[ARGS]...", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(minihv: CommandLine, verb: str) -> None:
    done = minihv(verb, "--help")
    assert done.status == 0
    assert f"Usage: minihv {verb}" in done.out


def test_misspelt_verb_is_told_the_nearest(minihv: CommandLine) -> None:
    done = minihv("rnu")
    assert done.status == 2
    assert "No such command 'rnu'" in done.err
    assert "run" in done.err.splitlines()[-1]


@pytest.mark.parametrize("option", ["--vps", "--lps", "--blocks"])
def test_number_that_is_none_is_refused_in_a_sentence(minihv: CommandLine, option: str) -> None:
    done = minihv("run", "01_hello", option, "many")
    assert done.status == 2
    sentence = f"Invalid value for '{option}': a whole number is asked for, not 'many': write 1 or 2."
    assert sentence in " ".join(done.err.split())


def test_refusal_is_one_line_on_standard_error(minihv: CommandLine) -> None:
    done = minihv("run", "nothing")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("minihv: ")
    assert done.err.count("\n") == 1


def test_death_of_the_engine_is_one_line_on_standard_error_and_status_70(
    minihv: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr("minihv.parent.session.ParentSession.run", die)
    done = minihv("run", "01_hello")
    assert (done.status, done.out) == (70, "")
    assert done.err == (
        "minihv: The engine died of SIGSEGV while it executed the guest: nothing else was harmed; "
        "please report the guest that did this.\n"
    )


def test_nothing_heavy_is_imported_for_help() -> None:
    look = "import sys; from minihv.cli import main; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "unicorn", "rich", "capstone", "msgspec", "minihv._core"} & set(shown.split())


@pytest.mark.parametrize(
    "arguments", [("guests",), ("run", "02_discovery"), ("map", "1"), ("walk", "1", "0")]
)
def test_reader_that_goes_away_is_no_error_to_speak_of(
    minihv: CommandLine, arguments: tuple[str, ...]
) -> None:
    process = minihv.start(*arguments)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() != 0
    process.stderr.close()


@pytest.mark.skipif(not FULL.exists(), reason="the host has no /dev/full")
@pytest.mark.parametrize("arguments", [("guests",), ("run", "01_hello")])
def test_full_disk_is_a_sentence(arguments: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minihv", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 74
    assert done.stderr == (
        "minihv: Output must be written somewhere, and it cannot be here (No space left on device): "
        "free some space, or send it elsewhere.\n"
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_stream_that_is_closed_does_no_harm(closed: str) -> None:
    command = f"{sys.executable} -W error -m minihv run 01_hello {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_letter_that_the_terminal_lacks_is_escaped(guest: GuestWriter) -> None:
    path = guest("b0c3 e6e9 b0a9 e6e9 b00a e6e9 faf4")  # prints é
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, "run", str(path)], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "\\xe9")


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\u00e9"), ("utf-8", "é"), ("latin-1", "é")])
def test_letter_that_the_stream_lacks_is_escaped_as_json_does(
    guest: GuestWriter, encoding: str, shown: str
) -> None:
    path = guest("b0c3 e6e9 b0a9 e6e9 faf4")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [*COMMAND, "run", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert f'"console": "{shown}"'.encode(encoding) in done.stdout
    assert json.loads(done.stdout.decode(encoding))["console"] == "é"
