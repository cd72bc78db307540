import faulthandler
import os
import signal
import sys
import time

import pytest

from minihv.cli import contained as module
from minihv.cli.contained import Beat, Interrupts, contained, is_in_walker
from minihv.errors import ConfigurationError, InternalError


def raising(error):
    def work(_beat: Beat) -> int:
        raise error

    return work


def test_status_of_the_work_is_the_status() -> None:
    assert contained(lambda _beat: 3) == 3


def test_what_the_work_prints_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    contained(lambda _beat: print("from the child") or 0)
    assert capfd.readouterr().out == "from the child\n"


def test_what_was_printed_before_is_not_printed_twice(capfd: pytest.CaptureFixture[str]) -> None:
    print("before", flush=False)
    contained(lambda _beat: 0)
    assert capfd.readouterr().out == "before\n"


def test_death_by_a_signal_is_a_sentence() -> None:
    def work(_beat: Beat) -> int:
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
        return 0

    with pytest.raises(InternalError) as died:
        contained(work)
    assert str(died.value) == (
        "The engine died of SIGSEGV while it executed the guest: nothing else was harmed; "
        "please report the guest that did this."
    )


def test_silence_ends_the_work_and_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(_beat: Beat) -> int:
        time.sleep(60)
        return 0

    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.2)
    with pytest.raises(InternalError) as hung:
        contained(work)
    assert str(hung.value) == (
        "The engine gave no sign of life for 0 seconds and was ended: please report the guest that did this."
    )


def test_work_that_beats_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.5)

    def work(beat: Beat) -> int:
        for _ in range(8):
            time.sleep(0.1)
            beat()
        return 5

    assert contained(work) == 5


def test_refusal_of_the_work_is_its_sentence_and_status_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(ConfigurationError("No."))) == 2
    assert capfd.readouterr().err == "minihv: No.\n"


def test_bug_that_the_work_tells_of_is_its_sentence_and_status_70(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(InternalError("It is wrong: please report it."))) == 70
    assert capfd.readouterr().err == "minihv: It is wrong: please report it.\n"


def test_bug_of_the_work_is_a_traceback_and_status_70(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(ZeroDivisionError("a bug"))) == 70
    assert capfd.readouterr().err.endswith("ZeroDivisionError: a bug\n")


def test_reader_that_goes_away_is_status_141_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(BrokenPipeError())) == 141
    assert capfd.readouterr().err == ""


def test_full_disk_is_a_sentence_and_status_74(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(OSError(28, "No space left on device"))) == 74
    assert capfd.readouterr().err == (
        "minihv: Output must be written somewhere, and it cannot be here (No space left on device): "
        "free some space, or send it elsewhere.\n"
    )


def test_interrupted_work_says_so_with_status_130(capfd: pytest.CaptureFixture[str]) -> None:
    assert contained(raising(KeyboardInterrupt())) == 130
    assert capfd.readouterr().err == "minihv: interrupted\n"


def interrupt_parent(after_seconds, times=1):
    for _ in range(times):
        time.sleep(after_seconds)
        os.kill(os.getppid(), signal.SIGINT)


def test_interrupt_of_the_parent_is_handed_on(capfd: pytest.CaptureFixture[str]) -> None:
    def work(beat: Beat) -> int:
        interrupt_parent(0.2)
        for _ in range(300):
            time.sleep(0.1)
            beat()
        return 0

    assert contained(work) == 130
    assert capfd.readouterr().err == "minihv: interrupted\n"


def test_work_that_is_interrupted_may_still_say_what_it_has(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_beat: Beat) -> int:
        try:
            interrupt_parent(0.2)
            time.sleep(30)
        except KeyboardInterrupt:
            print("so far")
        return 4

    assert contained(work) == 4
    assert capfd.readouterr().out == "so far\n"


def test_interrupt_that_comes_too_late_for_the_work_is_told() -> None:
    def work(_beat: Beat) -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupt_parent(0.2)
        time.sleep(0.2)
        return 4

    told: list[bool] = []
    assert contained(work, lambda: told.append(True)) == 4
    assert told == [True]


def test_interrupt_while_the_process_begins_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def fork_under_fire() -> int:
        child = fork()
        signal.raise_signal(signal.SIGINT)
        return child

    monkeypatch.setattr(os, "fork", fork_under_fire)
    told: list[bool] = []
    assert contained(lambda _beat: 0, lambda: told.append(True)) == 130
    assert told == [True]


def test_second_interrupt_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forked = os.fork, list[int]()

    def fork_and_note() -> int:
        forked.append(fork())
        return forked[-1]

    def work(_beat: Beat) -> int:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupt_parent(0.2, times=2)
        time.sleep(30)
        return 0

    monkeypatch.setattr(os, "fork", fork_and_note)
    assert contained(work) == 130
    with pytest.raises(ChildProcessError):
        os.waitpid(forked[0], os.WNOHANG)


def test_host_without_fork_runs_the_work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    assert contained(lambda _beat: 6) == 6


def test_host_that_gives_no_process_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(ConfigurationError) as refused:
        contained(lambda _beat: 0)
    assert str(refused.value) == (
        "A guest runs in a process of its own, and the host gave none (Resource temporarily unavailable): "
        "end other programs, or raise its limit of processes."
    )


@pytest.fixture
def interrupts():
    reader, writer = os.pipe()
    held = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGALRM)]
    yield Interrupts(writer)
    for number, handler in held:
        signal.signal(number, handler)
    os.close(reader)
    os.close(writer)


def test_first_interrupt_is_raised_and_later_ones_are_not(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    interrupts.beat()


def test_interrupt_in_the_walk_waits_until_the_walk_is_over(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WALKER", __name__)
    signal.raise_signal(signal.SIGINT)
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(5)


def test_interrupt_in_the_walk_is_raised_by_the_next_beat(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WALKER", __name__)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupts.beat()


def test_walker_is_recognised_by_the_module_of_a_caller() -> None:
    assert not is_in_walker(sys._getframe())
    assert not is_in_walker(None)
