"""The structures of a VHD lie where the specification's tables add up to."""

import pytest
from layout_tables import python_offsets, quoted

from minihv.spec.bits import Layout
from minihv.spec.vhd import Footer, Header, Locator

# "Hard Disk Footer Format": fields and their sizes in bytes, in order.
FOOTER = """
cookie 0x00+8
features 0x08+4
file_version 0x0c+4
data_offset 0x10+8
timestamp 0x18+4
creator 0x1c+4
creator_version 0x20+4
creator_host 0x24+4
original_bytes 0x28+8
current_bytes 0x30+8
cylinders 0x38+2
heads 0x3a+1
sectors_per_track 0x3b+1
disk_type 0x3c+4
checksum 0x40+4
unique_id 0x44+16
saved_state 0x54+1
"""
# "Dynamic Disk Header Format".
HEADER = """
cookie 0x00+8
data_offset 0x08+8
table_offset 0x10+8
header_version 0x18+4
most_entries 0x1c+4
block_bytes 0x20+4
checksum 0x24+4
parent_unique_id 0x28+16
parent_timestamp 0x38+4
parent_name 0x40+512
locators 0x240+192
"""
# "Parent Locator Entries".
LOCATOR = """
platform 0x00+4
space 0x04+4
length 0x08+4
offset 0x10+8
"""


@pytest.mark.parametrize(("layout", "table"), [(Footer, FOOTER), (Header, HEADER), (Locator, LOCATOR)])
def test_layout_is_the_specification_s(layout: type[Layout], table: str) -> None:
    assert python_offsets(layout) == quoted(table)
