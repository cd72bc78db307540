"""The parent partition: partition 1, whose kernel in C carries out what Python asks of it.

Stands for: the parent partition with its virtualization stack, from its own boot on.
Spec: TLFS, "Partitions" and "Partition Management".
First reading: ``create_child``, ``delete_child``.
Next: ``minihv.parent.session``
"""

import struct
from collections.abc import Sequence

from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.synthetic.service import Service
from minihv.devices.synthetic.shutdown import ShutdownAnswer
from minihv.errors import ConfigurationError, InternalError
from minihv.guests.catalogue import IMAGES
from minihv.guests.image import Image, load_image
from minihv.guests.session import load
from minihv.hypervisor.hypervisor import BYTES_FOR_PARTITION, Hypervisor, check_partition, machine_bytes
from minihv.hypervisor.privileges import PARENT
from minihv.machine import clock
from minihv.machine.shadow import ShadowOptions
from minihv.parent import calls, children
from minihv.parent.buses import ChildBus
from minihv.parent.child_memory import ChildRam
from minihv.parent.children import Child, Plan
from minihv.parent.gate import Gate, GateCall, GateCode
from minihv.parent.offers import standard_services
from minihv.parent.orders import Job, Orders, Steps
from minihv.parent.timer import KernelTimer
from minihv.parent.vid import Vid
from minihv.parent.vmbus_service import VmbusService
from minihv.parent.wires import ParentWires
from minihv.parent.worker import Workers
from minihv.terms import LARGE_PAGE_BYTES, MIB, page_align_up

KERNEL = IMAGES / "parent.elf"
KERNEL_BYTES = 16 * MIB
"""RAM that the kernel keeps at most: its image, its tables and its workers."""
PAY_BYTES, PAY_PART = 1 * MIB, 256
"""What a child may cost in deposits besides its RAM: so much, and one part in so many for tables."""
DOORBELL_VECTOR = 0x4F
SLICE_BLOCKS = 20_000
"""The machine runs so many blocks between two looks at whether a job is done."""
HELLO = struct.Struct("<QQQQ")
"""GPA of the desk, where RAM is free from, how many workers can be, GPA of the count of ring changes."""


