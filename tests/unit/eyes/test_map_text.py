"""A map of addresses in text."""

from builders import LARGE, WRITABLE
from looked_at import GVA, LookedAt

from minihv.eyes.address_map import AddressMap, Limits, map_stage
from minihv.eyes.lines import Role
from minihv.eyes.map_text import map_lines
from minihv.paging.access import StageName
from minihv.testing import page_table

BOTH = """\
a test's

The guest's tables, GVA to GPA (CR3 0x1000, 4 levels)
GVA begin       last byte       GPA     bytes   pages of  rights  A  D
0x123445678000  0x123445678fff  0x9000  4 KiB  1 x 4 KiB  rwxu-   0  0
  4 KiB in 1 range; pages: 1 of 4 KiB; 4 tables read
  writable and executable: 4 KiB; of ring 3: 4 KiB

The second-level tables, GPA to SPA (nested CR3 0x1000, 4 levels)
GPA begin  last byte  SPA       bytes    pages of  rights  A  D
0x0        0xffff     0x20000  64 KiB  16 x 4 KiB  rwxu-   0  0
  64 KiB in 1 range; pages: 16 of 4 KiB; 4 tables read
  writable and executable: 64 KiB; of ring 3: 64 KiB"""


def test_both_stages_are_tables_with_totals() -> None:
    assert str(LookedAt().map("a test's")) == BOTH


def test_name_of_a_page_has_a_column_where_there_is_one() -> None:
    lines = str(AddressMap((LookedAt().second_map(x5000="hypercall page"),))).splitlines()
    assert lines[1].split()[-1] == "what"
    assert lines[3].endswith("rwxu-   0  0  hypercall page")


def test_what_is_hidden_is_said() -> None:
    guest = LookedAt()
    guest.second.with_entry(guest.table_gpa(1), 1, clear=WRITABLE)
    notes = [str(line) for line in map_lines(guest.map()) if line.role is Role.REFUSED]
    assert notes == [
        "  The second level refuses 1 table of the guest, the first at GPA 0x4000, for GVA 0x123445600000: "
        "what would be mapped there cannot be reached."
    ]


def test_reserved_bits_are_told_of() -> None:
    guest = LookedAt()
    guest.tables.with_entry(GVA, 4, set=LARGE)
    text = str(guest.map())
    assert "  Entries with reserved bits: 1; what comes to one of them faults." in text
    assert "  0 bytes in 0 ranges; pages: none; 1 table read" in text


def test_what_was_left_out_is_said() -> None:
    tables = page_table().maps(0, to=0)
    stage = map_stage(tables.memory, tables.paging, StageName.SHADOW, limits=Limits(tables=2))
    text = str(AddressMap((stage,)))
    assert text.startswith("Shadow tables, GVA to SPA (root 0x1000, 4 levels)\n")
    assert text.endswith(
        "  The map ends below GVA 0x0: 2 tables and 0 ranges are as much as it takes, and what lies above "
        "was left out."
    )
