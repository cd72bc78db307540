"""Frames hold what was put in, and lie about it in no way that is believed."""

from hypothesis import given
from hypothesis import strategies as st
from synthetic_guests import padded

from minihv.devices.synthetic.framing import (
    HEADERS_BYTES,
    Answer,
    chosen_versions,
    open_answer,
    open_pipe_frame,
    pipe_frame,
    question,
    version_list,
)
from minihv.devices.synthetic.service import Refusal
from minihv.spec.integration import IcFlags, IcHeader, MessageType, PipeHeader


def answer(body: bytes, **members: int) -> bytes:
    header = {"flags": 5, "body_bytes": len(body), "message_type": MessageType.KVP, **members}
    return pipe_frame(bytes(IcHeader.build(**header)) + body)


@given(st.binary(max_size=200))
def test_frame_holds_what_was_put_in(data: bytes) -> None:
    assert open_pipe_frame(padded(pipe_frame(data))) == data


def test_frame_without_a_header_is_short() -> None:
    assert open_pipe_frame(b"\1\0\0\0") is Refusal.SHORT


def test_frame_of_another_type_is_refused() -> None:
    assert open_pipe_frame(bytes(PipeHeader.build(type=2, length=0))) is Refusal.PIPE_TYPE


def test_frame_that_says_it_is_longer_is_refused() -> None:
    assert open_pipe_frame(bytes(PipeHeader.build(type=1, length=1))) is Refusal.LENGTH


def test_frame_with_more_than_padding_behind_it_is_refused() -> None:
    assert open_pipe_frame(bytes(PipeHeader.build(type=1, length=0)) + bytes(8)) is Refusal.LENGTH


def test_question_has_both_headers() -> None:
    asked = question(MessageType.HEARTBEAT, (3, 0), (1, 0), 7, b"body")
    pipe, header = PipeHeader(bytearray(asked)), IcHeader(bytearray(asked), PipeHeader.byte_count)
    assert (pipe.type, pipe.length, len(asked)) == (1, 24, 32)
    assert (header.framework_major, header.message_major, header.body_bytes) == (3, 1, 4)
    assert (header.transaction_id, header.flags) == (7, IcFlags.TRANSACTION | IcFlags.REQUEST)
    assert asked[HEADERS_BYTES:] == b"body"


def test_answer_is_read() -> None:
    assert open_answer(answer(b"xy", status=5, transaction_id=9)) == Answer(MessageType.KVP, 5, 9, b"xy")


def test_answer_in_the_longer_frame_of_its_question_is_read() -> None:
    long = bytearray(answer(b"xy") + bytes(16))
    PipeHeader(long).length += 16
    assert open_answer(bytes(long)) == Answer(MessageType.KVP, 0, 0, b"xy")


def test_answer_without_its_header_is_short() -> None:
    assert open_answer(pipe_frame(bytes(19))) is Refusal.SHORT


def test_answer_with_less_body_than_it_says_is_refused() -> None:
    assert open_answer(answer(b"", body_bytes=1)) is Refusal.LENGTH


def test_question_of_a_guest_is_no_answer() -> None:
    assert open_answer(answer(b"", flags=3)) is Refusal.NOT_AN_ANSWER
    assert open_answer(answer(b"", flags=7)) is Refusal.NOT_AN_ANSWER


def test_chosen_versions_are_read() -> None:
    assert chosen_versions(version_list([(3, 0)], [(4, 1)])) == ((3, 0), (4, 1))


def test_counts_of_zero_choose_nothing() -> None:
    assert chosen_versions(version_list([], []) + bytes(8)) is None


def test_other_counts_are_refused() -> None:
    assert chosen_versions(version_list([(1, 0)], [(1, 0), (3, 0)])) is Refusal.BODY


def test_choice_without_its_versions_is_short() -> None:
    assert chosen_versions(bytes(7)) is Refusal.SHORT
    assert chosen_versions(version_list([(1, 0)], [(1, 0)])[:-1]) is Refusal.SHORT


@given(st.binary(max_size=64))
def test_no_bytes_raise(payload: bytes) -> None:
    assert isinstance(open_answer(payload), Answer | Refusal)
    assert isinstance(chosen_versions(payload), tuple | Refusal | None)
