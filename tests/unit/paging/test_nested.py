"""The two-stage walk: which stage refuses what, and how many entries it reads."""

import pytest
from builders import ACCESSED, DIRTY, EXECUTE, NO_EXECUTE, PRESENT, READ, USER, USER_WRITE, WRITABLE, WRITE

from minihv.paging.access import Access, AccessKind, Reference, StageName
from minihv.paging.nested import NestedMapping, SecondMapping, Violation, nested_walk, second_walk
from minihv.paging.walk import NotCanonical, PageFault
from minihv.testing import PageTable, memory_of

GVA = 0x0000_1234_4567_8000
PAGE_GPA = 0x9000
RAM_SPA = 0x20000
RAM_PAGES = 16


class Guest:
    """A guest with one mapped page, in RAM that lies at ``RAM_SPA`` of the machine."""

    def __init__(self, levels: int = 4, second_levels: int = 4) -> None:
        self.memory = memory_of(0x40000)
        self.second = PageTable(self.memory, 0x1000, second_levels)
        for gpa in range(0, RAM_PAGES << 12, 0x1000):
            self.second.maps(gpa, to=RAM_SPA + gpa)
        self.tables = PageTable(self.memory, 0x1000, levels, offset=RAM_SPA).maps(GVA, to=PAGE_GPA)
        self.seen: list[Reference] = []

    def touch(self, access: Access = READ) -> NestedMapping | PageFault | NotCanonical | Violation:
        self.seen.clear()
        return nested_walk(self.memory, self.tables.paging, self.second.paging, GVA, access, self.seen.append)

    def table_gpa(self, level: int) -> int:
        return self.tables.way(GVA)[self.tables.levels - level] - RAM_SPA


@pytest.mark.parametrize(
    ("levels", "second_levels", "references"), [(4, 4, 24), (5, 4, 29), (4, 5, 29), (5, 5, 35)]
)
def test_walk_of_both_stages_takes_this_many_references(
    levels: int, second_levels: int, references: int
) -> None:
    guest = Guest(levels, second_levels)
    found = guest.touch()
    assert isinstance(found, NestedMapping)
    assert (found.references, len(guest.seen)) == (references, references)


def test_mapping_tells_both_stages() -> None:
    guest = Guest()
    found = guest.touch(WRITE)
    assert isinstance(found, NestedMapping)
    assert (found.gpa, found.spa) == (PAGE_GPA, RAM_SPA + PAGE_GPA)
    assert found.leaf_pa == guest.tables.way(GVA)[-1]
    assert found.second_leaf_pa == guest.second.way(PAGE_GPA)[-1]
    assert (found.level, found.second_level, found.dirty, found.user) == (1, 1, True, True)


def test_each_table_of_the_guest_is_reached_through_the_second_stage() -> None:
    guest = Guest()
    guest.touch()
    stages = [reference.stage for reference in guest.seen]
    assert stages == ([StageName.SECOND] * 4 + [StageName.GUEST]) * 4 + [StageName.SECOND] * 4


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_missing_table_is_a_violation_that_names_it(level: int) -> None:
    guest = Guest()
    gpa = guest.table_gpa(level)
    guest.second.with_entry(gpa, 1, clear=PRESENT)
    before = 5 * (4 - level)
    assert guest.touch() == Violation(
        gpa, AccessKind.WRITE, on_table=True, level=level, second_level=1, references=before + 4, error_code=6
    )


@pytest.mark.parametrize(("access", "error_code"), [(READ, 4), (WRITE, 6), (EXECUTE, 0x14)])
def test_missing_page_is_a_violation_of_the_access_itself(access: Access, error_code: int) -> None:
    guest = Guest()
    guest.second.with_entry(PAGE_GPA, 1, clear=PRESENT)
    assert guest.touch(access) == Violation(PAGE_GPA, access.kind, False, 1, 1, 24, error_code)


def test_read_only_table_is_a_violation_even_for_a_read() -> None:
    guest = Guest()
    guest.second.with_entry(guest.table_gpa(2), 1, clear=WRITABLE)
    found = guest.touch(READ)
    assert isinstance(found, Violation)
    assert (found.kind, found.level, found.error_code) == (AccessKind.WRITE, 2, 7)


def test_read_only_page_refuses_writes_only() -> None:
    guest = Guest()
    guest.second.with_entry(PAGE_GPA, 1, clear=WRITABLE)
    found = guest.touch(READ)
    assert isinstance(found, NestedMapping)
    assert (found.readable, found.writable, found.executable) == (True, False, True)
    assert isinstance(guest.touch(WRITE), Violation)


def test_second_stage_refuses_what_is_not_a_users() -> None:
    guest = Guest()
    guest.second.with_entry(PAGE_GPA, 1, clear=USER)
    found = guest.touch(READ)
    assert isinstance(found, Violation)
    assert found.error_code == 5


def test_fetch_from_a_page_without_execution_is_a_violation() -> None:
    guest = Guest()
    guest.second.with_entry(PAGE_GPA, 1, set=NO_EXECUTE)
    found = guest.touch(EXECUTE)
    assert isinstance(found, Violation)
    assert found.error_code == 0x15


def test_reserved_bit_in_the_second_stage_is_told() -> None:
    guest = Guest()
    guest.second.steered_by(physical_bits=40).with_entry(PAGE_GPA, 2, set=1 << 45)
    found = guest.touch(READ)
    assert isinstance(found, Violation)
    assert (found.second_level, found.on_table, found.error_code) == (2, True, 0xF)


def test_guests_own_fault_is_the_guests() -> None:
    guest = Guest()
    guest.tables.with_entry(GVA, 1, clear=WRITABLE)
    assert guest.touch(USER_WRITE) == PageFault(GVA, 1, references=20, error_code=7)


def test_address_that_is_not_canonical_reads_no_table() -> None:
    guest = Guest()
    found = nested_walk(guest.memory, guest.tables.paging, guest.second.paging, 1 << 62, READ)
    assert found == NotCanonical(1 << 62)


def test_reading_marks_the_guests_tables_dirty_in_the_second_stage() -> None:
    guest = Guest()
    guest.touch(READ)
    marks = [guest.second.entry(guest.table_gpa(level), 1) & DIRTY for level in (4, 3, 2, 1)]
    assert marks == [DIRTY] * 4
    assert guest.second.entry(PAGE_GPA, 1) & (ACCESSED | DIRTY) == ACCESSED


def test_violation_of_the_page_comes_after_the_guests_marks() -> None:
    guest = Guest()
    guest.second.with_entry(PAGE_GPA, 1, clear=PRESENT)
    guest.touch(WRITE)
    assert guest.tables.entry(GVA, 1) & (ACCESSED | DIRTY) == ACCESSED | DIRTY


def test_second_walk_alone_takes_four_references() -> None:
    guest = Guest()
    found = second_walk(guest.memory, guest.second.paging, PAGE_GPA + 5, AccessKind.READ)
    assert isinstance(found, SecondMapping)
    assert (found.spa, found.references, found.second_page_bytes) == (RAM_SPA + PAGE_GPA + 5, 4, 4096)


def test_gpa_wider_than_the_tables_is_absent() -> None:
    guest = Guest()
    found = second_walk(guest.memory, guest.second.paging, 1 << 48, AccessKind.WRITE)
    assert found == Violation(1 << 48, AccessKind.WRITE, False, 0, second_level=4, references=0, error_code=6)
