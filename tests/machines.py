"""Small machines for tests: a partition of 2 MiB whose VPs are about to run a few instructions.

All of memory is mapped GVA = GPA, for both rings. Every vector of the IDT leads to a handler of its own,
which halts unless a test gives it other code; so a VP that took an exception stands behind the handler's HLT,
with the exception frame at its RSP.

===========  =================================================
GPA          What lies there
===========  =================================================
``0x2000``   the GDT, with the selectors of the boot contract
``0x3000``   the tables: PML4, PDPT, PD
``0x6000``   the IDT
``0x7000``   the TSS
``0xE000``   the top of the stack of VP 0 (others below it)
``0x100000`` the code
``0x110000`` the handlers, ``HANDLER_BYTES`` each
===========  =================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from assembler import assemble

from minihv.hypervisor.hypervisor import Hypervisor, machine_bytes
from minihv.hypervisor.partition import Partition
from minihv.hypervisor.privileges import CHILD, Privilege
from minihv.hypervisor.register_values import SegmentValue
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.processor import Core, PagingMode
from minihv.machine.shadow import ShadowOptions
from minihv.terms import MIB

GDT, TABLES, IDT, TSS, STACK, CODE, HANDLERS = 0x2000, 0x3000, 0x6000, 0x7000, 0xE000, 0x10_0000, 0x11_0000
HANDLER_BYTES = 0x40
TSS_BYTES, RSP0, IST = 0x68, 0xB000, 0xA000
CODE_0, DATA_0, DATA_3, CODE_3, TASK = 0x08, 0x10, 0x20 | 3, 0x28 | 3, 0x30
SPARE = 0x40
"""A selector whose descriptor is for tests to write."""
DESCRIPTORS = (
    0,
    0x00AF_9B00_0000_FFFF,
    0x00CF_9300_0000_FFFF,
    0x00CF_FB00_0000_FFFF,
    0x00CF_F300_0000_FFFF,
    0x00AF_FB00_0000_FFFF,
)
RING_0_CODE, RING_0_DATA = (
    SegmentValue(0, 0xFFFF_FFFF, CODE_0, 0xA09B),
    SegmentValue(0, 0xFFFF_FFFF, DATA_0, 0xC093),
)
RING_3_CODE, RING_3_DATA = (
    SegmentValue(0, 0xFFFF_FFFF, CODE_3, 0xA0FB),
    SegmentValue(0, 0xFFFF_FFFF, DATA_3, 0xC0F3),
)
CR0, CR4, EFER = 0x8001_0033, 0x620, 0xD00
MEMORY = 2 * MIB
PRESENT_WRITABLE_USER, LARGE = 7, 0x80
INTERRUPT, NMI, EXCEPTION, SOFTWARE = 0, 2, 3, 4
"""The types of EVENTINJ."""


@dataclass(frozen=True)
class Frame:
    """What the processor pushed for a handler."""

    rip: int
    cs: int
    rflags: int
    rsp: int
    ss: int
    error_code: int | None = None


@dataclass
class SmallMachine:
    """A machine with ring -1 and one small partition. Use it as a context manager."""

    code: str | bytes = "hlt"
    vps: int = 1
    lps: int = 1
    paging: PagingMode = PagingMode.SLAT
    core: Core | None = None
    ring: int = 0
    handlers: Mapping[int, str] = field(default_factory=dict)
    registers: Mapping[str, int] = field(default_factory=dict)
    partitions: int = 1
    shadow: ShadowOptions | None = None
    memory: int = MEMORY
    privileges: Privilege = CHILD

    def __post_init__(self) -> None:
        self.hypervisor = Hypervisor(
            machine_bytes(self.memory, self.partitions),
            lps=self.lps,
            paging=self.paging,
            core=self.core,
            shadow=self.shadow,
        )
        self.partition = self.add_partition("small", self.code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hypervisor.close()

    @property
    def vp(self) -> VirtualProcessor:
        """VP 0."""
        return self.partition.vps[0]

    def add_partition(self, name: str, code: str | bytes) -> Partition:
        """Another partition, built alike, that runs ``code``."""
        partition = self.hypervisor.create_partition(
            name, self.memory, vps=self.vps, privileges=self.privileges
        )
        write = partition.gpa_space.write
        for gpa, words in system_structures().items():
            write(gpa, b"".join(word.to_bytes(8, "little") for word in words))
        for vector in range(256):
            at = HANDLERS + vector * HANDLER_BYTES
            write(at, assemble(self.handlers[vector], at) if vector in self.handlers else b"\xf4")
        write(CODE, code if isinstance(code, bytes) else assemble(code, CODE))
        for vp in partition.vps:
            enter_at(vp, CODE, ring=self.ring)
            for register, value in self.registers.items():
                vp.write(register, value)
        return partition

    def run(self, blocks: int = 10_000) -> int:
        """Lets the hypervisor run everything that is ready."""
        return self.hypervisor.run(blocks)

    def enter(self, blocks: int = 10_000) -> int:
        """Runs VP 0 until an exit that the core does not answer, or for ``blocks`` blocks. A ``Stop``."""
        before = self.vp.counters.blocks
        stop = self.hypervisor.processor.run(self.vp.handle, before + blocks)
        self.hypervisor.scheduler.lps[0].now += self.vp.counters.blocks - before
        return stop

    def read(self, gpa: int, byte_count: int = 8) -> int:
        """A number in the partition's memory."""
        return int.from_bytes(self.partition.gpa_space.read(gpa, byte_count), "little")

    def write(self, gpa: int, value: int, byte_count: int = 8) -> None:
        """Stores a number in the partition's memory."""
        self.partition.gpa_space.write(gpa, value.to_bytes(byte_count, "little"))

    def gate(self, vector: int, **parts: int) -> None:
        """Changes parts of the gate of ``vector``; see ``gate_words``."""
        for index, word in enumerate(gate_words(vector, **parts)):
            self.write(IDT + 16 * vector + 8 * index, word)

    def vector(self) -> int | None:
        """Which handler VP 0 halted in, or ``None``."""
        offset = self.vp.read("rip") - 1 - HANDLERS
        whole = offset >= 0 and offset % HANDLER_BYTES == 0
        return offset // HANDLER_BYTES if whole and offset // HANDLER_BYTES < 256 else None

    def frame(self, *, error_code: bool = False, at: int | None = None) -> Frame:
        """The exception frame at RSP, or at GPA ``at``."""
        start = self.vp.read("rsp") if at is None else at
        words = [self.read(start + 8 * index) for index in range(5 + error_code)]
        rip, cs, rflags, rsp, ss = words[error_code:]
        return Frame(rip, cs, rflags, rsp, ss, words[0] if error_code else None)


