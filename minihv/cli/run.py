"""``minihv run``: one guest, its console, and what was counted.

Next: ``minihv.guests.session``
"""

import codecs
import re
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minihv.cli.contained import INTERRUPTED, Beat, contained
from minihv.cli.disk.hot_plug import carry_out
from minihv.cli.output import Progress, harmless, is_plain, print_json, print_table
from minihv.cli.pace import Pace
from minihv.cli.top.orders import OrderTaker
from minihv.cli.top.publisher import Publisher, view_session
from minihv.devices.crash import CrashSwitch
from minihv.errors import ConfigurationError, nearest
from minihv.guests.session import Counters, CrashReport, GuestSession, PartitionReport, Report
from minihv.hypervisor.tracing import vector_name
from minihv.machine.processor import PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.shadow import ShadowPolicy
from minihv.paging.tlb_parts import TlbShape
from minihv.parent.disks import ANNOUNCED, LIMITS, DiskLimits, DiskOption
from minihv.parent.monolith_session import MonolithicSession
from minihv.parent.session import ChildSession, ParentSession
from minihv.trace import TraceWriter

SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
TLB = re.compile(r"(\d{1,7})x(\d{1,7})((?:,\w+=\d{1,7})*)")
CACHES = ("pdes", "pdptes", "pml4es", "pml5es", "nested")
MICROKERNEL = "microkernel"
ARCHITECTURES: dict[str, type[ChildSession]] = {MICROKERNEL: ParentSession, "monolithic": MonolithicSession}
LONGEST_RUN = 1_000_000
"""In seconds of virtual time."""
LARGE_PAGES = ("keep", "split")
PARTITION_COLUMNS = ("partition", "state", "blocks", "exits", "hypercalls", "interrupts")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for on the command line."""

    guest: str
    memory: str | None
    vps: int | None
    lps: int
    paging: str
    policy: str
    shadow_frames: int | None
    large_pages: str
    tlb: str | None
    blocks: int | None
    trace: Path | None
    as_json: bool
    plain: bool
    parent: bool
    shutdown_after: float | None
    disks: tuple[str, ...] = ()
    disk_limits: str = ANNOUNCED.name
    pace: bool = False
    architecture: str | None = None
    crash: str | None = None
    append: str = ""


def parse_size(text: str) -> int:
    """Bytes from ``64M``, ``1G``, ``512K`` or a plain number.

    Raises:
        ConfigurationError: it is none of these.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"A size is a number with K, M or G behind it, not {text!r}: write 64M or 1G."
        )
    return int(found[1]) * UNITS[found[2].upper()]


def run_guest(options: RunOptions) -> int:
    """Runs the guest in a process of its own; the status of the command."""
    if options.blocks is not None and options.blocks < 1:
        raise ConfigurationError(
            f"A budget is at least one block, not {options.blocks}: leave --blocks out for none."
        )
    check_shutdown(options)
    check_disks(options)
    check_architecture(options)
    return contained(lambda beat: perform(options, beat))


def perform(options: RunOptions, beat: Beat) -> int:
    """The run itself."""
    with ExitStack() as stack:
        writer = None
        if options.trace is not None:
            check_is_not_the_guest(options)
            writer = TraceWriter(options.trace)
            stack.push(writer)
        session = stack.enter_context(begin(options, writer))
        if writer is not None:
            writer.open()
        publisher = stack.enter_context(Publisher(lambda: view_session(session)))
        orders = stack.enter_context(OrderTaker(lambda order: carry_out(session, order)))
        watcher = Watcher(session, beat, options, publisher, orders)
        interrupted = False
        try:
            session.run(options.blocks, watcher.progress)
        except KeyboardInterrupt:
            interrupted = True
        report = session.report()
        watcher.finish()
    if interrupted:
        tell_of_interruption(report)
    if options.as_json:
        print_json(report)
    else:
        show(report, plain=is_plain(options.plain))
    return INTERRUPTED if interrupted else status_of(report)


def begin(options: RunOptions, trace: TraceWriter | None) -> GuestSession:
    """The machine: with the guest in a partition alone, or as the child of a parent."""
    machine: dict[str, Any] = {
        "memory_bytes": parse_size(options.memory) if options.memory is not None else None,
        "vps": options.vps,
        "lps": options.lps,
        "paging": PagingMode.named(options.paging),
        "shadow": shadow_options(options),
        "tlb": parse_tlb(options.tlb) if options.tlb is not None else None,
        "trace": trace,
        "arguments": options.append,
    }
    if not options.parent:
        return GuestSession(options.guest, **machine)
    disks = [DiskOption.parse(text) for text in options.disks]
    limits = disk_limits(options.disk_limits)
    kind = ARCHITECTURES[options.architecture or MICROKERNEL]
    session = kind(options.guest, disks=disks, limits=limits, **machine)
    if options.crash is not None:
        try:
            session.crash(CrashSwitch.parse(options.crash))
        except ConfigurationError:
            session.close()
            raise
    if options.shutdown_after is not None:
        session.shut_down_after(options.shutdown_after)
    return session


