"""Numbers of ATA, against the tables of the standard."""

from minihv.spec.ata import PRIMARY, SECONDARY, Command, Device, Error, Register, Status

# ATA8-ACS, "Command set summary": commands and their codes.
COMMANDS = """
READ_SECTORS 20  READ_SECTORS_EXT 24  READ_MULTIPLE C4  READ_MULTIPLE_EXT 29
WRITE_SECTORS 30  WRITE_SECTORS_EXT 34  WRITE_MULTIPLE C5  WRITE_MULTIPLE_EXT 39
READ_VERIFY 40  READ_VERIFY_EXT 42  DIAGNOSE 90  SET_MULTIPLE C6  IDENTIFY EC  SET_FEATURES EF
FLUSH E7  FLUSH_EXT EA  CHECK_POWER E5  IDLE E3  IDLE_NOW E1  STANDBY E2  STANDBY_NOW E0
DEVICE_RESET 08  PACKET A0  IDENTIFY_PACKET A1
READ_DMA C8  READ_DMA_EXT 25  WRITE_DMA CA  WRITE_DMA_EXT 35  INITIALIZE_PARAMETERS 91  RECALIBRATE 10
"""


def test_commands_have_the_codes_of_the_standard() -> None:
    words = COMMANDS.split()
    assert {one.name: one.value for one in Command} == {
        name: int(code, 16) for name, code in zip(words[::2], words[1::2], strict=True)
    }


def test_bits_are_where_the_registers_have_them() -> None:
    assert (Status.BSY, Status.DRDY, Status.DF, Status.DRQ, Status.ERR) == (0x80, 0x40, 0x20, 0x08, 0x01)
    assert (Error.UNC, Error.IDNF, Error.ABRT) == (0x40, 0x10, 0x04)
    assert (Device.LBA, Device.DEV) == (0x40, 0x10)


def test_registers_that_share_a_port_are_one_number() -> None:
    assert Register.ERROR is Register.FEATURES and Register.STATUS is Register.COMMAND
    assert (PRIMARY, SECONDARY) == ((0x1F0, 0x3F6), (0x170, 0x376))
