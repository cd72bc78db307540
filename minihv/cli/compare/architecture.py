"""``minihv compare architecture``: devices in the parent against devices in ring -1, in counted numbers.

Next: ``minihv.cli.compare.blast_radius``
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from minihv.cli.compare.blast_radius import CHILDREN, Blast, blasts
from minihv.cli.compare.lines_of_code import deadly_lines, has_c_sources, lines_in_ring_minus_1
from minihv.cli.compare.measure import in_a_process
from minihv.cli.contained import Beat
from minihv.cli.output import Progress, is_plain, print_json, print_table
from minihv.cli.run import ARCHITECTURES, PLACES
from minihv.errors import ConfigurationError
from minihv.guests.session import Counters, find_image, report_partition
from minihv.parent.disks import DiskOption
from minihv.parent.monolith import Models
from minihv.parent.session import ChildSession, ParentSession
from minihv.storage.making import make_dynamic

GUESTS = ("20_echo", "24_ide", "25_scsi")
"""A guest that talks over VMBus, one with an emulated disk, one with a synthetic one."""
DISKS = {"24_ide": "ide", "25_scsi": "scsi"}
DISK_BYTES = 1 << 20
WITHOUT_C = (
    "; only Python was counted, since the sources in C are not installed: use a checkout to count both"
)


@dataclass(frozen=True, slots=True)
class ArchitectureOptions:
    """What was asked for on the command line."""

    guests: tuple[str, ...] = ()
    rounds: int = 3
    as_json: bool = False
    plain: bool = False


class Run(msgspec.Struct, kw_only=True):
    """A guest in an architecture, from its first instruction to its last; boot is not counted."""

    guest: str
    architecture: str
    stopped: str
    exit_status: int | None
    console: str
    exits: int
    """Of the guest."""
    intercepts: int
    """Exits that a device model had to answer."""
    messages: int
    """Of these, those that were a message to the parent."""
    world_switches: int
    ring_changes: int
    """Of the parent, between its kernel and its workers."""
    hypercalls: int
    blocks_of_child: int
    blocks_of_parent: int
    seconds: float


class Compared(msgspec.Struct, kw_only=True):
    """All that ``--json`` prints."""

    runs: list[Run]
    deadly_lines: dict[str, dict[str, int]]
    blasts: list[Blast]
    verdict: list[str]


def compare_architecture(options: ArchitectureOptions) -> int:
    """Compares, and prints; the status of the command: 1 if a guest did not do the same in both.

    Raises:
        ConfigurationError: an option or a guest is refused.
    """
    if options.rounds < 1:
        raise ConfigurationError(
            f"A comparison takes at least one round, not {options.rounds}: leave --rounds out for 3."
        )
    guests = options.guests or GUESTS
    for guest in guests:
        find_image(guest)
    progress = Progress(plain=options.plain or options.as_json)
    try:
        runs = [run for guest in guests for run in measured(guest, options.rounds, progress.tell)]
        progress.tell("three children, one of whose devices crashes")
        made = in_a_process(crash_everywhere, list[Blast], "A crash must end well, and its process")
    finally:
        progress.clear()
    found = Compared(runs=runs, deadly_lines=deadly_lines(), blasts=made, verdict=[])
    found.verdict = [*costs(runs), *sizes(), *who_dies(made)]
    if options.as_json:
        print_json(found)
    else:
        show(found, plain=is_plain(options.plain))
    return int(any(mine.console != other.console for mine, other in pairs(runs)))


def crash_everywhere(beat: Beat) -> list[Blast]:
    """Every crash in both architectures."""
    return blasts(lambda _blocks: beat())


def measured(guest: str, rounds: int, tell: Callable[[str], None]) -> list[Run]:
    """One run for each architecture, whose seconds are the median of so many rounds in turns."""
    samples: dict[str, list[Run]] = {name: [] for name in ARCHITECTURES}
    for number in range(rounds):
        for name, runs in samples.items():
            tell(f"{guest}: {name}, round {number + 1} of {rounds}")
            what = f"A run must end well, and that of {guest}, {name}"
            runs.append(in_a_process(partial(take, guest, name), Run, what))
    for runs in samples.values():
        runs[0].seconds = median(run.seconds for run in runs)
    return [runs[0] for runs in samples.values()]


def take(guest: str, architecture: str, beat: Beat) -> Run:
    """The run itself, in a process of its own, with a new disk for a guest that wants one."""
    with TemporaryDirectory() as folder:
        disks = []
        if guest in DISKS:
            make_dynamic(Path(folder, "disk.vhd"), DISK_BYTES)
            disks = [DiskOption(Path(folder, "disk.vhd"), DISKS[guest])]
        with ARCHITECTURES[architecture](guest, disks=disks) as session:
            return count(session, architecture, beat)


def count(session: ChildSession, architecture: str, beat: Beat) -> Run:
    """Runs the guest, and counts what happens meanwhile."""
    before, changes = counted(session), ring_changes(session)
    start = time.thread_time_ns()
    report = session.run(None, lambda _blocks: beat())
    seconds = (time.thread_time_ns() - start) / 1e9
    after, own = counted(session), session.partition.id
    models = session.partition.models
    messages = sum(session.parent.workers.answered.values()) if isinstance(session, ParentSession) else 0
    return Run(
        guest=report.guest,
        architecture=architecture,
        stopped=report.stopped,
        exit_status=report.exit_status,
        console=report.console,
        exits=report.counters.exits_total,
        intercepts=sum(models.answered.values()) if isinstance(models, Models) else messages,
        messages=messages,
        world_switches=total(after, world_switches) - total(before, world_switches),
        ring_changes=ring_changes(session) - changes,
        hypercalls=total(after, hypercalls) - total(before, hypercalls),
        blocks_of_child=after[own].blocks - before[own].blocks,
        blocks_of_parent=total(after, blocks)
        - total(before, blocks)
        - after[own].blocks
        + before[own].blocks,
        seconds=seconds,
    )


def counted(session: ChildSession) -> dict[int, Counters]:
    """The counters of each partition."""
    return {number: report_partition(one).counters for number, one in session.hypervisor.partitions.items()}


def total(counters: dict[int, Counters], what: Callable[[Counters], int]) -> int:
    """The sum over all partitions."""
    return sum(what(one) for one in counters.values())


def world_switches(counters: Counters) -> int:
    """Entries of a VP after another one ran."""
    return counters.world_switches


def hypercalls(counters: Counters) -> int:
    """All of them."""
    return sum(counters.hypercalls.values())


def blocks(counters: Counters) -> int:
    """Blocks executed."""
    return counters.blocks


def ring_changes(session: ChildSession) -> int:
    """Of the parent; where there is none there are none."""
    return session.parent.ring_changes if isinstance(session, ParentSession) else 0


# What is said of it.


ROWS = (
    *("exits", "intercepts", "messages", "world_switches", "ring_changes", "hypercalls"),
    *("blocks_of_child", "blocks_of_parent"),
)


def pairs(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """Each guest in the microkernel, and in the monolith."""
    return zip(runs[::2], runs[1::2], strict=True)


def show(found: Compared, *, plain: bool) -> None:
    """Tables, and the verdict."""
    right = [False, True, True]
    for mine, other in pairs(found.runs):
        rows = [
            (name.replace("_", " "), *(f"{getattr(one, name):,}" for one in (mine, other))) for name in ROWS
        ]
        rows.append(("ms", *(f"{1000 * one.seconds:,.1f}" for one in (mine, other))))
        print_table(mine.guest, ("", *ARCHITECTURES), rows, plain=plain, right=right)
    names = dict.fromkeys(part for parts in found.deadly_lines.values() for part in parts)
    lines = [(name, *(f"{parts.get(name, 0):,}" for parts in found.deadly_lines.values())) for name in names]
    lines.append(("total", *(f"{sum(parts.values()):,}" for parts in found.deadly_lines.values())))
    print_table("Lines that can end every partition", ("", *ARCHITECTURES), lines, plain=plain, right=right)
    died = [
        (f"{one.crash.device}, {one.architecture}", ", ".join(one.crash.died), alive(one))
        for one in found.blasts
    ]
    print_table("One device crashes", ("device", "died", "children alive"), died, plain=plain)
    print("\n".join(["", *found.verdict]))


def alive(blast: Blast) -> str:
    """How many children did not die."""
    return f"{sum(name.startswith('child') for name in blast.crash.went_on)} of {CHILDREN}"


def costs(runs: Sequence[Run]) -> Iterator[str]:
    """What the way to the parent costs each guest."""
    for mine, other in pairs(runs):
        faster = "monolith" if other.seconds < mine.seconds else "microkernel"
        ratio = max(mine.seconds, other.seconds) / max(min(mine.seconds, other.seconds), 1e-9)
        yield (
            f"{mine.guest}: the microkernel takes {mine.world_switches:,} world switches and "
            f"{mine.ring_changes:,} ring changes of the parent, the monolith {other.world_switches:,} and "
            f"{other.ring_changes:,}; the {faster} was {ratio:.1f} times as fast here."
        )


def sizes() -> Iterator[str]:
    """Where the lines are, and which were not counted."""
    inside = lines_in_ring_minus_1()
    totals = {name: sum(parts.values()) for name, parts in deadly_lines().items()}
    yield (
        f"Ring -1 is {inside['microkernel']:,} lines as a microkernel and {inside['monolithic']:,} as a "
        f"monolith; with ring 0 of the parent, {totals['microkernel']:,} lines of a microkernel can end "
        f"every child, against {totals['monolithic']:,}{'' if has_c_sources() else WITHOUT_C}."
    )


def who_dies(made: Sequence[Blast]) -> Iterator[str]:
    """Who is alive after each crash."""
    for one in made:
        where = "nowhere" if one.crash.ring is None else PLACES[one.crash.ring]
        yield (
            f"A crash of {one.crash.device} {where} ({one.architecture}) leaves {alive(one)} children alive, "
            f"{len(one.finished)} of which end as they wanted to; workers started anew: {one.crash.restarts}."
        )
