"""Runs a piece of work in a child process, so that a death of the engine is a sentence and not a crash.

Stands for: the supervisor of the machine.
Next: ``minihv.cli.run``
"""

import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType

from minihv.errors import ConfigurationError, InternalError, MinihvError

SILENCE_SECONDS = 300.0
"""So long may the child give no sign of life before it counts as hung."""
REFUSED, FAILED, UNWRITABLE, INTERRUPTED, BROKEN_PIPE = 2, 70, 74, 130, 141
"""What the child's process ends with, besides what its work returns: as ``sysexits.h`` and shells have it."""
WALKER = "minihv.machine.reference"
"""The engine calls into this module: an exception there would be taken for a failure of the walk."""
RETRY_SECONDS = 0.005
"""So much later an interrupt tries again that came while the engine was calling."""

Beat = Callable[[], None]
"""Called by the work now and then: it is alive. It raises KeyboardInterrupt when Ctrl-C came meanwhile."""


def contained(work: Callable[[Beat], int], on_interrupt: Callable[[], None] = lambda: None) -> int:
    """The status that ``work`` returns. The first Ctrl-C interrupts the work, the second ends it.

    ``on_interrupt`` is called at the first, for whoever goes on: the work may end well all the same.

    Raises:
        InternalError: the child died of a signal, or was silent for too long.
    """
    if not hasattr(os, "fork"):
        return work(lambda: None)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = fork()
    if child == 0:
        os.close(reader)
        os._exit(run_child(work, writer))
    os.close(writer)
    try:
        hung = not wait_for(child, reader, on_interrupt)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return INTERRUPTED
    finally:
        os.close(reader)
    if hung:
        os.kill(child, signal.SIGKILL)
    return verdict(os.waitpid(child, 0)[1], hung=hung)


def fork() -> int:
    """``os.fork``, refused in a sentence. NumPy keeps threads, of which the child has no need.

    Afterwards SIGINT is held back in both, until each is ready for it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return os.fork()
    except OSError as reason:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        raise ConfigurationError(
            f"A guest runs in a process of its own, and the host gave none ({reason.strerror}): "
            "end other programs, or raise its limit of processes."
        ) from reason


def run_child(work: Callable[[Beat], int], writer: int) -> int:
    """The child's part; its result is the status of the process."""
    try:
        status = work(Interrupts(writer).beat)
        sys.stdout.flush()
    except MinihvError as refusal:
        print(f"minihv: {refusal}", file=sys.stderr)
        status = status_of(refusal)
    except KeyboardInterrupt:
        print("minihv: interrupted", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:
        status = BROKEN_PIPE
    except OSError as reason:
        print(
            f"minihv: Output must be written somewhere, and it cannot be here ({reason.strerror}): "
            "free some space, or send it elsewhere.",
            file=sys.stderr,
        )
        status = UNWRITABLE
    except BaseException:
        traceback.print_exc()
        status = FAILED
    return flushed(status)


def status_of(refusal: MinihvError) -> int:
    """Whether the command asked for what cannot be, or minihv is wrong."""
    return FAILED if isinstance(refusal, InternalError) else REFUSED


def flushed(status: int) -> int:
    """``status``, or what became of the last of the output."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError:
        return UNWRITABLE
    return status


class Interrupts:
    """Turns the first SIGINT into KeyboardInterrupt, where that does no harm; later ones are the parent's."""

    def __init__(self, writer: int) -> None:
        self._writer = writer
        self._came = False
        self._raised = False
        for number in (signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def beat(self) -> None:
        """One sign of life."""
        os.write(self._writer, b".")
        if self._came:
            self._raise()

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        self._came = True
        if is_in_walker(frame):
            signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
        else:
            self._raise()

    def _raise(self) -> None:
        if not self._raised:
            self._raised = True
            raise KeyboardInterrupt


def is_in_walker(frame: FrameType | None) -> bool:
    """Whether the engine called the code that runs now."""
    while frame is not None:
        if frame.f_globals.get("__name__") == WALKER:
            return True
        frame = frame.f_back
    return False


def wait_for(child: int, reader: int, on_interrupt: Callable[[], None]) -> bool:
    """Waits until the child has closed its end; false when it is silent for too long.

    The first Ctrl-C is handed on, as a terminal does by itself; the second is raised.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return listen(reader)
    except KeyboardInterrupt:
        on_interrupt()
        os.kill(child, signal.SIGINT)
        return listen(reader)


def listen(reader: int) -> bool:
    """Waits until the other end is closed; false when it is silent for too long."""
    while True:
        ready, _, _ = select.select([reader], [], [], SILENCE_SECONDS)
        if not ready:
            return False
        if not os.read(reader, 4096):
            return True


def verdict(status: int, *, hung: bool) -> int:
    """The child's own status, or what became of it."""
    if hung:
        raise InternalError(
            f"The engine gave no sign of life for {SILENCE_SECONDS:.0f} seconds and was ended: "
            "please report the guest that did this."
        )
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise InternalError(
            f"The engine died of {name} while it executed the guest: nothing else was harmed; "
            "please report the guest that did this."
        )
    return os.waitstatus_to_exitcode(status)
