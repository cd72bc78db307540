"""Runs guests in every mode, in turns, each run in a process of its own, and makes one result of all rounds.

Next: ``minihv.cli.compare.costs``
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, median_low
from tempfile import TemporaryFile

import msgspec

from minihv.cli.compare.costs import Costs, modelled_cycles
from minihv.cli.compare.modes import Mode, open_session
from minihv.cli.contained import FAILED, INTERRUPTED, REFUSED, Beat, contained, status_of
from minihv.errors import ConfigurationError, InternalError, MinihvError
from minihv.guests.session import Counters


class Sample(msgspec.Struct, kw_only=True):
    """One run of one guest in one mode."""

    guest: str
    stopped: str
    exit_status: int | None
    console: str
    counters: Counters
    table_frames: int
    seconds: float


class Result(msgspec.Struct, kw_only=True):
    """A guest in a mode: what was counted, and the median of the time that it took."""

    guest: str
    mode: str
    policy: str | None
    exits_total: int
    exits: dict[str, int]
    tlb_fills: int
    walk_references: int
    references_per_fill: float
    table_frames: int
    blocks: int
    seconds: float
    modelled_cycles: int

    @property
    def name(self) -> str:
        """The mode with its policy."""
        return str(Mode(self.mode, self.policy))


@dataclass(slots=True)
class Comparison:
    """One guest: its samples by mode. It counts once every mode has one."""

    guest: str
    modes: Sequence[Mode]
    samples: dict[Mode, list[Sample]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether each mode ran at least once."""
        return all(self.samples.get(mode) for mode in self.modes)

    def results(self, costs: Costs) -> list[Result]:
        """One result for each mode."""
        return [result(mode, self.samples[mode], costs) for mode in self.modes]

    def differences(self) -> list[str]:
        """A sentence for each mode in which the guest did something else than in the first one."""
        first = self.samples[self.modes[0]][0]
        return [
            f"{self.guest} must print and end the same in every mode, and under {mode} it does not: {why}."
            for mode in self.modes
            for why in {difference(first, sample): None for sample in self.samples[mode]}
            if why
        ]


def difference(first: Sample, other: Sample) -> str:
    """What ``other`` did otherwise, or an empty string. A budget may stop two runs at other places."""
    shorter, longer = sorted((first.console, other.console), key=len)
    if "budget" in (first.stopped, other.stopped):
        return "" if longer.startswith(shorter) else "its console differs"
    if first.console != other.console:
        return "its console differs"
    ends = [(one.stopped, one.exit_status) for one in (first, other)]
    return "" if ends[0] == ends[1] else f"it ended {other.stopped} and not {first.stopped}"


def result(mode: Mode, samples: Sequence[Sample], costs: Costs) -> Result:
    """What ``samples`` of one mode come to. How often the engine's TLB misses differs a little by run."""
    middle = median_low(sample.counters.tlb_fills for sample in samples)
    sample = next(sample for sample in samples if sample.counters.tlb_fills == middle)
    counters = sample.counters
    return Result(
        guest=sample.guest,
        mode=mode.paging,
        policy=mode.policy,
        exits_total=counters.exits_total,
        exits=counters.exits,
        tlb_fills=counters.tlb_fills,
        walk_references=counters.walk_references,
        references_per_fill=counters.walk_references / max(1, counters.tlb_fills),
        table_frames=sample.table_frames,
        blocks=counters.blocks,
        seconds=median(sample.seconds for sample in samples),
        modelled_cycles=modelled_cycles(counters, costs),
    )


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is run: ``rounds`` of every mode in turn, each to its end or for ``blocks`` blocks."""

    rounds: int = 3
    blocks: int | None = None
    tell: Callable[[str], None] = lambda _line: None


def compare(guests: Sequence[str], modes: Sequence[Mode], effort: Effort) -> Iterator[Comparison]:
    """Each guest when its first run begins; its samples come while the iterator is asked for the next.

    Raises:
        KeyboardInterrupt: on Ctrl-C; what was yielded holds every run that was whole by then.
        ConfigurationError: a guest cannot be run.
    """
    for guest in guests:
        comparison = Comparison(guest, modes)
        yield comparison
        for number in range(effort.rounds):
            for mode in modes:
                effort.tell(f"{guest}: {mode}, round {number + 1} of {effort.rounds}")
                taken = apart(guest, mode, effort.blocks)
                comparison.guest = taken.guest
                comparison.samples.setdefault(mode, []).append(taken)


def apart(guest: str, mode: Mode, blocks: int | None) -> Sample:
    """A run in a process of its own."""
    content = handed_over(
        f"{guest} under {mode}", lambda beat: msgspec.json.encode(take(guest, mode, blocks, beat))
    )
    return msgspec.json.decode(content, type=Sample)


def handed_over(what: str, make: Callable[[Beat], bytes]) -> bytes:
    """What ``make`` returns in a process of its own.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        ConfigurationError: it refused.
        InternalError: its process did not end well.
    """
    interrupts: list[bool] = []
    with TemporaryFile() as handed:

        def work(beat: Beat) -> int:
            try:
                handed.write(make(beat))
                return 0
            except MinihvError as refusal:
                handed.write(str(refusal).encode())
                return status_of(refusal)
            except KeyboardInterrupt:
                return INTERRUPTED
            finally:
                handed.flush()

        status = contained(work, lambda: interrupts.append(True))
        handed.seek(0)
        content = handed.read()
    if interrupts or status == INTERRUPTED:
        raise KeyboardInterrupt
    if status == REFUSED:
        raise ConfigurationError(content.decode())
    if status == FAILED and content:
        raise InternalError(content.decode())
    if status:
        raise InternalError(
            f"A run must end well, and that of {what} ended its process with status {status}: "
            "please report it."
        )
    return content


def take(guest: str, mode: Mode, blocks: int | None, beat: Beat) -> Sample:
    """The run itself. The time is that of this thread, from the first instruction to the last."""
    with open_session(guest, mode) as session:
        start = time.thread_time_ns()
        report = session.run(blocks, lambda _blocks: beat())
        seconds = (time.thread_time_ns() - start) / 1e9
        return Sample(
            guest=report.guest,
            stopped=report.stopped,
            exit_status=report.exit_status,
            console=report.console,
            counters=report.counters,
            table_frames=session.table_frames,
            seconds=seconds,
        )
