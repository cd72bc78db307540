"""The local APIC of a VP: which interrupts wait, which are in service, and which one comes next.

Stands for: the local APIC, as ring -1 virtualizes it for each VP.
Spec: AMD APM vol. 2, "Advanced Programmable Interrupt Controller (APIC)";
    Intel SDM vol. 3A, "Interrupt, Task, and Processor Priority"; TLFS, "Virtual Interrupt Control".
Simplified: an interrupt is offered through V_IRQ of the VMCB; there is no AVIC.
First reading: ``request``, ``_offer``, ``accepted``, ``eoi``.
Next: ``minihv.hypervisor.alarms``

A vector's priority class is its upper four bits. An interrupt gets through when its class is above that of
the task priority (TPR, which is CR8) and above that of every interrupt in service::

    request ──> IRR ──offered as V_IRQ──> delivered ──> ISR ──EOI──> done
                                               └─ AutoEOI: done
"""

from collections.abc import Callable
from typing import Any

FIRST_VECTOR, VECTORS = 16, 256
"""Vectors below 16 are illegal for interrupts, and refused."""
VIRTUAL_INTERRUPT = 0x060 // 8
"""Of ``VirtualProcessor.words``: V_TPR, V_IRQ, V_INTR_PRIO and the vector."""
V_TPR, V_IRQ = 0xF, 1 << 8
V_MASKING, V_PRIORITY_SHIFT = 1 << 24, 16


def highest(vectors: int) -> int:
    """The highest vector of a set, given as a number with a bit for each; -1 when it is empty."""
    return vectors.bit_length() - 1


class LocalApic:
    """Requests, priorities and ends of interrupts of one VP.

    ``words`` is its VMCB as 64-bit numbers. ``report_deliveries`` is called with whether the core has to come
    back as soon as the offered interrupt was delivered, and ``offered`` whenever one is offered that the task
    priority lets through: an idle VP wakes up then.
    """

    def __init__(
        self, words: Any, report_deliveries: Callable[[bool], None], offered: Callable[[], None]
    ) -> None:
        self._words = words
        self._report_deliveries = report_deliveries
        self._offered_to_vp = offered
        self._requested = self._in_service = self._level = self._auto_eoi = 0
        self._offered = 0
        self._reports = False
        self._tpr = 0
        self.enabled = True
        """Software enable of the APIC: firmware sets it before it starts a system, and so do we."""
        self.after_eoi: Callable[[int], None] | None = None
        """Called with each vector whose service has ended by EOI."""
        words[VIRTUAL_INTERRUPT] = V_MASKING

    @property
    def requested(self) -> int:
        """IRR: the vectors that wait, a bit for each."""
        self.accepted()
        return self._requested

    @property
    def in_service(self) -> int:
        """ISR: the vectors that were delivered and have not been ended, a bit for each."""
        self.accepted()
        return self._in_service

    @property
    def level(self) -> int:
        """TMR: the vectors whose last request was level-triggered, a bit for each."""
        return self._level

    @property
    def tpr(self) -> int:
        """The task priority, 8 bits; its upper half is CR8, and a MOV to CR8 clears the lower half."""
        held = int(self._words[VIRTUAL_INTERRUPT] & V_TPR)
        return self._tpr if self._tpr >> 4 == held else held << 4

    @tpr.setter
    def tpr(self, value: int) -> None:
        self.accepted()
        self._tpr = value & 0xFF
        self._words[VIRTUAL_INTERRUPT] = self._words[VIRTUAL_INTERRUPT] & ~V_TPR | self._tpr >> 4
        self._offer()

    @property
    def ppr(self) -> int:
        """The processor priority: the task priority, or the class in service when that is higher."""
        service, task = max(highest(self.in_service), 0), self.tpr
        return task if task >> 4 >= service >> 4 else service & 0xF0

    def request(self, vector: int, *, auto_eoi: bool = False, level: bool = False) -> bool:
        """Has ``vector`` wait for delivery; one that already waits is not counted twice.

        With ``auto_eoi`` it is never in service, and no EOI is due. False: refused, because the vector is
        below 16 or the APIC is disabled.
        """
        if not FIRST_VECTOR <= vector < VECTORS or not self.enabled:
            return False
        self.accepted()
        bit = 1 << vector
        self._requested |= bit
        self._auto_eoi = self._auto_eoi | bit if auto_eoi else self._auto_eoi & ~bit
        self._level = self._level | bit if level else self._level & ~bit
        self._offer()
        return True

    def withdraw(self, vector: int) -> None:
        """Takes back a request that was not delivered yet."""
        self.accepted()
        self._requested &= ~(1 << vector)
        self._offer()

    def accepted(self) -> None:
        """Takes note of a delivery, if there was one since somebody looked, and offers what comes next."""
        offered = self._offered
        if not offered or self._words[VIRTUAL_INTERRUPT] & V_IRQ:
            return
        self._offered = 0
        bit = 1 << offered
        self._requested &= ~bit
        if self._auto_eoi & bit:
            self._auto_eoi &= ~bit
        else:
            self._in_service |= bit
        self._offer()

    def eoi(self) -> int | None:
        """Ends the interrupt of the highest priority in service, and says which; ``None`` if none is."""
        self.accepted()
        vector = highest(self._in_service)
        if vector < 0:
            return None
        self._in_service &= ~(1 << vector)
        self._offer()
        if self.after_eoi is not None:
            self.after_eoi(vector)
        return vector

    def reset(self) -> None:
        """Nothing waits, nothing is in service, the task priority is 0: what INIT leaves."""
        self.accepted()
        self._requested = self._in_service = self._level = self._auto_eoi = 0
        self.tpr = 0

    @property
    def is_offered(self) -> bool:
        """Whether an interrupt waits that priorities let through; RFLAGS.IF is another matter."""
        word = self._words[VIRTUAL_INTERRUPT]
        return bool(word & V_IRQ) and word >> V_PRIORITY_SHIFT & 0xF > word & V_TPR

    def _offer(self) -> None:
        """Offers the highest request, if its class is above every class in service. The core minds V_TPR.

        The others of an AutoEOI request may follow it at once, and so its delivery is to be reported.
        """
        word = self._words[VIRTUAL_INTERRUPT] & (V_TPR | V_MASKING)
        vector = highest(self._requested)
        offered = vector if vector >> 4 > max(highest(self._in_service), 0) >> 4 else 0
        self._offered = offered
        if offered:
            word |= V_IRQ | offered >> 4 << 16 | offered << 32
        self._words[VIRTUAL_INTERRUPT] = word
        reports = bool(self._auto_eoi >> offered & 1) and self._requested != 1 << offered
        if reports is not self._reports:
            self._reports = reports
            self._report_deliveries(reports)
        if offered >> 4 > word & V_TPR:
            self._offered_to_vp()
