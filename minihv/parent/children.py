"""Children: the steps by which the parent makes one and takes it apart again, hypercall by hypercall.

Stands for: what the virtual machine management service and the VID do for a new virtual machine.
Spec: TLFS, "Partition Management", "Partition Memory Pools", "Virtual Processor Management".
Simplified: a child is given all its memory at once, and its image is put there without a firmware.
First reading: ``create``, ``destroy``.
Next: ``minihv.parent.worker``
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from minihv.devices.emulated.port_bus import PortBus
from minihv.devices.synthetic.service import Service
from minihv.errors import ConfigurationError
from minihv.guests.boot import InitialState, boot
from minihv.guests.image import Image
from minihv.guests.session import RESET_VALUES
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.partition import Partition
from minihv.parent import calls
from minihv.parent.orders import NO_WORKER, Hypercall, Order, Result, StartWorker, Steps, StopWorker
from minihv.parent.vid import ChildMemory, Vid
from minihv.spec.hypercalls import CallCode, RegisterName, Status
from minihv.spec.intercepts import AccessMask, InterceptType

FIRST_DEPOSIT = 16
DEPOSIT = 64
"""Pages that are deposited at creation, and each time that the pool turns out to be too small."""
PORTS_OF_PC = (
    0x80,  # progress of the firmware
    *(0xCF8, 0xCFC),  # PCI configuration
)
"""What a guest that is not enlightened looks for, even where there is no chip; its worker answers there."""
RENAMED = {"g_pat": RegisterName.PAT}
TABLES = ("gdtr", "idtr")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a child shall be."""

    name: str
    memory_bytes: int
    vp_count: int = 1
    image: Image | None = None
    ports: PortBus = field(default_factory=PortBus)
    """The chips that its worker emulates."""
    services: Sequence[Service] = ()
    """What is offered to it besides what every child is."""


@dataclass(slots=True)
class Child:
    """A child of the parent: a partition, the pages that are its memory, and the mailbox of its worker."""

    id: int
    plan: Plan
    memory: ChildMemory
    partition: Partition
    mailbox: int = 0
    is_started: bool = False
    deposited: int = 0
    """Pages in its memory pool."""
    stopped: str = ""
    why: str = ""
    """Why it cannot go on, in a word and in a sentence, where its worker said so."""
    restarts: int = 0
    """How often it got a new worker because a device model crashed in the old one."""
    services: Any = field(default=None, repr=False)
    wires: Any = field(default=None, repr=False)
    """Its mainboard, and the way from there to its VPs."""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.plan.name


def expect(order: Hypercall, result: Result) -> Result:
    """``result``, if it is a success.

    Raises:
        ConfigurationError: it is not.
    """
    if not result.succeeded:
        try:
            status = Status(result.status).name.replace("_", " ").lower()
        except ValueError:
            status = f"status {result.status:#x}"
        raise ConfigurationError(
            f"A child cannot be made or changed as asked: {call_name(order.code)} answers {status}."
        )
    return result


def make(order: Hypercall) -> Generator[Order, Result, Result]:
    """One hypercall that has to succeed."""
    return expect(order, (yield order))


def pay(vid: Vid, child: int, order: Hypercall) -> Generator[Order, Result, int]:
    """A hypercall that has to succeed, with more deposits as long as the pool is too small. How many pages.

    Raises:
        ConfigurationError: the call is refused, or the parent has no page left.
    """
    deposited = 0
    while True:
        result = yield order
        if result.status != Status.INSUFFICIENT_MEMORY:
            expect(order, result)
            return deposited
        deposited += yield from deposit(vid, child, DEPOSIT)


def deposit(vid: Vid, child: int, count: int) -> Generator[Order, Result, int]:
    """``count`` pages of the parent are in the memory pool of ``child``."""
    for pages in calls.batches(vid.take_pages(child, count)):
        yield from make(calls.deposit(child, pages))
    return count


