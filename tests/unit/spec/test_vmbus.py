from uuid import UUID

import pytest

from minihv.spec.vmbus import (
    MESSAGE_BYTES,
    MESSAGES,
    Guid,
    MessageType,
    OfferChannel,
    Version,
    version_words,
)


@pytest.mark.parametrize(
    ("version", "words"), [(Version.V5_3, "5.3"), (Version.V2_4, "2.4"), (Version.V0_13, "0.13")]
)
def test_a_version_is_written_with_a_point(version: Version, words: str) -> None:
    assert version_words(version) == words


def test_the_largest_message_fits_into_a_message_of_the_synic() -> None:
    assert max(kind.layout.byte_count for kind in MESSAGES.values() if kind.layout) <= MESSAGE_BYTES


def test_a_message_is_named_as_in_running_text() -> None:
    assert MESSAGES[MessageType.REL_ID_RELEASED].words == "RelIdReleased"


def test_an_offer_shows_its_guid_when_printed() -> None:
    offer = OfferChannel.build(type=1, interface=UUID(int=5))
    assert repr(offer) == "OfferChannel(type=0x1, interface=Guid('00000000-0000-0000-0000-000000000005'))"


def test_a_guid_is_the_uuid_of_the_same_text() -> None:
    text = "f8615163-df3e-46c5-913f-f2d2f965ed0e"
    assert Guid(text) == UUID(text) and bytes(Guid(text)) == UUID(text).bytes_le
