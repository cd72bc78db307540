"""A virtual processor of a partition: its VMCB, its registers by their TLFS names, its state.

Stands for: ring -1's VP object.
Spec: TLFS, "Virtual Processors" and "Virtual Processor Registers"; AMD APM vol. 2, "VMCB Layout".
Simplified: no MTRRs, no floating-point registers by name.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from minihv.hypervisor.apic import LocalApic
from minihv.hypervisor.apic_registers import ApicRegisters
from minihv.hypervisor.msrs import available_msrs
from minihv.hypervisor.register_values import GENERAL, SegmentValue
from minihv.hypervisor.states import Suspension, VpState
from minihv.hypervisor.synic import Synic
from minihv.hypervisor.timers import SyntheticTimer, timers_of
from minihv.machine.native import ffi
from minihv.machine.processor import Processor
from minihv.spec.hypercalls import RegisterName, RegisterSegmentAttributes
from minihv.spec.vmcb import Event, EventType
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_registers import Dr6, Efer, Rflags
from minihv.terms import Gva, Spa

if TYPE_CHECKING:
    from minihv.hypervisor.partition import Partition


IN_VMCB = {"rax", "rsp"}
GPR_NUMBER = {name: number for number, name in enumerate(GENERAL) if name not in IN_VMCB}
RCX, RDX, R8 = GPR_NUMBER["rcx"], GPR_NUMBER["rdx"], GPR_NUMBER["r8"]
"""Of ``VirtualProcessor.gpr``."""
INTERRUPT_SHADOW, EXIT_CODE, EXIT_INFO_1 = (at // 8 for at in (0x068, 0x070, 0x078))
EVENT_INJECTION, NEXT_RIP = 0x0A8 // 8, 0x0C8 // 8
RFLAGS, RIP, RAX = 0x570 // 8, 0x578 // 8, 0x5F8 // 8
"""Of ``VirtualProcessor.words``.  Spec: AMD APM vol. 2, "VMCB Layout"."""
TF, IF = int(Rflags.TF), int(Rflags.IF)
EVENT_VALID = Event.valid.mask
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr")
TABLES = ("idtr", "gdtr")

OTHERS = ("rip", "rflags", "cr0", "cr2", "cr3", "cr4", "dr6", "dr7", "efer", "kernel_gs_base", "sysenter_cs")
RENAMED: dict[int, str] = {
    RegisterName.PAT: "g_pat",
    RegisterName.SYSENTER_RIP: "sysenter_eip",
    RegisterName.SYSENTER_RSP: "sysenter_esp",
}
SYSCALL = ("star", "lstar", "cstar", "sfmask")
REGISTER_NAMES: dict[int, str] = RENAMED | {
    RegisterName[name.upper()]: name for name in (*GENERAL, *OTHERS, *SYSCALL, *SEGMENTS, *TABLES)
}
"""What the VMCB, or the file of general registers, calls the register of a TLFS name."""
LIVE = {*GENERAL, "rip", "rflags"}
"""Registers that an exit stores and an entry takes by itself; the others need a save and a reload."""


class VirtualProcessor:
    """VP ``index`` of ``partition``.

    ``handle`` is the core's ``struct mhv_vp``; ``vmcb``, ``control``, ``save_area`` and ``counters`` are its
    parts; ``apic`` and ``synic`` are its interrupt controllers. ``words`` and ``gpr`` show the VMCB and the
    general registers as 64-bit numbers, at half the price of the names, and so what every exit touches goes
    that way. ``woke`` is called with the VP when an interrupt made it ready, or is one that must not wait.
    """

    def __init__(
        self,
        partition: "Partition",
        index: int,
        processor: Processor,
        vmcb_spa: Spa,
        woke: "Callable[[VirtualProcessor], None]" = lambda _vp: None,
    ) -> None:
        self.partition: Partition = partition
        self.index: int = index
        self.handle: Any = processor.create_vp(index, vmcb_spa)
        self.vmcb: Any = self.handle.vmcb
        self.control: Any = self.vmcb.control
        self.save_area: Any = self.vmcb.save
        self.words = memoryview(ffi.buffer(self.vmcb)).cast("Q")
        self.gpr = memoryview(ffi.buffer(self.handle.gpr)).cast("Q")
        self.vmcb_spa = vmcb_spa
        self.state = VpState.READY
        self.suspensions = Suspension.NONE
        self._held_state = VpState.READY
        self.why = ""
        self.counters: Any = self.handle.counters
        self.msrs = available_msrs(partition.privileges)
        self._processor = processor
        self._woke = woke
        report = partial(setattr, self.handle, "reports_delivery")
        self.apic: LocalApic = LocalApic(self.words, report, self._wake)
        self.apic_registers: ApicRegisters = ApicRegisters(self)
        self.timers: tuple[SyntheticTimer, ...] = timers_of(self)
        self.assist_page: int = 0
        self.nmi_requested = self.init_requested = False
        self.apic.after_eoi = self._after_eoi
        self.synic: Synic = Synic(partition.gpa_space, self.apic)

    def read(self, name: str) -> int:
        """The value of a register that is one number: ``rax`` to ``r15``, ``rip``, ``rflags``, ``cr3``..."""
        number = GPR_NUMBER.get(name)
        if name not in LIVE:
            self._processor.save(self.handle)
        value: int = getattr(self.save_area, name) if number is None else self.gpr[number]
        return value

    def write(self, name: str, value: int) -> None:
        """Sets a register of one number. Takes effect when the VP runs next."""
        number = GPR_NUMBER.get(name)
        if number is not None:
            self.gpr[number] = value
        elif name in LIVE:
            setattr(self.save_area, name, value)
        else:
            self._edit(lambda: setattr(self.save_area, name, value))

    def write_edx_eax(self, value: int) -> None:
        """Sets EDX:EAX, in which instructions older than RAX return 64 bits, and clears the upper halves."""
        self.words[RAX] = value & 0xFFFF_FFFF
        self.gpr[RDX] = value >> 32

    def read_segment(self, name: str) -> SegmentValue:
        """A segment register, or a table register (whose selector and attributes are 0)."""
        self._processor.save(self.handle)
        packed = getattr(self.save_area, name)
        attributes = (packed.attributes & 0xFF) | (packed.attributes & 0xF00) << 4
        return SegmentValue(packed.base, packed.limit, packed.selector, attributes)

    @property
    def code_bits(self) -> int:
        """Of the code that it executes: 16, 32 or 64.  Spec: AMD APM vol. 2, "Code-Segment Descriptors"."""
        attributes = RegisterSegmentAttributes(self.read_segment("cs").attributes)
        if attributes.long and self.read("efer") & Efer.LMA:
            return 64
        return 32 if attributes.default_big else 16

    def code_address(self, rip: int) -> Gva:
        """Where the code at offset ``rip`` of CS lies."""
        if self.code_bits == 64:
            return Gva(rip & (1 << 64) - 1)
        return Gva(self.read_segment("cs").base + rip & 0xFFFF_FFFF)

    def write_segment(self, name: str, value: SegmentValue) -> None:
        """Sets a segment or table register."""

        def edit() -> None:
            packed = getattr(self.save_area, name)
            packed.base, packed.limit, packed.selector = value.base, value.limit, value.selector
            packed.attributes = (value.attributes & 0xFF) | (value.attributes >> 4 & 0xF00)

        self._edit(edit)

    def inject(self, vector: int, kind: int, error_code: int | None = None) -> None:
        """Has an event delivered when the VP runs next.  Spec: AMD APM vol. 2, "Event Injection"."""
        event = vector | kind << 8 | 1 << 31
        if error_code is not None:
            event |= 1 << 11 | error_code << 32
        self.control.event_injection = event

    def advance(self) -> None:
        """Goes on behind the instruction that exited; with TF set, by way of the handler of #DB."""
        self.words[RIP] = self.words[NEXT_RIP]
        self.words[INTERRUPT_SHADOW] = 0
        if self.words[RFLAGS] & TF:
            self.write("dr6", self.read("dr6") | Dr6.BS)
            self.inject(Vector.DB, EventType.EXCEPTION)

    def request_nmi(self) -> None:
        """Has a non-maskable interrupt delivered as soon as the VP runs."""
        self.nmi_requested = True
        if self.state in (VpState.IDLE, VpState.HALTED):
            self.state = VpState.READY
        self._woke(self)

    def take_nmi(self) -> None:
        """Injects the NMI that was requested, if there is one, unless something else is injected first."""
        if self.nmi_requested and not Event(self.control.event_injection).valid:
            self.nmi_requested = False
            self.inject(Vector.NMI, EventType.NMI)

    @property
    def activity(self) -> VpState:
        """What the VP does, or would do if nobody had suspended it."""
        return self._held_state if self.suspensions else self.state

    @activity.setter
    def activity(self, state: VpState) -> None:
        if self.suspensions:
            self._held_state = state
            return
        self.state = state
        if state is VpState.READY:
            self._woke(self)

    def rest(self) -> None:
        """Waits for an interrupt, unless one is pending; RFLAGS.IF does not matter."""
        self.apic.accepted()
        if not self.apic.is_offered and not self.nmi_requested:
            self.state = VpState.IDLE

    def suspend(self, why: Suspension) -> None:
        """The VP does not run until ``resume`` is called for the same reason."""
        if not self.suspensions:
            self._held_state = self.state
        self.suspensions |= why
        self.state = VpState.SUSPENDED

    def resume(self, why: Suspension) -> None:
        """One reason less; with the last, the VP goes on as it was, or wakes up by what came meanwhile."""
        if not self.suspensions & why:
            return
        self.suspensions &= ~why
        if self.suspensions:
            return
        self.state, self.why = self._held_state, ""
        if self.apic.is_offered:
            self._wake()
        if self.nmi_requested and self.state in (VpState.IDLE, VpState.HALTED):
            self.state = VpState.READY
        if self.state is VpState.READY:
            self._woke(self)

    def close(self) -> None:
        """Stops its timers, and frees the core's part; it never runs again."""
        self.state = VpState.CLOSED
        self.apic_registers.close()
        for timer in self.timers:
            timer.stop()
        self.synic.close()
        self._processor.destroy_vp(self.handle)

    def _wake(self) -> None:
        if self.state is VpState.IDLE:
            self.state = VpState.READY
            self._woke(self)

    def _after_eoi(self, vector: int) -> None:
        self.synic.retry()
        if self.apic.level >> vector & 1:
            self.partition.tell_of_eoi(self, vector)

    def _edit(self, change: Callable[[], None]) -> None:
        self._processor.save(self.handle)
        change()
        self.handle.reload = True
