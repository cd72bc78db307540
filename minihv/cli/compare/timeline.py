"""The life of one read along each way, side by side: as text, as a drawing, and for a trace viewer.

Spec: "Trace Event Format" (the JSON that chrome://tracing and ui.perfetto.dev open).
Next: ``minihv.cli.compare.ways``
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from minihv.cli.compare.ways import GUEST, Task, Way, hand_over, make_disk, symbol
from minihv.cli.run import MICROKERNEL
from minihv.errors import ConfigurationError
from minihv.eyes.svg import box, document, line, text
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.machine import clock
from minihv.parent.disks import DiskOption
from minihv.parent.session import ParentSession
from minihv.trace import Event, chrome_event

SUFFIXES = (".txt", ".svg", ".json")
REQUEST_BYTES = 4096
LONGEST_LOOP = 24
"""Events that are looked for again and again."""
LANES = ("child", "ring -1", "parent")
WIDTH, LABEL, LANE_HEIGHT, GAP = 900, 130, 26, 46
PID_STEP = 100
"""Between the processes of a trace viewer that stand for the partitions of two ways."""


@dataclass(frozen=True, slots=True)
class Life:
    """One read along one way: what happened between its begin and its end, in order."""

    way: Way
    child: int
    events: tuple[Event, ...]
    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """Some lines, and how often they come one after the other."""

    lines: tuple[str, ...]
    times: int


def check_timeline(path: Path) -> None:
    """Refuses what cannot be written, before anything is measured."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"A timeline is a file that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, which {path} "
            "does not: rename it."
        )
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"A timeline is written to a folder that exists, and {path.parent} does not: choose another name."
        )


def write_timeline(path: Path, ways: Sequence[Way]) -> None:
    """Writes the lives of a read along ``ways`` to ``path``, in the form that its name says."""
    lives = [life_of(way) for way in ways]
    forms = {".txt": as_text, ".svg": as_svg, ".json": as_chrome}
    try:
        path.write_text(forms[path.suffix](lives), encoding="utf-8")
    except OSError as reason:
        raise ConfigurationError(
            f"A timeline is written to a file that can be made, and {path} cannot ({reason.strerror}): "
            "choose another name."
        ) from reason


def life_of(way: Way) -> Life:
    """Runs the guest for one request each way, and keeps what happened while it read."""
    task = Task(way, MICROKERNEL, REQUEST_BYTES, 1)
    events: list[Event] = []
    with TemporaryDirectory(prefix="minihv-io-") as folder:
        option = DiskOption(make_disk(Path(folder), task), way.controller)
        with ParentSession(GUEST, disks=[option], trace=events.append) as session:
            hand_over(session, task, request_count=1)
            session.parent.begin(session.child)
            vp = session.partition.vps[0]
            for mark in ("io_begin", "io_end", "io_begin"):  # what was written is not told of
                session.hypervisor.run_to(vp, symbol(session, mark))
            begin = now_ns(session.hypervisor)
            session.hypervisor.run_to(vp, symbol(session, "io_end"))
            end = now_ns(session.hypervisor)
            session.run()
            child = session.partition.id
    inside = tuple(one for one in events if begin <= one.time_ns <= end)
    return Life(way, child, inside, begin, end)


def now_ns(hypervisor: Hypervisor) -> int:
    """Virtual time."""
    return 100 * clock.reference_time(hypervisor.now)


# As text.


def as_text(lives: Sequence[Life]) -> str:
    """The lives in columns; what comes again and again is told once."""
    columns = [list(column_of(life)) for life in lives]
    width = max(len(one) for column in columns for one in column) + 3
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join("".join(cell.ljust(width) for cell in row).rstrip() for row in rows) + "\n"


def column_of(life: Life) -> Iterator[str]:
    """The lines of one life."""
    yield f"{life.way.name}: {REQUEST_BYTES} bytes"
    yield f"{len(life.events):,} events, {(life.end_ns - life.begin_ns) / 1000:,.1f} us virtual"
    yield ""
    for part in folded([words(life, event) for event in life.events]):
        if part.times == 1:
            yield from part.lines
            continue
        yield f"{part.times} times:"
        yield from (f"  {one}" for one in part.lines)


def words(life: Life, event: Event) -> str:
    """One event."""
    who = "child" if event.partition == life.child else "parent"
    return f"{who}: {event.kind} {event.name}" if event.name else f"{who}: {event.kind}"


def folded(lines: Sequence[str]) -> list[Repeated]:
    """``lines`` with repetitions told once: at each place the loop that covers the most."""
    found: list[Repeated] = []
    at = 0
    while at < len(lines):
        length, times = longest_loop(lines, at)
        found.append(Repeated(tuple(lines[at : at + length]), times))
        at += length * times
    return found


def longest_loop(lines: Sequence[str], at: int) -> tuple[int, int]:
    """How long the loop at ``at`` is, and how often it comes; (1, 1) where there is none."""
    best = (1, 1)
    for length in range(1, min(LONGEST_LOOP, (len(lines) - at) // 2) + 1):
        loop, times = lines[at : at + length], 1
        while lines[at + times * length : at + (times + 1) * length] == loop:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


# As a drawing.


def as_svg(lives: Sequence[Life]) -> str:
    """A lane for each who acts, in one scale of virtual time for all ways."""
    longest = max(life.end_ns - life.begin_ns for life in lives)
    height = GAP + len(lives) * (len(LANES) * LANE_HEIGHT + GAP)
    parts = [text(10, 24, f"One read of {REQUEST_BYTES} bytes, in virtual time", "title")]
    for number, life in enumerate(lives):
        parts += lanes_of(life, GAP + number * (len(LANES) * LANE_HEIGHT + GAP), longest)
    said = "; ".join(f"{life.way.name}: {len(life.events)} events" for life in lives)
    return document((WIDTH, height), "The life of one read along each way", said, parts)


def lanes_of(life: Life, top: float, longest_ns: int) -> Iterator[str]:
    """The lanes of one life, with a tick for each event."""
    scale = (WIDTH - LABEL - 20) / max(1, longest_ns)
    exits = sum(one.kind == "exit" for one in life.events)
    yield text(10, top + 12, f"{life.way.name}: {exits} exits, {len(life.events)} events", "strong")
    end = LABEL + (life.end_ns - life.begin_ns) * scale
    for number, name in enumerate(LANES):
        y = top + 34 + number * LANE_HEIGHT
        yield text(10, y, name, "small")
        yield line([(LABEL, y - 4), (end, y - 4)], "line")
    for event in life.events:
        lane = 1 if event.kind == "exit" else 0 if event.partition == life.child else 2
        x, y = LABEL + (event.time_ns - life.begin_ns) * scale, top + 30 + lane * LANE_HEIGHT
        yield box(
            x, y - 8, (1.5, 16), "guest" if event.partition == life.child else "second", words(life, event)
        )


# For a trace viewer.


def as_chrome(lives: Sequence[Life]) -> str:
    """Each partition of each way is a process; all begin at time 0."""
    events: list[dict[str, object]] = []
    for number, life in enumerate(lives):
        base = PID_STEP * (number + 1)
        for partition in sorted({one.partition for one in life.events}):
            who = "child" if partition == life.child else "parent"
            name = {"name": f"{life.way.name}: {who}"}
            events.append({"name": "process_name", "ph": "M", "pid": base + partition, "args": name})
        for event in life.events:
            moved = replace(event, time_ns=event.time_ns - life.begin_ns, partition=base + event.partition)
            events.append(chrome_event(moved))
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": events}) + "\n"
