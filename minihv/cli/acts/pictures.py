"""Draws what is in a machine, as lines of text: owners of memory, instructions, exits, walks.

Next: ``minihv.cli.acts.small_guest``
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minihv.eyes.guest import guest_paging, second_paging
from minihv.hypervisor.hypervisor import Hypervisor
from minihv.hypervisor.tracing import exit_name
from minihv.hypervisor.vp import VirtualProcessor
from minihv.machine.frames import FREE, HYPERVISOR, FrameAllocator
from minihv.paging.access import Access, AccessKind, Reference, StageName
from minihv.paging.formats import NESTED, X86_64
from minihv.paging.nested import NestedMapping, nested_walk
from minihv.spec.svm_exits import SvmExit
from minihv.spec.vmcb import Intercept1, Intercept2, IoExitInfo, NestedFaultInfo
from minihv.terms import PAGE_BYTES

MOST_INSTRUCTION_BYTES = 15


def owner_name(owner: int) -> str:
    """Whose frames carry the number ``owner``."""
    if owner == HYPERVISOR:
        return "the hypervisor"
    return "nobody" if owner == FREE else f"partition {owner}"


def owner_rows(frames: FrameAllocator, partitions: Iterable[int]) -> list[str]:
    """How many frames each has."""
    lines = [f"{'owner':<16}{'frames':>8}{'KiB':>10}"]
    for owner in (HYPERVISOR, *partitions, FREE):
        count = frames.owned_by(owner)
        lines.append(f"{owner_name(owner):<16}{count:>8,}{count * PAGE_BYTES >> 10:>10,}")
    count = len(frames.owners)
    return [*lines, f"{'together':<16}{count:>8,}{count * PAGE_BYTES >> 10:>10,}"]


def memory_map(owners: NDArray[np.uint16], columns: int = 64) -> list[str]:
    """All of memory in a line: H where the hypervisor has a frame, else a partition's number, else a dot."""
    frames_each = 1 << (-(-len(owners) // columns) - 1).bit_length()
    cells = [owners[at : at + frames_each] for at in range(0, len(owners), frames_each)]
    letters = "".join(cell_letter(set(cell.tolist())) for cell in cells)
    return [f"one sign for each {frames_each * PAGE_BYTES >> 10} KiB:", letters]


def cell_letter(owners: set[int]) -> str:
    """The sign of a stretch of memory with these owners."""
    if HYPERVISOR in owners:
        return "H"
    numbers = owners - {FREE}
    return str(min(numbers) % 10) if numbers else "."


@cache
def disassembler() -> Any:
    """Capstone for 64-bit code."""
    from capstone import CS_ARCH_X86, CS_MODE_64, Cs

    return Cs(CS_ARCH_X86, CS_MODE_64)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction as it lies in the memory of a guest."""

    rip: int
    code: bytes
    text: str

    def __str__(self) -> str:
        return f"{self.rip:#x}  {self.code.hex():<20}  {self.text}"


def instruction_at(hypervisor: Hypervisor, vp: VirtualProcessor, rip: int | None = None) -> Instruction:
    """The instruction of ``vp`` at ``rip``, or the next one, read where a walk of its tables leads."""
    rip = vp.read("rip") if rip is None else rip
    memory, guest, second = hypervisor.memory, guest_paging(vp), second_paging(vp)
    code = b""
    while len(code) < MOST_INSTRUCTION_BYTES:
        found = nested_walk(memory, guest, second, rip + len(code), Access(AccessKind.EXECUTE))
        if not isinstance(found, NestedMapping):
            break
        left_in_page = PAGE_BYTES - found.spa % PAGE_BYTES
        code += memory.read(found.spa, min(left_in_page, MOST_INSTRUCTION_BYTES - len(code)))
    decoded = next(disassembler().disasm(code, rip, 1), None)
    if decoded is None:
        return Instruction(rip, code[:1], "(no instruction)")
    return Instruction(rip, bytes(decoded.bytes), f"{decoded.mnemonic} {decoded.op_str}".rstrip())


def intercept_names(control: Any) -> list[str]:
    """What the VMCB says the guest may not do alone."""
    words = (
        (Intercept1, control.intercept_instructions1),
        (Intercept2, control.intercept_instructions2),
    )
    return [bit.name or "" for kind, word in words for bit in kind if word & bit]


def exit_rows(control: Any) -> list[str]:
    """The fields of the VMCB that say why the guest was left, and what they mean."""
    code, info_1, info_2 = control.exit_code, control.exit_info_1, control.exit_info_2
    first, second = exit_meaning(code, info_1)
    return [
        f"EXITCODE   {code:#12x}  {exit_name(code)}",
        f"EXITINFO1  {info_1:#12x}  {first}",
        f"EXITINFO2  {info_2:#12x}  {second}",
    ]


def exit_meaning(code: int, info_1: int) -> tuple[str, str]:
    """What EXITINFO1 says, and what EXITINFO2 is, for the exits that the tour meets."""
    if code == SvmExit.IOIO:
        port = IoExitInfo(info_1)
        bits = 8 if port.is_8_bits else 16 if port.is_16_bits else 32
        return f"{'IN' if port.is_in else 'OUT'}, {bits} bits, port {port.port:#x}", "RIP behind it"
    if code == SvmExit.NPF:
        fault = NestedFaultInfo(info_1)
        did = "a write" if fault.write else "a fetch" if fault.fetch else "a read"
        where = "of a page table" if fault.on_table else "of the page itself"
        found = "forbidden" if fault.present else "nothing is mapped there"
        return f"{did} {where}: {found}", "the GPA"
    return "", ""


def walk_grid(seen: Sequence[Reference]) -> list[str]:
    """The references of a two-stage walk by their numbers: a row for each GPA that was translated."""
    header = "".join(f"{level.name:>5}" for level in NESTED[4].levels)
    lines = [f"{'to translate':<28}{header}  then"]
    asked, row = "the GPA in CR3", ""
    for one in seen:
        if one.stage is StageName.SECOND:
            row += f"{one.number:>5}"
            continue
        name = level_name(one)
        lines.append(f"{asked:<28}{row:<20}{one.number:>4}  guest's {name} entry")
        asked, row = f"the GPA in that {name} entry", ""
    return [*lines, f"{asked:<28}{row:<20}      the page"]


def level_name(reference: Reference) -> str:
    """The name of the table that was read."""
    levels = NESTED[4].levels if reference.stage is StageName.SECOND else X86_64[5].levels
    return next(level.name for level in levels if level.number == reference.level)


def reference_rows(seen: Sequence[Reference]) -> list[str]:
    """Where each reference went, and what it read."""
    lines = [f"{'#':>2}  {'stage':<7}{'level':<7}{'table at SPA':>12}{'entry':>8}  {'it says':>18}"]
    for one in seen:
        name = level_name(one)
        table = one.entry_pa & -PAGE_BYTES
        index = one.entry_pa % PAGE_BYTES // 8
        lines.append(
            f"{one.number:>2}  {one.stage.value:<7}{name:<7}{table:>#12x}{index:>8}  {one.entry:>#18x}"
        )
    return lines
