"""Rows ``density.*``: what one partition more costs, and how many go into one process.

Memory is the proportional set size of this process, so that the two host mappings of one frame count once.
The machine's memory is made resident before anything is measured; so what grows is what the core and Python
hold for a partition, and to it the hypervisor's frames for its tables and VMCBs are added.

Next: ``minihv.cli.bench.command``
"""

from contextlib import ExitStack
from pathlib import Path

from minihv.cli.bench.loops import Listing
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Bare, create_child
from minihv.errors import InternalError
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.machine.frames import HYPERVISOR
from minihv.terms import MIB, PAGE_BYTES

ROLLUP = Path("/proc/self/smaps_rollup")
RAM_BYTES = 2 * MIB
PARTITIONS = 500
SAMPLE, SAMPLE_OF_ENGINES = 64, 8

GUEST = Listing(
    before=(),
    body=(("b06d", "mov al, 0x6d"), ("e6e9", "out 0xe9, al"), ("31c0", "xor eax, eax"), ("0fa2", "cpuid")),
    counter=("31c0", "xor eax, eax"),
)
"""Prints one character, asks for CPUID, and halts: the loop is executed once, as its counter is always 0."""


def proportional_bytes() -> int:
    """Memory of this process, shared pages divided among their mappings."""
    lines = ROLLUP.read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def run_partitions(count: int) -> None:
    """``count`` partitions on one machine, side by side; each executes its guest to the end."""
    with Hypervisor(machine_bytes(RAM_BYTES, count)) as hypervisor:
        add_partitions(hypervisor, count)


def add_partitions(hypervisor: Hypervisor, count: int) -> None:
    """``count`` more partitions that have executed their guests to the end."""
    made = [create_child(hypervisor, GUEST, RAM_BYTES) for _ in range(count)]
    hypervisor.run()
    ended = sum(1 for partition in made if partition.console == b"m")
    if ended != count:
        raise InternalError(f"{count} partitions should run to their end, and {ended} did: please report it.")


def memory(effort: Effort) -> Row | str:
    """KiB that an idle partition adds, beyond its RAM, once its guest has run."""
    if not ROLLUP.exists():
        return "density.memory is left out: this system has no /proc/self/smaps_rollup to read it from."
    count = effort.times(SAMPLE)

    def ours() -> float:
        with Hypervisor(machine_bytes(RAM_BYTES, count + 1)) as hypervisor:
            hypervisor.memory.view[::PAGE_BYTES] |= 0  # resident from here on
            add_partitions(hypervisor, 1)
            before, frames = proportional_bytes(), hypervisor.memory.frames.owned_by(HYPERVISOR)
            add_partitions(hypervisor, count)
            frames = hypervisor.memory.frames.owned_by(HYPERVISOR) - frames
            return (proportional_bytes() - before + frames * PAGE_BYTES) / count / 1024

    def theirs() -> float:
        with ExitStack() as stack:
            stack.enter_context(Bare(GUEST, MIB * 2)).run(1)
            before = proportional_bytes()
            for _ in range(SAMPLE_OF_ENGINES):
                stack.enter_context(Bare(GUEST, MIB * 2)).run(1)
            return (proportional_bytes() - before) / SAMPLE_OF_ENGINES / 1024

    pairs = effort.pairs("density.memory", ours, theirs)
    goal = Goal("value", "<=", 256)
    return row("density.memory", "KiB", "an engine of its own for each guest", pairs, goal)


def partitions(effort: Effort) -> Row:
    """How many partitions ran to their end in one process, beside how many were asked for."""
    count = effort.times(PARTITIONS)
    run_partitions(count)
    goal = Goal("ratio", ">=", 1)
    return row("density.partitions", "partitions", "as many as were asked for", [(count, count)], goal)


def time_each(effort: Effort) -> Row:
    """A partition among many, from its creation over its guest to its removal."""
    count = effort.times(PARTITIONS)

    def ours() -> float:
        return nanoseconds(lambda: run_partitions(count), count) / 1e6

    def theirs() -> float:
        return nanoseconds(run_engine) / 1e6

    pairs = effort.pairs("density.time", ours, theirs)
    return row("density.time", "ms", "an engine of its own for the same guest", pairs)


def run_engine() -> None:
    """The guest on an engine of its own."""
    with Bare(GUEST, RAM_BYTES) as bare:
        bare.run(1)


ROWS: dict[str, Measure] = {"memory": memory, "partitions": partitions, "time": time_each}
