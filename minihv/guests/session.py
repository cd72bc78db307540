"""One guest on one machine: boot it, run it, and say what happened in numbers.

Stands for: what a test bench does around a machine.
Next: ``minihv.cli.run``
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from minihv.errors import ConfigurationError
from minihv.guests.boot import InitialState, boot, check_memory, check_vps, hand_arguments
from minihv.guests.catalogue import find_guest
from minihv.guests.image import Image, load_image
from minihv.hypervisor.alarms import NEVER
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import FOR_GOOD, VpState
from minihv.hypervisor.tracing import exit_name
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.paging.native_tlb import Tlb
from minihv.paging.tlb_parts import TlbCounters, TlbShape
from minihv.terms import MIB
from minihv.trace import Reader

DEFAULT_MEMORY = 64 * MIB
RESET_VALUES = {"dr6": 0xFFFF_0FF0, "dr7": 0x400, "g_pat": 0x0007_0406_0007_0406}
"""Spec: AMD APM vol. 2, "Processor Initialization State"."""


class Counters(msgspec.Struct, kw_only=True):
    """What was counted while something ran. Every number was executed."""

    blocks: int
    exits: dict[str, int]
    exits_total: int
    tlb_fills: int
    walk_references: int
    interrupts: int
    exceptions: dict[str, int]
    hypercalls: dict[str, int]
    world_switches: int
    shadow_fills: int
    emulated_writes: int


class PartitionReport(msgspec.Struct, kw_only=True):
    """One partition at the end of a run."""

    id: int
    name: str
    stopped: str
    why: str
    exit_status: int | None
    counters: Counters


class CrashReport(msgspec.Struct, kw_only=True):
    """A device model that was to crash at operation ``at``: what it executed, who died, and who went on."""

    device: str
    at: int
    operations: int
    """How often it was used until it crashed, or in all."""
    ring: int | None = None
    """Where it crashed: ring -1, or ring 0 or 3 of the parent; null: it did not."""
    what: str = ""
    died: list[str] = []
    went_on: list[str] = []
    restarts: int = 0
    """Workers that were started in place of one that died."""


class Report(msgspec.Struct, kw_only=True):
    """A run: what stopped the guest, what it printed, and all that was counted of it.

    ``partitions`` has the same of each partition of the machine.
    """

    guest: str
    stopped: str
    why: str
    exit_status: int | None
    console: str
    screen: str = ""
    """What the VGA of a guest with devices shows; its lines are without the blanks at their end."""
    counters: Counters
    tlb: TlbCounters | None
    partitions: list[PartitionReport]
    crash: CrashReport | None = None


class GuestSession:
    """A machine with one guest in one partition, ready to run. Close it, or use it as a context manager."""

    def __init__(  # noqa: PLR0913 - the description of a machine
        self,
        guest: str,
        *,
        memory_bytes: int | None = None,
        vps: int | None = None,
        lps: int | None = None,
        paging: PagingMode = PagingMode.SLAT,
        core: Core | None = None,
        shadow: ShadowOptions | None = None,
        tlb: TlbShape | None = None,
        trace: Reader | None = None,
        arguments: str = "",
    ) -> None:
        name, image, default_vps, default_memory = find_image(guest)
        self.guest = name
        self.image = image
        size = default_memory if memory_bytes is None else memory_bytes
        count = default_vps if vps is None else vps
        check_memory(size)
        check_vps(count)
        options = shadow or ShadowOptions()
        self.hypervisor = Hypervisor(
            self._system_bytes(size, options if paging is PagingMode.SHADOW else None),
            lps=1 if lps is None else lps,
            paging=paging,
            core=core,
            shadow=options,
            trace=trace,
        )
        self.tlb: Tlb | None = None
        try:
            if tlb is not None:
                self.tlb = self.hypervisor.processor.model_tlb(tlb)
            self.partition = self._boot(name, image, size, count)
            hand_arguments(self.partition.gpa_space.write, arguments)
        except ConfigurationError:
            self.hypervisor.close()
            raise

    def _system_bytes(self, memory_bytes: int, shadow: ShadowOptions | None) -> int:
        """Memory of a machine for a guest of ``memory_bytes``, with its shadow tables if any."""
        return machine_bytes(
            memory_bytes, shadow_frames=0 if shadow is None else shadow.frames_for(memory_bytes)
        )

    def _boot(self, name: str, image: Image, memory_bytes: int, vps: int) -> Partition:
        """The partition of the guest, ready to run."""
        partition = self.hypervisor.create_partition(name, memory_bytes, vps=vps)
        load(partition, image, memory_bytes)
        return partition

    def close(self) -> None:
        """Gives the machine back."""
        self.hypervisor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def table_frames(self) -> int:
        """The most frames that the tables which the processor walks for the partition took so far.

        They are ring -1's own: second-level tables, or shadow tables in their place.
        """
        shadow = self.partition.shadow
        return self.partition.gpa_space.most_table_frames if shadow is None else shadow.counters.peak

    @property
    def has_ended(self) -> bool:
        """Whether the guest runs no more, whatever comes."""
        return self.partition.has_stopped or all(vp.state in FOR_GOOD for vp in self.partition.vps)

    def run(self, blocks: int | None = None, progress: Callable[[int], None] | None = None) -> Report:
        """Runs until the guest stops, or for ``blocks`` blocks."""
        self.hypervisor.run(blocks, progress)
        return self.report()

    def report(self) -> Report:
        """What has happened so far."""
        partitions = [report_partition(one) for one in self.hypervisor.partitions.values()]
        mine = next(one for one in partitions if one.id == self.partition.id)
        return Report(
            guest=self.guest,
            stopped=mine.stopped,
            why=mine.why,
            exit_status=mine.exit_status,
            console=self.partition.console.decode("utf-8", "replace"),
            counters=mine.counters,
            tlb=None if self.tlb is None else self.tlb.counters,
            partitions=partitions,
        )


def find_image(guest: str) -> tuple[str, Image, int, int]:
    """The name, the image, the VP count and the memory of a built-in program or of an ELF file."""
    path = Path(guest)
    if path.exists() and (path.suffix or "/" in guest or not path.is_dir()):
        return path.name, load_image(path), 1, DEFAULT_MEMORY
    if "/" in guest or path.suffix == ".elf":
        raise ConfigurationError(
            f"A guest must be a file or a built-in program, and no file is at {guest!r}: check the path, "
            "or choose one of `minihv guests`."
        )
    built_in = find_guest(guest)
    return built_in.name, load_image(built_in.path), built_in.default_vps, built_in.memory_bytes


def load(partition: Partition, image: Image, memory_bytes: int) -> None:
    """Boots ``image``: its segments and the boot contract into RAM, the registers into the VPs."""
    states = boot(image, partition.gpa_space.write, memory_bytes=memory_bytes, vp_count=len(partition.vps))
    for vp, state in zip(partition.vps, states, strict=True):
        enter_with(vp, state)


def enter_with(vp: VirtualProcessor, state: InitialState) -> None:
    """Sets the registers of ``vp`` as the boot contract has them."""
    for name, value in (RESET_VALUES | state.registers).items():
        vp.write(name, value)
    for name, segment in state.segments.items():
        vp.write_segment(
            name, SegmentValue(segment.base, segment.limit, segment.selector, segment.attributes)
        )


def stop_reason(partition: Partition) -> tuple[str, str]:
    """Why a partition no longer runs, in a word and in a sentence."""
    states = {vp.state for vp in partition.vps}
    reasons = "; ".join(vp.why for vp in partition.vps if vp.why)
    if VpState.TRIPLE_FAULT in states:
        return "triple_fault", reasons
    if partition.is_shut_down:
        return "shutdown", partition.why
    if partition.has_crashed:
        return "crashed", partition.why
    hypervisor = partition.hypervisor
    if (
        VpState.READY in states
        or (VpState.IDLE in states and hypervisor.alarms.next_due != NEVER)
        or (not states <= FOR_GOOD and hypervisor.scheduler.ready())  # others, which may wake it
    ):
        return "budget", "the block budget is used up"
    if VpState.SUSPENDED in states:
        return "stuck", reasons
    if VpState.IDLE in states:
        return "stuck", "every VP waits for an interrupt, and nothing will send one"
    if VpState.STARTUP in states:
        return "halted", "every VP executed HLT with interrupts disabled, or waits to be started by another"
    return "halted", "every VP executed HLT with interrupts disabled"


def report_partition(partition: Partition) -> PartitionReport:
    """One partition in numbers."""
    stopped, why = stop_reason(partition)
    return PartitionReport(
        id=partition.id,
        name=partition.name,
        stopped=stopped,
        why=why,
        exit_status=partition.exit_status,
        counters=add_up([vp.counters for vp in partition.vps]),
    )


def add_up(counters: list[Any]) -> Counters:
    """The sum over several VPs, with names for numbers."""

    def total(name: str) -> int:
        return sum(int(getattr(one, name)) for one in counters)

    def by_index(name: str) -> dict[int, int]:
        arrays = [list(getattr(one, name)) for one in counters]
        return {index: sum(row) for index, row in enumerate(zip(*arrays, strict=True)) if sum(row)}

    exits = {exit_name(index if index < 256 else index + 0x300): n for index, n in by_index("exits").items()}
    return Counters(
        blocks=total("blocks"),
        exits=exits,
        exits_total=sum(exits.values()),
        tlb_fills=total("tlb_fills"),
        walk_references=total("walk_references"),
        interrupts=total("interrupts"),
        exceptions={str(vector): n for vector, n in by_index("exceptions").items()},
        hypercalls={call_name(code): n for code, n in by_index("hypercalls").items()},
        world_switches=total("world_switches"),
        shadow_fills=total("shadow_fills"),
        emulated_writes=total("emulated_writes"),
    )
