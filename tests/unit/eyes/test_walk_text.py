"""The picture of a walk in text."""

from builders import EXECUTE, PRESENT, READ, USER_WRITE
from looked_at import GVA, LookedAt

from minihv.eyes.lines import Role
from minihv.eyes.walk_picture import picture_walk
from minihv.eyes.walk_text import walk_lines

ONE_STAGE = """\
the shadow of a guest
GVA 0x9000: a read by ring 0, with CR0.WP, EFER.NXE

#  table        no  entry at SPA  eight bytes       flags  leads to
1  shadow PML4   0  0x1000        0000000000002007  P W U  SPA 0x2000
2  shadow PDPT   0  0x2000        0000000000003007  P W U  SPA 0x3000
3  shadow PD     0  0x3000        0000000000004007  P W U  SPA 0x4000
4  shadow PT     9  0x4048        0000000000029007  P W U  4 KiB page at SPA 0x29000

Mapped: GVA 0x9000 -> SPA 0x29000
  page        4 KiB
  rights      ring 0 may read, write, execute; a page of both rings
  references  4: 4 shadow"""


def test_walk_of_one_stage_is_a_table() -> None:
    guest = LookedAt()
    picture = guest.shadow_walk()
    titled = type(picture)(
        picture.gva, picture.access, picture.stage, picture.first, None, picture.rows, picture.found,
        "the shadow of a guest",
    )  # fmt: skip
    assert str(titled) == ONE_STAGE


def test_each_gpa_has_a_heading_of_its_own() -> None:
    headings = [str(line) for line in walk_lines(LookedAt().walk()) if line.role is Role.HEADING]
    assert headings[1] == "GPA 0x1120, the entry in the guest's PML4:"
    assert headings[5] == "GPA 0x9123, the byte itself:"
    assert headings[6] == "Mapped: GVA 0x123445678123 -> GPA 0x9123 -> SPA 0x29123"


def test_tables_of_no_machine_are_shown_by_their_gpa() -> None:
    guest = LookedAt()
    text = str(picture_walk(guest.memory, guest.second.paging, 0x9000, READ))
    assert "entry at GPA" in text and "Mapped: GVA 0x9000 -> GPA 0x29000" in text


def test_refused_line_is_marked_by_a_word_and_by_its_role() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 2, clear=PRESENT)
    refused = [str(line) for line in walk_lines(guest.walk()) if line.role is Role.REFUSED]
    assert refused[0].endswith("REFUSED")
    assert refused[1:] == [
        "Page fault: the walk stops at reference 15, in the guest's PD; the guest gets #PF, "
        "CR2 = 0x123445678123."
    ]


def test_violation_says_what_lies_at_the_gpa() -> None:
    guest = LookedAt()
    guest.second.with_entry(0x9000, 1, clear=PRESENT)
    text = " ".join(str(guest.walk(EXECUTE)).split())
    assert (
        "Violation: GPA 0x9123, the byte itself: the walk stops at reference 24, in the second-level PT; "
        "ring -1 gets an NPF exit, the guest learns nothing. why P is 0 in it: neither a table nor a page is "
        "there. EXITINFO1 0x100000014 bit 0 (P) is 0: the entry is not present"
    ) in text


def test_violation_before_any_table_says_so() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 1, set=1 << 49)
    assert (
        "Violation: GPA 0x2000000009123, the byte itself, is refused before a table is read;"
    ) in " ".join(str(guest.walk()).split())


def test_address_that_is_not_canonical_reads_nothing() -> None:
    text = str(LookedAt().walk(gva=1 << 63))
    assert "No table is read." in text and text.endswith("references  0")
    assert "Not canonical: GVA 0x8000000000000000 raises #GP, or #SS through the stack segment." in text


def test_registers_that_decide_are_named() -> None:
    guest = LookedAt()
    guest.tables.steered_by(wp=False, nxe=False)
    line = str(guest.walk(USER_WRITE)).splitlines()[0]
    assert line == (
        "GVA 0x123445678123: a write by ring 3, with none of CR0.WP, EFER.NXE, CR4.SMEP, CR4.SMAP"
    )
