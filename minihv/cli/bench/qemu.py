"""The same loops under QEMU's translator: a few instructions of our own lead to long mode, and no firmware
service, kernel or library is involved.

The loop says when it begins and when it ends by a byte on the debug port, and the host looks at its clock.

Stands for: a Multiboot kernel.
Spec: Multiboot Specification 0.6.96, "OS image format"; AMD APM vol. 2, "Long Mode".
Next: ``minihv.cli.bench.walk``
"""

import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from minihv.cli.bench.loops import CODE, Line, Listing
from minihv.spec.vmcb import Intercept2, NestedControl, Vmcb
from minihv.terms import LARGE_PAGE_BYTES, PAGE_BYTES

PROGRAM = "qemu-system-x86_64"
PATIENCE_SECONDS = 60.0

# One page each: the loop, what leads to it, three levels of tables that map the first GiB, and a VMCB; then
# the tables for pages of 4 KiB.
BOOT, PML4, PDPT, PD, VMCB = (CODE + page * PAGE_BYTES for page in (1, 2, 3, 4, 5))
HOST_SAVE, PTS = CODE + 6 * PAGE_BYTES, CODE + 8 * PAGE_BYTES
SMALL_TABLES = 32
"""Of 2 MiB each: as much RAM as the machine has."""
GDT, GDT_POINTER, ENTRY_32, ENTRY_64 = BOOT + 0x40, BOOT + 0x60, BOOT + 0x80, BOOT + 0x100
RUN, ENTRY_GUEST = BOOT + 0x180, BOOT + 0x200
MULTIBOOT_MAGIC, MULTIBOOT_HAS_ADDRESSES = 0x1BAD_B002, 1 << 16

TO_LONG_MODE: tuple[Line, ...] = (
    ("b800201000", "mov eax, 0x102000"),
    ("0f22d8", "mov cr3, eax"),
    ("b820060000", "mov eax, 0x620"),
    ("0f22e0", "mov cr4, eax"),
    ("b9800000c0", "mov ecx, 0xc0000080"),
    ("b800010000", "mov eax, 0x100"),
    ("31d2", "xor edx, edx"),
    ("0f30", "wrmsr"),
    ("b833000180", "mov eax, 0x80010033"),
    ("0f22c0", "mov cr0, eax"),
    ("0f011560101000", "lgdt [0x101060]"),
    ("ea001110000800", "ljmp 8:0x101100"),
)
"""32-bit: PAE, LME, paging, then a far jump into 64-bit code."""
TO_GUEST: tuple[Line, ...] = (
    ("b9800000c0", "mov ecx, 0xc0000080"),
    ("b800150000", "mov eax, 0x1500"),
    ("31d2", "xor edx, edx"),
    ("0f30", "wrmsr"),
    ("b9170101c0", "mov ecx, 0xc0010117"),
    ("b800601000", "mov eax, 0x106000"),
    ("0f30", "wrmsr"),
    ("b800501000", "mov eax, 0x105000"),
    ("bb80111000", "mov ebx, 0x101180"),
    ("ffe3", "jmp rbx"),
)
"""64-bit: EFER.SVME, the host save area, and to ``RUN_GUEST``."""
RUN_GUEST: tuple[Line, ...] = (
    ("0f01d8", "vmrun rax"),
    ("4883807805000003", "add qword ptr [rax + 0x578], 3"),
    ("ffe3", "jmp rbx"),
)
"""64-bit: the guest that the VMCB describes, and after an exit again, behind the VMMCALL that made it."""
TO_LOOP: tuple[Line, ...] = (
    ("b061", "mov al, 0x61"),
    ("e6e9", "out 0xe9, al"),
    ("b800001000", "mov eax, 0x100000"),
    ("ffe0", "jmp rax"),
)
"""64-bit, behind a ``movabs rcx`` with the number of iterations."""
FROM_LOOP: tuple[Line, ...] = (
    ("b062", "mov al, 0x62"),
    ("e6e9", "out 0xe9, al"),
    ("e6f4", "out 0xf4, al"),
    ("f4", "hlt"),
)
"""In place of the loop's HLT: say that it is done, and end the machine."""


def find() -> str | None:
    """The path of QEMU, if it is installed."""
    return shutil.which(PROGRAM)


def assembled(lines: tuple[Line, ...]) -> bytes:
    """The bytes of ``lines``."""
    return bytes.fromhex("".join(text for text, _ in lines))


