"""Orders: what Python wants done by the kernel of the parent, one after the other, on a desk of three pages.

Stands for: nothing in a real machine, where the management software of the parent makes these calls itself.
Spec: TLFS, "Hypercall Inputs" and "Hypercall Outputs".
Twin: ``native/guests/parent/orders.h`` and ``orders.c``, which carry them out.
Next: ``minihv.parent.partition``

What is to be done is written as a generator that yields orders and is sent their results. So the parent
itself executes every hypercall, and what it is for still reads from top to bottom.

==========  ========================================================================
Desk        What lies there
==========  ========================================================================
page 0      the order: ``DESK``
page 1      the input block of its hypercall
page 2      the output block
==========  ========================================================================
"""

import struct
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

from minihv.errors import ConfigurationError, InternalError
from minihv.hypervisor.hypercalls import call_name
from minihv.hypervisor.partition import Partition
from minihv.parent.gate import Gate, GateCall, GateCode
from minihv.spec.hypercalls import CallCode, HypercallInput, HypercallResult, Status
from minihv.terms import PAGE_BYTES

DESK = struct.Struct("<IIQQQQ")
"""kind, flags, input value, RDX, R8, result."""
RESULT_OFFSET = 32
INPUT_OFFSET, OUTPUT_OFFSET = PAGE_BYTES, 2 * PAGE_BYTES
NOTHING, ORDER_WAITS = 0, 1
"""What the gate answers to ring 0."""
NO_WORKER = 0xFFFF
MOST_REFUSED = 100


class OrderKind(IntEnum):
    """What the kernel is to do."""

    HYPERCALL = 1
    START_WORKER = 2
    STOP_WORKER = 3
    TICK = 4


class OrderFlag(IntFlag):
    """How much the kernel is to say about it."""

    SILENT = 1
    """The result is wanted only if it is a failure."""
    LAST = 2
    """Nothing follows."""


@dataclass(frozen=True, slots=True)
class Hypercall:
    """A hypercall. ``block`` is its input with all elements: in registers if ``fast``, else in memory."""

    code: CallCode
    block: bytes = b""
    rep_count: int = 0
    output_bytes: int = 0
    fast: bool = False

    @property
    def input_value(self) -> int:
        """What goes to RCX."""
        return int(HypercallInput(call_code=self.code, fast=self.fast, rep_count=self.rep_count))


@dataclass(frozen=True, slots=True)
class StartWorker:
    """A worker process for a child."""

    child: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    """The worker process of a child ends."""

    child: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick when the reference counter of the parent is at ``when``, and none before; with 0 none."""

    when: int


Order = Hypercall | StartWorker | StopWorker | Tick


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order: RAX, and of a hypercall its output block."""

    value: int
    output: bytes = b""

    @property
    def status(self) -> int:
        """Of a hypercall."""
        return int(HypercallResult(self.value).status)

    @property
    def done(self) -> int:
        """How many elements of a rep hypercall were processed."""
        return int(HypercallResult(self.value).reps_completed)

    @property
    def succeeded(self) -> bool:
        """Whether the status is success."""
        return self.status == Status.SUCCESS


Steps = Generator[Order, Result, Any]


class Job:
    """A generator of orders on its way. ``value`` is what it returned, ``failure`` what it refused with."""

    def __init__(self, what: str, steps: Steps, *, awaited: bool) -> None:
        self.what = what
        self.is_done = False
        self.value: Any = None
        self.failure: ConfigurationError | None = None
        self.order: Order | None = None
        self._steps = steps
        self._awaited = awaited
        self._advance(lambda: next(steps))

    def go_on(self, result: Result) -> None:
        """The order is done; the next one is in ``order``, or the job is."""
        self._advance(lambda: self._steps.send(result))

    def cancel(self) -> None:
        """The job ends where it is."""
        self._steps.close()
        self.order, self.is_done = None, True

    def _advance(self, step: Callable[[], Order]) -> None:
        try:
            self.order = step()
        except StopIteration as end:
            self.order, self.is_done, self.value = None, True, end.value
        except ConfigurationError as refusal:
            self.order, self.is_done, self.failure = None, True, refusal
            if not self._awaited:
                raise


