"""The synthetic interrupt controller of a VP: message slots, event flags, and sixteen interrupt sources.

Stands for: ring -1's SynIC, one for each VP.
Spec: TLFS, "Virtual Interrupt Control", "SynIC Messages" and "SynIC Event Flags".
Simplified: the SIMP and SIEFP pages are the guest's own RAM, zeroed when they are enabled, and no overlays; a
    message that waits for its slot is tried again by EOM, EOI and the next message, and never by time.
First reading: ``post``, ``_deliver``, ``signal``.
Next: ``minihv.hypervisor.ports``

A message waits in the queue of its SINT until the guest has emptied the slot. A flag *in the slot that is
occupied* tells the guest, which then writes EOM::

    post ──> queue ──slot empty──> slot, type last ──> interrupt ──> the guest reads, writes type 0
               └── slot occupied: pending flag of the slot            └── pending? EOM: ``retry``
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from minihv.spec.hypercalls import MapFlags, Status
from minihv.spec.msrs import OverlayRegister, SintRegister, SynicControl
from minihv.spec.synic import (
    BUFFERS_FOR_EOIS,
    BUFFERS_FOR_INTERCEPTS,
    BUFFERS_FOR_TIMERS,
    SINT_COUNT,
    SINT_RESET,
    SLOT_BYTES,
    MessageFlags,
    MessageType,
)
from minihv.terms import PAGE_BYTES

if TYPE_CHECKING:
    from minihv.hypervisor.gpa_space import GpaSpace

ENABLE = SynicControl.enable.mask
PAGE_ENABLE, PAGE = OverlayRegister.enable.mask, OverlayRegister.gpn.mask
VECTOR, MASKED = SintRegister.vector.mask, SintRegister.masked.mask
AUTO_EOI, POLLING = SintRegister.auto_eoi.mask, SintRegister.polling.mask
"""As numbers: a signal is the hot path of VMBus."""
FIRST_VECTOR = 16
PENDING_IN_HEADER = MessageFlags.pending.mask << 40
"""The pending flag, when the first eight bytes of a slot are one number."""
TYPE_IN_HEADER = 0xFFFF_FFFF

Tell = Callable[[str, str, dict[str, int]], None]
"""Takes the kind of an event, its name and its numbers."""


class Interrupts(Protocol):
    """What takes the interrupts: the local APIC of the VP."""

    def request(self, vector: int, *, auto_eoi: bool = False, level: bool = False) -> bool:
        """Has ``vector`` wait for delivery."""
        ...


class Message(NamedTuple):
    """A message before it has a slot. ``origin`` is a port, a partition, or 0 for a timer."""

    type: int
    origin: int
    payload: bytes


class Buffers:
    """So many messages of one sender may wait at a time; ``free`` of them still can."""

    def __init__(self, count: int) -> None:
        self.free = count


class Queued(NamedTuple):
    """A message that waits, and whose buffer it occupies."""

    message: Message
    buffers: Buffers | None


class Synic:
    """The registers and queues of one VP; its pages are in ``gpa_space``, its interrupts go to ``apic``."""

    def __init__(self, gpa_space: "GpaSpace", apic: Interrupts) -> None:
        self._gpa_space, self._apic = gpa_space, apic
        self._queues: tuple[deque[Queued], ...] = tuple(deque() for _ in range(SINT_COUNT))
        self._waiting: set[int] = set()
        """The SINTs whose queue is not empty."""
        self.control = self.simp = self.siefp = 0
        self.sints = [SINT_RESET] * SINT_COUNT
        """All as the guest wrote them, reserved bits included."""
        self.timer_buffers = Buffers(BUFFERS_FOR_TIMERS)
        self.intercept_buffers = Buffers(BUFFERS_FOR_INTERCEPTS)
        self.eoi_buffers = Buffers(BUFFERS_FOR_EOIS)
        """Both are for messages of which this VP is the *cause*; they go to its parent."""
        self.tell: Tell | None = None
        """Who reads the trace, if anybody does."""

    def post(self, sint: int, message: Message, buffers: Buffers | None = None) -> Status:
        """Has ``message`` delivered to the slot of ``sint``, now or when the slot is empty.

        Without ``buffers``, a timer's message takes one of the VP's own, and any other none: its sender sees
        to it that there are not too many.
        """
        if buffers is None and message.type == MessageType.TIMER_EXPIRED:
            buffers = self.timer_buffers
        if not self.control & ENABLE:
            return Status.INVALID_SYNIC_STATE
        if buffers is not None:
            if not buffers.free:
                return Status.INSUFFICIENT_BUFFERS
            buffers.free -= 1
        self._queues[sint].append(Queued(message, buffers))
        self._waiting.add(sint)
        self._deliver(sint)
        return Status.SUCCESS

    def signal(self, sint: int, flag: int) -> Status:
        """Sets event flag ``flag``, 0 to 2047, of ``sint``; an interrupt only if it was clear."""
        source, siefp, space = self.sints[sint], self.siefp, self._gpa_space
        gpa = (siefp & PAGE) + sint * SLOT_BYTES + (flag >> 3)
        if source & MASKED or not self.control & siefp & ENABLE or not space.is_backed(gpa, 1, writable=True):
            return Status.INVALID_SYNIC_STATE
        is_news = space.set_bit(gpa, flag & 7)
        if is_news and not source & POLLING:
            self._apic.request(source & VECTOR, auto_eoi=source & AUTO_EOI != 0)
        if self.tell is not None:
            self.tell("event", "set" if is_news else "was set", {"sint": sint, "flag": flag})
        return Status.SUCCESS

    def retry(self) -> None:
        """Tries to deliver what waits: the guest wrote EOM or EOI, or enabled something."""
        for sint in sorted(self._waiting):
            self._deliver(sint)

    def takes_messages(self, sint: int) -> bool:
        """Whether a message to ``sint`` would be delivered and raise an interrupt, once the slot is empty."""
        return self._slot(sint) is not None and not self.sints[sint] & MASKED

    def takes_signals(self, sint: int) -> bool:
        """Whether a signal to ``sint`` would set its flag."""
        is_enabled = self.control & self.siefp & ENABLE and not self.sints[sint] & MASKED
        return bool(is_enabled) and self._gpa_space.is_backed(self.siefp & PAGE, PAGE_BYTES, writable=True)

    def write_control(self, value: int) -> bool:
        """Writes SCONTROL."""
        self.control = value
        self.retry()
        return True

    def write_simp(self, value: int) -> bool:
        """Writes SIMP; false when the page is no RAM that the guest may write."""
        if not self._prepare_page(self.simp, value):
            return False
        self.simp = value
        self.retry()
        return True

    def write_siefp(self, value: int) -> bool:
        """Writes SIEFP; false when the page is no RAM that the guest may write."""
        if not self._prepare_page(self.siefp, value):
            return False
        self.siefp = value
        return True

    def write_sint(self, sint: int, value: int) -> bool:
        """Writes a SINT register; false for a vector below 16, but 0 may be in one that is masked."""
        vector = value & VECTOR
        if vector < FIRST_VECTOR and (vector or not value & MASKED):
            return False
        self.sints[sint] = value
        return True

    def close(self) -> None:
        """Forgets what waits, and gives its buffers back: the VP goes."""
        for queue in self._queues:
            for waiting in queue:
                if waiting.buffers is not None:
                    waiting.buffers.free += 1
            queue.clear()
        self._waiting.clear()

    def waiting(self, sint: int) -> int:
        """How many messages wait for the slot of ``sint``."""
        return len(self._queues[sint])

    def _deliver(self, sint: int) -> None:
        """One step of the protocol: the first message to the empty slot, or the pending flag to the other."""
        slot, queue, space = self._slot(sint), self._queues[sint], self._gpa_space
        if slot is None:
            return
        header = int.from_bytes(space.read(slot, 8), "little")
        if header & TYPE_IN_HEADER:
            space.write(slot, (header | PENDING_IN_HEADER).to_bytes(8, "little"))
            self._tell_message("waits", sint, queue[-1].message)
            return
        message, buffers = queue.popleft()
        if buffers is not None:
            buffers.free += 1
        if not queue:
            self._waiting.remove(sint)
        pending = MessageFlags.pending.mask if queue else 0
        rest = bytes((len(message.payload), pending, 0, 0)) + message.origin.to_bytes(8, "little")
        space.write(slot + 4, rest + message.payload)
        space.write(slot, message.type.to_bytes(4, "little"))  # last: from here on the guest may read it
        self._tell_message("placed", sint, message)
        source = self.sints[sint]
        if not source & (MASKED | POLLING):
            self._apic.request(source & VECTOR, auto_eoi=source & AUTO_EOI != 0)

    def _slot(self, sint: int) -> int | None:
        """GPA of a slot; ``None`` while messages cannot be delivered.

        A page that the guest has enabled and may not write any more, because its parent took it away or an
        overlay hides it, is as if it were not enabled.
        """
        if not self.control & self.simp & ENABLE:
            return None
        slot = (self.simp & PAGE) + sint * SLOT_BYTES
        return slot if self._gpa_space.is_backed(slot, SLOT_BYTES, writable=True) else None

    def _prepare_page(self, held: int, value: int) -> bool:
        """Zeroes a page that becomes one of the controller's; false if the guest may not write there."""
        if not value & PAGE_ENABLE or not (held ^ value) & (PAGE | PAGE_ENABLE):
            return True
        page = value & PAGE
        if not (self._gpa_space.rights_of(page) or 0) & MapFlags.WRITE:
            return False
        self._gpa_space.write(page, bytes(PAGE_BYTES))
        return True

    def _tell_message(self, name: str, sint: int, message: Message) -> None:
        if self.tell is not None:
            numbers = {"type": message.type, "origin": message.origin, "payload_bytes": len(message.payload)}
            self.tell("message", name, {"sint": sint, **numbers})
