"""The boot contract: what a guest finds in its memory and in its registers when it enters.

Stands for: firmware and boot loader, which the hypervisor leaves to whoever builds the partition.
Spec: AMD APM vol. 2, "Long Mode Consistency Checks", "Segment Descriptors" and "Canonical Address Form".
Simplified: there is no firmware; a VP begins in 64-bit mode.
Next: ``minihv.guests.catalogue``

==================  ==================================================================
GPA                 What lies there
==================  ==================================================================
``0x1000``          the info page: ``INFO``, and the arguments behind it
``0x2000``          the GDT: ``SEGMENTS``
``0x3000``          the root table; the others follow it
``0x10000``         the stack of VP 0, 16 KiB; those of the other VPs follow it
``0x100000``        the image, at the addresses of its segments
``image_end``       from here on RAM is free
==================  ==================================================================
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from minihv.errors import ConfigurationError
from minihv.guests.image import Image, check_fits
from minihv.spec.x86_paging import LARGE, PRESENT, WRITABLE
from minihv.spec.x86_registers import Cr0, Cr4, Efer, Rflags
from minihv.spec.x86_segments import SegmentDescriptor, SystemType
from minihv.terms import HUGE_PAGE_BYTES, LARGE_PAGE_BYTES, MIB, PAGE_BYTES, Gpa

Write = Callable[[Gpa, bytes], None]
"""Stores bytes in the RAM of the guest."""

INFO_GPA = Gpa(0x1000)
GDT_GPA = Gpa(0x2000)
TABLES_GPA = Gpa(0x3000)
STACKS_GPA = Gpa(0x10000)
STACK_BYTES = 0x4000
MOST_VPS = 32
LEAST_MEMORY_BYTES = 2 * MIB
MOST_MEMORY_BYTES = 8 << 30
"""A table of 2 MiB pages for each GiB has its place below the stacks."""

MAGIC = b"MINIHV\0\1"
VERSION = 1
INFO = struct.Struct("<8sIIQQQII")
"""magic, version, VP count, bytes of memory, end of the image, root table, paging levels, zero."""
MOST_ARGUMENT_BYTES = PAGE_BYTES - INFO.size - 1
"""The rest of the info page, with a zero at the end."""

CR0 = Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.PE
CR4 = Cr4.OSXMMEXCPT | Cr4.OSFXSR | Cr4.PAE
EFER = Efer.NXE | Efer.LMA | Efer.LME


def _flat(*, code: bool, ring: int, long: bool = False) -> SegmentDescriptor:
    """A segment from 0 to the end: code that may be read, or data that may be written; both accessed."""
    return SegmentDescriptor(
        limit_low=0xFFFF,
        limit_high=0xF,
        type=0b1011 if code else 0b0011,
        code_or_data=True,
        dpl=ring,
        present=True,
        long=long,
        default_big=not long,
        granularity=True,
    )


SEGMENTS = (
    SegmentDescriptor(0),
    _flat(code=True, ring=0, long=True),  # 0x08
    _flat(code=False, ring=0),  # 0x10
    _flat(code=True, ring=3),  # 0x18: SYSRET counts from here, 8 to SS and 16 to CS
    _flat(code=False, ring=3),  # 0x20
    _flat(code=True, ring=3, long=True),  # 0x28
)
CODE_SELECTOR = 0x08
DATA_SELECTOR = 0x10
PRESENT_SYSTEM = 0x80
"""The attributes of a system segment, besides its type."""


@dataclass(frozen=True, slots=True)
class BootSegment:
    """A segment register: ``attributes`` are bits 55:40 of the descriptor, without its bits 51:48."""

    base: int
    limit: int
    selector: int
    attributes: int


@dataclass(frozen=True, slots=True)
class InitialState:
    """The registers of a VP that enters. All that are not named are 0, or as a reset leaves them."""

    rip: int
    rsp: int
    rdi: int
    rsi: int
    cr3: int
    cr4: int
    code: BootSegment
    data: BootSegment
    rflags: int = int(Rflags.ALWAYS_1)
    cr0: int = int(CR0)
    efer: int = int(EFER)
    task: BootSegment = BootSegment(0, 0, 0, PRESENT_SYSTEM | SystemType.BUSY_TSS)
    """TR: a busy TSS of one byte, so that no interrupt can change the ring before the guest loads its own."""
    ldt: BootSegment = BootSegment(0, 0, 0, 0)
    gdt: BootSegment = BootSegment(GDT_GPA, 8 * len(SEGMENTS) - 1, 0, 0)
    idt: BootSegment = BootSegment(0, 0, 0, 0)

    @property
    def registers(self) -> dict[str, int]:
        """The registers that are one number, by name."""
        names = ("rip", "rsp", "rdi", "rsi", "rflags", "cr0", "cr3", "cr4", "efer")
        return {name: getattr(self, name) for name in names}

    @property
    def segments(self) -> dict[str, BootSegment]:
        """The segment and table registers, by name."""
        data = dict.fromkeys(("ss", "ds", "es", "fs", "gs"), self.data)
        system = {"tr": self.task, "ldtr": self.ldt, "gdtr": self.gdt, "idtr": self.idt}
        return {"cs": self.code, **data, **system}


def boot(image: Image, write: Write, *, memory_bytes: int, vp_count: int) -> tuple[InitialState, ...]:
    """The guest is in memory, which was all zeros before, and each VP has a state to enter with.

    Raises:
        ConfigurationError: The memory or the number of VPs is absurd, or the image does not fit.
    """
    check_memory(memory_bytes)
    check_vps(vp_count)
    check_fits(image, memory_bytes)
    for segment in image.segments:
        if segment.content:
            write(segment.gpa, segment.content)
    write(GDT_GPA, struct.pack(f"<{len(SEGMENTS)}Q", *map(int, SEGMENTS)))
    _write_tables(write, memory_bytes, image.paging_levels)
    levels = image.paging_levels
    write(
        INFO_GPA,
        INFO.pack(MAGIC, VERSION, vp_count, memory_bytes, image.end, TABLES_GPA, levels, 0),
    )
    return tuple(_initial_state(image, vp_index) for vp_index in range(vp_count))


def hand_arguments(write: Write, arguments: str) -> None:
    """The guest, which has booted and not yet run, finds ``arguments`` behind ``INFO``, a zero behind them.

    Raises:
        ConfigurationError: They do not fit, or there is a zero within.
    """
    text = arguments.encode("utf-8", "surrogateescape")  # what is no UTF-8 stays as it was typed
    if len(text) > MOST_ARGUMENT_BYTES:
        raise ConfigurationError(
            f"The arguments of a guest have at most {MOST_ARGUMENT_BYTES:,} bytes, not {len(text):,}; "
            "choose a shorter --append."
        )
    if b"\0" in text:
        raise ConfigurationError(
            f"The arguments of a guest end at a zero, and there is one within {arguments!r}; leave it out."
        )
    write(Gpa(INFO_GPA + INFO.size), text + b"\0")


def check_memory(memory_bytes: int) -> None:
    """Refuses a size that no partition with a guest can have."""
    if not LEAST_MEMORY_BYTES <= memory_bytes <= MOST_MEMORY_BYTES:
        raise ConfigurationError(
            f"A guest must have between 2 MiB and 8 GiB of memory, not {memory_bytes:#x} bytes; "
            f"choose another --memory."
        )
    if memory_bytes % PAGE_BYTES:
        raise ConfigurationError(
            f"The memory of a guest must be a multiple of {PAGE_BYTES:#x} bytes, not {memory_bytes:#x}; "
            f"choose another --memory."
        )


def check_vps(vp_count: int) -> None:
    """Refuses a number of VPs for which the contract has no stacks."""
    if not 1 <= vp_count <= MOST_VPS:
        raise ConfigurationError(
            f"A guest must have between 1 and {MOST_VPS} VPs, not {vp_count}; choose another --vps."
        )


def _write_tables(write: Write, memory_bytes: int, levels: int) -> None:
    """GVA = GPA for all of RAM by 2 MiB pages; the last one may reach beyond it."""
    page_count = -(-memory_bytes // LARGE_PAGE_BYTES)
    huge_count = -(-memory_bytes // HUGE_PAGE_BYTES)
    pointers = TABLES_GPA + (levels - 3) * PAGE_BYTES  # of level 3; the one above has one entry each
    directories = pointers + PAGE_BYTES
    for table in range(TABLES_GPA, pointers, PAGE_BYTES):
        write(Gpa(table), struct.pack("<Q", table + PAGE_BYTES | PRESENT | WRITABLE))
    entries = [directories + number * PAGE_BYTES | PRESENT | WRITABLE for number in range(huge_count)]
    write(Gpa(pointers), struct.pack(f"<{huge_count}Q", *entries))
    pages = [number * LARGE_PAGE_BYTES | LARGE | PRESENT | WRITABLE for number in range(page_count)]
    write(Gpa(directories), struct.pack(f"<{page_count}Q", *pages))


def _segment(selector: int) -> BootSegment:
    """The register after a load of ``selector``."""
    descriptor = SEGMENTS[selector // 8]
    return BootSegment(descriptor.base, descriptor.limit, selector, int(descriptor) >> 40 & 0xF0FF)


def _initial_state(image: Image, vp_index: int) -> InitialState:
    return InitialState(
        rip=image.entry,
        rsp=STACKS_GPA + STACK_BYTES * (vp_index + 1),
        rdi=INFO_GPA,
        rsi=vp_index,
        cr3=TABLES_GPA,
        cr4=int(CR4 | Cr4.LA57 if image.paging_levels == 5 else CR4),
        code=_segment(CODE_SELECTOR),
        data=_segment(DATA_SELECTOR),
    )
