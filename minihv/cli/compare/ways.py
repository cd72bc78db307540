"""The ways to a disk that are compared, and one measurement along one of them.

Next: ``minihv.cli.compare.io``
"""

import struct
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from minihv.cli.contained import Beat
from minihv.cli.run import ARCHITECTURES
from minihv.errors import ConfigurationError, InternalError
from minihv.guests.session import report_partition
from minihv.parent.disks import DiskOption
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.making import make_dynamic
from minihv.terms import MIB, Gva
from minihv.trace import Reader

GUEST = "28_io"
PLAN = struct.Struct("<IIII")
"""What the guest's ``io_plan`` begins with: ways, bytes of a request, depth of the queue, requests."""
SECTOR_BYTES, LEAST_DISK_BYTES = 512, MIB


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a disk, as the guest and the command line know it."""

    name: str
    number: int
    """Of the bit in the guest's plan."""
    controller: str
    has_queue: bool
    is_raw: bool = False
    """Whether no image format lies between."""
    budget_bytes: int = 4 * MIB
    """What a measurement moves in each direction, at most, unless one request is more."""
    most_bytes: int = MIB
    """Of a request that is measured unless all are asked for."""


IDE_PIO = Way("ide-pio", 0, "ide", has_queue=False, budget_bytes=8192, most_bytes=4096)
IDE_DMA = Way("ide-dma", 2, "ide", has_queue=False)
SCSI = Way("scsi", 1, "scsi", has_queue=True)
PASSTHROUGH = Way("passthrough", 1, "passthrough", has_queue=True, is_raw=True)
WAYS = {way.name: way for way in (IDE_PIO, IDE_DMA, SCSI, PASSTHROUGH)}


class Measured(msgspec.Struct, kw_only=True):
    """The same requests along one way: half of them write, half of them read."""

    path: str
    architecture: str
    request_bytes: int
    queue_depth: int
    requests: int
    exits: int
    """Of all partitions."""
    exits_per_request: float
    intercept_messages: int
    interrupts: int
    world_switches: int
    ring_changes: int
    bytes_copied: int
    blocks_child: int
    blocks_parent: int
    seconds: float
    mb_per_second: float


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured: a way, and the shape of its requests."""

    way: Way
    architecture: str
    request_bytes: int
    queue_depth: int

    @property
    def request_count(self) -> int:
        """In each direction."""
        fitting = self.way.budget_bytes // self.request_bytes
        return max(1, min(fitting, max(64, self.queue_depth)) // self.queue_depth) * self.queue_depth

    def __str__(self) -> str:
        return f"{self.way.name}, {self.architecture}, {self.request_bytes:,} bytes, depth {self.queue_depth}"


@dataclass(slots=True)
class Tally:
    """What was counted so far, of all partitions."""

    exits: int
    intercept_messages: int
    interrupts: int
    world_switches: int
    ring_changes: int
    bytes_copied: int
    blocks_child: int
    blocks_parent: int

    @classmethod
    def of(cls, session: ChildSession) -> "Tally":
        """Now."""
        parent = session.parent if isinstance(session, ParentSession) else None
        reports = [report_partition(one) for one in session.hypervisor.partitions.values()]
        child = next(one.counters for one in reports if one.id == session.partition.id)
        return cls(
            exits=sum(one.counters.exits_total for one in reports),
            intercept_messages=0 if parent is None else sum(parent.workers.answered.values()),
            interrupts=sum(one.counters.interrupts for one in reports),
            world_switches=sum(one.counters.world_switches for one in reports),
            ring_changes=0 if parent is None else parent.ring_changes,
            bytes_copied=session.disks.moved_bytes,
            blocks_child=child.blocks,
            blocks_parent=sum(one.counters.blocks for one in reports) - child.blocks,
        )

    def add(self, later: "Tally", earlier: "Tally") -> None:
        """What came between two moments."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(later, name) - getattr(earlier, name))


NOTHING = (0,) * 8


def measure(task: Task, beat: Beat, trace: Reader | None = None) -> Measured:
    """Boots the guest with a new disk, and counts between its marks."""
    with TemporaryDirectory(prefix="minihv-io-") as folder:
        path = make_disk(Path(folder), task)
        kind = ARCHITECTURES[task.architecture]
        with kind(GUEST, disks=[DiskOption(path, task.way.controller)], trace=trace) as session:
            hand_over(session, task)
            return count(session, task, beat)


def make_disk(folder: Path, task: Task) -> Path:
    """A disk that is large enough, empty, and an image of one kind or another."""
    size = max(LEAST_DISK_BYTES, task.request_count * task.request_bytes)
    path = folder / ("disk.img" if task.way.is_raw else "disk.vhd")
    if task.way.is_raw:
        path.write_bytes(bytes(size))
    else:
        make_dynamic(path, size)
    return path


def hand_over(session: ChildSession, task: Task, request_count: int | None = None) -> None:
    """The guest's plan is that of ``task``, with another number of requests if one is given."""
    count = task.request_count if request_count is None else request_count
    plan = PLAN.pack(1 << task.way.number, task.request_bytes, task.queue_depth, count)
    session.partition.gpa_space.write(int(symbol(session, "io_plan")), plan)


def symbol(session: ChildSession, name: str) -> Gva:
    """Where something of the guest is."""
    found = session.image.symbols.get(name)
    if found is None:
        raise InternalError(f"The guest {GUEST} has lost its symbol {name}: please report it.")
    return found


def count(session: ChildSession, task: Task, beat: Beat) -> Measured:
    """Runs the guest to its end, and adds up what lies between its marks."""
    begin, end = symbol(session, "io_begin"), symbol(session, "io_end")
    tally, nanoseconds = Tally(*NOTHING), 0
    vp, run_to = session.partition.vps[0], session.hypervisor.run_to
    begin_child(session)
    while run_to(vp, begin, None, lambda _blocks: beat()):
        before, start = Tally.of(session), time.thread_time_ns()
        if not run_to(vp, end, None, lambda _blocks: beat()):
            break
        nanoseconds += time.thread_time_ns() - start
        tally.add(Tally.of(session), before)
    report = session.report()
    if report.exit_status != 0 or not nanoseconds:
        raise ConfigurationError(
            f"What is compared must work, and along {task} it does not: the guest said "
            f"{report.console.strip()[-200:]!r}."
        )
    return measured(task, tally, nanoseconds / 1e9)


def begin_child(session: ChildSession) -> None:
    """The guest runs when the machine does; a parent has to start it first."""
    if isinstance(session, ParentSession):
        session.parent.begin(session.child)


def measured(task: Task, tally: Tally, seconds: float) -> Measured:
    """The result."""
    requests = 2 * task.request_count
    return Measured(
        path=task.way.name,
        architecture=task.architecture,
        request_bytes=task.request_bytes,
        queue_depth=task.queue_depth,
        requests=requests,
        exits_per_request=tally.exits / requests,
        seconds=seconds,
        mb_per_second=requests * task.request_bytes / seconds / 1e6,
        **{name: getattr(tally, name) for name in tally.__slots__},
    )
