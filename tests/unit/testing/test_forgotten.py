"""A rule is named if the reference without it gives the wrong answer, and if nothing refutes it."""

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    EXECUTE,
    LARGE,
    NO_EXECUTE,
    PRESENT,
    READ,
    USER,
    USER_EXECUTE,
    USER_READ,
    USER_WRITE,
    WRITABLE,
    WRITE,
)

from minihv.paging.access import Access
from minihv.testing.candidate import Exit, Fault
from minihv.testing.forgotten import Again, explanations
from minihv.testing.memory import WordMemory
from minihv.testing.outcomes import observed
from minihv.testing.tables import PageTable, page_table

GVA, PAGE, RAM = 0x5000, 0x9000, 0x20_0000
MIB_2 = 1 << 21


def tables(**registers: Any) -> PageTable:
    return page_table(memory=WordMemory()).maps(GVA, to=PAGE).steered_by(**registers)


def large(**registers: Any) -> PageTable:
    made = page_table(memory=WordMemory()).maps(0, to=3 * MIB_2, page_bytes=MIB_2)
    return made.steered_by(**registers)


def walked(made: PageTable, access: Access = READ, gva: int = GVA, second: PageTable | None = None) -> Again:
    assert isinstance(made.memory, WordMemory)
    below = None if second is None else second.paging
    return Again(made.memory, observed(made.memory.copy(), made.paging, gva, access, below))


CHANGED: list[tuple[PageTable, Access, Any, str]] = [
    (tables().with_entry(GVA, 3, clear=PRESENT), READ, PAGE, "ignores P = 0 in the entry of level 3"),
    (
        tables().with_entry(GVA, 3, clear=WRITABLE), USER_WRITE, PAGE,
        "ignores R/W = 0 in the entry of level 3",
    ),
    (tables().with_entry(GVA, 2, clear=USER), USER_READ, PAGE, "ignores U/S = 0 in the entry of level 2"),
    (tables().with_entry(GVA, 4, set=NO_EXECUTE), EXECUTE, PAGE, "ignores NX = 1 in the entry of level 4"),
    (
        tables(nxe=False).with_entry(GVA, 2, set=NO_EXECUTE), READ, PAGE,
        "ignores that NX is reserved without EFER.NXE in the entry of level 2",
    ),
    (
        tables(physical_bits=40).with_entry(GVA, 2, set=1 << 45), READ, 0xF_FFFF_FFFF_F000,
        "ignores that address bits above the processor's are reserved in the entry of level 2",
    ),
    (
        tables().with_entry(GVA, 4, set=LARGE), READ, PAGE,
        "ignores that PS is reserved in the entry of level 4",
    ),
    (
        large().with_entry(0, 2, set=1 << 13), READ, 3 * MIB_2 + GVA,
        "ignores that the low address bits of a large page are reserved in the entry of level 2",
    ),
    (
        tables().with_entry(GVA, 1, set=LARGE), READ, Fault(9),
        "takes bits in the entry of level 1 for reserved that are not",
    ),
    (
        tables().with_entry(GVA, 3, set=1 << 60), READ, Fault(9),
        "leaves bits 63:52 in the entry of level 3 in the address of the next table",
    ),
    (tables(wp=False).with_entry(GVA, 1, clear=WRITABLE), WRITE, Fault(3), "ignores that CR0.WP is 0"),
    (tables(smep=True), EXECUTE, PAGE, "ignores that CR4.SMEP is 1"),
    (tables(smap=True), replace(READ, ac=True), Fault(1), "ignores that RFLAGS.AC is set"),
    (tables().with_entry(GVA, 1, clear=USER), USER_EXECUTE, PAGE, "takes ring 3 for ring 0"),
    (tables().with_entry(GVA, 1, clear=WRITABLE), USER_WRITE, PAGE, "takes a write for a read"),
    (
        tables().with_entry(GVA, 4, set=LARGE), READ, 0x5000,
        "takes an entry of the first level with PS = 1 for a page",
    ),
    (large(), READ, 3 * MIB_2, "takes 0 bits of the GVA for the offset in a page of 2 MiB"),
    (
        large().with_entry(0, 2, set=1 << 12), READ, 3 * MIB_2 + GVA | 0x1000,
        "leaves low bits of the entry in the address of a page of 2 MiB",
    ),
    (
        tables().with_entry(GVA, 1, set=1 << 60), READ, PAGE | 1 << 60,
        "leaves bits 63:52 of the page's entry in the address",
    ),
    (tables(root=0x1018), READ, Fault(0), "leaves the low bits of CR3 in the address of the first table"),
    (
        tables().with_entry(GVA, 1, clear=PRESENT), USER_WRITE, Fault(4),
        "leaves out bit 1 (write) of the error code",
    ),
    (
        tables().with_entry(GVA, 1, clear=PRESENT), READ, Fault(2),
        "gets wrong bit 1 (write) of the error code",
    ),
    (
        tables().with_entry(GVA, 2, clear=WRITABLE), USER_WRITE, Fault(7, level=2),
        "says that the walk stops at level 2",
    ),
    (
        tables().with_entry(GVA, 3, clear=WRITABLE).with_entry(GVA, 2, clear=WRITABLE), WRITE, PAGE,
        "ignores that CR0.WP is 1",
    ),
    (
        tables(wp=False).with_entry(GVA, 3, clear=WRITABLE).with_entry(GVA, 2, clear=WRITABLE),
        USER_WRITE, PAGE, "takes a write for a read",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "access", "answer", "words"), CHANGED, ids=[row[-1] for row in CHANGED])
