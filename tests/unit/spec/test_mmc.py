"""Numbers of CD drives, against the tables of the standards."""

from minihv.spec.mmc import DiscCommand, Feature, Profile
from minihv.spec.scsi import Command

# MMC-5, "Commands for Multimedia Devices": commands and their codes.
COMMANDS = """
FORMAT_UNIT 04  PREVENT_ALLOW 1E  WRITE_AND_VERIFY 2E  READ_TOC 43  GET_CONFIGURATION 46  GET_EVENT_STATUS 4A
BLANK A1
"""


def test_commands_have_the_codes_of_the_standard() -> None:
    words = COMMANDS.split()
    assert {one.name: one.value for one in DiscCommand} == {
        name: int(code, 16) for name, code in zip(words[::2], words[1::2], strict=True)
    }


def test_code_has_one_name_in_scsi_and_mmc() -> None:
    assert not {int(one) for one in DiscCommand} & {int(one) for one in Command}


def test_kinds_of_discs_have_the_numbers_of_the_standard() -> None:
    assert (Profile.CD_ROM, Profile.DVD_ROM, Feature.CD_READ, Feature.DVD_READ) == (8, 0x10, 0x1E, 0x1F)
