"""Why an access was refused, in sentences that name the rule and the entries."""

import pytest
from builders import EXECUTE, LARGE, NO_EXECUTE, PRESENT, READ, USER, USER_READ, USER_WRITE, WRITABLE, WRITE
from looked_at import GVA, LookedAt

from minihv.eyes.reasons import Rule, entry_names, error_bits, nested_error_bits
from minihv.eyes.walk_picture import WalkPicture
from minihv.paging.access import Access, AccessKind

WITHHELD = {
    "user": (USER_READ, 3, {"clear": USER}, "Ring 3 needs U = 1", "0 in the PDPT entry (10)", 10),
    "write": (USER_WRITE, 1, {"clear": WRITABLE}, "A write needs W = 1", "0 in the PT entry (20)", 20),
    "execute": (EXECUTE, 4, {"set": NO_EXECUTE}, "A fetch needs NX = 0", "1 in the PML4 entry (5)", 5),
}


@pytest.mark.parametrize("rule", WITHHELD)
def test_right_that_a_level_withholds_is_named_with_the_level(rule: str) -> None:
    access, level, change, needs, found, blamed = WITHHELD[rule]
    guest = LookedAt()
    guest.tables.with_entry(GVA, level, **change)
    reason = guest.walk(access).reason
    assert reason is not None
    assert reason.sentence == f"{needs} at every level, and it is {found}."
    assert (reason.rule, reason.blamed) == (Rule(rule), (blamed,))


def test_entry_that_is_not_present_is_named() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 2, clear=PRESENT)
    reason = guest.walk().reason
    assert reason is not None
    assert (reason.rule, reason.blamed) == (Rule.PRESENT, (15,))
    assert reason.sentence == "P is 0 in it: neither a table nor a page is there."


def test_write_of_ring_0_is_refused_because_of_wp() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 2, clear=WRITABLE).with_entry(GVA, 1, clear=WRITABLE)
    assert sentence_of(guest.walk(WRITE)) == (
        "A write needs W = 1 at every level, for ring 0 too while CR0.WP is 1, and it is 0 in the PD entry "
        "(15) and the PT entry (20)."
    )


@pytest.mark.parametrize(
    ("access", "registers", "needs"),
    [
        (EXECUTE, {"smep": True}, "SMEP ring 0 executes no"),
        (READ, {"smap": True}, "SMAP ring 0 needs RFLAGS.AC for a"),
        (
            Access(AccessKind.WRITE, user=True, implicit=True),
            {"smap": True},
            "SMAP ring 0 keeps no structure on a",
        ),
    ],
)
def test_supervisor_is_kept_from_pages_of_ring_3(
    access: Access, registers: dict[str, bool], needs: str
) -> None:
    guest = LookedAt()
    guest.tables.steered_by(**registers)
    picture = guest.walk(access)
    assert sentence_of(picture) == f"Under CR4.{needs} page of ring 3, and U is 1 at every level."
    assert picture.reason is not None and picture.reason.blamed == (5, 10, 15, 20)


@pytest.mark.parametrize(
    ("level", "bits", "registers", "sentence"),
    [
        (
            1,
            NO_EXECUTE,
            {"nxe": False},
            "0x8000000000000000 are set in it: NX means nothing while EFER.NXE is 0.",
        ),
        (1, 1 << 45, {"physical_bits": 40}, "0x200000000000 are set in it: an address has 40 bits."),
        (4, LARGE, {}, "0x80 are set in it: no entry of a PML4 names a page, so that PS must be 0."),
        (2, LARGE, {}, "0x4000 are set in it: a page of 2 MiB lies at a multiple of its size."),
    ],
)
def test_reserved_bits_are_said_to_be_so_for_a_reason(
    level: int, bits: int, registers: dict[str, int], sentence: str
) -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, level, set=bits).steered_by(**registers)
    assert sentence_of(guest.walk()) == f"The reserved bits {sentence}"


def test_second_level_refuses_for_reasons_of_its_own() -> None:
    guest = LookedAt()
    guest.second.with_entry(guest.table_gpa(2), 1, clear=WRITABLE)
    picture = guest.walk()
    assert sentence_of(picture) == "A write needs W = 1 at every level, and it is 0 in the PT entry (14)."
    assert picture.reason is not None and picture.reason.blamed == (14,)


@pytest.mark.parametrize("levels", [4, 5])
def test_address_that_is_not_canonical_is_said_to_be_so(levels: int) -> None:
    bits = 12 + 9 * levels
    assert sentence_of(LookedAt(levels).walk(gva=1 << 63)) == (
        f"Bits 63:{bits} of a GVA repeat bit {bits - 1}, and here they do not."
    )


def test_gpa_that_is_too_wide_is_said_to_be_so() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 1, set=1 << 49)
    picture = guest.walk()
    assert sentence_of(picture) == "The second level translates 48 bits of a GPA, and this one has more."
    assert picture.outcome == "violation" and not any(one.is_refused for one in picture.references)


def sentence_of(picture: WalkPicture) -> str:
    assert picture.reason is not None
    return picture.reason.sentence


def test_several_entries_are_listed() -> None:
    entries = LookedAt().walk().references[:3]
    assert entry_names(entries) == "the PML4 entry (1), the PDPT entry (2) and the PD entry (3)"


def test_error_code_is_taken_apart_bit_by_bit() -> None:
    assert [(one.bit, one.name, one.value) for one in error_bits(0x13)] == [
        (0, "P", True), (1, "W", True), (2, "U", False), (3, "R", False), (4, "I", True)
    ]  # fmt: skip
    assert [one.says for one in error_bits(0x0)] == [
        "the entry is not present",
        "the access was no write",
        "by ring 0",
        "no reserved bit is to blame",
        "no fetch, or neither NX nor SMEP",
    ]


def test_exit_information_of_a_violation_has_two_bits_more() -> None:
    bits = nested_error_bits(1 << 33 | 6)
    assert [(one.bit, one.value) for one in bits[-2:]] == [(32, False), (33, True)]
    assert bits[1].says == "a write, or a table whose A may have to be set"
