"""Rows ``startup.*``: how long until something runs.

Processes are measured by the host's clock from their start to their end, as the person who waits for them
does it.

Next: ``minihv.cli.bench.density``
"""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from minihv.cli.bench.loops import ALU, Listing
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Bare, Child
from minihv.errors import InternalError
from minihv.guests.boot import LEAST_MEMORY_BYTES

MINIHV_COLD = """
from minihv.cli.bench.sides import Child
from minihv.cli.bench.loops import ALU
Child(ALU).run(1)
"""
ENGINE_COLD = """
from unicorn import Uc, UC_ARCH_X86, UC_MODE_64
engine = Uc(UC_ARCH_X86, UC_MODE_64)
engine.mem_map(0x100000, 0x1000)
engine.mem_write(0x100000, bytes([0x90]))
engine.emu_start(0x100000, 0x100001)
"""
HELP = "from minihv.cli.main import main; main()"
"""What the command ``minihv`` does."""


def first_instruction(effort: Effort) -> Row:
    """A machine, a partition, its image and its first exit, in a process that has done it before."""
    pairs = effort.pairs(
        "startup.first-instruction", lambda: until_first_exit(Child), lambda: until_first_exit(Bare), turns=3
    )
    goal = Goal("value", "<=", 5)
    return row("startup.first-instruction", "ms", "the same with the engine alone", pairs, goal)


def until_first_exit(create: Callable[[Listing, int], Child | Bare]) -> float:
    """Milliseconds to create a side with 2 MiB of memory and to execute a loop once, up to its HLT."""
    with ExitStack() as stack:

        def work() -> None:
            side = create(ALU, LEAST_MEMORY_BYTES)
            stack.callback(side.close)
            side.run(1)

        return nanoseconds(work) / 1e6


def milliseconds(*arguments: str) -> float:
    """How long the Python interpreter takes for ``arguments``, from start to end."""
    start = time.perf_counter_ns()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    taken = (time.perf_counter_ns() - start) / 1e6
    if done.returncode != 0:
        raise InternalError(f"A process of the bench ended with status {done.returncode}: please report it.")
    return taken


def cold(effort: Effort) -> Row:
    """The same as ``first_instruction`` in a process that begins, imports and ends."""
    pairs = effort.pairs(
        "startup.cold", lambda: milliseconds("-c", MINIHV_COLD), lambda: milliseconds("-c", ENGINE_COLD)
    )
    return row("startup.cold", "ms", "the same with the Python package of the engine", pairs)


def help_page(effort: Effort) -> Row:
    """``minihv --help``, the whole process."""
    pairs = effort.pairs(
        "startup.help",
        lambda: milliseconds("-c", HELP, "--help"),
        lambda: milliseconds("-c", "import unicorn"),
        turns=2,
    )
    return row("startup.help", "ms", 'python -c "import unicorn"', pairs, Goal("ratio", "<=", 1.5))


ROWS: dict[str, Measure] = {"first-instruction": first_instruction, "cold": cold, "help": help_page}
