"""``minihv compare io``: the same requests along every way to a disk, counted, and who wins.

Next: ``minihv.cli.compare.ways``
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from minihv.cli.compare.measure import in_a_process
from minihv.cli.compare.timeline import check_timeline, write_timeline
from minihv.cli.compare.ways import SECTOR_BYTES, WAYS, Measured, Task, measure
from minihv.cli.contained import INTERRUPTED
from minihv.cli.output import Progress, is_plain, print_json, print_table
from minihv.cli.run import ARCHITECTURES, check_architecture_name, parse_size
from minihv.errors import ConfigurationError, nearest
from minihv.terms import MIB

PLACES = {"microkernel": "parent", "monolithic": "ring -1"}
SIZES, DEPTHS = (512, 4096, 64 << 10, MIB), (1, 4, 32)
MOST_DEPTH = 32
COLUMNS = (
    *(
        "way",
        "devices in",
        "bytes",
        "depth",
        "requests",
        "exits",
        "a request",
        "messages",
        "interrupts",
        "switches",
    ),
    *("rings", "copied", "blocks child", "parent", "MB/s"),
)


@dataclass(frozen=True, slots=True)
class IoOptions:
    """What was asked for on the command line."""

    paths: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    architectures: tuple[str, ...] = ()
    rounds: int = 3
    all: bool = False
    timeline: Path | None = None
    as_json: bool = False
    plain: bool = False


def compare_io(options: IoOptions) -> int:
    """Compares, and prints; the status of the command.

    Raises:
        ConfigurationError: an option is refused.
    """
    tasks = list(tasks_of(options))
    if options.timeline is not None:
        check_timeline(options.timeline)
    progress = Progress(plain=options.plain)
    samples: dict[Task, list[Measured]] = {}
    interrupted = False
    try:
        for number in range(options.rounds):
            for task in tasks:
                progress.tell(f"{task}, round {number + 1} of {options.rounds}")
                taken = apart(task)
                samples.setdefault(task, []).append(taken)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.clear()
    results = [middle(samples[task]) for task in tasks if task in samples]
    show(results, options)
    if interrupted:
        print(f"minihv: interrupted: {len(results)} of {len(tasks)} were measured.", file=sys.stderr)
        return INTERRUPTED
    if options.timeline is not None:
        write_timeline(options.timeline, [WAYS[name] for name in ways_of(options)])
    return 0


def apart(task: Task) -> Measured:
    """A measurement in a process of its own."""
    return in_a_process(
        lambda beat: measure(task, beat), Measured, f"A measurement must end well, and {task}"
    )


def middle(samples: Sequence[Measured]) -> Measured:
    """What was counted, which is the same in each sample, with the median of the times."""
    result = samples[0]
    result.seconds = median(one.seconds for one in samples)
    result.mb_per_second = result.requests * result.request_bytes / result.seconds / 1e6
    return result


def tasks_of(options: IoOptions) -> Iterator[Task]:
    """What is measured, size by size, so that what is compared is measured side by side."""
    if options.rounds < 1:
        raise ConfigurationError(
            f"A comparison takes at least one round, not {options.rounds}: leave --rounds out for 3."
        )
    depths = depths_of(options)
    ways = [WAYS[name] for name in ways_of(options)]
    for size in sizes_of(options):
        for way in ways:
            if size <= way.most_bytes or options.all or options.sizes:
                for depth in depths if way.has_queue else [1]:
                    yield from (Task(way, one, size, depth) for one in architectures_of(options))


def ways_of(options: IoOptions) -> tuple[str, ...]:
    """The names of the ways."""
    for name in options.paths:
        if name not in WAYS:
            raise ConfigurationError(
                f"A way to a disk is one of {', '.join(WAYS)}, not {name!r}{nearest(name, WAYS) or '.'}"
            )
    return options.paths or tuple(WAYS)


def architectures_of(options: IoOptions) -> tuple[str, ...]:
    """Who has the devices."""
    for name in options.architectures:
        check_architecture_name(name)
    return options.architectures or tuple(ARCHITECTURES)


def sizes_of(options: IoOptions) -> list[int]:
    """Bytes of requests."""
    sizes = [parse_size(one) for one in options.sizes] or list(SIZES)
    for size in sizes:
        if size % SECTOR_BYTES or not SECTOR_BYTES <= size <= MIB:
            raise ConfigurationError(
                f"A request is of whole sectors, {SECTOR_BYTES} bytes to 1 MiB, not {size:,} bytes: write 4K."
            )
    return sizes


def depths_of(options: IoOptions) -> list[int]:
    """Requests that are on their way at once."""
    for depth in options.depths:
        if not 1 <= depth <= MOST_DEPTH:
            raise ConfigurationError(
                f"A queue holds 1 to {MOST_DEPTH} requests, not {depth}: write --depth 8."
            )
    return list(options.depths or DEPTHS)


def show(results: Sequence[Measured], options: IoOptions) -> None:
    """The results, as JSON or for people."""
    if options.as_json:
        print_json(list(results))
        return
    rows = [row(one) for one in results]
    print_table(
        "The same requests along each way, half of them writing",
        COLUMNS,
        rows,
        plain=is_plain(options.plain),
        right=[False, False] + [True] * (len(COLUMNS) - 2),
    )
    print("\n".join(verdict(results)))


def row(one: Measured) -> tuple[object, ...]:
    """One line of the table."""
    return (
        *(one.path, PLACES[one.architecture], one.request_bytes, one.queue_depth, one.requests, one.exits),
        *(f"{one.exits_per_request:,.1f}", one.intercept_messages, one.interrupts, one.world_switches),
        *(one.ring_changes, one.bytes_copied, one.blocks_child, one.blocks_parent),
        f"{one.mb_per_second:.3g}",
    )


def verdict(results: Sequence[Measured]) -> Iterator[str]:
    """How much less each way with a queue costs than each without, at the same size: a line for each pair."""
    groups: dict[tuple[int, str], dict[str, list[Measured]]] = {}
    for one in results:
        ways = groups.setdefault((one.request_bytes, one.architecture), {})
        ways.setdefault(one.path, []).append(one)
    for size, architecture in sorted(groups):
        ways = groups[size, architecture]
        for old in (found[0] for name, found in ways.items() if not WAYS[name].has_queue):
            for name in (name for name in ways if WAYS[name].has_queue):
                yield f"{size:,} bytes, {architecture}: {better(name, ways[name], old)}"


def better(name: str, queued: Sequence[Measured], old: Measured) -> str:
    """What the way ``name`` gains over ``old``, from its worst depth to its best."""
    fewer = [old.exits_per_request / one.exits_per_request for one in queued]
    faster = [one.mb_per_second / old.mb_per_second for one in queued]
    depths = [one.queue_depth for one in queued]
    return (
        f"{name} takes {span(fewer, '.1f')} times fewer exits than {old.path}, and moves "
        f"{span(faster, '.1f')} times as much in the same time (depth {span(depths, 'd')})."
    )


def span(values: Sequence[float], form: str) -> str:
    """The least of ``values`` to the most, or one number if both are written alike."""
    ends = (format(end, f",{form}") for end in (min(values), max(values)))
    return " to ".join(dict.fromkeys(ends))