def check_disks(options: RunOptions) -> None:
    """Refuses disks for a guest that nobody would emulate them for."""
    if options.disks and not options.parent:
        raise ConfigurationError(
            "It is the parent that has the disks of its children, and --no-parent leaves none: leave out one "
            "of both."
        )


def check_architecture_name(name: str) -> None:
    """Refuses a name that no architecture has."""
    if name not in ARCHITECTURES:
        raise ConfigurationError(
            f"An architecture is microkernel or monolithic, not {name!r}"
            f"{nearest(name, ARCHITECTURES) or ': write --architecture monolithic.'}"
        )


def check_architecture(options: RunOptions) -> None:
    """Refuses an architecture that does not exist, and any, or a crash, for a guest without devices."""
    name = options.architecture
    if name is not None:
        check_architecture_name(name)
    if not options.parent and (name is not None or options.crash is not None):
        raise ConfigurationError(
            "An architecture says who has the devices of a guest, and --no-parent leaves it without any: "
            "leave out one of both."
        )
    if options.crash is not None:
        CrashSwitch.parse(options.crash)


def disk_limits(name: str) -> DiskLimits:
    """The limits of that name.

    Raises:
        ConfigurationError: there are none.
    """
    if name not in LIMITS:
        raise ConfigurationError(
            f"Limits of disks are announced or shipped, not {name!r}"
            f"{nearest(name, LIMITS) or ': write --disk-limits shipped.'}"
        )
    return LIMITS[name]


def check_shutdown(options: RunOptions) -> None:
    """Refuses to have a guest shut down when nobody could ask it, or at no moment that comes."""
    seconds = options.shutdown_after
    if seconds is None:
        return
    if not options.parent:
        raise ConfigurationError(
            "It is the parent that asks a guest to shut down, and --no-parent leaves none: "
            "leave out one of both."
        )
    if not 0 <= seconds <= LONGEST_RUN:
        raise ConfigurationError(
            f"A guest is asked to shut down after 0 to {LONGEST_RUN:,} seconds, not {seconds:g}: "
            "choose --shutdown-after in that range."
        )


def shadow_options(options: RunOptions) -> ShadowOptions:
    """How shadow tables are to be kept."""
    if options.large_pages not in LARGE_PAGES:
        raise ConfigurationError(
            f"Large pages of the guest are kept or split, not {options.large_pages!r}"
            f"{nearest(options.large_pages, LARGE_PAGES) or ': write --large-pages keep.'}"
        )
    return ShadowOptions(
        ShadowPolicy.named(options.policy), options.shadow_frames, keep_large=options.large_pages == "keep"
    )


def parse_tlb(text: str) -> TlbShape:
    """The shape that ``64x4`` or ``64x4,pdes=32,nested=64`` describes.

    Raises:
        ConfigurationError: it describes none.
    """
    found = TLB.fullmatch(text.replace(" ", ""))
    caches = [part.split("=") for part in text.replace(" ", "").split(",")[1:]]
    if found is None or not {name for name, _ in caches} <= set(CACHES):
        raise ConfigurationError(
            f"A TLB is so many sets of so many ways, and the caches of its walker if any, not {text!r}: "
            f"write 64x4, or 64x4,pdes=32,nested=64 ({', '.join(CACHES)})."
        )
    return TlbShape(int(found[1]), int(found[2]), **{name: int(count) for name, count in caches})


def tell_of_interruption(report: Report) -> None:
    """What stopped in the middle was not stopped by a budget."""
    reports: list[Report | PartitionReport] = [report, *report.partitions]
    for one in reports:
        if one.stopped == "budget":
            one.why = "it was interrupted, and could have gone on"


def check_is_not_the_guest(options: RunOptions) -> None:
    """Refuses to write the trace over the image that runs."""
    guest, trace = Path(options.guest), options.trace
    if trace is not None and trace.exists() and guest.exists() and trace.samefile(guest):
        raise ConfigurationError(
            f"A trace may not be written over the guest that it tells of, and {trace} is that guest: "
            "choose another name."
        )


