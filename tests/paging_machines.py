"""One guest, executed by real instructions under several ways of paging at once.

Ring 0 runs in a mapping of its own (from GVA 1 GiB, supervisor pages), ring 3 in the user's pages of a small
machine, so that SMEP and SMAP may be turned on. What is tried lies from GVA 512 GiB up: tables at random in
``TABLE_FRAMES``, which lead to each other, to pages, and to all of memory as one large page.

===================  =====================================================================
GPA                  What lies there
===================  =====================================================================
``0x130000``         the table of ring 0's mapping, and a second root behind it
``0x140000``         tables at random, one page each
``0x150000``         pages
===================  =====================================================================

Entry 3 of every table and the same bytes of every page are INT3, which ends what was executed; entry 4 is
read and written. Neither is on the way of any GVA that is tried.
"""

from dataclasses import dataclass

from assembler import assemble
from machines import (
    CODE,
    GDT,
    HANDLERS,
    IDT,
    IST,
    RSP0,
    SPARE,
    STACK,
    TABLES,
    TASK,
    TSS,
    TSS_BYTES,
    SmallMachine,
    enter_at,
    gate_words,
)

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.states import VpState
from minihv.machine.frames import HYPERVISOR
from minihv.terms import Gpa

KERNEL, GIB = 1 << 30, 1 << 30
KERNEL_TABLE, ROOTS = 0x13_0000, (TABLES, 0x13_1000)
TABLE_FRAMES = tuple(0x14_0000 + 0x1000 * number for number in range(6))
PAGE_FRAMES = tuple(0x15_0000 + 0x1000 * number for number in range(4))
SLOTS = tuple(frame >> 12 for frame in (*TABLE_FRAMES[:2], *PAGE_FRAMES[:2]))
"""Entries of the lowest tables that are used; in an address of a large page they name tables and pages."""
FETCHED_AT, TOUCHED_AT = 0x18, 0x20
BREAKPOINT, WP, PGE, SMEP, SMAP, AC = 3, 1 << 16, 1 << 7, 1 << 20, 1 << 21, 1 << 18
CODES = {
    "read": "mov rax, [rdi]; int3",
    "write": "mov [rdi], rsi; int3",
    "execute": "jmp rdi",
    "edit": "mov [rdi], rsi; mov rcx, cr3; mov cr3, rcx; int3",
    "edit a page": "mov [rdi], rsi; invlpg [rdx]; mov rax, [rdx]; mov rcx, cr3; mov cr3, rcx; int3",
    "root": "mov cr3, rdi; int3",
    "controls": "mov cr0, rdi; mov cr4, rsi; int3",
}
PLACES = {name: CODE + 0x100 * number for number, name in enumerate(CODES)}


@dataclass(frozen=True)
class Outcome:
    """How a piece of code ended: with INT3, with a fault, or at a GPA without memory."""

    vector: int | None
    rax: int
    error_code: int | None
    cr2: int
    why: str


class PagingMachine(SmallMachine):
    """A small machine whose guest is driven piece by piece."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, text in CODES.items():
            self.partition.gpa_space.write(PLACES[name], assemble(text, PLACES[name]))
        self.write(TABLES + 0x1008, KERNEL_TABLE | 7)
        self.write(KERNEL_TABLE, 0x83)
        self.write(ROOTS[1], TABLES + 0x1000 | 7)
        for frame in (*TABLE_FRAMES, *PAGE_FRAMES):
            self.write(frame + FETCHED_AT, 0xCCCC_CCCC_CCCC_CCCC)
        for root in ROOTS:
            self.write(root + 8, TABLE_FRAMES[0] | 7)
            self.write(root + 16, TABLE_FRAMES[3] | 7)
        for number, frame in enumerate(TABLE_FRAMES):  # each of them serves at every level
            for index in (0, 1, *SLOTS):
                self.write(frame + 8 * index, TABLE_FRAMES[(number + 1 + index % 3) % len(TABLE_FRAMES)] | 7)
            self.write(frame + 8 * SLOTS[2], PAGE_FRAMES[number % len(PAGE_FRAMES)] | 7)
        for vector in range(32):
            dpl = 3 if vector == BREAKPOINT else 0
            for index, word in enumerate(gate_words(vector, KERNEL + HANDLERS + 0x40 * vector, dpl=dpl)):
                self.write(IDT + 16 * vector + 8 * index, word)
        self.write(TSS + 4, KERNEL + RSP0)
        self.write(TSS + 36, KERNEL + IST)
        self.controls = 0x8001_0033, 0x620
        self.root = ROOTS[0]
        self.overlay = self.hypervisor.memory.allocate_zeroed(HYPERVISOR)
        self.hypervisor.memory.write(self.overlay + FETCHED_AT, b"\xcc" * 8)

    def execute(self, name: str, *, ring: int = 0, ac: bool = False, **registers: int) -> Outcome:
        """Runs one of ``CODES`` in ``ring`` with these registers, until it ends."""
        vp = self.vp
        enter_at(vp, PLACES[name] + (KERNEL if ring == 0 else 0), ring=ring)
        vp.state, vp.why = VpState.READY, ""
        for segment, base, limit in (("gdtr", GDT, SPARE + 7), ("idtr", IDT, 0xFFF)):
            vp.write_segment(segment, SegmentValue(KERNEL + base, limit, 0, 0))
        vp.write_segment("tr", SegmentValue(KERNEL + TSS, TSS_BYTES - 1, TASK, 0x8B))
        stack = STACK + (KERNEL if ring == 0 else 0)
        values = {"rsp": stack, "rflags": 2 | (AC if ac else 0), "cr3": self.root, "cr2": 0, "rax": 0}
        values |= {"cr0": self.controls[0], "cr4": self.controls[1], **registers}
        for register, value in values.items():
            vp.write(register, value)
        self.run(1000)
        self.root, self.controls = vp.read("cr3"), (vp.read("cr0"), vp.read("cr4"))
        return self._outcome()

    def lay_over(self, gpa: int) -> None:
        """Ring -1 shows a page of its own in place of the guest's, or the guest's again."""
        space = self.partition.gpa_space
        if space.overlay_at(gpa):
            space.lift(Gpa(gpa))
        else:
            space.lay_over(Gpa(gpa), self.overlay, "a page")

    def ram(self) -> bytes:
        """All of the guest's memory."""
        return self.partition.gpa_space.read(0, self.partition.gpa_space.ram_bytes)

    def _outcome(self) -> Outcome:
        rip = self.vp.read("rip") - 1 - KERNEL - HANDLERS
        vector = rip // 0x40 if 0 <= rip < 0x40 * 32 else None
        coded = vector in (8, 10, 11, 12, 13, 14)
        error_code = self.read(self.vp.read("rsp") - KERNEL) if coded else None
        return Outcome(vector, self.vp.read("rax"), error_code, self.vp.read("cr2"), self.vp.why)
