"""Page walks as students write them: a sound one, and one for each fault that can be put into it."""

from collections.abc import Callable
from typing import Any

from minihv.testing import Fault, NotCanonical

FRAME, FETCH = 0x000F_FFFF_FFFF_F000, 1 << 63


class StudentWalk:
    """A walk of four levels that is sound but for ``fault``, one of ``FAULTS``."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def __call__(
        self, read_u64: Callable[[int], int], root: int, gva: int, *, write: bool, user: bool, execute: bool
    ) -> Any:
        if self.fault != "canonical" and (gva + (1 << 47)) % (1 << 64) >= 1 << 48:
            return NotCanonical
        code = 2 * write + 4 * user + (16 * execute if self.fault != "fetch bit" else 0)
        table = root & FRAME if self.fault != "CR3" else root & ~7
        wanted, granted = 1 | 2 * write | 4 * user | execute << 63, FETCH | 7
        for level in (4, 3, 2, 1):
            shift = 3 + 9 * level
            entry = read_u64(table + 8 * (gva >> shift & 0x1FF))
            large = self.is_large(level, entry)
            if not entry & 1:
                return Fault(code)
            if large and self.is_reserved(level, entry):
                return Fault(code | 9)
            granted = entry ^ FETCH if self.fault == "leaf" else granted & (entry ^ FETCH)
            if large or level == 1:
                break
            table = entry & FRAME if self.fault != "high bits" else entry & ~0xFFF
        return Fault(code | 1) if wanted & ~granted else self.address(entry, gva, shift)

    def is_large(self, level: int, entry: int) -> bool:
        return bool(entry & 0x80) and level > 1 and not (level == 4 and self.fault == "PS ignored")

    def is_reserved(self, level: int, entry: int) -> bool:
        if level == 4:
            return self.fault != "PS of the root"
        return self.fault != "alignment" and bool(entry & (1 << 3 + 9 * level) - 1 & FRAME & ~0x1000)

    def address(self, entry: int, gva: int, shift: int) -> int:
        offset = gva & (1 << (12 if self.fault == "offset" else shift)) - 1
        return entry & FRAME & -(1 << (12 if self.fault == "PAT" else shift)) | offset


FAULTS = {
    "leaf": ("looks at ", "ignores "),
    "offset": ("takes 12 bits of the GVA for the offset in a page of ",),
    "PS of the root": ("takes an entry of the first level with PS = 1 for a page",),
    "PS ignored": ("ignores that PS is reserved in the entry of level 4",),
    "alignment": ("ignores that the low address bits of a large page are reserved in the entry of level ",),
    "canonical": ("does not ask whether the GVA is canonical",),
    "CR3": ("leaves the low bits of CR3 in the address of the first table",),
    "PAT": ("leaves low bits of the entry in the address of a page of ",),
    "fetch bit": ("leaves out bit 4 (fetch) of the error code",),
    "high bits": ("leaves bits 63:52 in the entry of level ",),
}
"""Each fault with how the words begin in which the checker may explain it."""
