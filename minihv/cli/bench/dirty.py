"""Rows ``dirty.*``: what it costs to know which pages a guest wrote.

The harvest reads the leaves of a whole gibibyte. Logging is measured on the loop that stores most: each
harvest makes every page that is written afterwards miss the TLB once more.

Next: ``minihv.cli.bench.ring``
"""

from random import Random

from minihv.cli.bench.cpu import UNIT, speed
from minihv.cli.bench.loops import MEMORY, STORED_TO, TIGHT
from minihv.cli.bench.rows import Effort, Goal, Measure, Row, nanoseconds, row
from minihv.cli.bench.sides import Child
from minihv.errors import InternalError
from minihv.hypervisor.page_log import LogReader
from minihv.paging import dirty
from minihv.paging.access import Paging
from minihv.spec.x86_paging import DIRTY
from minihv.terms import MIB, PAGE_BYTES, Gpa

DIRTY_SHARE = 0.01
BLOCKS_BETWEEN = 250_000
"""Between two harvests: a millisecond of virtual time."""
BLOCKS_BEHIND = 50_000
"""After the harvest in each turn: turns are short, so that other work of the host falls on both sides."""


class Scattered(Child):
    """A partition with a log, in which pages all over its RAM are written by a device."""

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(TIGHT, memory_bytes)
        self.space = self.partition.gpa_space
        self.page_count = memory_bytes // PAGE_BYTES
        self.reader = self.space.dirty_log.reader()
        self._random = Random(1)

    def write(self) -> int:
        """Writes to one page in a hundred; how many those are."""
        count = max(1, int(self.page_count * DIRTY_SHARE))
        for gpn in self._random.sample(range(self.page_count), count):
            self.space.write(Gpa(gpn * PAGE_BYTES), b"\1")
        return count


def harvest(effort: Effort) -> Row:
    """A reader takes from the log of 1 GiB, in the C core; the reference reads the same leaves in Python."""
    memory_bytes = max(4, effort.times(1024)) * MIB
    with Scattered(memory_bytes) as child:
        memory, second = child.hypervisor.memory, Paging(child.space.root)

        def ours() -> float:
            expected, found = child.write(), list[int]()
            taken = nanoseconds(lambda: found.append(child.reader.take().count))
            return milliseconds_of(taken, expected, found)

        def theirs() -> float:
            expected, found = child.write(), list[int]()
            taken = nanoseconds(
                lambda: found.append(dirty.harvest(memory, second, 0, child.page_count, DIRTY).count)
            )
            return milliseconds_of(taken, expected, found)

        pairs = effort.pairs("dirty.harvest", ours, theirs)
    return row("dirty.harvest", "ms", "the same harvest in Python", pairs, Goal("value", "<=", 1))


def milliseconds_of(taken: float, expected: int, found: list[int]) -> float:
    """What a harvest took, if it found what was written."""
    if found != [expected]:
        raise InternalError(f"A harvest should find {expected} pages, not {found}: please report it.")
    return taken / 1e6


def logging(effort: Effort) -> Row:
    """The loop of loads and stores while somebody takes from the log, and while nobody reads it."""
    count = effort.times(BLOCKS_BETWEEN + BLOCKS_BEHIND)
    with Child(MEMORY) as child, Child(MEMORY) as unlogged:
        reader = child.partition.gpa_space.dirty_log.reader()
        pairs = effort.pairs(
            "dirty.logging",
            speed(MEMORY, count, lambda count: run_logged(child, reader, count)),
            speed(MEMORY, count, unlogged.run),
            turns=16,
        )
    return row("dirty.logging", UNIT, "the same loop with no log", pairs, Goal("ratio", ">=", 0.95))


def run_logged(child: Child, reader: LogReader, count: int) -> None:
    """Executes ``count`` iterations, and takes from the log after each millisecond of virtual time."""
    child.enter(count)
    while child.hypervisor.run(BLOCKS_BETWEEN) == BLOCKS_BETWEEN:
        check_told(reader)
    child.check_halted()


def check_told(reader: LogReader) -> None:
    """Takes from the log, which tells the four pages that the loop stores to, or this is no measurement."""
    told = reader.take()
    if any(STORED_TO // PAGE_BYTES + number not in told for number in range(4)):
        raise InternalError(
            f"The log should tell the pages that the loop stores to, not {told}: please report it."
        )


ROWS: dict[str, Measure] = {"harvest": harvest, "logging": logging}
