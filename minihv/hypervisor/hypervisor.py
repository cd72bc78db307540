"""Ring -1: it owns memory, processors and partitions, answers exits, and lets virtual processors take turns.

Stands for: the hypervisor, between two of its exits.
Spec: TLFS, "Overview"; AMD APM vol. 2, "Secure Virtual Machine".
Simplified: VPs of a partition are made and removed in the order of their numbers.
First reading: ``create_partition``, ``run``, ``_run_turn``; then ``minihv.hypervisor.exits``.
"""

from collections.abc import Callable
from typing import Any

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor import msrs, startup
from minihv.hypervisor.alarms import NEVER, Alarms
from minihv.hypervisor.device_models import ModelCrash
from minihv.hypervisor.exits import TABLE
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.pool import MemoryPool
from minihv.hypervisor.ports import Ports
from minihv.hypervisor.privileges import CHILD, Privilege
from minihv.hypervisor.scheduler import ALONE_QUANTUM, SHARED_QUANTUM, SLOW_QUANTUM, Scheduler
from minihv.hypervisor.states import PartitionState, Suspension, VpState
from minihv.hypervisor.tracing import VpTracer
from minihv.hypervisor.vp import EXIT_CODE, RIP, VirtualProcessor
from minihv.machine import clock
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.native import lib
from minihv.machine.processor import Core, PagingMode, Processor, Stop
from minihv.machine.shadow import ShadowOptions
from minihv.paging.access import AccessKind
from minihv.paging.formats import ENTRY_BYTES
from minihv.spec.vmcb import Intercept1, Intercept2
from minihv.spec.x86_exceptions import Vector
from minihv.terms import LARGE_PAGE_BYTES, MIB, PAGE_BYTES, Gva, page_align_up
from minihv.trace import Reader

EXIT, WATCH, DELIVERED = int(Stop.EXIT), int(Stop.WATCH), int(Stop.DELIVERED)
MOST_VPS = 64
MOST_PARTITIONS = HYPERVISOR - 1
"""An id is never used twice, and owns frames as a number below the hypervisor's."""
FRAMES_OF_PARTITION = 2
"""What a child takes when it is initialized: its top second-level table, and its hypercall page."""
MAPPED, EXECUTE = int(lib.MHV_MAPPED), int(AccessKind.EXECUTE)
PAGE_FAULT = int(lib.MHV_PAGE_FAULT)
SMALLEST_PARTITION = 1 * MIB
IO_PERMISSION_FRAMES = 3
OWN_BYTES = 4 * MIB
"""What the hypervisor keeps for itself when it sizes the machine's memory."""
BYTES_FOR_PARTITION = 256 * 1024
"""What one partition's tables, VMCBs and overlays take at most, besides its RAM."""

INTERCEPTS_1 = (
    Intercept1.CPUID
    | Intercept1.HLT
    | Intercept1.INVLPGA
    | Intercept1.IOIO
    | Intercept1.MSR
    | Intercept1.SHUTDOWN
)
CR0, CR3, CR4 = 1 << 0, 1 << 3, 1 << 4
"""In the intercept words of the control registers."""
INTERCEPTS_2 = Intercept2.VMMCALL | Intercept2.XSETBV


