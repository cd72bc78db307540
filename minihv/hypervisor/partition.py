"""A partition: memory, virtual processors, privileges, an id. The unit of isolation.

Stands for: ring -1's partition object.
Spec: TLFS, "Partition Management" and "Establishing the Hypercall Interface".
Simplified: a partition without a parent pays nothing, is created whole and is active at once. CPU reserve,
    cap and weight are kept, and the scheduler does not mind them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minihv.hypervisor import cpuid, intercepts
from minihv.hypervisor.device_models import DeviceModels
from minihv.hypervisor.gpa_space import GpaSpace
from minihv.hypervisor.intercepts import Intercepts
from minihv.hypervisor.pool import FrameSource, MachineFrames, MemoryPool
from minihv.hypervisor.privileges import Privilege
from minihv.hypervisor.reference_tsc import ReferenceTsc
from minihv.hypervisor.states import PartitionState, VpState
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.frames import HYPERVISOR
from minihv.machine.native import ffi
from minihv.machine.shadow import ShadowOptions, ShadowTables
from minihv.paging.access import Paging
from minihv.paging.shadow_pages import check_count
from minihv.spec.x86_exceptions import Vector
from minihv.terms import PAGE_BYTES, Gpa, Spa

if TYPE_CHECKING:
    from minihv.hypervisor.hypervisor import Hypervisor

PHYSICAL_BITS = 40
"""Width of a physical address of the emulated processor: CPUID leaf 0x80000008."""
HYPERCALL_PAGE_CODE = bytes.fromhex("0f01d9c3")
"""VMMCALL; RET: what the hypercall page holds on an AMD processor."""

ServiceGate = Callable[["VirtualProcessor"], int | None]
"""Serves a VMMCALL and says what RAX becomes; or ``None``: it was no call for it."""


class Partition:
    """Partition ``id``, child of ``parent_id`` (0: nobody's). It begins without RAM and without VPs.

    ``pool`` gives the frames for what ring -1 keeps about it. A child begins with an empty one, and
    uninitialized.
    """

    def __init__(
        self,
        hypervisor: "Hypervisor",
        partition_id: int,
        name: str,
        privileges: Privilege,
        parent_id: int = 0,
    ) -> None:
        self.id = partition_id
        self.name = name
        self.parent_id = parent_id
        self.state = PartitionState.UNINITIALIZED if parent_id else PartitionState.ACTIVE
        self.pool: FrameSource = (MemoryPool if parent_id else MachineFrames)(hypervisor.memory)
        self.intercepts = Intercepts()
        self.properties: dict[int, int] = {}
        """The properties that were set, other than the privileges."""
        self.external_vector: int | None = None
        """Of the external interrupt that was asserted and not cleared."""
        self._privileges = int(privileges)
        self.vps: list[VirtualProcessor] = []
        self.console = bytearray()
        self.guest_os_id: int = 0
        self.hypercall_msr: int = 0
        self.hypercall_page: Gpa | None = None
        self.created_at: int = 0
        self.exit_status: int | None = None
        self.why = ""
        self.has_crashed = False
        """Whether it ended because of somebody else."""
        self.service_gate: ServiceGate | None = None
        """Takes a VMMCALL, from any ring, before it is a hypercall. Only the parent partition has one."""
        self.models: DeviceModels | None = None
        """Its devices, where they are in ring -1; None: its parent emulates them."""
        self._hypervisor = hypervisor
        self._hypercall_spa: Spa | None = None
        self._cpuid: Any = None
        self.gpa_space = GpaSpace(
            hypervisor.memory, partition_id, hypervisor.processor, self.pool, begin=not parent_id
        )
        self.reference_tsc: ReferenceTsc = ReferenceTsc(self)
        self.shadow: ShadowTables | None = None
        """Its tables for a processor that walks one stage; None with nested paging."""
        self._shadow_frames: tuple[Spa, int] | None = None

    @property
    def hypervisor(self) -> "Hypervisor":
        """The ring -1 that it belongs to."""
        return self._hypervisor

    @property
    def privileges(self) -> Privilege:
        """What it may ask of ring -1."""
        return Privilege(self._privileges)

    @privileges.setter
    def privileges(self, value: Privilege) -> None:
        self._privileges = int(value)

    def may(self, privilege: int) -> bool:
        """Whether it has all of ``privilege``."""
        return not privilege & ~self._privileges

    @property
    def is_shut_down(self) -> bool:
        """Whether the guest, or an instructor, has ended it."""
        return self.exit_status is not None

    def announce(self, vp_count: int, lp_count: int, *, nested_paging: bool) -> None:
        """Fixes what CPUID says to this partition's VPs, for its whole life; but see ``identify``."""
        leaves = cpuid.processor_leaves(vp_count) | cpuid.hypervisor_leaves(
            self.privileges, vp_count, lp_count, nested_paging=nested_paging
        )
        self._cpuid = cpuid.table(leaves)
        cpuid.show_identity(self._cpuid, shown=self.guest_os_id != 0)
        for vp in self.vps:
            self.show_to(vp)

    def show_to(self, vp: VirtualProcessor) -> None:
        """``vp`` is as the others: with the hypercall page, and what the parent intercepts."""
        vp.handle.hypercalls_enabled = self.hypercall_page is not None
        vp.handle.cpuid = ffi.NULL if self.intercepts.leaves else self._cpuid
        exceptions = sum(1 << vector for vector in self.intercepts.vectors)
        shadowed = 0 if self.shadow is None else 1 << Vector.PF
        vp.control.intercept_exceptions = exceptions | shadowed

    def cpuid_leaf(self, leaf: int, subleaf: int, vp_index: int) -> cpuid.Leaf:
        """What CPUID says to a VP."""
        return cpuid.read_leaf(self._cpuid, leaf, subleaf, vp_index)

    def identify(self, guest_os_id: int) -> None:
        """The guest says who it is, or with 0 that it is nobody any more."""
        self.guest_os_id = guest_os_id
        cpuid.show_identity(self._cpuid, shown=guest_os_id != 0)
        if guest_os_id == 0:
            self.set_hypercall_page(None)

    def reserve_hypercall_page(self) -> None:
        """Takes the frame of the hypercall page now, so that no guest can run into a lack of frames.

        Raises:
            ConfigurationError: none is left.
        """
        memory = self._hypervisor.memory
        self._hypercall_spa = self.pool.take()
        memory.write(self._hypercall_spa, HYPERCALL_PAGE_CODE.ljust(PAGE_BYTES, b"\0"))

    def shadow_tables(self, options: ShadowOptions) -> None:
        """Takes the frames for shadow tables, and keeps them from now on.

        Raises:
            ConfigurationError: there are not so many, or they are too few.
        """
        memory, count = self._hypervisor.memory, options.frames_for(self.gpa_space.ram_bytes)
        check_count(count)
        base = memory.frames.allocate(HYPERVISOR, count)
        self._shadow_frames = base, count
        second = Paging(self.gpa_space.root, physical_bits=PHYSICAL_BITS)
        self.shadow = ShadowTables(self._hypervisor.processor, second, base, count, options)

    def shut_down(self, status: int, why: str) -> None:
        """Ends the partition; its VPs never run again, nor do those of its children."""
        self.exit_status = status
        self.why = why
        for child in self._hypervisor.partitions.values():
            if child.parent_id == self.id and not child.has_stopped:
                child.crash(f"partition {self.id}, its parent, has ended: {why}")

    def crash(self, why: str) -> None:
        """Ends the partition because what it stands on is gone, if it has not ended yet."""
        if not self.has_stopped:
            self.has_crashed, self.why = True, why

    def tell_of_eoi(self, vp: VirtualProcessor, vector: int) -> None:
        """``vp`` has ended a level-triggered interrupt: whoever raised it is told."""
        intercepts.tell_of_eoi(self._hypervisor, vp, vector)

    def set_hypercall_page(self, gpa: Gpa | None) -> None:
        """Lays the hypercall page over the guest's page at ``gpa``, or takes it away.

        Raises:
            ConfigurationError: there is no frame for the tables of this page; then there is no page.
        """
        if self.hypercall_page is not None:
            self.gpa_space.lift(self.hypercall_page)
            self.hypercall_page = None
        if gpa is not None and self._hypercall_spa is not None:
            self.gpa_space.lay_over(gpa, self._hypercall_spa, "hypercall page")
        self.hypercall_page = gpa
        for vp in self.vps:
            vp.handle.hypercalls_enabled = gpa is not None

    @property
    def has_stopped(self) -> bool:
        """Whether none of its VPs may run again: it was shut down, crashed, or one met a triple fault."""
        if self.exit_status is not None or self.has_crashed or self.state is PartitionState.FINALIZED:
            return True
        for vp in self.vps:  # noqa: SIM110 - every turn asks, and a generator costs as much as ten VPs
            if vp.state is VpState.TRIPLE_FAULT:
                return True
        return False

    def close(self) -> None:
        """Gives every frame back: to the memory pool what came from it."""
        for vp in self.vps:
            vp.close()
            self.pool.give(vp.vmcb_spa)
        self.vps.clear()
        if self._hypercall_spa is not None:
            self.pool.give(self._hypercall_spa)
            self._hypercall_spa = None
        self.reference_tsc.close()
        if self.shadow is not None:
            self.shadow.close()
            self.shadow = None
        if self._shadow_frames is not None:
            self._hypervisor.memory.frames.free(HYPERVISOR, *self._shadow_frames)
            self._shadow_frames = None
        self.gpa_space.release()
