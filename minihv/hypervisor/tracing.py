"""Reads the core's trace of each VP and gives every event its words.

Stands for: nothing; it only looks.
Spec: names are those of ``minihv.spec.svm_exits`` and ``minihv.spec.x86_exceptions``.
Simplified: exits, deliveries, world switches, messages and signals; neither walks nor instructions.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from minihv.hypervisor.vp import RIP
from minihv.machine import clock
from minihv.machine.native import ffi, lib
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.trace import Event, Reader

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor


class VpTracer:
    """The trace buffers of VPs, and who reads them. ``now`` tells virtual time in blocks."""

    def __init__(self, reader: Reader, now: Callable[[], int]) -> None:
        self._reader, self._now = reader, now
        self._buffers: dict[VirtualProcessor, Any] = {}

    def attach(self, vp: "VirtualProcessor") -> None:
        """From now on the core tells what happens to ``vp``, and so does its SynIC."""
        vp.synic.tell = partial(self.tell, vp)
        self._buffers[vp] = ffi.new("struct mhv_trace *")
        vp.handle.trace = self._buffers[vp]

    def detach(self, vp: "VirtualProcessor") -> None:
        """Nobody tells anything more of ``vp``."""
        vp.synic.tell = None
        vp.handle.trace = ffi.NULL
        del self._buffers[vp]

    def drain(self, vp: "VirtualProcessor") -> None:
        """Hands on what happened to ``vp`` since the last time."""
        buffer = self._buffers[vp]
        for number in range(buffer.count):
            self._reader(event_of(vp.partition.id, buffer.events[number]))
        buffer.count = 0

    def tell(self, vp: "VirtualProcessor", kind: str, name: str, detail: dict[str, int]) -> None:
        """Hands on what ring -1 did about ``vp`` just now, behind what the core has told."""
        self.drain(vp)
        time_ns, rip = self._now() * clock.NS_PER_BLOCK, vp.words[RIP]
        self._reader(Event(time_ns, vp.partition.id, vp.index, kind, name, rip, detail))


def event_of(partition: int, raw: Any) -> Event:
    """A ``struct mhv_trace_event`` in words."""
    kind, name, detail = describe(raw)
    return Event(raw.time * clock.NS_PER_BLOCK, partition, raw.vp_index, kind, name, raw.rip, detail)


def describe(raw: Any) -> tuple[str, str, dict[str, int]]:
    """The kind of an event, its name, and its numbers."""
    if raw.kind == lib.MHV_TRACE_EXIT:
        return "exit", exit_name(raw.a), {"exit_info_1": raw.b, "exit_info_2": raw.c}
    if raw.kind == lib.MHV_TRACE_EXCEPTION:
        return "exception", vector_name(raw.a), {"vector": raw.a, "error_code": raw.b, "cr2": raw.c}
    if raw.kind == lib.MHV_TRACE_INTERRUPT:
        return "interrupt", f"vector {raw.a:#x}", {"vector": raw.a}
    return "world switch", "VMRUN", {"cr3": raw.a}


def exit_name(code: int) -> str:
    """The standard's name of an exit code."""
    try:
        return SvmExit(code).name
    except ValueError:
        return f"{code:#x}"


def vector_name(vector: int) -> str:
    """``#GP`` for 13, and so on; the number for a vector without a name."""
    try:
        return f"#{Vector(vector).name}"
    except ValueError:
        return f"vector {vector:#x}"
