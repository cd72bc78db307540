"""INIT and the start-up interrupt: how one VP puts another back to its beginning, and lets it go.

Stands for: the processor's response to the INIT# and SIPI signals.
Spec: AMD APM vol. 2, "Processor Initialization State" and "Multiprocessor Initialization"; Intel SDM vol. 3A,
    "Multiple-Processor (MP) Initialization" and "Local APIC State After It Receives an INIT-Deassert IPI".
Simplified: synthetic MSRs stay. VP 0 is the bootstrap processor: it goes on at the reset vector, where a
    partition has memory only if somebody mapped it.
"""

from typing import TYPE_CHECKING

from minihv.hypervisor.register_values import GENERAL, SegmentValue
from minihv.hypervisor.states import VpState
from minihv.spec.vmcb import Event
from minihv.spec.x86_registers import Cr0, Rflags

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

DATA, CODE, LDT, BUSY_TSS = 0x93, 0x9B, 0x82, 0x8B
"""Attributes: present, and of which type; none of them is a 32-bit segment."""
LIMIT = 0xFFFF
RESET_SELECTOR, RESET_BASE, RESET_RIP = 0xF000, 0xFFFF_0000, 0xFFF0
SEGMENTS = {name: SegmentValue(0, LIMIT, 0, DATA) for name in ("es", "ss", "ds", "fs", "gs")} | {
    "cs": SegmentValue(RESET_BASE, LIMIT, RESET_SELECTOR, CODE),
    "ldtr": SegmentValue(0, LIMIT, 0, LDT),
    "tr": SegmentValue(0, LIMIT, 0, BUSY_TSS),
    "idtr": SegmentValue(0, LIMIT, 0, 0),
    "gdtr": SegmentValue(0, LIMIT, 0, 0),
}
REGISTERS = dict.fromkeys((*GENERAL, "cr2", "cr3", "cr4", "efer"), 0) | {
    "rip": RESET_RIP,
    "rflags": int(Rflags.ALWAYS_1),
    "dr6": 0xFFFF_0FF0,
    "dr7": 0x400,
}
KEPT_OF_CR0 = int(Cr0.CD | Cr0.NW)


def initialize(vp: "VirtualProcessor") -> None:
    """INIT: the registers are those of a processor that was switched on, and the APIC waits for nothing.

    VP 0 goes on at the reset vector; any other waits for a start-up interrupt.
    """
    values = REGISTERS | {"cr0": int(Cr0.ET) | vp.read("cr0") & KEPT_OF_CR0}
    values["rdx"] = vp.partition.cpuid_leaf(1, 0, vp.index)[0]  # family, model and stepping
    for name, value in values.items():
        vp.write(name, value)
    for name, segment in SEGMENTS.items():
        vp.write_segment(name, segment)
    for index in range(len(vp.handle.debug_address)):
        vp.handle.debug_address[index] = 0
    vp.control.event_injection = Event(0)
    vp.control.interrupt_shadow = 0
    vp.nmi_requested = vp.init_requested = False
    vp.apic_registers.initialize()
    vp.activity = VpState.READY if vp.index == 0 else VpState.STARTUP


def start(vp: "VirtualProcessor", vector: int) -> None:
    """A start-up interrupt: a VP that waits for one begins in real mode, at the page ``vector``."""
    if vp.activity is not VpState.STARTUP:
        return
    vp.write_segment("cs", SegmentValue(vector << 12, LIMIT, vector << 8, CODE))
    vp.write("rip", 0)
    vp.activity = VpState.READY