def test_forgotten_rule_is_named(made: PageTable, access: Access, answer: Any, words: str) -> None:
    assert words in explanations(walked(made, access), answer)


def test_canonical_form_and_levels_are_rules_too() -> None:
    assert "does not ask whether the GVA is canonical" in explanations(
        walked(tables(), gva=GVA | 1 << 50), PAGE
    )
    five = page_table(5, memory=WordMemory()).maps(GVA, to=PAGE)
    assert "walks 4 levels and not 5" in explanations(walked(five), Fault(0))


def test_right_answer_elsewhere_refutes_a_rule() -> None:
    wrong = walked(tables().with_entry(GVA, 2, clear=WRITABLE), WRITE)
    refused_at_the_leaf = walked(tables().with_entry(GVA, 1, clear=WRITABLE), WRITE)
    assert explanations(wrong, PAGE) == (
        "ignores R/W = 0 in the entry of level 2", "ignores that CR0.WP is 1", "takes a write for a read",
    )  # fmt: skip
    assert explanations(wrong, PAGE, [refused_at_the_leaf]) == ("ignores R/W = 0 in the entry of level 2",)


def test_broad_rule_is_named_when_the_narrow_ones_are_refuted() -> None:
    wrong = walked(tables().with_entry(GVA, 2, clear=WRITABLE), WRITE)
    right = [
        walked(tables().with_entry(GVA, 1, clear=WRITABLE), WRITE),
        walked(large().with_entry(0, 2, clear=WRITABLE), WRITE),
    ]
    assert explanations(wrong, PAGE, right) == ("looks at R/W in the last entry only",)


def test_answer_that_no_single_rule_explains_gets_no_name() -> None:
    assert explanations(walked(tables()), 0x1234_5678) == ()
    assert explanations(walked(tables()), None) == ()


def test_rules_of_the_second_stage_are_named() -> None:
    memory = WordMemory()
    second = PageTable(memory, 0x10_0000, 4)
    for gpa in range(0x1000, 0xA000, 0x1000):
        second.maps(gpa, to=RAM + gpa)
    guest = PageTable(memory, 0x1000, 4, offset=RAM).maps(GVA, to=PAGE)
    second.with_entry(0x3000, 1, clear=WRITABLE)
    said = explanations(walked(guest, second=second), RAM + PAGE)
    assert "takes a read of the guest's tables for a mere read in the second stage" in said
    assert "ignores R/W = 0 in the entry of level 1 of the second stage" in said
    second.with_entry(0x3000, 1, set=WRITABLE).with_entry(PAGE, 1, clear=USER)
    said = explanations(walked(guest, second=second), RAM + PAGE)
    assert "holds U/S of the second stage against the ring of the guest" in said
    assert explanations(walked(guest, second=second), Exit(5, on_table=True)) == (
        "takes the page for a table",
    )
    assert explanations(walked(guest, second=second), Exit(5, gpa=0)) == ("names GPA 0x0",)
