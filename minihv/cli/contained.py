"""Runs a piece of work in a child process, so that a death of the engine is a sentence and not a crash.

Stands for: the supervisor of the machine.
Next: ``minihv.cli.run``
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable

from minihv.errors import InternalError, MinihvError

SILENCE_SECONDS = 300.0
"""So long may the child give no sign of life before it counts as hung."""
REFUSED, FAILED = 2, 70

Beat = Callable[[], None]
"""Called by the work now and then: it is alive."""


def contained(work: Callable[[Beat], int]) -> int:
    """The status that ``work`` returns.

    Raises:
        InternalError: the child died of a signal, or was silent for too long.
    """
    if not hasattr(os, "fork"):
        return work(lambda: None)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(run_child(work, writer))
    os.close(writer)
    try:
        hung = not listen(reader)
    except KeyboardInterrupt:
        hung = not listen(reader)  # the child was interrupted too, and says what it has
    finally:
        os.close(reader)
    if hung:
        os.kill(child, signal.SIGKILL)
    return verdict(os.waitpid(child, 0)[1], hung=hung)


def run_child(work: Callable[[Beat], int], writer: int) -> int:
    """The child's part; its result is the status of the process."""
    try:
        status = work(lambda: beat(writer))
    except MinihvError as refusal:
        print(f"minihv: {refusal}", file=sys.stderr)
        status = REFUSED
    except KeyboardInterrupt:
        print("minihv: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        status = 141
    except BaseException:  # noqa: BLE001 - a bug must be seen before the process ends
        traceback.print_exc()
        status = FAILED
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = 141
    return status


def beat(writer: int) -> None:
    """One sign of life."""
    os.write(writer, b".")


def listen(reader: int) -> bool:
    """Waits until the child has closed its end; false when it is silent for too long."""
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
