"""Act three, "One disk, two lives": the same read by the registers of a chip, and by a packet.

Next: ``minihv.cli.compare.ways``
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from minihv.cli.acts.act2 import MOST_BLOCKS, follower, stretch_rows, sum_rows, until
from minihv.cli.acts.follower import stretches
from minihv.cli.compare.timeline import column_of, life_of
from minihv.cli.compare.ways import (
    GUEST,
    IDE_PIO,
    SCSI,
    Measured,
    Task,
    Way,
    hand_over,
    make_disk,
    measure,
    symbol,
)
from minihv.cli.narrator import Narrator
from minihv.cli.run import MICROKERNEL
from minihv.errors import InternalError
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.spec.ata import PRIMARY, Command
from minihv.storage.disk import Disk
from minihv.storage.vhd_growing import GrowingVhd
from minihv.trace import Event

SECTOR_BYTES = 512
DATA, COUNT, COMMAND_OR_STATUS = PRIMARY[0], PRIMARY[0] + 2, PRIMARY[0] + 7
REGISTERS = ("data", "error", "count", "LBA low", "LBA mid", "LBA high", "device", "status")
LAST = {"error": "features", "status": "command"}
"""Registers that are another when they are written."""
IS_IN = 1
"""Of what an IOIO exit says of itself; the port is in bits 31:16."""
WIDTH = 38
"""Of a column, so that two of them fit a terminal."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A guest that is about to read one sector along one way, for the second time, and all that happens."""

    session: ParentSession
    events: list[Event]
    disk: Disk

    def finish(self) -> None:
        """Runs until the sector is there."""
        self.run_to("io_end")

    def run_to(self, mark: str) -> None:
        """Runs until the guest enters ``mark``."""
        vp = self.session.partition.vps[0]
        if not self.session.hypervisor.run_to(vp, symbol(self.session, mark), MOST_BLOCKS):
            raise InternalError(f"{GUEST} never enters {mark}: please report it.")


@contextmanager
def about_to_read(way: Way) -> Iterator[Reading]:
    """Boots the guest, which has written its sector, and stops where it begins to read."""
    task = Task(way, MICROKERNEL, SECTOR_BYTES, 1)
    events: list[Event] = []
    with TemporaryDirectory(prefix="minihv-tour-") as folder:
        option = DiskOption(make_disk(Path(folder), task), way.controller)
        with ParentSession(GUEST, disks=[option], trace=events.append) as session:
            hand_over(session, task, request_count=1)
            session.parent.begin(session.child)
            reading = Reading(session, events, session.disks.attached[0].disk)
            for mark in ("io_begin", "io_end", "io_begin"):
                reading.run_to(mark)
            events.clear()
            yield reading


def play(tell: Narrator) -> None:
    """All scenes, in order."""
    tell.act("One disk, two lives")
    tell.say(
        """Act two showed one port and one packet. Now a disk: a file of the host behind it, the same guest in
        front of it, and between them two ways. The guest reads 512 bytes, first as if it were 1984."""
    )
    for title, scene in SCENES:
        tell.scene(title)
        scene(tell)
    tell.scene("Try it yourself")
    tell.show(f"{command:<52}{what}" for command, what in TO_TRY)


def registers(tell: Narrator) -> None:
    """What the guest says to the chip."""
    tell.say(
        """A PC talks to an IDE disk through eight ports from 0x1F0 on. How many sectors, and from which one
        on, goes into four of them, each written twice, since disks have outgrown them; the command goes into
        the last. Then the guest waits until the status says that data is there, and takes it through the
        first port, two bytes at a time. These are the accesses that this guest made, in order:"""
    )
    with about_to_read(IDE_PIO) as reading:
        reading.finish()
        accesses = [event.detail["exit_info_1"] for event in reading.events if event.name == "IOIO"]
    tell.show(access_rows(accesses))
    tell.say(
        f"""Each of these {len(accesses)} accesses is an exit: no chip is at these ports. What answers is
        a model of one in Python, to which {Command.READ_SECTORS_EXT:#x} is the command to read."""
    )


def access_rows(accesses: list[int]) -> Iterator[str]:
    """The accesses by register; those that come one after the other are one line."""
    names = [access_name(one) for one in accesses]
    at = 0
    while at < len(names):
        times = next((n for n, name in enumerate(names[at:]) if name != names[at]), len(names) - at)
        yield f"{names[at]:<28}{times:>5} times" if times > 1 else names[at]
        at += times


def access_name(information: int) -> str:
    """``OUT 0x1f7  command``."""
    port = information >> 16 & 0xFFFF
    name = REGISTERS[port - DATA] if DATA <= port <= COMMAND_OR_STATUS else "other"
    if information & IS_IN:
        return f"IN  {port:#x}  {name}"
    return f"OUT {port:#x}  {LAST.get(name, name)}"


def one_sector_emulated(tell: Narrator) -> None:
    """What all of it costs."""
    tell.say(
        """Act two followed one such access: to ring -1, to the parent's kernel, to the worker in ring 3 and
        back. Here is what the whole sector takes, in events of both partitions:"""
    )
    with about_to_read(IDE_PIO) as reading:
        reading.finish()
        tell.show(event_rows(reading.events, reading.session.partition.id))
    tell.say("And for all that the disk was asked once: the other words waited in a buffer of the model.")