def gate_words(
    vector: int,
    to: int | None = None,
    *,
    selector: int = CODE_0,
    ist: int = 0,
    kind: int = 0xE,
    dpl: int = 0,
    present: int = 1,
) -> tuple[int, int]:
    """A gate of the IDT; ``kind`` 0xE is an interrupt gate, 0xF a trap gate."""
    target = HANDLERS + vector * HANDLER_BYTES if to is None else to
    low = target & 0xFFFF | selector << 16 | ist << 32 | kind << 40 | dpl << 45 | present << 47
    return low | (target >> 16 & 0xFFFF) << 48, target >> 32


def system_structures() -> dict[int, list[int]]:
    """The tables of a small machine as 64-bit words, by GPA."""
    tss_descriptor = TSS_BYTES - 1 | (TSS & 0xFF_FFFF) << 16 | 0x8B << 40
    task = bytearray(TSS_BYTES)
    task[4:12] = RSP0.to_bytes(8, "little")
    task[36:44] = IST.to_bytes(8, "little")
    task[102:104] = TSS_BYTES.to_bytes(2, "little")
    return {
        GDT: [*DESCRIPTORS, tss_descriptor, 0, 0],
        TABLES: [TABLES + 0x1000 | PRESENT_WRITABLE_USER],
        TABLES + 0x1000: [TABLES + 0x2000 | PRESENT_WRITABLE_USER],
        TABLES + 0x2000: [PRESENT_WRITABLE_USER | LARGE],
        IDT: [word for vector in range(256) for word in gate_words(vector)],
        TSS: [int.from_bytes(task[at : at + 8], "little") for at in range(0, TSS_BYTES, 8)],
    }


def enter_at(vp: VirtualProcessor, rip: int, *, ring: int = 0) -> None:
    """``vp`` is in 64-bit mode in ``ring``, about to execute at ``rip``, with interrupts off."""
    code, data = (RING_3_CODE, RING_3_DATA) if ring == 3 else (RING_0_CODE, RING_0_DATA)
    segments = dict.fromkeys(("ss", "ds", "es", "fs", "gs"), data) | {
        "cs": code,
        "gdtr": SegmentValue(GDT, SPARE + 7, 0, 0),
        "idtr": SegmentValue(IDT, 0xFFF, 0, 0),
        "tr": SegmentValue(TSS, TSS_BYTES - 1, TASK, 0x8B),
        "ldtr": SegmentValue(0, 0, 0, 0x82),
    }
    registers = {
        "rip": rip, "rsp": STACK - 0x400 * vp.index, "rflags": 2,
        "cr0": CR0, "cr3": TABLES, "cr4": CR4, "efer": EFER,
        "dr6": 0xFFFF_0FF0, "dr7": 0x400, "g_pat": 0x0007_0406_0007_0406,
    }  # fmt: skip
    for name, value in segments.items():
        vp.write_segment(name, value)
    for register, number in registers.items():
        vp.write(register, number)


def event(vector: int, kind: int, error_code: int | None = None) -> int:
    """A value for EVENTINJ."""
    extra = 0 if error_code is None else 1 << 11 | error_code << 32
    return vector | kind << 8 | 1 << 31 | extra


def virtual_interrupt(vector: int, *, priority: int = 15, tpr: int = 0, ignore_tpr: bool = False) -> int:
    """A value for the VMCB's word at 0x60 with V_IRQ pending."""
    return tpr | 1 << 8 | priority << 16 | ignore_tpr << 20 | 1 << 24 | vector << 32


def counts(counters: Any, length: int) -> dict[int, int]:
    """The entries of a counter array that are not zero."""
    return {index: counters[index] for index in range(length) if counters[index]}
