"""One memory access of a guest, executed by real instructions under each of the three page walks.

The guest's tables and the second-level tables are laid out here, entry by entry, so that a property can turn
over any bit of any entry on the way to one GVA. The instructions that make the access, the root table and
their own tables lie apart (GPAs from 512 GiB), so that they can always be fetched.

===================  ====================  ==================================================
GPA                  SPA                   What lies there
===================  ====================  ==================================================
``0x1000``           ``0x201000``          the guest's tables below the root, one page each
``0x200000``         ``0x400000``          the page that a leaf of 4 KiB or 2 MiB leads to
``0x40000000``       ``0x40000000``        the page that a leaf of 1 GiB leads to
``0x8000000000``     ``0x300000``          the root, and the code with its tables
===================  ====================  ==================================================
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from assembler import assemble
from machines import RING_0_CODE, RING_0_DATA, RING_3_CODE, RING_3_DATA

from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.frames import HYPERVISOR
from minihv.machine.memory import SystemMemory
from minihv.machine.processor import Core, PagingMode, Processor
from minihv.paging.access import AccessKind
from minihv.spec.svm_exits import SvmExit
from minihv.spec.x86_exceptions import Vector
from minihv.spec.x86_paging import PF_FETCH, PF_PRESENT, PF_RESERVED, PF_USER, PF_WRITE
from minihv.terms import MIB, Spa
from minihv.testing import canonical

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NO_EXECUTE, TOO_WIDE = 1 << 63, 1 << 45
OPEN = PRESENT | WRITABLE | USER
GIB = 1 << 30
TABLES_GPA, PAGE_GPA, HUGE_GPA, FAR_GPA = 0x1000, 0x20_0000, GIB, 512 * GIB
TABLES_SPA, PAGE_SPA, FAR_SPA, SECOND_SPA = 0x20_0000, 0x40_0000, 0x30_0000, 0x10_0000
SECOND_END = SECOND_SPA + 0x1_0000
SECOND_LAST = {SECOND_SPA + 0x1000 * n for n in (3, 4, 7)}
"""The second-level tables of level 1."""
CODE_SLOT = 0x1F0
"""Of the root table: the GVAs of the code begin with these nine bits."""
SUPERVISOR_CODE, USER_CODE = 0, 1
"""The page of the code that each ring executes."""
MEMORY_BYTES = 2 * GIB + 4 * MIB
CODE = {
    AccessKind.READ: "mov rax, [rbx]; hlt",
    AccessKind.WRITE: "mov [rbx], rax; hlt",
    AccessKind.EXECUTE: "jmp rbx",
}
WALKERS = {
    "engine": (PagingMode.HARDWARE, Core.NATIVE),
    "native": (PagingMode.SLAT, Core.NATIVE),
    "reference": (PagingMode.SLAT, Core.REFERENCE),
}
HLT_BYTE = 0xF4
GP_EXIT, PF_EXIT = 0x40 + Vector.GP, 0x40 + Vector.PF


@dataclass(frozen=True)
class Case:
    """One access, and the tables that it meets. ``spoiled`` names entries and a bit to turn over in each."""

    kind: AccessKind
    gva: int
    levels: int = 4
    page_bytes: int = 0x1000
    second_tables_bytes: int = 0x1000
    second_page_bytes: int = 0x1000
    user: bool = False
    ac: bool = False
    nxe: bool = True
    wp: bool = True
    smep: bool = False
    smap: bool = False
    guest_user: bool = True
    spoiled: tuple[tuple[str, int], ...] = ()

    @property
    def leaf_level(self) -> int:
        """Of the guest's tables: 1, 2 or 3."""
        return {0x1000: 1, 2 * MIB: 2, GIB: 3}[self.page_bytes]


