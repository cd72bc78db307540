"""The one-stage walk: every outcome, by name."""

from dataclasses import replace

import pytest
from builders import (
    ACCESSED,
    DIRTY,
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

from minihv.paging.access import Access, Reference, StageName
from minihv.paging.walk import Mapping, NotCanonical, PageFault, walk
from minihv.testing import PageTable, page_table

GVA = 0x0000_1234_4567_8000
MIB_2, GIB_1 = 1 << 21, 1 << 30


def outcome(tables: PageTable, access: Access = READ, gva: int = GVA) -> Mapping | PageFault | NotCanonical:
    return walk(tables.memory, tables.paging, gva, access)


def error_code(tables: PageTable, access: Access) -> int:
    found = outcome(tables, access)
    assert isinstance(found, PageFault)
    return found.error_code


def rights(tables: PageTable, access: Access = READ) -> str:
    found = outcome(tables, access)
    assert isinstance(found, Mapping)
    return "".join(
        letter
        for letter, granted in (("r", found.readable), ("w", found.writable), ("x", found.executable))
        if granted
    )


def test_mapped_page_gives_its_gpa_and_the_offset() -> None:
    found = outcome(page_table().maps(GVA, to=0x5000), gva=GVA + 0x123)
    assert isinstance(found, Mapping)
    assert (found.gpa, found.page_bytes, found.level, found.references) == (0x5123, 4096, 1, 4)


def test_five_levels_take_five_references() -> None:
    gva = 0x00FE_1234_4567_8000
    found = outcome(page_table(levels=5).maps(gva, to=0x5000), gva=gva)
    assert isinstance(found, Mapping)
    assert (found.gpa, found.references) == (0x5000, 5)


@pytest.mark.parametrize(("page_bytes", "level", "references"), [(MIB_2, 2, 3), (GIB_1, 3, 2)])
def test_large_page_ends_the_walk_early(page_bytes: int, level: int, references: int) -> None:
    found = outcome(page_table().maps(GVA & -page_bytes, to=3 * GIB_1, page_bytes=page_bytes))
    assert isinstance(found, Mapping)
    assert (found.gpa, found.level) == (3 * GIB_1 + GVA % page_bytes, level)
    assert found.references == references


def test_mapping_tells_its_leaf() -> None:
    tables = page_table().maps(GVA, to=0x5000)
    found = outcome(tables, WRITE)
    assert isinstance(found, Mapping)
    assert (found.leaf_pa, found.leaf_entry) == (tables.way(GVA)[-1], tables.entry(GVA, level=1))
    assert found.leaf_entry == 0x5000 | PRESENT | WRITABLE | USER | ACCESSED | DIRTY


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_absent_entry_faults_at_its_level(level: int) -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, level, clear=PRESENT)
    assert outcome(tables) == PageFault(GVA, level, 5 - level, error_code=0)


@pytest.mark.parametrize(
    ("access", "expected"),
    [(READ, 0), (WRITE, 2), (USER_READ, 4), (USER_WRITE, 6), (EXECUTE, 0x10), (USER_EXECUTE, 0x14)],
)
def test_error_code_tells_the_access(access: Access, expected: int) -> None:
    assert error_code(page_table(), access) == expected


def test_fetch_is_not_told_without_nx_and_smep() -> None:
    assert error_code(page_table().steered_by(nxe=False), EXECUTE) == 0
    assert error_code(page_table().steered_by(nxe=False, smep=True), EXECUTE) == 0x10


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_address_wider_than_the_processor_is_reserved(level: int) -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, level, set=1 << 40)
    assert outcome(tables.steered_by(physical_bits=40)) == PageFault(GVA, level, 5 - level, error_code=9)


def test_large_bit_is_reserved_in_a_pml4_entry() -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, 4, set=LARGE)
    assert error_code(tables, READ) == 9


def test_large_bit_of_a_4_kib_entry_is_pat() -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, 1, set=LARGE)
    assert isinstance(outcome(tables), Mapping)


def test_unaligned_large_page_is_reserved() -> None:
    tables = page_table().maps(GVA & -MIB_2, to=0, page_bytes=MIB_2)
    assert error_code(tables.with_entry(GVA, 2, set=1 << 13), WRITE) == 0xB


def test_pat_bit_of_a_large_page_is_no_address() -> None:
    tables = page_table().maps(GVA & -MIB_2, to=0, page_bytes=MIB_2).with_entry(GVA, 2, set=1 << 12)
    found = outcome(tables)
    assert isinstance(found, Mapping)
    assert found.gpa == GVA % MIB_2


def test_no_execute_is_reserved_when_it_is_not_enabled() -> None:
    tables = page_table().maps(GVA, to=0x5000, flags=NO_EXECUTE)
    assert error_code(tables.steered_by(nxe=False), READ) == 9