class Watcher:
    """Shows the guest's console as it grows, and on a terminal how far the run is."""

    def __init__(
        self,
        session: GuestSession,
        beat: Beat,
        options: RunOptions,
        publisher: Publisher,
        orders: OrderTaker,
    ) -> None:
        self._session = session
        self._console = session.partition.console
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._beat = beat
        self._publisher = publisher
        self._orders = orders
        self._pace = Pace(session.hypervisor) if options.pace else None
        self._live = not options.as_json
        self._line = Progress(plain=options.plain or options.as_json)
        self._budget = "" if options.blocks is None else f" of {options.blocks:,}"
        self._shown = 0

    def progress(self, blocks: int) -> None:
        """Called between rounds."""
        self._show_progress(blocks)
        while not self._look_around() and self._is_ahead():
            pass

    def _is_ahead(self) -> bool:
        """Whether a piece of time was waited for. Nobody waits for what comes after the guest."""
        return self._pace is not None and not self._session.has_ended and self._pace.wait()

    def _look_around(self) -> bool:
        """Does what others ask for; whether that is news for the machine."""
        self._beat()
        self._publisher.beat()
        return self._orders.beat()

    def _show_progress(self, blocks: int) -> None:
        if self._live and len(self._console) > self._shown:
            self._show()
            sys.stdout.flush()
        elif bytes(self._console[-1:]) in (b"", b"\n"):
            self._line.tell(f"{blocks:,}{self._budget} blocks")

    def finish(self) -> None:
        """The rest of the console, and a clean line."""
        self._line.clear()
        if self._live:
            self._show(final=True)
            if self._console and not self._console.endswith(b"\n"):
                sys.stdout.write("\n")

    def _show(self, *, final: bool = False) -> None:
        self._line.clear()
        sys.stdout.write(harmless(self._decoder.decode(bytes(self._console[self._shown :]), final)))
        self._shown = len(self._console)


def show(report: Report, *, plain: bool) -> None:
    """What was counted, for people."""
    status = "" if report.exit_status is None else f", status {report.exit_status}"
    print(f"\n{report.guest}: {report.stopped}{status} ({report.why})")
    if report.crash is not None:
        print("\n".join(crash_lines(report.crash)))
    if report.screen:
        print("The screen", *(f"  {line}" for line in report.screen.split("\n")), sep="\n")
    print_table("Exits to ring -1", ("exit", "count"), exit_rows(report.counters), plain=plain)
    print_table("Counted", ("what", "count"), counted_rows(report.counters), plain=plain)
    if report.tlb is not None:
        fills = [(name.replace("_", " "), count) for name, count in asdict(report.tlb).items()]
        print_table("The modelled TLB", ("what", "count"), fills, plain=plain)
    if len(report.partitions) > 1:
        rows = [partition_row(one) for one in report.partitions]
        print_table("All partitions", PARTITION_COLUMNS, rows, plain=plain)


PLACES = {-1: "in ring -1", 0: "in ring 0 of the parent", 3: "in ring 3 of the parent"}


def crash_lines(crash: CrashReport) -> list[str]:
    """The crash of a device model in sentences."""
    if crash.ring is None:
        return [f"crash of {crash.device}: none, {crash.what}"]
    return [
        f"crash of {crash.device} at operation {crash.at}, {PLACES[crash.ring]}: {crash.what}",
        f"died: {', '.join(crash.died)}; workers started anew: {crash.restarts}",
        f"went on: {', '.join(crash.went_on) or 'nobody'}",
    ]


def partition_row(one: PartitionReport) -> tuple[object, ...]:
    """One partition beside the others."""
    calls = sum(one.counters.hypercalls.values())
    return (
        *(f"{one.id} {one.name}", one.stopped, one.counters.blocks, one.counters.exits_total),
        *(calls, one.counters.interrupts),
    )


def exit_rows(counters: Counters) -> list[tuple[str, int]]:
    """Exits, most frequent first, and their sum."""
    rows = sorted(counters.exits.items(), key=lambda row: -row[1])
    return [*rows, ("total", counters.exits_total)]


def counted_rows(counters: Counters) -> list[tuple[str, int]]:
    """Everything else that was counted."""
    return [
        ("blocks executed", counters.blocks),
        ("world switches", counters.world_switches),
        ("TLB fills", counters.tlb_fills),
        ("walk references", counters.walk_references),
        *shadow_rows(counters),
        ("interrupts delivered", counters.interrupts),
        *((f"exceptions {vector_name(int(vector))}", count) for vector, count in counters.exceptions.items()),
        *((f"hypercalls {name}", count) for name, count in counters.hypercalls.items()),
    ]


def shadow_rows(counters: Counters) -> list[tuple[str, int]]:
    """What shadow paging did, where there was any."""
    if not counters.shadow_fills:
        return []
    return [
        ("shadow entries filled", counters.shadow_fills),
        ("guest writes emulated", counters.emulated_writes),
    ]


def status_of(report: Report) -> int:
    """0 when the guest ended as it wanted to or the budget did; 1 when it failed or could not go on."""
    if report.stopped == "shutdown":
        return 1 if report.exit_status else 0
    return 0 if report.stopped in ("halted", "budget") else 1