def kernel(listing: Listing, count: int, *, small_pages: bool = False, nested: bool = False) -> bytes:
    """A Multiboot image that executes ``count`` iterations of ``listing``.

    ``small_pages``: the tables have pages of 4 KiB, else of 2 MiB. ``nested``: the loop runs in a guest of
    the image's own, whose second level are the same tables.
    """
    end = PTS + SMALL_TABLES * PAGE_BYTES if small_pages else PTS
    checksum = -(MULTIBOOT_MAGIC + MULTIBOOT_HAS_ADDRESSES) & 0xFFFF_FFFF
    image = bytearray(end - CODE)

    def put(address: int, data: bytes) -> None:
        image[address - CODE : address - CODE + len(data)] = data

    put(CODE, listing.code[:-1] + assembled(FROM_LOOP))
    header = MULTIBOOT_MAGIC, MULTIBOOT_HAS_ADDRESSES, checksum, BOOT, CODE, end, end, ENTRY_32
    put(BOOT, struct.pack("<8I", *header))
    put(GDT, struct.pack("<3Q", 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF))
    put(GDT_POINTER, struct.pack("<HI", 23, GDT))
    put(ENTRY_32, assembled(TO_LONG_MODE))
    to_loop = b"\x48\xb9" + struct.pack("<Q", count) + assembled(TO_LOOP)
    put(ENTRY_64, assembled(TO_GUEST) if nested else to_loop)
    put(RUN, assembled(RUN_GUEST))
    put(ENTRY_GUEST, to_loop)
    put(VMCB, vmcb())
    for address, data in tables(small_pages=small_pages).items():
        put(address, data)
    return bytes(image)


def tables(*, small_pages: bool) -> dict[int, bytes]:
    """Identity tables by address; every page is for both rings, as a second level needs it."""
    found = {PML4: struct.pack("<Q", PDPT | 7), PDPT: struct.pack("<Q", PD | 7)}
    if not small_pages:
        found[PD] = struct.pack("<512Q", *(number * LARGE_PAGE_BYTES | 0x87 for number in range(512)))
        return found
    found[PD] = struct.pack("<32Q", *(PTS + PAGE_BYTES * number | 7 for number in range(SMALL_TABLES)))
    pages = (PAGE_BYTES * number | 7 for number in range(512 * SMALL_TABLES))
    found[PTS] = struct.pack(f"<{512 * SMALL_TABLES}Q", *pages)
    return found


def vmcb() -> bytes:
    """A guest in 64-bit mode at ``ENTRY_GUEST``, under nested paging, that VMMCALL leaves."""
    page = bytearray(PAGE_BYTES)
    layout = Vmcb(page)
    control, save = layout.control, layout.save
    control.intercept_instructions2 = Intercept2.VMRUN | Intercept2.VMMCALL  # the first as it insists
    control.guest_asid, control.nested_control, control.nested_cr3 = 1, NestedControl(1), PML4
    for name in ("es", "cs", "ss", "ds"):
        segment = getattr(save, name)
        segment.selector, segment.attributes = (8, 0xA9B) if name == "cs" else (16, 0xC93)
        segment.limit = 0xFFFF_FFFF
    save.gdtr.limit, save.gdtr.base = 23, GDT
    save.cr0, save.cr3, save.cr4, save.efer = 0x8001_0033, PML4, 0x620, 0x1500
    save.dr6, save.dr7, save.rflags, save.rip = 0xFFFF_0FF0, 0x400, 2, ENTRY_GUEST
    save.g_pat = 0x0007_0406_0007_0406
    return bytes(page)


class Qemu:
    """QEMU, about to execute ``listing``; a new process each time."""

    def __init__(
        self, program: str, listing: Listing, *, small_pages: bool = False, nested: bool = False
    ) -> None:
        self._program, self._listing = program, listing
        self._shape = {"small_pages": small_pages, "nested": nested}

    def seconds(self, count: int) -> float | None:
        """What ``count`` iterations took, or ``None`` when QEMU did not execute them."""
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder, "loop.bin")
            image.write_bytes(kernel(self._listing, count, **self._shape))
            with subprocess.Popen(
                self.command(image),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout is not None
                begin = wait_for(b"a", process.stdout.fileno())
                end = wait_for(b"b", process.stdout.fileno())
                process.kill()
        return None if begin is None or end is None else end - begin

    def command(self, image: Path) -> list[str]:
        """QEMU without anything that is not needed to execute ``image``."""
        return [
            *(
                self._program,
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-m",
                "64",
                "-nodefaults",
                "-no-reboot",
                "-display",
                "none",
            ),
            *("-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"),
            *("-kernel", str(image)),
        ]


def wait_for(mark: bytes, source: int) -> float | None:
    """When ``mark`` came, or ``None`` when something else did, or nothing for too long."""
    ready, _, _ = select.select([source], [], [], PATIENCE_SECONDS)
    return time.perf_counter() if ready and os.read(source, 1) == mark else None
