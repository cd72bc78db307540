"""``minihv disk attach`` and ``detach``: which machine, what it is asked, and what is said of it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from machine_views import machine

from minihv.cli.disk.hot_plug import carry_out, choose, order_for
from minihv.cli.top.orders import Order
from minihv.errors import ConfigurationError
from minihv.guests.session import GuestSession
from minihv.parent.disks import DiskLimits, DiskOption
from minihv.parent.session import ParentSession
from minihv.storage.making import make_dynamic
from minihv.storage.opening import open_disk

NOBODY = (
    "minihv: A disk comes to a guest that runs, or leaves it, and no machine runs here: start one by "
    "`minihv run 27_hot_plug --pace` elsewhere.\n"
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a board of its own."""
    path = tmp_path / "runtime"
    path.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.vhd"
    make_dynamic(path, 1 << 20)
    return path


@pytest.fixture
def running(minihv: CommandLine, runtime: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The guest runs in another process, beside the clock, with a disk at IDE, and has published."""
    make_dynamic(tmp_path / "ide.vhd", 1 << 20)
    process = minihv.start("run", "27_hot_plug", "--pace", "--disk", tmp_path / "ide.vhd")
    while not list((runtime / "minihv").glob("*.json")):
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def end(process: "subprocess.Popen[str]") -> str:
    """What the guest has said until Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate()
    return out


def refusal_of(session: GuestSession, order: Order) -> str:
    with pytest.raises(ConfigurationError) as refused:
        carry_out(session, order)
    return str(refused.value)


def test_order_has_an_absolute_path_and_is_for_scsi_unless_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = os.fsencode(tmp_path / "a.vhd")
    assert order_for("attach", "a.vhd") == Order(verb="attach", path=path, controller="scsi")
    assert order_for("attach", "a.vhd:scsi3") == Order(verb="attach", path=path, controller="scsi3")
    assert order_for("attach", "a.vhd:ide") == Order(verb="attach", path=path, controller="ide")
    assert order_for("detach", "a.vhd:ide") == Order(verb="detach", path=path + b":ide")


def test_only_machine_need_not_be_named() -> None:
    assert choose([machine()], None) == machine()
    assert choose([machine(pid=1), machine()], os.getpid()) == machine()


@pytest.mark.parametrize(
    ("pids", "number", "sentence"),
    [
        ([], None, NOBODY[8:-1]),
        (
            [1, 2],
            None,
            "A disk is one guest's, and several run: choose by --to, of 01_hello (process 1), "
            "01_hello (process 2).",
        ),
        (
            [1],
            2,
            "A machine is named by its process, and 2 is none that runs: choose of 01_hello (process 1).",
        ),
    ],
)
def test_machine_that_is_not_clear_is_refused(pids: list[int], number: int | None, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        choose([machine(pid=pid) for pid in pids], number)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("verb", ["attach", "detach"])
def test_where_nothing_runs_that_is_said(minihv: CommandLine, verb: str, image: Path) -> None:
    done = minihv("disk", verb, image)
    assert (done.status, done.out, done.err) == (2, "", NOBODY)


def test_guest_that_has_not_begun_finds_the_disk_later(image: Path) -> None:
    order = order_for("attach", str(image))
    with ParentSession("27_hot_plug") as session:
        answer = carry_out(session, order)
        assert (answer.where, answer.guest_was) == ("SCSI controller 0, LUN 0", "not listening")
        answer = carry_out(session, order_for("detach", str(image)))
        assert (answer.where, answer.guest_was) == ("SCSI controller 0, LUN 0", "not listening")


def test_machine_without_a_parent_has_no_disks(image: Path) -> None:
    with GuestSession("01_hello", memory_bytes=4 << 20) as session:
        assert refusal_of(session, order_for("attach", str(image))) == (
            "It is the parent that has the disks of its children, and this machine runs without one: "
            "start it without --no-parent."
        )


def test_guest_that_has_ended_gets_no_disk(image: Path) -> None:
    with ParentSession("01_hello", memory_bytes=4 << 20) as session:
        session.run()
        assert refusal_of(session, order_for("attach", str(image))) == (
            "Disks come and go while a guest runs, and this one has ended: start it again."
        )
    open_disk(image, writable=True).close()


def test_controller_that_is_full_refuses_and_the_file_is_free(image: Path, tmp_path: Path) -> None:
    make_dynamic(tmp_path / "b.vhd", 1 << 20)
    with ParentSession(
        "27_hot_plug", disks=[DiskOption(image, "scsi1")], limits=DiskLimits("one", 1)
    ) as session:
        assert refusal_of(session, order_for("attach", f"{tmp_path / 'b.vhd'}:scsi1")) == (
            "A SCSI controller has at most 1 disks and a child 4 controllers, and controller 1 is full: "
            "leave some out."
        )
        open_disk(tmp_path / "b.vhd", writable=True).close()


def test_disk_comes_to_a_guest_of_another_process_and_goes(
    minihv: CommandLine, running: "subprocess.Popen[str]", image: Path
) -> None:
    came = minihv("disk", "attach", image)
    twice = minihv("disk", "attach", image)
    went = minihv("disk", "detach", image, "--json")
    came_again = minihv("disk", "attach", f"{image}:scsi2")
    gone = json.loads(went.out)
    assert (came.status, came.err) == (0, "")
    assert came.out.startswith(
        f"{image} is at SCSI controller 0, LUN 0 of 27_hot_plug (process {gone['machine']}), "
    )
    assert came.out.endswith("\nThe guest: the controller is new, and was offered to it.\n")
    assert twice.status == 2 and f"{image} is in use by another process or disk" in twice.err
    assert (gone["verb"], gone["file"], gone["controller"], gone["lun"]) == ("detach", str(image), 0, 0)
    assert "SCSI controller 2, LUN 0 of 27_hot_plug" in came_again.out
    console = end(running)
    assert "offered controller 0\n" in console
    open_disk(image, writable=True).close()


def test_refusals_of_the_machine_come_back_whole(
    minihv: CommandLine, running: "subprocess.Popen[str]", image: Path, tmp_path: Path
) -> None:
    ide = tmp_path / "ide.vhd"
    assert minihv("disk", "attach", f"{image}:ide").err == (
        "minihv: IDE has no hot plug, and the guest runs: attach the disk to SCSI, or give it to "
        "the guest when it starts.\n"
    )
    assert minihv("disk", "detach", ide).err == (
        f"minihv: IDE has no hot plug, and {ide} is at IDE channel 0, device 0: end the guest first, or use "
        "SCSI for disks that come and go.\n"
    )
    done = minihv("disk", "detach", image)
    assert (done.status, done.out, done.err) == (
        2,
        "",
        f"minihv: What is detached was attached, and {image} is no disk of the guest: it has {ide}.\n",
    )


def test_nothing_is_left_on_the_board(
    minihv: CommandLine, running: "subprocess.Popen[str]", image: Path, runtime: Path
) -> None:
    minihv("disk", "attach", image)
    client = minihv.start("disk", "attach", image)
    os.killpg(client.pid, signal.SIGINT)
    client.communicate()
    end(running)
    assert [path.name for path in (runtime / "minihv").iterdir()] == ["asked"]
