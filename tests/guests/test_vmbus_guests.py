"""Guests that speak VMBus with a host that the test plays: what they print in every mode, on both cores."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from guest_images import PROGRAMS, builder, built, child_program_names
from played_host import PlayedHost

from minihv.devices.synthetic.kvp import KvpOutcome
from minihv.guests.session import GuestSession, Report
from minihv.machine.processor import Core, PagingMode
from minihv.spec.integration import KvpPool
from minihv.spec.vmbus import Version
from minihv.vmbus import versions

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("gcc", "clang")), reason="no C compiler is installed"
)

MOST_BLOCKS = 20_000_000
SHUTDOWN_AFTER_SECONDS = 7
SPEAKERS = [name for name in child_program_names() if name != "29_chips"]
"""All that speak VMBus: the one that is left needs a board, and the host that is played has none."""
MODES = [(paging, core) for paging in PagingMode for core in Core]
BOOK, STRANGERS = Path(__file__).parents[2] / "docs", Path(__file__).parent / "strangers"


def run(session: GuestSession, host: PlayedHost) -> Report:
    """The run of a guest that is asked to shut down after a while."""
    host.at(SHUTDOWN_AFTER_SECONDS, lambda: host.shutdown.request("the test ends"))
    return session.run(MOST_BLOCKS)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image: Path = builder().build_one(STRANGERS, tmp_path_factory.mktemp("stranger") / "stranger.elf")
    return image


@pytest.mark.parametrize(("paging", "core"), MODES)
@pytest.mark.parametrize("name", SPEAKERS)
def test_program_prints_what_its_readme_promises(
    name: str, paging: PagingMode, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIHV_CORE", core.value)
    with GuestSession(str(built() / f"{name}.elf"), paging=paging) as session:
        report = run(session, PlayedHost(session))
    assert report.console == (PROGRAMS / name / "expected.txt").read_text()
    assert (report.stopped, report.exit_status) == ("shutdown", 0)


@pytest.mark.parametrize("name", SPEAKERS)
def test_program_without_a_parent_says_so_and_ends(name: str) -> None:
    with GuestSession(str(built() / f"{name}.elf")) as session:
        report = session.run(MOST_BLOCKS)
    assert "FAILED  connecting = 0x1, expected 0x0\n" in report.console
    assert (report.stopped, report.exit_status) == ("shutdown", 1)


def test_line_of_the_console_is_no_exit_of_its_own() -> None:
    with GuestSession(str(built() / "19_hello_vmbus.elf")) as session:
        host = PlayedHost(session)
        report = run(session, host)
    through_the_channel = sum(len(line) + 1 for line in report.console.splitlines()[9:13])
    assert report.counters.exits["IOIO"] == len(report.console) - through_the_channel + 1
    assert host.signals == 4


def test_round_trip_is_one_signal_and_a_batch_too() -> None:
    with GuestSession(str(built() / "20_echo.elf")) as session:
        host = PlayedHost(session)
        run(session, host)
    rounds, batches, orders = 200, 2000 // 32 + 1, 3
    assert rounds + batches + orders <= host.signals < rounds + batches + orders + 50


def test_guest_answers_what_the_host_asks() -> None:
    with GuestSession(str(built() / "21_integration.elf")) as session:
        host = PlayedHost(session)
        host.kvp.set("Motto", "festina lente")
        asked: list[Any] = []
        host.at(3, lambda: asked.extend((host.kvp.get("Motto", KvpPool.EXTERNAL), host.kvp.delete("Motto"))))
        host.at(4, lambda: asked.append(host.kvp.get("Motto", KvpPool.EXTERNAL)))
        run(session, host)
    assert host.kvp.pairs["OSName"] == "21_integration"
    assert asked[0].pairs == {"Motto": "festina lente"}
    assert [one.outcome for one in asked] == [KvpOutcome.DONE, KvpOutcome.DONE, KvpOutcome.NOT_FOUND]
    assert host.heartbeat.answered_beats == 4
    assert host.time_sync.answered_samples == 2
    assert host.traces == []


def test_stranger_finds_all_that_the_headers_promise(stranger: Path) -> None:
    with GuestSession(str(stranger)) as session:
        host = PlayedHost(session)
        host.at(1, lambda: host.server.rescind(host.relid_of(host.echo)))
        host.at(2, lambda: host.offer(host.echo))
        host.at(3, lambda: host.server.rescind(host.relid_of(host.console)))
        report = run(session, host)
    assert "FAILED" not in report.console
    assert "version 0x50003\n" in report.console
    assert "\nsaid through a channel\nsaid through a port\n" in report.console
    assert (report.stopped, report.exit_status) == ("shutdown", 0)


@pytest.mark.parametrize("spoken", [Version.V2_4, Version.V4_0, Version.V5_1])
def test_guest_falls_back_to_the_version_that_the_host_speaks(
    stranger: Path, spoken: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "SPOKEN", (spoken,))
    with GuestSession(str(stranger)) as session:
        PlayedHost(session)
        report = session.run(MOST_BLOCKS)
    assert f"version {int(spoken):#x}\n" in report.console


def test_guest_of_the_book_hears_its_echo(tmp_path: Path) -> None:
    image = builder().build_one(BOOK / "foreign_guest", tmp_path / "echo.elf")
    with GuestSession(str(image)) as session:
        PlayedHost(session)
        assert run_alone(session) == "Transaction 4711: Is anybody out there?\n"
    with GuestSession(str(image)) as session:
        assert run_alone(session) == "There is no parent here.\n"


def run_alone(session: GuestSession) -> str:
    """What a guest prints that nobody asks to shut down."""
    return session.run(MOST_BLOCKS).console