def event_rows(events: list[Event], child: int) -> list[str]:
    """How often what happened to whom."""
    counted = Counter(("child" if one.partition == child else "parent", named(one)) for one in events)
    return [f"{who:<8}{name:<34}{count:>6,}" for (who, name), count in sorted(counted.items())]


def named(event: Event) -> str:
    """What an event is called."""
    return f"{event.kind} {event.name}"


def one_sector_synthetic(tell: Narrator) -> None:
    """The whole of the other life, instruction by instruction."""
    tell.say(
        """The same guest knows better, too: its parent offers a SCSI controller on VMBus. One packet says
        which sectors, and in which of the guest's pages they belong. Here is all of it, from the call to the
        data:"""
    )
    with about_to_read(SCSI) as reading:
        end = int(symbol(reading.session, "io_end"))
        parts = stretches(until(follower(reading.session), reading.session.partition.vps[0], end))
    for number, part in enumerate(parts, 1):
        tell.show(stretch_rows(number, part))
        if number in MEANINGS:
            tell.say(MEANINGS[number])
    tell.say("Together, for 512 bytes:")
    tell.show(sum_rows(parts))


MEANINGS = {
    1: """The guest makes the command, a SCSI one of 16 bytes, and lists the page of its buffer behind it. The
        ring was empty, so the parent is signalled.""",
    3: """Behind the gate the storage VSP takes the packet, reads the sector from its file, and writes it to
        the page that was named: no ring, no register, no worker. The answer says that it is done.""",
}


def side_by_side(tell: Narrator) -> None:
    """Both lives of one read of a page."""
    tell.say(
        """Both lives of a read of 4 KiB, as ring -1 saw them. What comes again and again is told once, with
        how often:"""
    )
    left, right = (list(column_of(life_of(way))) for way in (IDE_PIO, SCSI))
    rows = max(len(left), len(right))
    left, right = ([*column, *[""] * (rows - len(column))] for column in (left, right))
    tell.show(
        f"{one[:WIDTH]:<{WIDTH}}{other[:WIDTH]}".rstrip() for one, other in zip(left, right, strict=True)
    )


def what_counts(tell: Narrator) -> None:
    """Sizes, queues, and the sum."""
    tell.say("How much of that is saved depends on how much is asked for at once:")
    found = [measure(task, tell.beat) for task in TASKS]
    tell.show(price_rows(found))
    first, last = found[0], found[-1]
    tell.say(
        f"""A request of 512 bytes costs {first.exits_per_request:,.0f} exits by the registers of a chip, and
        {found[1].exits_per_request:,.0f} by a packet. What a packet costs does not grow with its size, since
        only numbers of pages are in it, and shrinks with the depth of the queue: {last.queue_depth} requests
        share one signal there and one back. That is why Hyper-V has drivers of its own for its guests."""
    )


TASKS = (
    Task(IDE_PIO, MICROKERNEL, 512, 1),
    Task(SCSI, MICROKERNEL, 512, 1),
    Task(SCSI, MICROKERNEL, 65536, 1),
    Task(SCSI, MICROKERNEL, 512, 32),
)


def price_rows(found: list[Measured]) -> list[str]:
    """What a request costs."""
    head = f"{'way':<10}{'bytes':>8}{'depth':>7}{'exits':>12}{'messages':>12}{'ring 0 <-> 3':>15}"
    return [
        head,
        *(
            f"{one.path:<10}{one.request_bytes:>8,}{one.queue_depth:>7}{one.exits_per_request:>12,.2f}"
            f"{one.intercept_messages / one.requests:>12,.1f}{one.ring_changes / one.requests:>15,.1f}"
            for one in found
        ),
    ]


def below(tell: Narrator) -> None:
    """Where the sector is."""
    tell.say(
        """And below both ways lies the same file, a VHD that grows: a block of 2 MiB is there when somebody
        has written to it. This is the file behind the guest's disk, after it wrote its sector:"""
    )
    with about_to_read(SCSI) as reading:
        disk = reading.disk
        assert isinstance(disk, GrowingVhd)
        tell.show(
            [
                f"{'the guest sees':<24}{disk.byte_count:>12,} bytes",
                f"{'blocks that are there':<24}{len(disk.table.allocated):>12,}",
            ]
        )
    tell.say(
        "minihv disk map draws the blocks of an image, and minihv disk check says whether they are sound."
    )


SCENES: tuple[tuple[str, Callable[[Narrator], None]], ...] = (
    ("A disk behind eight ports", registers),
    ("What that takes", one_sector_emulated),
    ("A disk behind a ring", one_sector_synthetic),
    ("Side by side", side_by_side),
    ("What counts", what_counts),
    ("Below", below),
)

TO_TRY = (
    ("minihv disk new --size 10M disk.vhd", "a disk to play with"),
    ("minihv run 24_ide --disk disk.vhd", "word by word"),
    ("minihv run 25_scsi --disk disk.vhd:scsi", "by the page"),
    ("minihv compare io", "every way, counted"),
    ("minihv compare io --timeline read.svg", "one read, drawn"),
    ("minihv disk map disk.vhd", "what is there"),
)
