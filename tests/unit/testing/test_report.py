"""The report shows the tables, the steps, both answers and the rule: the whole of it is asserted once."""

from dataclasses import replace
from typing import Any

import pytest
from builders import NO_EXECUTE, READ, USER, USER_EXECUTE, USER_WRITE, WRITABLE

from minihv.paging.access import Access, Paging, StageName
from minihv.paging.walk import NotCanonical
from minihv.testing.candidate import Exit, Fault, Page, Trouble
from minihv.testing.memory import WordMemory
from minihv.testing.outcomes import observed
from minihv.testing.report import Disagreement, described_access, described_answer, described_rule
from minihv.testing.tables import page_table
from minihv.testing.worlds import Ask, DrawnEntry, World

GVA, PAGE = 0x5000, 0x9000


def disagreement(
    answer: Any, access: Access = USER_WRITE, marks: tuple[str, ...] = (), **bits: int
) -> Disagreement:
    tables = page_table(memory=WordMemory()).maps(GVA, to=PAGE).with_entry(GVA, 2, **bits)
    assert isinstance(tables.memory, WordMemory)
    world = World(tables.memory, tables.paging)
    for level, entry_pa in zip((4, 3, 2, 1), tables.way(GVA), strict=True):
        names = ("read-only",) if level == 2 and bits else ()
        world.entries[entry_pa] = DrawnEntry(StageName.GUEST, level, level == 1, GVA, names)
    walked = observed(world.memory.copy(), world.guest, GVA, access)
    return Disagreement(world, Ask(GVA, access), walked, answer, marks)


def test_report_of_a_forgotten_right() -> None:
    assert (
        str(disagreement(PAGE, clear=WRITABLE))
        == """\
The walk does not agree with the reference.

asked       a write by ring 3 at GVA 0x5000
registers   CR3 = 0x1000, 4 levels, NXE = 1, WP = 1, SMEP = 0, SMAP = 0, physical addresses of 52 bits
candidate   address 0x9000
reference   page fault with error code 0x7 (present, write, user), at level 1

The tables, every entry that is not 0:
       0x1000  PML4[0]            0x0000000000002007  0x2000 P W U
       0x2000  PDPT[0]            0x0000000000003007  0x3000 P W U
       0x3000  PD[0]              0x0000000000004005  0x4000 P U   <- read-only
       0x4028  PT[5]              0x0000000000009007  0x9000 P W U

The walk of the reference, one line for each entry that it reads:
     1  PML4        at 0x1000: 0x0000000000002007  0x2000 P W U: a table
     2  PDPT        at 0x2000: 0x0000000000003007  0x3000 P W U: a table
     3  PD          at 0x3000: 0x0000000000004005  0x4000 P U: a table
     4  PT          at 0x4028: 0x0000000000009007  0x9000 P W U: a page of 4 KiB

The rule: "Read/Write (R/W) Bit": every level must grant writing; decided by level 2.
The candidate answers like a walk that
    ignores R/W = 0 in the entry of level 2
    or takes a write for a read"""
    )


def test_report_without_an_explanation_says_so() -> None:
    last = str(disagreement(0x1234_5678)).splitlines()[-1]
    assert last == "No single forgotten rule explains the candidate's answer."


def test_report_of_trouble_explains_nothing() -> None:
    report = str(disagreement(Trouble("raised KeyError: 4 (line 7)"))).splitlines()
    assert "candidate   raised KeyError: 4 (line 7)" in report
    assert report[-1].startswith("The rule: every level grants the access")


def test_report_of_marks_lists_the_entries() -> None:
    report = str(
        disagreement(PAGE, marks=("the entry at 0x1000 is left as 0x1 and not as 0x21",))
    ).splitlines()
    assert report[-2:] == [
        'The rule: "Accessed (A) Bit" and "Dirty (D) Bit": a walk leaves them as the processor does.',
        "    the entry at 0x1000 is left as 0x1 and not as 0x21",
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0x9000, "address 0x9000"),
        (Page(0x9000, 4096), "address 0x9000, in a page of 0x1000 bytes"),
        (Fault(0), "page fault with error code 0x0"),
        (Fault(0x15, 2), "page fault with error code 0x15 (present, user, fetch), at level 2"),
        (
            Exit(6, 0x3000, on_table=True),
            "exit (#NPF) with error code 0x6 (write, user), for GPA 0x3000 of a table",
        ),
        (Exit(4), "exit (#NPF) with error code 0x4 (user)"),
        (NotCanonical(0), "the GVA is not canonical"),
        (None, "None, which is no answer: return an address, Page, Fault, Exit or NotCanonical"),
    ],
)  # fmt: skip
def test_answer_is_described_as_far_as_it_goes(answer: Any, words: str) -> None:
    assert described_answer(answer) == words


def test_access_is_described_with_what_is_rare_about_it() -> None:
    assert described_access(USER_EXECUTE) == "a fetch by ring 3"
    odd = replace(READ, ac=True, implicit=True)
    assert described_access(odd) == "a read by ring 0, implicit, with RFLAGS.AC"


@pytest.mark.parametrize(
    ("bits", "access", "words"),
    [
        (
            {"clear": 1}, READ,
            '"Present (P) Bit": an entry that is not present ends the walk; decided by level 2',
        ),
        ({"set": 1 << 45}, READ, '"Reserved Bits": they must be 0, whatever the access; decided by level 2'),
        (
            {"clear": USER}, USER_WRITE,
            '"User/Supervisor (U/S) Bit": every level must grant ring 3 the page; decided by level 2',
        ),
        (
            {"set": NO_EXECUTE}, USER_EXECUTE,
            '"No Execute (NX) Bit": no level may forbid to fetch; decided by level 2',
        ),
    ],
)  # fmt: skip
def test_rule_names_the_levels_that_decide(bits: dict[str, int], access: Access, words: str) -> None:
    tables = page_table().maps(GVA, to=PAGE).with_entry(GVA, 2, **bits).steered_by(physical_bits=40)
    assert described_rule(observed(tables.memory, tables.paging, GVA, access)) == words


def test_rule_of_an_address_that_is_not_canonical_needs_no_level() -> None:
    walked = observed(WordMemory(), Paging(0x1000), 1 << 60, READ)
    assert described_rule(walked).startswith('"Canonical Address Form"')
