"""The numbers of the 82093AA, as its data sheet has them."""

from minihv.spec.io_apic import BASE_GPA, VERSION, RedirectionEntry


def test_entry_has_its_fields_where_the_data_sheet_has_them() -> None:
    entry = RedirectionEntry(vector=0x31, level=True, masked=True, destination=2)
    assert int(entry) == 0x0200_0000_0001_8031
    assert (BASE_GPA, VERSION) == (0xFEC0_0000, 0x17_0011)
