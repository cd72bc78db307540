"""The numbers of the 16550A, as its data sheet has them."""

from minihv.spec.uart import COM1_PORT, FIFO_BYTES, TRIGGER_LEVELS, Cause, LineStatus, ModemControl, Register


def test_registers_and_bits_are_where_the_data_sheet_has_them() -> None:
    assert Register.FIFO_CONTROL is Register.INTERRUPT_IDENTIFICATION and COM1_PORT == 0x3F8
    assert (int(LineStatus.HOLDING_EMPTY), int(LineStatus.EMPTY), int(ModemControl.OUT2)) == (0x20, 0x40, 8)
    assert [int(cause) for cause in Cause] == [0, 1, 2, 4, 6, 12]
    assert (FIFO_BYTES, TRIGGER_LEVELS) == (16, (1, 4, 8, 14))
