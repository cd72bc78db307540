"""The numbers of the MC146818, as its data sheet has them."""

from minihv.spec.rtc import INTERRUPTS, LINE, PORT, ControlB, Register


def test_registers_and_bits_are_where_the_data_sheet_has_them() -> None:
    assert [int(Register[name]) for name in "ABCD"] == [10, 11, 12, 13] and Register.YEAR == 9
    assert (int(ControlB.SET), int(ControlB.BINARY), int(ControlB.HOURS_24)) == (0x80, 4, 2)
    assert (int(INTERRUPTS), PORT, LINE) == (0x70, 0x70, 8)