@dataclass
class Tables:
    """The words of all tables by SPA, and the place of each entry that a case may spoil by name."""

    words: dict[int, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def put(self, spa: int, value: int, name: str = "") -> None:
        """One entry."""
        self.words[spa] = value
        if name:
            self.places[name] = spa


def index(address: int, level: int) -> int:
    """The byte offset of the entry for ``address`` in a table of ``level``."""
    return 8 * (address >> 3 + 9 * level & 0x1FF)


def code_gva(case: Case) -> int:
    """Where the code that makes the access lies."""
    page = USER_CODE if case.user else SUPERVISOR_CODE
    return canonical(CODE_SLOT << 3 + 9 * case.levels | page << 12, case.levels)


def tables_of(case: Case) -> Tables:
    """All tables of ``case``, with the bits that it spoils turned over."""
    made = Tables()
    _second_tables(case, made)
    _guest_tables(case, made)
    for name, bit in case.spoiled:
        if name in made.places:
            made.words[made.places[name]] ^= bit
    return made


def _second_tables(case: Case, made: Tables) -> None:
    root, pointers, directory, tables, pages, far = (SECOND_SPA + 0x1000 * n for n in range(6))
    made.put(root, pointers | OPEN, "second 4")
    made.put(root + 8, far | OPEN)
    made.put(far, far + 0x1000 | OPEN)
    made.put(far + 0x1000, far + 0x2000 | OPEN)
    for page in range(16):
        made.put(far + 0x2000 + 8 * page, FAR_SPA + 0x1000 * page | OPEN)
    made.put(pointers, directory | OPEN, "second 3")
    if case.second_tables_bytes == 0x1000:
        made.put(directory, tables | OPEN, "second 2 of tables")
        for page in range(1, 6):
            name = f"second 1 of table {page}"
            made.put(tables + 8 * page, TABLES_SPA + 0x1000 * page | OPEN, name)
    else:
        made.put(directory, TABLES_SPA | LARGE | OPEN, "second 2 of tables")
    if case.second_page_bytes == GIB and case.page_bytes == GIB:
        made.put(pointers + 8, GIB | LARGE | OPEN, "second 3 of page")
        return
    inner = directory if case.page_bytes < GIB else far + 0x3000
    at = inner + index(_gpa_of(case), 2)
    if case.page_bytes == GIB:
        made.put(pointers + 8, inner | OPEN, "second 3 of page")
    if case.second_page_bytes == 0x1000:
        made.put(at, pages | OPEN, "second 2 of page")
        place = PAGE_SPA + (_gpa_of(case) & 0x1F_F000)
        made.put(pages + index(_gpa_of(case), 1), place | OPEN, "second 1 of page")
    else:
        made.put(at, PAGE_SPA | LARGE | OPEN, "second 2 of page")


def _gpa_of(case: Case) -> int:
    base = HUGE_GPA if case.page_bytes == GIB else PAGE_GPA
    return base + (case.gva & min(case.page_bytes, GIB) - 1)


def _guest_tables(case: Case, made: Tables) -> None:
    code = FAR_SPA
    code_address = code_gva(case)
    for level in range(case.levels, 1, -1):  # the root and the tables of the code
        made.put(code + index(code_address, level), code - FAR_SPA + FAR_GPA + 0x1000 | OPEN)
        code += 0x1000
    made.put(code + 8 * SUPERVISOR_CODE, FAR_GPA + 0xE000 | PRESENT)
    made.put(code + 8 * USER_CODE, FAR_GPA + 0xE000 | PRESENT | USER)
    table, flags = FAR_SPA, PRESENT | WRITABLE | (USER if case.guest_user else 0)
    for number, level in enumerate(range(case.levels, case.leaf_level, -1), start=1):
        gpa = TABLES_GPA * number
        made.put(table + index(case.gva, level), gpa | flags, f"guest {level}")
        table = TABLES_SPA + gpa
    size = LARGE if case.leaf_level > 1 else 0
    target = _gpa_of(case) & -case.page_bytes
    made.put(table + index(case.gva, case.leaf_level), target | flags | size, f"guest {case.leaf_level}")


@dataclass(frozen=True)
class Outcome:
    """What ring -1 sees of the access, and what the memory looks like afterwards."""

    exit_code: int
    error_code: int
    address: int
    """CR2 of a #PF, the GPA of a #NPF."""
    rip: int
    rax: int
    changed: tuple[str, ...]
    """Every word of the tables and pages that is not as it was laid out, ``marked`` aside."""
    marked: tuple[str, ...]
    """The entries of pages in which only A and D changed, where the engine's own MMU has a way of its own."""

    def in_words(self) -> str:
        """For the report of shares."""
        if self.exit_code == SvmExit.HLT:
            return "done"
        if self.exit_code == SvmExit.NPF:
            where = "page" if PAGE_GPA <= self.address < FAR_GPA else "table"
            return f"#NPF on a {where}: {self.error_code:#x}"
        if self.exit_code == GP_EXIT:
            return "#GP"
        if not self.error_code & PF_PRESENT:
            return "#PF: absent"
        if self.error_code & PF_RESERVED:
            return "#PF: reserved"
        kind = "fetch" if self.error_code & PF_FETCH else "write" if self.error_code & PF_WRITE else "read"
        return f"#PF: refused {kind} in ring {3 if self.error_code & PF_USER else 0}"


class Walker:
    """A machine with one bare VP under one of the three walks."""

    def __init__(self, paging: PagingMode, core: Core) -> None:
        self.memory = SystemMemory(MEMORY_BYTES)
        self.processor = Processor(self.memory, paging, core)
        self.vmcb_spa = Spa(self.memory.frames.allocate(HYPERVISOR))
        self.memory.frames.allocate(HYPERVISOR, 0x60, align=0x100)
        self.vp: Any = VirtualProcessor.__new__(VirtualProcessor)
        self.vp._processor = self.processor
        self.handle = self.processor.create_vp(0, self.vmcb_spa)
        self.vp.handle, self.vp.save_area = self.handle, self.handle.vmcb.save
        self.control, self.save = self.handle.vmcb.control, self.handle.vmcb.save
        self.control.intercept_exceptions = 0xFFFF_FFFF
        self.control.intercept_instructions1 = 1 << 24 | 1 << 31
        self.control.guest_asid = self.control.nested_control = 1
        self.control.nested_cr3 = SECOND_SPA
        self.written: dict[int, int] = {}

    def close(self) -> None:
        """Gives everything back."""
        self.processor.destroy_vp(self.handle)
        self.processor.close()
        self.memory.close()

    def perform(self, case: Case) -> Outcome:
        """Executes the access of ``case``."""
        tables = tables_of(case)
        for spa in self.written:
            self.memory.write_u64(spa, 0)
        self.written = dict(tables.words)
        for spa, word in tables.words.items():
            self.memory.write_u64(spa, word)
        self.processor.flush()  # second-level tables were changed
        self._place_pages(case)
        self.processor.flush()  # second-level tables were changed
        self._enter(case)
        stop = self.processor.run(self.handle, self.handle.counters.blocks + 100)
        assert stop == 1, f"the access of {case} ended with {stop}"
        changed, marked = self._changes(done=int(self.control.exit_code) == SvmExit.HLT)
        control = self.control
        return Outcome(
            int(control.exit_code),
            int(control.exit_info_1) & 0x1F,
            int(control.exit_info_2) if control.exit_code in (SvmExit.NPF, PF_EXIT) else 0,
            int(self.save.rip),
            int(self.save.rax),
            changed,
            marked,
        )

    def _changes(self, *, done: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words that changed; apart those of pages of the second level, and of refused pages of 1 GiB."""
        others: list[str] = []
        marked: list[str] = []
        for spa, was in sorted(self.written.items()):
            now = self.memory.read_u64(spa)
            if now == was:
                continue
            in_second = SECOND_SPA <= spa < SECOND_END
            is_second_page = in_second and (was & LARGE or spa & -0x1000 in SECOND_LAST)
            is_refused_page = not in_second and was & LARGE and not done
            only_marked = not (now ^ was) & ~(ACCESSED | DIRTY)
            apart = only_marked and (is_second_page or is_refused_page)
            (marked if apart else others).append(f"{spa:#x}: {was:#x} -> {now:#x}")
        return tuple(others), tuple(marked)

    def _place_pages(self, case: Case) -> None:
        """The code; and where the access may arrive, a word that says where, and halts if executed."""
        self.memory.write(FAR_SPA + 0xE000, assemble(CODE[case.kind], 0))
        low, middle, high = (case.gva & (1 << bits) - 1 for bits in (12, 21, 30))
        places = {
            PAGE_SPA + middle & ~7,
            GIB + high & ~7,
            PAGE_SPA + low & ~7,
            GIB + middle & ~7,
            GIB + low & ~7,
        }
        for spa in places:
            self.written[spa] = spa << 8 | HLT_BYTE
            self.memory.write_u64(spa, spa << 8 | HLT_BYTE)

    def _enter(self, case: Case) -> None:
        code, data = (RING_3_CODE, RING_3_DATA) if case.user else (RING_0_CODE, RING_0_DATA)
        segments = dict.fromkeys(("ss", "ds", "es", "fs", "gs"), data) | {
            "cs": code,
            "gdtr": SegmentValue(0, 0, 0, 0),
            "idtr": SegmentValue(0, 0, 0, 0),
            "tr": SegmentValue(0, 0x67, 0x30, 0x8B),
            "ldtr": SegmentValue(0, 0, 0, 0x82),
        }
        for name, value in segments.items():
            self.vp.write_segment(name, value)
        save = self.save
        save.cr0 = 0x8000_0033 | case.wp << 16
        save.cr4 = 0x620 | (case.levels == 5) << 12 | case.smep << 20 | case.smap << 21
        save.efer = 0x500 | case.nxe << 11
        save.cr3, save.rip, save.rax, save.rflags = FAR_GPA, code_gva(case), 0x1234, 2 | case.ac << 18
        save.dr6, save.dr7, save.cpl = 0xFFFF_0FF0, 0x400, 3 if case.user else 0
        self.handle.gpr[3] = case.gva
        self.handle.reload = True


@contextmanager
def three_walkers() -> Iterator[dict[str, Walker]]:
    """A machine for each walk."""
    made = {name: Walker(paging, core) for name, (paging, core) in WALKERS.items()}
    try:
        yield made
    finally:
        for walker in made.values():
            walker.close()