def test_bits_for_software_are_ignored() -> None:
    software = 0x7FF << 52 | 7 << 9
    assert isinstance(outcome(page_table().maps(GVA, to=0x5000).with_entry(GVA, 1, set=software)), Mapping)


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_write_through_a_read_only_entry_faults_at_the_leaf(level: int) -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, level, clear=WRITABLE)
    assert outcome(tables, USER_WRITE) == PageFault(GVA, 1, 4, error_code=7)


def test_supervisor_writes_read_only_pages_unless_wp_is_set() -> None:
    tables = page_table().maps(GVA, to=0x5000, flags=0)
    assert error_code(tables, WRITE) == 3
    assert rights(tables.steered_by(wp=False)) == "rwx"


def test_user_does_not_write_read_only_pages_even_without_wp() -> None:
    tables = page_table().maps(GVA, to=0x5000, flags=USER).steered_by(wp=False)
    assert error_code(tables, USER_WRITE) == 7


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_user_does_not_touch_what_one_level_keeps_for_the_supervisor(level: int) -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, level, clear=USER)
    assert outcome(tables, USER_READ) == PageFault(GVA, 1, 4, error_code=5)
    assert rights(tables) == "rwx"


@pytest.mark.parametrize("level", [4, 3, 2, 1])
def test_nothing_is_fetched_through_no_execute(level: int) -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, level, set=NO_EXECUTE)
    assert outcome(tables, USER_EXECUTE) == PageFault(GVA, 1, 4, error_code=0x15)
    assert rights(tables) == "rw"


def test_smep_keeps_the_supervisor_from_user_code() -> None:
    tables = page_table().maps(GVA, to=0x5000).steered_by(smep=True)
    assert error_code(tables, EXECUTE) == 0x11
    assert rights(tables) == "rw"
    assert rights(tables, USER_READ) == "rwx"


def test_smap_keeps_the_supervisor_from_user_data() -> None:
    tables = page_table().maps(GVA, to=0x5000).steered_by(smap=True)
    assert (error_code(tables, READ), error_code(tables, WRITE)) == (1, 3)
    assert rights(tables, EXECUTE) == "x"


def test_ac_lets_an_explicit_access_through_smap() -> None:
    tables = page_table().maps(GVA, to=0x5000).steered_by(smap=True)
    assert rights(tables, replace(READ, ac=True)) == "rwx"
    assert error_code(tables, replace(READ, ac=True, implicit=True)) == 1


def test_implicit_access_from_ring_3_is_the_supervisors() -> None:
    tables = page_table().maps(GVA, to=0x5000, flags=WRITABLE)
    assert rights(tables, replace(USER_WRITE, implicit=True)) == "rwx"


def test_address_that_is_not_canonical_reads_no_table() -> None:
    seen: list[Reference] = []
    tables = page_table()
    assert walk(tables.memory, tables.paging, 1 << 47, READ, seen.append) == NotCanonical(1 << 47)
    assert seen == []


def test_read_marks_every_level_accessed_and_none_dirty() -> None:
    tables = page_table().maps(GVA, to=0x5000)
    outcome(tables)
    assert [tables.entry(GVA, level) & (ACCESSED | DIRTY) for level in (4, 3, 2, 1)] == [ACCESSED] * 4


def test_write_marks_only_the_leaf_dirty() -> None:
    tables = page_table().maps(GVA, to=0x5000)
    found = outcome(tables, WRITE)
    assert [tables.entry(GVA, level) & DIRTY for level in (4, 3, 2, 1)] == [0, 0, 0, DIRTY]
    assert isinstance(found, Mapping)
    assert found.dirty


def test_fault_at_the_leaf_leaves_marks_above_it_only() -> None:
    tables = page_table().maps(GVA, to=0x5000, flags=0)
    error_code(tables, USER_READ)
    assert [tables.entry(GVA, level) & ACCESSED for level in (4, 3, 2, 1)] == [ACCESSED] * 3 + [0]


def test_observer_sees_entries_as_they_were_before() -> None:
    seen: list[Reference] = []
    tables = page_table().maps(GVA, to=0x5000)
    walk(tables.memory, tables.paging, GVA, WRITE, seen.append)
    assert [(reference.number, reference.level) for reference in seen] == [(1, 4), (2, 3), (3, 2), (4, 1)]
    assert [reference.entry_pa for reference in seen] == tables.way(GVA)
    assert {reference.stage for reference in seen} == {StageName.GUEST}
    assert all(not reference.entry & ACCESSED for reference in seen)


def test_low_bits_of_the_root_are_no_address() -> None:
    tables = page_table().maps(GVA, to=0x5000)
    assert isinstance(outcome(tables.steered_by(root=tables.paging.root | 0x18)), Mapping)


def test_table_outside_memory_reads_as_all_ones() -> None:
    tables = page_table().maps(GVA, to=0x5000).with_entry(GVA, 2, set=1 << 30)
    assert outcome(tables.steered_by(physical_bits=40)) == PageFault(GVA, 1, 4, error_code=9)
