import faulthandler
import importlib
import json
import os
import shutil
import signal

import pytest
from command_line import CommandLine

from minihv.cli import doctor
from minihv.cli.doctor import BROKEN, MISSING, WORKS, Finding, apart, attempt, command, examine, extra, look
from minihv.errors import ConfigurationError, InternalError, MinihvError

FINE = Finding("thing", WORKS, "1.0", "does things", "get it")
ABSENT = Finding("thing", MISSING, "not here", "does things", "get it")
USEFUL = Finding("extra", MISSING, "not here", "does more", "get more", required=False)


def test_everything_required_works_here(minihv: CommandLine) -> None:
    done = minihv("doctor")
    assert done.status == 0, done.out
    assert done.out.endswith("Everything that is required works.\n")
    assert done.err == ""


def test_json_is_a_list_of_findings(minihv: CommandLine) -> None:
    findings = json.loads(minihv("doctor", "--json").out)
    names = [finding["name"] for finding in findings]
    assert all(set(one) == {"name", "state", "found", "purpose", "get", "required"} for one in findings)
    assert {one["state"] for one in findings} <= {"works", "missing", "broken"}
    assert {"Python", "unicorn", "C core", "numpy", "cffi", "capstone", "typer", "rich", "msgspec"} <= set(
        names
    )
    assert {"guests", "MINIHV_CORE", "memory", "own process", "C compiler", "QEMU", "gdb"} <= set(names)
    assert len(names) == len(set(names))


def test_guest_runs_in_every_way(minihv: CommandLine) -> None:
    findings = {one["name"]: one for one in json.loads(minihv("doctor", "--json").out)}
    for way in ("slat, native", "slat, reference", "hardware, native", "hardware, reference"):
        assert (findings[way]["state"], findings[way]["found"]) == ("works", "01_hello halted after 35 exits")


def test_wrong_core_is_broken_and_status_1(minihv: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIHV_CORE", "fast")
    done = minihv("doctor")
    assert done.status == 1
    assert done.out.splitlines()[-1] == "minihv does not work here: see MINIHV_CORE."
    assert "MINIHV_CORE is broken (MINIHV_CORE must be native or reference, not 'fast'" in done.out


@pytest.mark.parametrize(("findings", "status"), [([FINE], 0), ([FINE, USEFUL], 0), ([FINE, ABSENT], 1)])
def test_status_is_that_of_what_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: list[Finding], status: int
) -> None:
    monkeypatch.setattr(doctor, "look", lambda: iter(findings))
    assert examine(as_json=False, plain=True) == status
    assert examine(as_json=True, plain=True) == status


def test_what_is_missing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "look", lambda: iter([ABSENT, USEFUL]))
    examine(as_json=False, plain=True)
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "thing is missing (not here): get it",
        "extra is missing (not here): get more",
        "minihv does not work here: see thing.",
    ]


def test_package_that_cannot_be_imported_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(doctor, "import_module", refuse)
    found = doctor.package("numpy", "sees memory", "pip install numpy")
    assert (found.state, found.found) == (MISSING, "No module named 'numpy'")


def test_package_without_metadata_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "import_module", importlib.import_module)
    assert doctor.package("json", "writes", "nothing").found == "of unknown version"


@pytest.mark.parametrize(
    "error", [ConfigurationError("No."), ImportError("No."), OSError("No."), AttributeError("No.")]
)
def test_probe_that_fails_is_broken(error: Exception) -> None:
    def probe() -> str:
        raise error

    found = attempt("thing", probe, "does things", "get it")
    assert (found.state, found.found) == (BROKEN, "No.")


def test_probe_that_dies_is_broken() -> None:
    def probe() -> str:
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
        return ""

    with pytest.raises(InternalError, match="The engine died of SIGSEGV"):
        apart(probe)
    assert attempt("thing", lambda: apart(probe), "", "").state == BROKEN


def test_probe_apart_hands_its_words_over() -> None:
    assert apart(lambda: "all is well") == "all is well"


def test_refusal_of_a_probe_apart_is_handed_over() -> None:
    def probe() -> str:
        raise ConfigurationError("No.")

    with pytest.raises(MinihvError, match=r"^No\.$"):
        apart(probe)


def test_bug_of_a_probe_apart_is_named_by_its_status(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MinihvError) as broken:
        apart(lambda: str(1 // 0))
    assert str(broken.value) == "A probe must end well, and its process ended with status 70."


def test_guest_that_does_not_halt_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "GUEST", "02_discovery")
    with pytest.raises(MinihvError) as broken:
        doctor.run_guest("slat", "native")
    assert str(broken.value) == (
        "The guest 02_discovery must halt, and it is shutdown: the guest wrote to the shutdown port."
    )


def test_command_is_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {"clang": "/bin/clang"}.get)
    assert command("C compiler", ("gcc", "clang"), "", "").found == "/bin/clang"
    assert command("gdb", ("gdb",), "", "").state == MISSING


def test_ziglang_is_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(doctor, "find_spec", lambda name: name == "ziglang" or None)
    assert command("C compiler", ("gcc", "clang"), "", "").found.endswith("-m ziglang cc")


def test_extra_names_what_it_lacks() -> None:
    found = extra("book", ("json", "no_such_module"), "", "")
    assert (found.state, found.found, found.required) == (MISSING, "without no_such_module", False)


def test_host_without_fork_lacks_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    assert doctor.processes().state == MISSING


def test_host_with_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert (doctor.memory().state, doctor.memory().found) == (BROKEN, "3 MiB free")


def test_host_that_hides_its_memory_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", refuse)
    assert doctor.memory().found == "the host does not say"


def test_every_finding_says_what_it_is_for_and_how_to_get_it() -> None:
    assert all(finding.purpose and finding.get for finding in look())