class Orders:
    """What waits for the kernel of ``parent``: signals that want no answer, and jobs that take turns.

    ``ring`` is the doorbell: it wakes the kernel when something is left while it does not ask.
    """

    def __init__(self, parent: Partition, gate: Gate, ring: Callable[[], None]) -> None:
        self.desk_gpa: int | None = None
        self.made: dict[str, int] = {}
        """How often each order was carried out, by name."""
        self._space = parent.gpa_space
        self._gate = gate
        self._ring = ring
        self._silent: deque[Order] = deque()
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self.refused: deque[tuple[Order, int]] = deque(maxlen=MOST_REFUSED)
        """The last silent orders that failed, with the status."""
        self._last_silent: Order | None = None
        gate.serve(GateCode.NEXT_ORDER, self._next)
        gate.serve(GateCode.ORDER_DONE, self._done)

    @property
    def wait(self) -> bool:
        """Whether something is to be done."""
        return bool(self._silent or self._jobs)

    def submit(self, what: str, steps: Steps, *, awaited: bool = False) -> Job:
        """Has ``steps`` done, beside the other jobs.

        A refusal (``ConfigurationError``) of an ``awaited`` job is kept for whoever waits; else it is a bug.
        """
        job = Job(what, steps, awaited=awaited)
        if not job.is_done:
            self._jobs.append(job)
            self._wake()
        return job

    def post(self, order: Order) -> None:
        """Has ``order`` done soon, before any job goes on; nobody waits for its result."""
        self._silent.append(order)
        self._wake()

    def cancel(self, job: Job) -> None:
        """Nothing more is done of ``job``."""
        job.cancel()
        if job in self._jobs:
            self._jobs.remove(job)

    def place(self) -> int:
        """The next order lies on the desk, if there is one: what a service in ring 0 answers."""
        if self.desk_gpa is None or not self.wait:
            return NOTHING
        flags = OrderFlag(0)
        self._current = self._last_silent = None
        if self._silent:
            order = self._last_silent = self._silent.popleft()
            flags = OrderFlag.SILENT if self.wait else OrderFlag.SILENT | OrderFlag.LAST
        else:
            self._current = self._jobs[0]
            assert self._current.order is not None
            order = self._current.order
        self._write(self.desk_gpa, order, flags)
        return ORDER_WAITS

    def _wake(self) -> None:
        if not self._gate.is_serving:
            self._ring()

    def _write(self, desk: int, order: Order, flags: OrderFlag) -> None:
        value = rdx = r8 = 0
        match order:
            case Hypercall():
                name, kind, value = call_name(order.code), OrderKind.HYPERCALL, order.input_value
                rdx, r8 = desk + INPUT_OFFSET, desk + OUTPUT_OFFSET
                if order.fast:
                    rdx, r8 = struct.unpack("<QQ", order.block.ljust(16, b"\0"))
                elif order.block:
                    self._space.write(rdx, order.block)
            case StartWorker(rdx):
                name, kind = "start worker", OrderKind.START_WORKER
            case StopWorker(rdx):
                name, kind = "stop worker", OrderKind.STOP_WORKER
            case Tick(rdx):
                name, kind = "tick", OrderKind.TICK
        self.made[name] = self.made.get(name, 0) + 1
        self._space.write(desk, DESK.pack(kind, flags, value, rdx, r8, 0))

    def _next(self, _call: GateCall) -> int:
        return self.place()

    def _done(self, _call: GateCall) -> int:
        """The kernel left the result of the order on the desk."""
        if self.desk_gpa is None:
            raise InternalError("The kernel of the parent reports an order before it has a desk.")
        value = int.from_bytes(self._space.read(self.desk_gpa + RESULT_OFFSET, 8), "little")
        job, self._current = self._current, None
        if self._last_silent is not None:
            self.refused.append((self._last_silent, int(HypercallResult(value).status)))
        elif job is not None and not job.is_done:
            output = b""
            if isinstance(job.order, Hypercall) and job.order.output_bytes:
                output = self._space.read(self.desk_gpa + OUTPUT_OFFSET, job.order.output_bytes)
            self._jobs.remove(job)
            job.go_on(Result(value, output))
            if not job.is_done:
                self._jobs.append(job)
        return self.place()