class Hypervisor:
    """A machine with ring -1 on it. ``close`` it, or use it as a context manager."""

    def __init__(  # noqa: PLR0913 - the description of a machine
        self,
        memory_bytes: int,
        *,
        lps: int = 1,
        paging: PagingMode = PagingMode.SLAT,
        core: Core | None = None,
        shadow: ShadowOptions | None = None,
        trace: Reader | None = None,
    ) -> None:
        self._tracer = VpTracer(trace, lambda: self.now) if trace is not None else None
        core = core or Core.chosen()
        self.scheduler = Scheduler(lps, SLOW_QUANTUM if core is Core.REFERENCE else ALONE_QUANTUM)
        self.memory = SystemMemory(memory_bytes)
        try:
            self.processor = Processor(self.memory, paging, core)
        except ConfigurationError:
            self.memory.close()
            raise
        self.partitions: dict[int, Partition] = {}
        self.ports = Ports()
        self._shadow = (shadow or ShadowOptions()) if paging is PagingMode.SHADOW else None
        self._arrived = False
        self.alarms = Alarms(self._end_turn_at)
        """What happens at which moment of virtual time."""
        self._running: VirtualProcessor | None = None
        self._turn_start = self._turn_end = self._next_stop = 0
        self._woke_somebody = False
        self._next_id = 1
        self._msrpm = self.memory.frames.allocate(HYPERVISOR, msrs.PERMISSION_MAP_FRAMES)
        msrs.write_permission_map(self.memory, self._msrpm)
        self._iopm = self.memory.frames.allocate(HYPERVISOR, IO_PERMISSION_FRAMES)
        self.memory.write(self._iopm, b"\xff" * IO_PERMISSION_FRAMES * PAGE_BYTES)

    def close(self) -> None:
        """Ends every partition and gives everything back to the host."""
        while self.partitions:
            self.delete_partition(next(iter(self.partitions)))
        self.processor.close()
        self.memory.close()

    def __enter__(self) -> "Hypervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_partition(
        self, name: str, memory_bytes: int, *, vps: int = 1, privileges: Privilege = CHILD
    ) -> Partition:
        """A partition with zeroed RAM and ``vps`` VPs whose registers are still to be set.

        Raises:
            ConfigurationError: a size or a count that cannot be, or no memory for it.
        """
        check_partition(memory_bytes, vps)
        if self._next_id > MOST_PARTITIONS:
            raise ConfigurationError(
                f"A machine makes at most {MOST_PARTITIONS} partitions in its life, and it has: "
                "build another machine."
            )
        partition = self._new_partition(name, privileges)
        try:
            partition.gpa_space.add_ram(memory_bytes)
            partition.reserve_hypercall_page()
            if self._shadow is not None:
                partition.shadow_tables(self._shadow)
            for _ in range(vps):
                self._create_vp(partition)
        except ConfigurationError:
            partition.close()
            raise
        self._announce(partition)
        self.partitions[partition.id] = partition
        for vp in partition.vps:
            self._begin(vp)
        return partition

    def delete_partition(self, partition_id: int) -> None:
        """Removes a partition, and its children before it, and gives their frames back."""
        for child in [one.id for one in self.partitions.values() if one.parent_id == partition_id]:
            self.delete_partition(child)
        partition = self.partitions[partition_id]
        self.finalize(partition)
        del self.partitions[partition_id]
        parent = self.partitions.get(partition.parent_id)
        if parent is not None and isinstance(partition.pool, MemoryPool):
            for spn, gpn in partition.pool.withdraw(partition.pool.available):
                parent.gpa_space.put_back(gpn, spn)

    def create_child(self, parent: Partition) -> Partition | None:
        """An uninitialized child of ``parent``; None when this machine has made as many as it can."""
        if self._next_id > MOST_PARTITIONS:
            return None
        child = self._new_partition("", CHILD, parent.id)
        child.name = f"child {child.id}"
        self.partitions[child.id] = child
        return child

    def initialize(self, child: Partition) -> None:
        """An uninitialized child is active: there may be memory and VPs.

        Raises:
            ConfigurationError: its memory pool cannot pay; then it is as it was.
        """
        if child.pool.available < FRAMES_OF_PARTITION:
            raise ConfigurationError(
                f"A partition takes {FRAMES_OF_PARTITION} frames, and its memory pool has "
                f"{child.pool.available}: deposit more memory."
            )
        child.gpa_space.begin()
        child.reserve_hypercall_page()
        child.state = PartitionState.ACTIVE
        self._announce(child)

    def finalize(self, partition: Partition) -> None:
        """Everything in a partition is gone: VPs, memory map, ports. Its memory pool has all frames again."""
        partition.state = PartitionState.FINALIZED
        self.ports.forget(partition.id)
        for vp in partition.vps:
            self._end(vp)
        partition.close()

    def add_vp(self, partition: Partition) -> VirtualProcessor:
        """The next VP of a partition, explicitly suspended.

        Raises:
            ConfigurationError: there is no frame for its VMCB; then nothing has changed.
        """
        vp = self._create_vp(partition)
        vp.suspend(Suspension.EXPLICIT)
        self._announce(partition)
        self._begin(vp)
        return vp

    def remove_vp(self, vp: VirtualProcessor) -> None:
        """The last VP of a partition is gone."""
        self._end(vp)
        vp.partition.vps.remove(vp)
        vp.close()
        vp.partition.pool.give(vp.vmcb_spa)
        self._announce(vp.partition)

    def prepare_shadow(self, partition: Partition) -> None:
        """Without nested paging: there are shadow tables for a partition whose VPs are about to run.

        Raises:
            ConfigurationError: there are too few frames.
        """
        if self._shadow is not None and partition.shadow is None:
            partition.shadow_tables(self._shadow)
            for vp in partition.vps:
                self._use_shadow(vp)

    def run(self, blocks: int | None = None, progress: Callable[[int], None] | None = None) -> int:
        """Runs until nothing can make a VP ready, or for ``blocks`` blocks in all. How many were used.

        While all VPs idle, virtual time skips to the next alarm; one that wakes nobody is counted as a block.
        ``progress`` is called between rounds with the blocks used so far. A device model that crashes in
        ring -1 ends the machine.
        """
        try:
            return self._rounds(blocks, progress)
        except ModelCrash as crash:
            self._running = None
            for partition in self.partitions.values():
                partition.crash(f"ring -1 has crashed: {crash}")
            return 0

    def _rounds(self, blocks: int | None, progress: Callable[[int], None] | None) -> int:
        used, self._running = 0, None
        while (blocks is None or used < blocks) and not self._arrived:
            self.alarms.go_off(self.scheduler.now)
            if self.scheduler.ready():
                left = None if blocks is None else blocks - used
                used += self.scheduler.round(self._run_turn, left, self.alarms.next_due)
            elif self.alarms.next_due != NEVER and self.scheduler.idle():
                self.scheduler.skip_to(self.alarms.next_due)
                self.alarms.go_off(self.scheduler.now)
                used += not self.scheduler.ready()
            else:
                break
            if progress is not None:
                progress(used)
        return used

    @property
    def now(self) -> int:
        """Virtual time in blocks: of the VP that runs, or of the machine between two turns."""
        vp = self._running
        return self.scheduler.now if vp is None else int(vp.handle.time_base + vp.counters.blocks)

    def run_to(
        self,
        vp: VirtualProcessor,
        rip: Gva,
        blocks: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> bool:
        """Runs until ``vp`` is about to execute the instruction at ``rip``; false when it does not get there.

        It stops right before that instruction, wherever in a block it lies, and nothing else is different
        from a run: as with a budget, only the turns of the VPs are cut elsewhere.
        """
        vp.handle.watched_rip, vp.handle.watches = rip, True
        try:
            self.run(blocks, progress)
            return self._arrived
        finally:
            vp.handle.watches = self._arrived = False

    def step(self, vp: VirtualProcessor) -> None:
        """Executes one instruction of ``vp``, and what ring -1 has to do about it."""
        vp.handle.time_base = self.scheduler.now - vp.counters.blocks
        before = vp.counters.blocks
        self._running = vp
        self._flush_if_changed(vp)
        if self._step(vp) == EXIT:
            self._handle(vp)
        self._running = None
        if self._tracer is not None:
            self._tracer.drain(vp)
        self.scheduler.lps[0].now += vp.counters.blocks - before
        self.alarms.go_off(self.scheduler.now)

    def complete_port(self, vp: VirtualProcessor) -> None:
        """Lets the port access of ``vp`` finish; an INS whose memory is not there exits once more."""
        self._flush_if_changed(vp)
        if self.processor.complete_port(vp.handle) == EXIT:
            self._handle(vp)

    def translate(self, vp: VirtualProcessor, gva: Gva, kind: int) -> Any:
        """What a supervisor access of ``vp`` to ``gva`` would find, as a ``struct mhv_walk_result``."""
        self._flush_if_changed(vp)
        return self.processor.translate(vp.handle, gva, kind)

    def fetched_from(self, vp: VirtualProcessor, gva: Gva) -> int | None:
        """SPA of what ``vp`` would execute at ``gva``; None where it would meet a fault."""
        self._flush_if_changed(vp)
        found = self.processor.translate(vp.handle, gva, EXECUTE, user=vp.save_area.cpl == 3)
        return int(found.spa) if found.outcome == MAPPED else None

    def reach(
        self, vp: VirtualProcessor, gva: Gva, kind: AccessKind, *, user: bool
    ) -> tuple[int, int | None]:
        """The GPA that an access of ``vp`` to ``gva`` leads to, and the error code of the #PF that it meets.

        Only one of them says something: without an error code the access leads to the GPA.
        """
        self._flush_if_changed(vp)
        found = self.processor.translate(vp.handle, gva, int(kind), user=user)
        return int(found.gpa), int(found.error_code) if found.outcome == PAGE_FAULT else None

    def _new_partition(self, name: str, privileges: Privilege, parent_id: int = 0) -> Partition:
        partition = Partition(self, self._next_id, name, privileges, parent_id)
        partition.created_at = clock.reference_time(self.scheduler.now)
        self._next_id += 1
        return partition

    def _announce(self, partition: Partition) -> None:
        nested = self.processor.paging in (PagingMode.SLAT, PagingMode.HARDWARE)
        partition.announce(max(len(partition.vps), 1), len(self.scheduler.lps), nested_paging=nested)

    def _begin(self, vp: VirtualProcessor) -> None:
        """``vp`` may run, and is traced."""
        self.scheduler.add(vp)
        if self._tracer is not None:
            self._tracer.attach(vp)

    def _end(self, vp: VirtualProcessor) -> None:
        """``vp`` runs no more."""
        self.scheduler.remove(vp)
        if self._tracer is not None:
            self._tracer.detach(vp)

    def _use_shadow(self, vp: VirtualProcessor) -> None:
        if vp.partition.shadow is not None:
            intercept_for_shadow(vp)
            vp.handle.shadow = vp.partition.shadow.handle

    def _create_vp(self, partition: Partition) -> VirtualProcessor:
        vmcb_spa, index = partition.pool.take(), len(partition.vps)
        try:
            vp = VirtualProcessor(partition, index, self.processor, vmcb_spa, self._woke)
        except ConfigurationError:
            partition.pool.give(vmcb_spa)
            raise
        partition.vps.append(vp)
        control = vp.control
        control.intercept_instructions1 = INTERCEPTS_1
        control.intercept_instructions2 = INTERCEPTS_2
        control.iopm_base_pa, control.msrpm_base_pa = self._iopm, self._msrpm
        control.guest_asid = partition.id
        control.nested_control = 1
        control.nested_cr3 = partition.gpa_space.root
        self._use_shadow(vp)
        return vp

    def _run_turn(self, vp: VirtualProcessor, quantum: int) -> int:
        """One turn: run, answer the exit, run on, until the quantum is used or the VP cannot go on."""
        start, run, handle = int(vp.counters.blocks), self.processor.run, vp.handle
        partition, tracer, ready = vp.partition, self._tracer, VpState.READY
        gpa_space = partition.gpa_space
        self._begin_turn(vp, quantum)
        while not self._arrived:
            if gpa_space.changed or gpa_space.rights_taken:
                self._flush_if_changed(vp)
            stop = run(handle, self._next_stop)
            if stop == WATCH:
                stop = self._approach(vp)
            if tracer is not None:
                tracer.drain(vp)
            if stop == EXIT:
                self._handle(vp)
                if vp.state is not ready or partition.exit_status is not None:
                    break
            elif stop == DELIVERED:
                vp.apic.accepted()
            elif vp.counters.blocks >= self._next_stop and not self._goes_on(vp):
                break  # else an alarm went off, or the trace was full, and now has room again
        if tracer is not None:
            tracer.drain(vp)
        self._running = None
        return int(vp.counters.blocks) - start

    def _begin_turn(self, vp: VirtualProcessor, quantum: int) -> None:
        vp.apic.accepted()
        vp.take_nmi()
        self._running = vp
        self._turn_start = int(vp.counters.blocks)
        self._turn_end = self._turn_start + (1 if vp.nmi_requested else quantum)  # it waits for EVENTINJ
        self._next_stop = min(self._turn_end, self.alarms.next_due - vp.handle.time_base)

    def _goes_on(self, vp: VirtualProcessor) -> bool:
        """``vp`` has come to its next stop: an alarm within its turn, that woke nobody, does not end it."""
        if vp.counters.blocks >= self._turn_end:
            return False
        self._woke_somebody = False
        self.alarms.go_off(self.now)
        self._next_stop = min(self._turn_end, self.alarms.next_due - vp.handle.time_base)
        return not self._woke_somebody and vp.state is VpState.READY and not vp.partition.has_stopped

    def _end_turn_at(self, due_blocks: int) -> None:
        """An alarm was set that is due before the others: the turn stops there."""
        if self._running is not None:
            self._next_stop = min(self._next_stop, due_blocks - self._running.handle.time_base)

    def _woke(self, vp: VirtualProcessor) -> None:
        """``vp`` has become ready: the one that runs is not alone any more, and its turn ends in time."""
        self._woke_somebody = True
        longest = 0 if vp is self._running else SHARED_QUANTUM  # an NMI to itself is taken by the next turn
        self._turn_end = min(self._turn_end, self._turn_start + longest)
        self._next_stop = min(self._next_stop, self._turn_end)

    def _step(self, vp: VirtualProcessor) -> int:
        """A step of ``vp``, behind whatever interrupts are delivered before its instruction. A ``Stop``."""
        vp.take_nmi()
        while (stop := self.processor.step(vp.handle)) == DELIVERED:
            vp.apic.accepted()
        vp.apic.accepted()
        return stop

    def _approach(self, vp: VirtualProcessor) -> int:
        """``vp`` has arrived where somebody waits for it, or is a step nearer. A ``Stop``, as a number."""
        self._arrived = vp.words[RIP] == vp.handle.watched_rip
        return int(Stop.BUDGET) if self._arrived else self._step(vp)

    def _handle(self, vp: VirtualProcessor) -> None:
        line = TABLE.get(vp.words[EXIT_CODE])
        if line is None:
            raise InternalError(
                f"Exit {vp.control.exit_code:#x} at RIP {vp.read('rip'):#x} has no line in the exit table: "
                "please report the guest that did this."
            )
        line.handler(self, vp)
        if vp.init_requested:
            startup.initialize(vp)

    def _flush_if_changed(self, vp: VirtualProcessor) -> None:
        space, shadow = vp.partition.gpa_space, vp.partition.shadow
        if not space.changed and not space.rights_taken:
            return
        if shadow is not None:
            shadow.drop() if space.changed else shadow.take_writes()
        space.changed = space.rights_taken = False
        self.processor.flush()


def intercept_for_shadow(vp: VirtualProcessor) -> None:
    """Without nested paging ring -1 has to hear of page faults, of CR0, CR3 and CR4, and of INVLPG."""
    control = vp.control
    control.nested_control = 0
    control.intercept_cr_read |= CR3
    control.intercept_cr_write |= CR0 | CR3 | CR4
    control.intercept_exceptions |= 1 << Vector.PF
    control.intercept_instructions1 |= Intercept1.INVLPG


def check_partition(memory_bytes: int, vps: int) -> None:
    """Refuses what no partition can be."""
    if memory_bytes % PAGE_BYTES or memory_bytes < SMALLEST_PARTITION:
        raise ConfigurationError(
            f"A partition's memory must be a multiple of 4 KiB and at least 1 MiB, not {memory_bytes} bytes: "
            "write it as 64M or 1G."
        )
    if not 1 <= vps <= MOST_VPS:
        raise ConfigurationError(
            f"A partition has 1 to {MOST_VPS} virtual processors, not {vps}: choose --vps in that range."
        )


def machine_bytes(partition_bytes: int, partitions: int = 1, shadow_frames: int = 0) -> int:
    """System memory for ``partitions`` partitions of ``partition_bytes`` each, with room for ring -1.

    It has room for second-level tables of the smallest pages: a partition has those when its RAM is no
    multiple of 2 MiB, and else for as long as a log of pages is read. ``shadow_frames`` is what the shadow
    tables of each take.
    """
    rounded = -(-partition_bytes // LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES
    entries = page_align_up(rounded // PAGE_BYTES * ENTRY_BYTES)
    return OWN_BYTES + partitions * (rounded + entries + BYTES_FOR_PARTITION + shadow_frames * PAGE_BYTES)
