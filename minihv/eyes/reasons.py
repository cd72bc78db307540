"""Why a walk was refused: the rule, the entries that are to blame, and the error code bit by bit.

Stands for: the reader of a crash report, manual in hand.
Spec: AMD APM vol. 2, "Page-Protection Checks", "Page-Fault (#PF) Error Code" and "Nested Page Faults".
Next: ``minihv.eyes.walk_text``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from minihv.paging.access import Access, AccessKind, Paging
from minihv.paging.formats import Level
from minihv.spec.vmcb import NestedFaultInfo
from minihv.spec.x86_paging import (
    FRAME,
    LARGE,
    NO_EXECUTE,
    PF_FETCH,
    PF_PRESENT,
    PF_RESERVED,
    PF_USER,
    PF_WRITE,
    USER,
    WRITABLE,
)

VERBS = {AccessKind.READ: "read", AccessKind.WRITE: "write", AccessKind.EXECUTE: "fetch"}


class Rule(Enum):
    """The rule that an access broke."""

    CANONICAL = "canonical"
    WIDTH = "width"
    PRESENT = "present"
    RESERVED = "reserved"
    USER = "user"
    SMAP = "smap"
    SMEP = "smep"
    WRITE = "write"
    EXECUTE = "execute"


class Read(Protocol):
    """An entry that a walk has read."""

    @property
    def number(self) -> int:
        """Which reference it was."""

    @property
    def level(self) -> Level:
        """Of its table."""

    @property
    def entry(self) -> int:
        """Its eight bytes."""


@dataclass(frozen=True, slots=True)
class Reason:
    """The broken ``rule`` in a sentence, and the numbers of the references that are to blame."""

    rule: Rule
    sentence: str
    blamed: tuple[int, ...] = ()


def reason_of(entries: Sequence[Read], paging: Paging, access: Access, error_code: int) -> Reason:
    """Why one set of tables, of which ``entries`` were read from the root on, refused ``access``."""
    last = entries[-1]
    if not error_code & PF_PRESENT:
        return Reason(Rule.PRESENT, "P is 0 in it: neither a table nor a page is there.", (last.number,))
    if error_code & PF_RESERVED:
        return Reason(Rule.RESERVED, reserved_sentence(last, paging), (last.number,))
    rule, bit, granting = broken_right(entries, paging, access)
    blamed = [one for one in entries if bool(one.entry & bit) is not granting]
    if rule in (Rule.SMAP, Rule.SMEP):  # every level said that the page is ring 3's
        blamed = list(entries)
    return Reason(rule, right_sentence(rule, access, blamed), tuple(one.number for one in blamed))


def broken_right(entries: Sequence[Read], paging: Paging, access: Access) -> tuple[Rule, int, bool]:
    """The first right that is missing; the bit that decides on it, and the value that grants it."""
    user_page = all(one.entry & USER for one in entries)
    fetches = access.kind is AccessKind.EXECUTE
    if access.by_user and not user_page:
        return Rule.USER, USER, True
    if not access.by_user and user_page and fetches and paging.smep:
        return Rule.SMEP, USER, False
    stopped_by_smap = paging.smap and (not access.ac or access.implicit)
    if not access.by_user and user_page and not fetches and stopped_by_smap:
        return Rule.SMAP, USER, False
    return (Rule.EXECUTE, NO_EXECUTE, False) if fetches else (Rule.WRITE, WRITABLE, True)


def right_sentence(rule: Rule, access: Access, blamed: Sequence[Read]) -> str:
    """What the rule asks, and where it was not so."""
    where = entry_names(blamed)
    match rule:
        case Rule.USER:
            return f"Ring 3 needs U = 1 at every level, and it is 0 in {where}."
        case Rule.SMEP:
            return "Under CR4.SMEP ring 0 executes no page of ring 3, and U is 1 at every level."
        case Rule.SMAP:
            needs = "keeps no structure on" if access.implicit else "needs RFLAGS.AC for"
            return f"Under CR4.SMAP ring 0 {needs} a page of ring 3, and U is 1 at every level."
        case Rule.EXECUTE:
            return f"A fetch needs NX = 0 at every level, and it is 1 in {where}."
    also = "" if access.by_user else ", for ring 0 too while CR0.WP is 1"
    return f"A write needs W = 1 at every level{also}, and it is 0 in {where}."


def entry_names(entries: Sequence[Read]) -> str:
    """``the PDPT entry (10) and the PT entry (20)``."""
    names = [f"the {one.level.name} entry ({one.number})" for one in entries]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def reserved_sentence(read: Read, paging: Paging) -> str:
    """Which reserved bits of an entry are set, and why they are reserved."""
    found = read.entry & (paging.reserved | read.level.reserved(read.entry))
    whys = []
    if found & NO_EXECUTE:
        whys.append("NX means nothing while EFER.NXE is 0")
    if found & FRAME & -(1 << paging.physical_bits):
        whys.append(f"an address has {paging.physical_bits} bits")
    if found & LARGE:
        whys.append(f"no entry of a {read.level.name} names a page, so that PS must be 0")
    if found & FRAME & (1 << paging.physical_bits) - 1:
        whys.append(f"a page of {read.level.page_bytes >> 20} MiB lies at a multiple of its size")
    return f"The reserved bits {found:#x} are set in it: {'; '.join(whys)}."


@dataclass(frozen=True, slots=True)
class ErrorBit:
    """One bit of an error code, with what its value says."""

    bit: int
    name: str
    value: bool
    says: str


def error_bits(error_code: int) -> list[ErrorBit]:
    """What #PF pushes, bit by bit."""
    meanings = (
        (PF_PRESENT, "P", "the entry is present and refuses", "the entry is not present"),
        (PF_WRITE, "W", "the access was a write", "the access was no write"),
        (PF_USER, "U", "by ring 3", "by ring 0"),
        (PF_RESERVED, "R", "a reserved bit is set in the entry", "no reserved bit is to blame"),
        (
            PF_FETCH,
            "I",
            "an instruction fetch, where NX or SMEP is in use",
            "no fetch, or neither NX nor SMEP",
        ),
    )
    return [bit_of(mask, name, error_code, says) for mask, name, *says in meanings]


def nested_error_bits(exit_info_1: int) -> list[ErrorBit]:
    """EXITINFO1 of an NPF exit, bit by bit: to the second level every access is ring 3's."""
    final, table = NestedFaultInfo.on_final_page.mask, NestedFaultInfo.on_table.mask
    meanings = (
        (PF_PRESENT, "P", "the entry is present and refuses", "the entry is not present"),
        (PF_WRITE, "W", "a write, or a table whose A may have to be set", "no write"),
        (PF_USER, "U", "as every access of the second level", "never"),
        (PF_RESERVED, "R", "a reserved bit is set in the entry", "no reserved bit is to blame"),
        (PF_FETCH, "I", "an instruction fetch", "no instruction fetch"),
        (final, "page", "the GPA is that of the page itself", "the GPA is not that of the page itself"),
        (table, "table", "the GPA is that of a guest's table", "the GPA is not that of a table"),
    )
    return [bit_of(mask, name, exit_info_1, says) for mask, name, *says in meanings]


def bit_of(mask: int, name: str, value: int, says: Sequence[str]) -> ErrorBit:
    """One bit of ``value`` with what it says when it is set, or when it is clear."""
    is_set = bool(value & mask)
    return ErrorBit(mask.bit_length() - 1, name, is_set, says[0] if is_set else says[1])
