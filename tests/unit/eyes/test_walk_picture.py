"""The picture of a walk as an object."""

import numpy as np
import pytest
from builders import READ, USER_READ, WRITABLE, WRITE
from looked_at import GVA, PAGE_GPA, RAM_SPA, LookedAt

from minihv.paging.access import StageName


@pytest.mark.parametrize(
    ("levels", "second_levels", "count"), [(4, 4, 24), (5, 4, 29), (4, 5, 29), (5, 5, 35)]
)
def test_every_reference_is_in_the_picture(levels: int, second_levels: int, count: int) -> None:
    picture = LookedAt(levels, second_levels).walk()
    assert [one.number for one in picture.references] == list(range(1, count + 1))
    assert len(picture.rows) == levels + 1


def test_entry_of_the_guest_has_its_address_in_both_spaces() -> None:
    guest = LookedAt()
    (entry,) = [
        one for one in guest.walk().references if one.stage is StageName.GUEST and one.level.name == "PD"
    ]
    assert (entry.gpa, entry.spa) == (guest.table_gpa(2), guest.table_gpa(2) + RAM_SPA)
    assert (entry.table, entry.index) == (entry.place & -0x1000, entry.place % 0x1000 // 8)


def test_entry_of_the_second_level_has_no_gpa() -> None:
    assert LookedAt().walk().references[0].gpa is None


def test_flags_are_those_of_the_manual() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 1, set=0x1F8 | 1 << 63)
    picture = guest.walk()
    entry = picture.references[19]
    assert entry.flags == ("P", "W", "U", "A", "D", "PAT", "G", "NX", "PWT", "PCD")
    assert picture.references[0].flags == ("P", "W", "U")
    guest.tables.with_entry(GVA, 2, set=0x80)
    assert guest.walk().references[-1].flags[-1] == "PS"


def test_dirty_and_global_say_nothing_in_an_entry_of_a_table() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 3, set=0x140)
    assert guest.walk().references[9].flags == ("P", "W", "U")


def test_mapped_picture_has_all_three_addresses() -> None:
    picture = LookedAt().walk()
    assert (picture.outcome, picture.gpa, picture.spa) == (
        "mapped",
        PAGE_GPA + 0x123,
        RAM_SPA + PAGE_GPA + 0x123,
    )
    assert (picture.reason, picture.error_code, picture.error_bits) == (None, None, [])


def test_page_fault_has_its_error_code() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 1, clear=WRITABLE)
    picture = guest.walk(WRITE)
    assert (picture.outcome, picture.error_code, picture.gpa, picture.spa) == ("page_fault", 3, None, None)
    assert picture.references[-1].is_refused


@pytest.mark.parametrize(("gpa", "bit", "shown"), [(PAGE_GPA, 32, PAGE_GPA + 0x123), (0x3000, 33, None)])
def test_violation_has_exit_information_and_says_which_gpa(gpa: int, bit: int, shown: int | None) -> None:
    guest = LookedAt()
    guest.second.with_entry(gpa, 1, clear=1)
    picture = guest.walk(USER_READ)
    assert (picture.outcome, picture.gpa) == ("violation", shown)
    assert picture.error_code == 1 << bit | 4 | (2 if bit == 33 else 0)
    assert len(picture.error_bits) == 7 and picture.rows[-1].spa is None


def test_shadow_tables_lead_to_an_spa_in_one_stage() -> None:
    picture = LookedAt().shadow_walk()
    assert (picture.gpa, picture.spa, picture.stage) == (None, RAM_SPA + PAGE_GPA, StageName.SHADOW)
    assert [(one.stage, one.gpa) for one in picture.references] == [(StageName.SHADOW, None)] * 4
    assert [row.second for row in picture.rows] == [()] * 4


def test_looking_leaves_no_mark() -> None:
    guest = LookedAt()
    before = guest.memory.view.copy()
    guest.walk(WRITE), guest.walk(READ)
    assert np.array_equal(before, guest.memory.view)


def test_notebook_gets_the_drawing_and_the_text() -> None:
    picture = LookedAt().walk()
    html = picture._repr_html_()
    assert picture._repr_svg_() in html
    assert "References" in html and "24: 4 guest, 20 second" in html
