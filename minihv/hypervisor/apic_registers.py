"""The registers of a local APIC, as its page and its MSRs show them.

Stands for: the register file of the local APIC, in xAPIC and in x2APIC mode.
Spec: AMD APM vol. 2, "Local APIC Registers" and "x2APIC Support"; Intel SDM vol. 3A, "Local APIC" and
    "Extended XAPIC (x2APIC)".
Simplified: a VP begins with its APIC enabled, as firmware leaves it. The page does not move, APIC ids do not
    change, and of the local vector table only the timer does anything.
First reading: ``read``, ``write``.
Next: ``minihv.hypervisor.ipi``
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from minihv.hypervisor import ipi
from minihv.hypervisor.apic_timer import ApicTimer
from minihv.spec.apic import (
    APIC_PAGE,
    VERSION,
    ApicBase,
    ApicRegister,
    DeliveryMode,
    ErrorStatus,
    InterruptCommand,
    LocalVector,
    Shorthand,
    SpuriousVector,
)

if TYPE_CHECKING:
    from minihv.hypervisor.vp import VirtualProcessor

R = ApicRegister
TABLE = (R.LVT_TIMER, R.LVT_THERMAL, R.LVT_PERFORMANCE, R.LVT_LINT0, R.LVT_LINT1, R.LVT_ERROR)
READ_ONLY = {R.ID, R.VERSION, R.APR, R.PPR, R.TIMER_CURRENT} | {
    start + 0x10 * number for start in (R.ISR, R.TMR, R.IRR) for number in range(8)
}
WRITE_ONLY = {R.EOI, R.SELF_IPI}
XAPIC_ONLY, X2APIC_ONLY = {R.APR, R.DFR, R.ICR_HIGH}, {R.SELF_IPI}
PLAIN = {R.LVT_THERMAL, R.LVT_PERFORMANCE, R.LVT_LINT0, R.LVT_LINT1, R.LVT_ERROR}
FLAT = 0xF
BASE_WRITABLE = ApicBase.enable.mask | ApicBase.x2apic.mask


class ApicRegisters:
    """What the APIC of ``vp`` has besides its requests and priorities (``vp.apic``)."""

    def __init__(self, vp: "VirtualProcessor") -> None:
        self._vp, self.apic = vp, vp.apic
        self.timer = ApicTimer(vp)
        self.base: ApicBase = ApicBase(enable=True, bootstrap=vp.index == 0, page=APIC_PAGE >> 12)
        self.spurious = SpuriousVector(vector=0xFF, enable=True)
        self.index = vp.index
        self._reset()

    def _reset(self) -> None:
        self._logical_id = self._errors = self.shown_errors = 0
        self.format = 0xFFFF_FFFF
        self.command: int = 0
        """The ICR as it was last written."""
        self._plain: dict[int, int] = dict.fromkeys(PLAIN, LocalVector.masked.mask)

    def initialize(self) -> None:
        """What INIT leaves: the id, and the mode that APIC_BASE says. Software has to enable it again."""
        self.timer.reset()
        self.apic.reset()
        self._reset()
        self.spurious = SpuriousVector(vector=0xFF)
        self._follow_enable()

    @property
    def is_x2apic(self) -> bool:
        """Whether MSRs reach the registers, and the page does not."""
        return bool(self.base.x2apic)

    @property
    def now(self) -> int:
        """Virtual time, in blocks."""
        return self._vp.partition.hypervisor.now

    @property
    def id(self) -> int:
        """The ID register: the VP's index."""
        return self.index if self.is_x2apic else self.index << 24

    @property
    def logical_id(self) -> int:
        """LDR; in x2APIC mode it follows from the id: a cluster of sixteen, and a bit of it."""
        return self.index >> 4 << 16 | 1 << (self.index & 15) if self.is_x2apic else self._logical_id

    def note_illegal_vector(self) -> None:
        """An IPI with a vector below 16 was not sent."""
        self._errors |= ErrorStatus.send_illegal_vector.mask

    def note_illegal_register(self) -> None:
        """The page was accessed where no register is, or not one that can be read, or written."""
        self._errors |= ErrorStatus.illegal_register.mask

    def answers_to(self, destination: int) -> bool:
        """Whether a logical destination names this APIC.

        Spec: Intel SDM vol. 3A, "Logical Destination Mode" and "Logical Destination Mode in x2APIC Mode".
        """
        if self.is_x2apic:
            return destination >> 16 == self.index >> 4 and bool(destination >> (self.index & 15) & 1)
        mine = self._logical_id >> 24
        if self.format >> 28 == FLAT:
            return bool(destination & mine)
        return destination >> 4 in (mine >> 4, 0xF) and bool(destination & mine & 0xF)

    def write_base(self, value: int) -> bool:
        """Writes APIC_BASE: false for what would move the page or go an illegal way between the modes."""
        wanted, held = ApicBase(value), self.base
        if (value ^ int(held)) & ~BASE_WRITABLE or (wanted.x2apic and not wanted.enable):
            return False
        if held.x2apic and wanted.enable and not wanted.x2apic:
            return False
        if not held.enable and wanted.x2apic:
            return False
        self.base = wanted
        self._follow_enable()
        return True

    def read(self, offset: int) -> int | None:
        """The register at ``offset`` into the page; ``None`` if there is none that can be read."""
        if not self._is_there(offset) or offset in WRITE_ONLY:
            return None
        if offset in self._plain:
            return self._plain[offset]
        for start, vectors in ((R.ISR, "in_service"), (R.TMR, "level"), (R.IRR, "requested")):
            if start <= offset < start + 0x80:
                shown: int = getattr(self.apic, vectors) >> 2 * (offset - start) & 0xFFFF_FFFF
                return shown
        return READERS[R(offset)](self)

    def write(self, offset: int, value: int) -> bool:
        """Writes a register; false if there is none that can be written, or not with this value."""
        if not self._is_there(offset) or offset in READ_ONLY:
            return False
        if value >> 32 and offset != R.ICR:
            return False
        return self._write_table(offset, value) if offset in TABLE else WRITERS[R(offset)](self, value)

    def close(self) -> None:
        """Its timer never rings again."""
        self.timer.stop()

    def _is_there(self, offset: int) -> bool:
        absent = XAPIC_ONLY if self.is_x2apic else X2APIC_ONLY
        known = offset in READ_ONLY or offset in R.__members__.values()
        return known and offset not in absent

    def write_command(self, value: int) -> bool:
        """Writes the whole ICR, and the IPI goes out. INIT level de-assert is no IPI any more."""
        self.command = value & ~InterruptCommand.pending.mask
        command = InterruptCommand(self.command)
        is_deassert = command.delivery_mode == DeliveryMode.INIT and command.level and not command.asserted
        if not is_deassert:
            ipi.send(self._vp, command)
        return True

    def write_low_command(self, value: int) -> bool:
        """Writes ICR: in x2APIC mode all of it, else the half that sends."""
        return self.write_command(value if self.is_x2apic else self.command >> 32 << 32 | value)

    def write_high_command(self, value: int) -> bool:
        """Writes the half of the ICR that has the destination."""
        self.command = self.command & 0xFFFF_FFFF | value << 32
        return True

    def send_to_self(self, value: int) -> bool:
        """Writes SELF_IPI."""
        if value > 0xFF:
            return False
        ipi.send(self._vp, InterruptCommand(vector=value, shorthand=Shorthand.SELF))
        return True

    def write_priority(self, value: int) -> bool:
        """Writes TPR."""
        if self.is_x2apic and value > 0xFF:
            return False
        self.apic.tpr = value
        return True

    def write_end(self, value: int) -> bool:
        """Writes EOI; in x2APIC mode only 0 may be."""
        if self.is_x2apic and value:
            return False
        self.apic.eoi()
        return True

    def write_logical_id(self, value: int) -> bool:
        """Writes LDR, which x2APIC mode derives."""
        if self.is_x2apic:
            return False
        self._logical_id = value & 0xFF00_0000
        return True

    def write_format(self, value: int) -> bool:
        """Writes DFR."""
        self.format = value | 0x0FFF_FFFF
        return True

    def write_spurious(self, value: int) -> bool:
        """Writes the spurious vector register, and with it enables or disables the APIC."""
        self.spurious = SpuriousVector(value & 0x1FF)
        self._follow_enable()
        return True

    def write_errors(self, value: int) -> bool:
        """Writes the error status: what has gathered since can be read from now on."""
        if self.is_x2apic and value:
            return False
        self.shown_errors, self._errors = self._errors, 0
        return True

    def write_initial(self, value: int) -> bool:
        """Starts the timer, or stops it."""
        self.timer.write_initial(value, self.now)
        return True

    def write_divide(self, value: int) -> bool:
        """Writes the divide configuration."""
        self.timer.write_divide(value, self.now)
        return True

    def _write_table(self, offset: int, value: int) -> bool:
        if not self.spurious.enable:
            value |= LocalVector.masked.mask
        if offset == R.LVT_TIMER:
            self.timer.write_entry(LocalVector(value & 0x3_00FF), self.now)
        else:
            self._plain[offset] = value & 0x1_A7FF
        return True

    def _follow_enable(self) -> None:
        """A disabled APIC takes no interrupts, and all its table's entries are masked."""
        self.apic.enabled = bool(self.spurious.enable and self.base.enable)
        if not self.apic.enabled:
            self.timer.write_entry(self.timer.entry.replace(masked=True), self.now)
            for offset in self._plain:
                self._plain[offset] |= LocalVector.masked.mask


