"""The service gate: how code of the parent partition, in ring 0 or ring 3, reaches device logic in Python.

Stands for: nothing in a real machine; as semihosting, it is a call that only this emulated machine has.
Spec: TLFS, "Hypercall Inputs": the reserved bits 63:60 are clear there, and a call of the gate sets one.
Next: ``minihv.parent.orders``

VMMCALL with RCX = ``MAGIC | code``, RDX = GPA of the argument, R8 = its bytes. RAX is the answer. A code that
nobody serves, a ring that may not use it, or an argument that is not RAM of the parent is answered by
``REFUSED``. For every other partition the same instruction is what it was: a wrong hypercall, or #UD.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from minihv.errors import InternalError
from minihv.hypervisor.device_models import ModelCrash

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

MAGIC = 0x4D48_0000_0000_0000
CODE_BITS = 0xFFFF
REFUSED = (1 << 64) - 1
CRASHED = 1 << 33
"""The device model that was asked crashed: whoever asked does what its ring must not, and ends by that."""
MOST_BYTES = 1 << 16
"""Of an argument."""


class GateCode(IntEnum):
    """What can be asked for. Ring 0 may use all, ring 3 only those of ``USER_CODES``."""

    HELLO = 0
    """The kernel is up: the argument is the three pages of its orders."""
    NEXT_ORDER = 1
    """What is to be done next?"""
    ORDER_DONE = 2
    """The order in the page is done, and its result is there; what is next?"""
    INTERCEPT = 3
    """A worker has an intercept message in its mailbox, and wants the registers that answer it."""
    VMBUS_MESSAGE = 4
    """A child posted the message in the argument, a slot of 256 bytes."""
    CHANNEL_EVENT = 5
    """Event flags were set: the argument lists their numbers, four bytes each."""
    TICK = 6
    """The timer of the kernel expired."""
    LOG = 7
    """The argument is a line of text for the trace."""
    WORKER_DIED = 8
    """A worker process did what ring 3 must not; the argument: child, vector, RIP, CR2, 8 bytes each."""


USER_CODES = frozenset({GateCode.INTERCEPT, GateCode.LOG})


@dataclass(frozen=True, slots=True)
class GateCall:
    """One call, as a service sees it: its argument is RAM of the parent."""

    vp: "VirtualProcessor"
    gpa: int
    byte_count: int

    def read(self) -> bytes:
        """The argument."""
        return self.vp.partition.gpa_space.read(self.gpa, self.byte_count) if self.byte_count else b""


Service = Callable[[GateCall], int]
"""Answers a call with what RAX becomes."""


class Gate:
    """The services behind the gate of one partition: ``partition.service_gate = Gate()``."""

    def __init__(self) -> None:
        self.calls = dict.fromkeys(GateCode, 0)
        """How often each code was asked for, refusals aside."""
        self.is_serving = False
        self.crashed_ring: int | None = None
        """The ring that the last device model crashed in."""
        self._services: dict[int, Service] = {}

    def serve(self, code: GateCode, service: Service) -> None:
        """From now on ``service`` answers ``code``."""
        self._services[code] = service

    def __call__(self, vp: "VirtualProcessor") -> int | None:
        """Answers the VMMCALL of ``vp``, or says by ``None`` that it is none of the gate's."""
        value = vp.read("rcx")
        if value & ~CODE_BITS != MAGIC:
            return None
        code = value & CODE_BITS
        service = self._services.get(code)
        call = GateCall(vp, vp.read("rdx"), vp.read("r8"))
        if service is None or (vp.save_area.cpl and code not in USER_CODES) or not is_ram(call):
            return REFUSED
        self.calls[GateCode(code)] += 1
        self.is_serving = True
        try:
            return service(call)
        except ModelCrash:
            self.crashed_ring = int(vp.save_area.cpl)
            return CRASHED
        except InternalError:
            raise
        except Exception as failure:
            raise InternalError(
                f"The service {GateCode(code).name} of the parent partition failed ({failure!r}): "
                "please report the guest that did this."
            ) from failure
        finally:
            self.is_serving = False


def is_ram(call: GateCall) -> bool:
    """Whether the argument is RAM that the caller's partition has; one without bytes always is."""
    if call.byte_count == 0:
        return True
    return call.byte_count <= MOST_BYTES and call.vp.partition.gpa_space.is_backed(call.gpa, call.byte_count)