def map_memory(vid: Vid, child: int, memory: ChildMemory) -> Generator[Order, Result, int]:
    """All of ``memory`` is mapped; how many pages it took for tables."""
    deposited = 0
    for run in memory.runs:
        pages = range(run.parent_gpn, run.parent_gpn + run.page_count)
        gpn = run.gpn
        for batch in calls.batches(pages):
            deposited += yield from pay(vid, child, calls.map_pages(child, gpn, batch))
            gpn += len(batch)
    return deposited


def register_values(state: InitialState) -> Iterator[tuple[RegisterName, bytes]]:
    """The registers that a VP enters with, as HvSetVpRegisters takes them."""
    for name, value in (RESET_VALUES | state.registers).items():
        yield RENAMED.get(name) or RegisterName[name.upper()], value.to_bytes(16, "little")
    for name, segment in state.segments.items():
        base, limit = segment.base.to_bytes(8, "little"), segment.limit.to_bytes(4, "little")
        if name in TABLES:
            yield RegisterName[name.upper()], bytes(6) + limit[:2] + base
        else:
            rest = segment.selector | segment.attributes << 16
            yield RegisterName[name.upper()], base + limit + rest.to_bytes(4, "little")


def intercepts(child: int, ports: PortBus) -> Iterator[Hypercall]:
    """What the worker of a child wants to hear of, besides memory that is not there."""
    access = AccessMask.READ | AccessMask.WRITE
    for port in dict.fromkeys((*PORTS_OF_PC, *ports.ports)):
        yield calls.install_intercept(child, access, InterceptType.IO_PORT, port)
    yield calls.install_intercept(child, access, InterceptType.MSR, 0)


def start_vp(child: int, vp: int) -> Hypercall:
    """A VP runs as soon as its explicit suspension is taken away."""
    return calls.set_registers(child, vp, [(RegisterName.EXPLICIT_SUSPEND, bytes(16))])


def load(plan: Plan, memory: ChildMemory) -> tuple[InitialState, ...]:
    """The image is in the child's memory; how each VP enters it. Nothing, where there is no image."""
    if plan.image is None:
        return ()
    return boot(plan.image, memory.write, memory_bytes=plan.memory_bytes, vp_count=plan.vp_count)


def set_up(vid: Vid, child: Child) -> Steps:
    """A partition that was just created gets memory, VPs and a worker, and is ready to start."""
    child.deposited += yield from deposit(vid, child.id, FIRST_DEPOSIT)
    initialize = calls.of_partition(CallCode.INITIALIZE_PARTITION, child.id)
    child.deposited += yield from pay(vid, child.id, initialize)
    child.deposited += yield from map_memory(vid, child.id, child.memory)
    for order in intercepts(child.id, child.plan.ports):
        yield from make(order)
    for index in range(child.plan.vp_count):
        child.deposited += yield from pay(vid, child.id, calls.create_vp(child.id, index))
    for index, state in enumerate(load(child.plan, child.memory)):
        yield from make(calls.set_registers(child.id, index, list(register_values(state))))
    mailbox = yield StartWorker(child.id)
    if mailbox.value == NO_WORKER:
        raise ConfigurationError(
            "The parent has a worker for each child that runs, and no room for another: delete a child first."
        )
    child.mailbox = mailbox.value


def start(child: Child) -> Steps:
    """Its VPs run."""
    for index in range(child.plan.vp_count):
        yield from make(start_vp(child.id, index))
    child.is_started = True


def destroy(vid: Vid, child: int) -> Steps:
    """The partition of a child is no more, and every page that it had is the parent's again.

    It may be in any state, half made too.
    """
    yield StopWorker(child)
    yield calls.of_partition(CallCode.FINALIZE_PARTITION, child)
    while True:
        result = yield calls.withdraw(child, calls.MOST_PAGES)
        if not result.succeeded or result.done == 0:
            break
    yield from make(calls.of_partition(CallCode.DELETE_PARTITION, child))
    vid.give_back(child)