READERS: dict[ApicRegister, Callable[[ApicRegisters], int]] = {
    R.ID: lambda of: of.id,
    R.VERSION: lambda _of: VERSION,
    R.TPR: lambda of: of.apic.tpr,
    R.APR: lambda of: of.apic.ppr,
    R.PPR: lambda of: of.apic.ppr,
    R.LDR: lambda of: of.logical_id,
    R.DFR: lambda of: of.format,
    R.SPURIOUS: lambda of: int(of.spurious),
    R.ERROR_STATUS: lambda of: of.shown_errors,
    R.ICR: lambda of: of.command if of.is_x2apic else of.command & 0xFFFF_FFFF,
    R.ICR_HIGH: lambda of: of.command >> 32,
    R.LVT_TIMER: lambda of: int(of.timer.entry),
    R.TIMER_INITIAL: lambda of: of.timer.initial,
    R.TIMER_CURRENT: lambda of: of.timer.current(of.now),
    R.TIMER_DIVIDE: lambda of: int(of.timer.divide),
}
"""Of the registers that are neither a part of a set of vectors nor plain storage."""

WRITERS: dict[ApicRegister, Callable[[ApicRegisters, int], bool]] = {
    R.TPR: ApicRegisters.write_priority,
    R.EOI: ApicRegisters.write_end,
    R.LDR: ApicRegisters.write_logical_id,
    R.DFR: ApicRegisters.write_format,
    R.SPURIOUS: ApicRegisters.write_spurious,
    R.ERROR_STATUS: ApicRegisters.write_errors,
    R.ICR: ApicRegisters.write_low_command,
    R.ICR_HIGH: ApicRegisters.write_high_command,
    R.TIMER_INITIAL: ApicRegisters.write_initial,
    R.TIMER_DIVIDE: ApicRegisters.write_divide,
    R.SELF_IPI: ApicRegisters.send_to_self,
}