def parent_bytes(*children: int) -> int:
    """RAM that a parent needs to have children of so many bytes each, and to pay for them."""
    pages = (page_align_up(size) + size // PAY_PART + PAY_BYTES + LARGE_PAGE_BYTES for size in children)
    return -(-(KERNEL_BYTES + sum(pages)) // LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES


def system_bytes(*children: int, shadow: ShadowOptions | None = None) -> int:
    """Memory of a machine for a parent with such children, with shadow tables for all of them if any."""
    parent = parent_bytes(*children)
    frames = 0 if shadow is None else sum(shadow.frames_for(size) for size in (parent, *children))
    return machine_bytes(parent, shadow_frames=frames) + len(children) * BYTES_FOR_PARTITION


class ParentPartition:
    """Partition 1 of ``hypervisor``, booted and idle.

    ``children`` are those that exist, by id; ``log`` holds the lines that its kernel wrote, ``gate`` the
    services that it may ask.
    """

    def __init__(self, hypervisor: Hypervisor, memory_bytes: int) -> None:
        self.hypervisor = hypervisor
        self.partition = hypervisor.create_partition("parent", memory_bytes, privileges=PARENT)
        self.vp = self.partition.vps[0]
        self.gate = Gate()
        self.orders = Orders(self.partition, self.gate, self._ring)
        self.children: dict[int, Child] = {}
        self.workers = Workers(self.gate, self.orders, self.children)
        self.timer = KernelTimer(self.gate, self.orders, self._now)
        self.vmbus = VmbusService(self.gate, self.orders, self.timer, self._now, standard_services)
        self.log: list[str] = []
        self.worker_count = 0
        self._vid: Vid | None = None
        self.gate.serve(GateCode.HELLO, self._hello)
        self.gate.serve(GateCode.LOG, self._write_log)
        self.partition.service_gate = self.gate
        load(self.partition, load_image(KERNEL), memory_bytes)
        hypervisor.run()
        self.check()

    @property
    def ring_changes(self) -> int:
        """How often the parent went from ring 0 to 3 or back, as its kernel counts it."""
        return int.from_bytes(self.partition.gpa_space.read(self._ring_changes_gpa, 8), "little")

    @property
    def vid(self) -> Vid:
        """Whose memory is whose."""
        if self._vid is None:
            raise InternalError("The kernel of the parent has not said hello.")
        return self._vid

    def settle(self) -> None:
        """Runs the machine until nobody in it has anything to do."""
        self.hypervisor.run()
        self.check()

    def check(self) -> None:
        """Refuses to go on with a parent that has ended.

        Raises:
            InternalError: it has, and no device model that was to crash in its ring 0 is the reason.
        """
        if self.gate.crashed_ring == 0:
            return
        if self.partition.has_stopped or self._vid is None:
            said = self.partition.console.decode("utf-8", "replace").strip() or self.vp.why or "no word"
            raise InternalError(f"The kernel of the parent partition has ended ({said}): please report it.")

    def create_child(  # noqa: PLR0913 - the description of a machine
        self,
        name: str,
        memory_bytes: int,
        vps: int = 1,
        image: Image | None = None,
        *,
        start: bool = True,
        ports: PortBus | None = None,
        services: Sequence[Service] = (),
    ) -> Child:
        """A child of its own, made by hypercalls of the parent; the machine runs meanwhile.

        With ``start`` its VPs run as soon as all is there. ``ports`` has the chips that its worker emulates,
        ``services`` are offered to it besides those that every child has.

        Raises:
            ConfigurationError: a size or a count that cannot be, or no memory for it.
        """
        check_partition(memory_bytes, vps)
        plan = Plan(name, memory_bytes, vps, image, PortBus() if ports is None else ports, services)
        steps = self._create(plan, start=start)
        child = self.wait_for(self.orders.submit(f"create {name}", steps, awaited=True))
        assert isinstance(child, Child)
        return child

    def begin(self, child: Child) -> None:
        """Has the VPs of ``child`` run, if they do not yet; they will when the machine does."""
        if not child.is_started:
            child.is_started = True
            self.orders.submit(f"start {child.name}", children.start(child))

    def start_child(self, child: Child) -> None:
        """The VPs of ``child`` run."""
        self.wait_for(self.orders.submit(f"start {child.name}", children.start(child), awaited=True))

    def delete_child(self, child: Child) -> None:
        """``child`` is no more, whatever it was doing, and every page it had is the parent's again."""
        steps = self._destroy(child.id, child.plan.vp_count)
        self.wait_for(self.orders.submit(f"delete {child.name}", steps, awaited=True))

    def shut_down(self, child: Child, reason: str, *, restart: bool = False) -> ShutdownAnswer:
        """Asks the guest of ``child`` to end itself; it hears of it when the machine runs.

        Raises:
            ConfigurationError: the reason is too long for the message.
        """
        return self.vmbus.shut_down(self.bus_of(child), reason, restart=restart)

    def wait_for(self, job: Job) -> object:
        """Runs the machine until ``job`` is done; what it returned.

        Raises:
            ConfigurationError: it was refused.
            InternalError: the parent does not get it done.
        """
        while not job.is_done:
            used = self.hypervisor.run(SLICE_BLOCKS)
            self.check()
            if not used and not job.is_done:
                raise InternalError(
                    f"The parent has stopped in the middle of {job.what!r}: please report it."
                )
        if job.failure is not None:
            raise ConfigurationError(str(job.failure)) from job.failure
        return job.value

    def bus_of(self, child: Child) -> ChildBus:
        """The bus of ``child``: its server and its services."""
        return self.vmbus.buses[child.id]

    def _create(self, plan: Plan, *, start: bool) -> Steps:
        order = calls.create_partition()
        created = yield from children.make(order)
        number = int.from_bytes(created.output, "little")
        try:
            return (yield from self._furnish(plan, number, start=start))
        except ConfigurationError:
            yield from self._destroy(number, plan.vp_count)
            raise

    def _furnish(self, plan: Plan, number: int, *, start: bool) -> Steps:
        partition = self.hypervisor.partitions[number]
        partition.name = plan.name
        child = Child(number, plan, self.vid.allocate(number, plan.memory_bytes), partition)
        child.wires = ParentWires(child, self._now, self.orders, self.timer)
        self.children[number] = child
        yield from children.set_up(self.vid, child)
        plan.ports.ram = ChildRam(partition.gpa_space, self.hypervisor.memory)
        yield from self.vmbus.connect(child, plan.ports.ram)
        if start:
            yield from children.start(child)
        return child

    def _destroy(self, number: int, vp_count: int) -> Steps:
        child = self.children.pop(number, None)
        if child is not None:
            child.wires.close()
        yield from self.vmbus.disconnect(number, vp_count)
        yield from children.destroy(self.vid, number)

    def _now(self) -> int:
        """The time in units of 100 ns: the reference counter of the parent, which was there first."""
        return clock.reference_time(self.hypervisor.now)

    def _ring(self) -> None:
        """The doorbell: an interrupt tells the kernel that orders wait."""
        self.vp.apic.request(DOORBELL_VECTOR, auto_eoi=True)

    def _hello(self, call: GateCall) -> int:
        self.orders.desk_gpa, free_from, self.worker_count, self._ring_changes_gpa = HELLO.unpack(call.read())
        self._vid = Vid(self.partition.gpa_space, free_from, self.partition.gpa_space.ram_bytes)
        return self.orders.place()

    def _write_log(self, call: GateCall) -> int:
        self.log.append(call.read().decode("utf-8", "replace"))
        return 0
