import pytest

from minihv.spec.vmbus import InitiateContact, InitiateContact5, MessageType, Version, version_words
from minihv.vmbus.rules import Refused
from minihv.vmbus.versions import SPOKEN, Agreement, answering_vp, negotiate


def contact(version: int, target_vp: int = 0, sint: int = 2, vtl: int = 0) -> InitiateContact:
    """A contact as a guest of ``version`` makes it."""
    newer = InitiateContact5.build(
        type=MessageType.INITIATE_CONTACT, version=version, target_vp=target_vp, sint=sint, vtl=vtl
    )
    return InitiateContact(newer.memory)


def text_of(asked: InitiateContact, vp_count: int = 1) -> str:
    """The sentence that a contact is refused with."""
    found = negotiate(asked, vp_count)
    assert isinstance(found, Refused)
    return found.text


@pytest.mark.parametrize("version", SPOKEN, ids=version_words)
def test_a_version_of_the_list_is_spoken(version: Version) -> None:
    assert negotiate(contact(version), 1) == Agreement(version, 0)


@pytest.mark.parametrize("version", [Version.V0_13, Version.V1_1, Version.V6_0, 0, 0xFFFF_FFFF])
def test_any_other_version_is_refused_with_the_list(version: int) -> None:
    assert text_of(contact(version)) == (
        "VMBus is spoken in versions 2.4, 3.0, 4.0, 4.1, 5.0, 5.1, 5.2, 5.3, "
        f"not {version >> 16}.{version & 0xFFFF}."
    )


@pytest.mark.parametrize(("version", "message_vp"), [(Version.V2_4, 0), (Version.V3_0, 3)])
def test_the_guest_chooses_the_vp_of_messages_from_3_0_on(version: Version, message_vp: int) -> None:
    assert negotiate(contact(version, target_vp=3), 4) == Agreement(version, message_vp)


def test_a_vp_that_does_not_exist_is_no_place_for_messages() -> None:
    assert text_of(contact(Version.V5_3, target_vp=4), 4) == "Messages go to a VP below 4, not to VP 4."


@pytest.mark.parametrize(("sint", "vtl"), [(3, 0), (2, 1)])
def test_messages_go_to_sint_2_of_the_lowest_trust_level(sint: int, vtl: int) -> None:
    assert text_of(contact(Version.V5_0, sint=sint, vtl=vtl)) == (
        f"Messages go to SINT 2 of VTL 0, not to SINT {sint} of VTL {vtl}."
    )


def test_before_5_0_an_interrupt_page_is_there_and_ignored() -> None:
    assert negotiate(contact(Version.V4_1, sint=0x99), 1) == Agreement(Version.V4_1, 0)


@pytest.mark.parametrize(("version", "connection_id"), [(Version.V4_1, 0), (Version.V5_0, 4)])
def test_the_connection_for_messages_is_named_from_5_0_on(version: Version, connection_id: int) -> None:
    assert Agreement(version, 0).connection_id == connection_id


@pytest.mark.parametrize(
    ("version", "target_vp", "vp"), [(Version.V6_0, 1, 1), (Version.V6_0, 2, 0), (Version.V1_1, 1, 0)]
)
def test_a_refusal_goes_where_it_can_be_heard(version: Version, target_vp: int, vp: int) -> None:
    assert answering_vp(contact(version, target_vp), 2) == vp
