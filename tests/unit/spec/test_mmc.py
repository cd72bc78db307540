"""Numbers of CD drives, against the tables of the standards."""

from minihv.spec.mmc import Additional, Command, Feature, Profile, SenseKey

# MMC-5, "Commands for Multimedia Devices": commands and their codes.
COMMANDS = """
TEST_UNIT_READY 00  REQUEST_SENSE 03  FORMAT_UNIT 04  INQUIRY 12  START_STOP_UNIT 1B  PREVENT_ALLOW 1E
READ_CAPACITY 25  READ_10 28  WRITE_10 2A  WRITE_AND_VERIFY 2E  READ_TOC 43  GET_CONFIGURATION 46
GET_EVENT_STATUS 4A  MODE_SENSE_10 5A  BLANK A1  READ_12 A8  WRITE_12 AA
"""


def test_commands_have_the_codes_of_the_standard() -> None:
    words = COMMANDS.split()
    assert {one.name: one.value for one in Command} == {
        name: int(code, 16) for name, code in zip(words[::2], words[1::2], strict=True)
    }


def test_senses_are_those_of_the_annex() -> None:
    assert (SenseKey.NOT_READY, SenseKey.MEDIUM_ERROR, SenseKey.ILLEGAL_REQUEST) == (2, 3, 5)
    assert (SenseKey.UNIT_ATTENTION, SenseKey.DATA_PROTECT) == (6, 7)
    assert (Additional.TRAY_OPEN, Additional.REMOVAL_PREVENTED) == (0x3A02, 0x5302)
    assert (Profile.CD_ROM, Profile.DVD_ROM, Feature.CD_READ, Feature.DVD_READ) == (8, 0x10, 0x1E, 0x1F)
