"""Machines for people: tables of VPs and of channels, or a line for each where output goes into a pipe.

Next: ``minihv.cli.top.command``
"""

from collections.abc import Iterator
from dataclasses import dataclass

from minihv.cli.output import harmless
from minihv.cli.top.machine_view import ChannelView, MachineView, PartitionView, VpView

VP_COLUMNS = ("partition", "VP", "state", "blocks", "exits", "interrupts")
RATE_COLUMNS = ("blocks/s", "exits/s")
CHANNEL_COLUMNS = ("child", "relid", "device", "state", "to parent", "to child", "in", "out")
LEFT = {"partition", "state", "device", "to parent", "to child"}
NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000
GAUGE_CELLS = 5
SHORT_DIGITS = 10_000
UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that is still to be shown; cells are texts."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]

    @property
    def right(self) -> list[bool]:
        """Which columns are numbers."""
        return [column not in LEFT for column in self.columns]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a VP was between two looks; None at the first."""

    blocks: int | None = None
    exits: int | None = None


class Rates:
    """Remembers the last look at each machine, to say how fast its VPs are."""

    def __init__(self) -> None:
        self._before: dict[int, MachineView] = {}
        self._found: dict[tuple[int, int, int], Rate] = {}

    def look(self, machines: list[MachineView]) -> None:
        """Takes a new look. A machine that has not published since keeps its rates."""
        for machine in machines:
            before = self._before.get(machine.pid)
            if before is None or machine.published_at > before.published_at:
                self._compare(before, machine)
                self._before[machine.pid] = machine

    def of(self, machine: MachineView, partition: PartitionView, vp: VpView) -> Rate:
        """How fast ``vp`` is."""
        return self._found.get((machine.pid, partition.id, vp.index), Rate())

    def _compare(self, before: MachineView | None, machine: MachineView) -> None:
        if before is None:
            return
        seconds = machine.published_at - before.published_at
        counted = {(p.id, vp.index): vp for p in before.partitions for vp in p.vps}
        for partition in machine.partitions:
            for vp in partition.vps:
                was = counted.get((partition.id, vp.index))
                if was is not None:
                    rate = Rate(
                        round((vp.blocks - was.blocks) / seconds), round((vp.exits - was.exits) / seconds)
                    )
                    self._found[machine.pid, partition.id, vp.index] = rate


def heading(machine: MachineView, question: int) -> str:
    """What a machine is, and how old the figures are if it has not answered the question."""
    age = question / NS_PER_SECOND - machine.published_at
    late = f", as it was {age:.1f} s ago" if machine.asked < question else ""
    lps = "1 LP" if machine.lps == 1 else f"{machine.lps} LPs"
    time = f"{machine.virtual_time_ns // NS_PER_MS:,} ms of virtual time"
    return harmless(f"{machine.guest} (process {machine.pid}): {machine.paging}, {lps}, {time}{late}")


def sheets(machine: MachineView, rates: Rates | None, question: int, *, plain: bool) -> list[Sheet]:
    """The tables of one machine: its VPs and, if there are any, its channels."""
    columns = VP_COLUMNS + (RATE_COLUMNS if rates is not None else ())
    vps = [
        vp_cells(machine, partition, vp, rates) for partition in machine.partitions for vp in partition.vps
    ]
    channels = [
        channel_cells(partition, channel, plain=plain)
        for partition in machine.partitions
        for channel in partition.channels
    ]
    found = [Sheet(heading(machine, question), columns, vps)]
    return [*found, Sheet("Channels", CHANNEL_COLUMNS, channels)] if channels else found


def vp_cells(machine: MachineView, partition: PartitionView, vp: VpView, rates: Rates | None) -> list[str]:
    """A row of the table of VPs. The state of a partition that has ended is that of its VPs too."""
    state = "shut down" if partition.state == "shut down" else vp.state
    place = [harmless(f"{partition.id} {partition.name}"), str(vp.index), state]
    if rates is None:
        return place + [f"{number:,}" for number in (vp.blocks, vp.exits, vp.interrupts)]
    rate = rates.of(machine, partition, vp)
    counted = (vp.blocks, vp.exits, vp.interrupts, rate.blocks, rate.exits)
    return place + [short(number) for number in counted]


def channel_cells(partition: PartitionView, channel: ChannelView, *, plain: bool) -> list[str]:
    """A row of the table of channels."""
    return [
        str(partition.id),
        str(channel.relid),
        harmless(channel.device),
        channel.state,
        gauge(channel.to_host_used, channel.to_host_bytes, plain=plain),
        gauge(channel.to_guest_used, channel.to_guest_bytes, plain=plain),
        f"{channel.received_packets:,}",
        f"{channel.sent_packets:,}",
    ]


def short(number: int | None) -> str:
    """A number in six places at most, for a table that has no room for more."""
    if number is None:
        return ""
    for unit, letter in UNITS:
        if number >= max(unit, SHORT_DIGITS):
            value = number / unit
            return f"{value:.1f}{letter}" if value < 100 else f"{value:,.0f}{letter}"
    return str(number)


def gauge(used: int, size: int, *, plain: bool) -> str:
    """How full a ring is; nothing where there is no ring."""
    if not size:
        return ""
    percent = f"{100 * used // size} %"
    if plain:
        return f"{used:,} of {size:,}"
    full = -(-GAUGE_CELLS * used // size)
    return "█" * full + "░" * (GAUGE_CELLS - full) + f" {percent}"


def lines(machine: MachineView, rates: Rates) -> Iterator[str]:
    """A line for each VP and each open channel, which says by itself what it is about."""
    for partition in machine.partitions:
        place = harmless(f"{machine.pid} {machine.guest} partition {partition.id}")
        for vp in partition.vps:
            rate = rates.of(machine, partition, vp)
            speed = "" if rate.blocks is None else f" blocks/s {rate.blocks} exits/s {rate.exits}"
            yield f"{place} vp {vp.index} {vp.state} blocks {vp.blocks} exits {vp.exits}{speed}"
        for channel in partition.channels:
            if channel.state == "open":
                yield (
                    f"{place} channel {channel.relid} {harmless(channel.device)} "
                    f"to-parent {channel.to_host_used}/{channel.to_host_bytes} "
                    f"to-child {channel.to_guest_used}/{channel.to_guest_bytes} "
                    f"in {channel.received_packets} out {channel.sent_packets}"
                )
