import pytest

from minihv.spec.vmbus import MESSAGES, MessageHeader, MessageKind, MessageType, OpenChannel
from minihv.vmbus.messages import Message, decode, encode
from minihv.vmbus.rules import Refused, Rule

DECODED = [kind for kind in MESSAGES.values() if kind.from_guest and kind.layout]


def text_of(payload: bytes) -> str:
    """The sentence that ``payload`` is refused with."""
    found = decode(payload)
    assert isinstance(found, Refused)
    return found.text


@pytest.mark.parametrize("kind", DECODED, ids=lambda kind: kind.words)
def test_a_message_of_exactly_its_size_is_read(kind: MessageKind) -> None:
    found = decode(encode(kind.number))
    assert isinstance(found, Message)
    assert found.kind is kind and type(found.body) is kind.layout and found.data == b""


@pytest.mark.parametrize("kind", DECODED, ids=lambda kind: kind.words)
def test_a_message_that_is_a_byte_too_short_is_refused(kind: MessageKind) -> None:
    payload = encode(kind.number)[:-1]
    named = kind.words if len(payload) >= MessageHeader.byte_count else "A message"
    assert text_of(payload) == f"{named} has at least {len(payload) + 1} bytes, not {len(payload)}."


def test_a_message_without_a_header_is_refused() -> None:
    assert text_of(b"\x03\0\0\0") == "A message has at least 8 bytes, not 4."


def test_a_message_that_no_slot_could_hold_is_refused() -> None:
    assert (
        text_of(encode(MessageType.UNLOAD).ljust(241, b"\0")) == "A message has at most 240 bytes, not 241."
    )


@pytest.mark.parametrize("number", [0, 1, 24, 25, 0xFFFF_FFFF])
def test_a_type_that_guests_do_not_send_is_refused(number: int) -> None:
    payload = number.to_bytes(4, "little").ljust(240, b"\0")
    assert text_of(payload) == f"Type {number} is no message that a guest sends."


def test_reserved_channels_are_not_modelled() -> None:
    payload = (18).to_bytes(4, "little").ljust(240, b"\0")
    assert text_of(payload) == (
        "OpenReservedChannel is not modelled: there are no reserved channels and no sockets."
    )


def test_what_follows_a_message_of_fixed_size_is_ignored() -> None:
    found = decode(encode(MessageType.OPEN_CHANNEL, relid=7) + b"more")
    assert isinstance(found, Message) and found.body.relid == 7 and found.data == b""


def test_what_follows_a_part_of_a_gpadl_is_its_data() -> None:
    found = decode(encode(MessageType.GPADL_BODY, gpadl=1) + bytes(range(16)))
    assert isinstance(found, Message) and found.data == bytes(range(16))


def test_the_second_word_is_ignored() -> None:
    found = decode(encode(MessageType.UNLOAD)[:4] + b"\xff\xff\xff\xff")
    assert isinstance(found, Message)


def test_a_message_is_a_copy_of_what_was_sent() -> None:
    sent = bytearray(encode(MessageType.OPEN_CHANNEL, relid=7))
    found = decode(memoryview(sent))  # type: ignore[arg-type]
    sent[8] = 9
    assert isinstance(found, Message) and isinstance(found.body, OpenChannel) and found.body.relid == 7


def test_a_refusal_without_a_status_of_its_own_is_unsuccessful() -> None:
    assert Refused(Rule.UNKNOWN_TYPE, {"found": 0}).status == 0xC0000001
