"""The bytes of a CD drive's answers, against the tables of the standard."""

import pytest

from minihv.devices.emulated import cd_answers
from minihv.devices.emulated.cd_answers import configuration, contents, event, mode_pages, place, profile
from minihv.spec.mmc import MediaEvent, Profile


def features(data: bytes) -> dict[int, bytes]:
    """Each feature with its flags and its own bytes."""
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    found, at = {}, 8
    while at < len(data):
        size = data[at + 3]
        found[int.from_bytes(data[at : at + 2], "big")] = data[at + 2 : at + 4 + size]
        at += 4 + size
    return found


def test_inquiry_is_a_removable_cd_drive() -> None:
    data = cd_answers.inquiry()
    assert len(data) == 36 and data[:5] == bytes((5, 0x80, 5, 0x32, 31))
    assert data[8:] == b"Msft    Virtual CD/ROM  1.0 "


def test_table_of_contents_has_one_data_track_and_the_lead_out() -> None:
    assert contents(0, 0, 1000, in_time=False) == bytes.fromhex("00120101 0014010000000000 0014aa00000003e8")
    assert contents(0, 0xAA, 1000, in_time=True) == bytes.fromhex("000a0101 0014aa0000000f19")
    assert contents(1, 0, 1000, in_time=False) == bytes.fromhex("000a0101 0014010000000000")
    assert contents(2, 0, 1000, in_time=False) is None and contents(0, 2, 1000, in_time=False) is None


@pytest.mark.parametrize(
    ("block", "time"),
    [(0, (0, 2, 0)), (75 * 58 - 1, (0, 59, 74)), (75 * 58, (1, 0, 0)), (1 << 31, (255, 37, 23))],
)
def test_time_counts_75_frames_in_a_second_from_two_seconds_on(block: int, time: tuple[int, ...]) -> None:
    assert tuple(place(block, in_time=True)[1:]) == time


def test_pages_have_their_length_in_front() -> None:
    every = mode_pages(0x3F)
    assert every is not None and int.from_bytes(every[:2], "big") == len(every) - 2
    assert every[8:10] == bytes((1, 10)) and every[20:22] == bytes((0x2A, 18)) and len(every) == 40
    one = mode_pages(0x2A)
    assert one is not None and one[8] == 0x2A and len(one) == 28 and mode_pages(8) is None


def test_kind_of_disc_follows_from_its_size() -> None:
    found = [profile(count) for count in (0, 1, 360_000, 360_001)]
    assert found == [Profile.NONE, Profile.CD_ROM, Profile.CD_ROM, Profile.DVD_ROM]


def test_features_say_which_are_of_use_with_the_disc() -> None:
    whole = features(configuration(Profile.CD_ROM, 0, one=False, current=False))
    assert list(whole) == [0, 1, 3, 0x10, 0x1E, 0x1F]
    assert (whole[0x1E][0] & 1, whole[0x1F][0] & 1) == (1, 0)
    assert whole[0][2:] == bytes((0, 0x10, 0, 0, 0, 0x08, 1, 0))
    current = features(configuration(Profile.DVD_ROM, 0, one=False, current=True))
    assert list(current) == [0, 1, 3, 0x10, 0x1F]


def test_one_feature_or_those_from_one_on_can_be_asked_for() -> None:
    assert list(features(configuration(Profile.CD_ROM, 3, one=True, current=False))) == [3]
    assert list(features(configuration(Profile.CD_ROM, 4, one=True, current=False))) == []
    assert list(features(configuration(Profile.CD_ROM, 4, one=False, current=False))) == [0x10, 0x1E, 0x1F]


def test_event_is_told_if_its_class_is_wanted() -> None:
    assert event(MediaEvent.NEW, wanted=True, is_loaded=True) == bytes((0, 6, 4, 0x10, 2, 2, 0, 0))
    assert event(MediaEvent.NONE, wanted=False, is_loaded=True) == bytes((0, 2, 0x80, 0x10))
