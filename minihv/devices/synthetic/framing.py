"""Frames of message pipes, and the messages of integration components inside them.

Stands for: the headers that a VSP puts before every message, and checks before it believes one.
Spec: ``minihv.spec.integration``.
Simplified: none known.
Next: ``minihv.devices.synthetic.integration``
"""

from collections.abc import Iterable
from dataclasses import dataclass

from minihv.devices.synthetic.service import Refusal
from minihv.spec.integration import (
    PIPE_DATA,
    IcFlags,
    IcHeader,
    MessageType,
    Negotiate,
    PipeHeader,
    Version,
)

Revision = tuple[int, int]
"""A version: major and minor."""

RING_UNIT = 8
HEADERS_BYTES = PipeHeader.byte_count + IcHeader.byte_count


@dataclass(frozen=True, slots=True)
class Answer:
    """What the guest answered; ``body`` is as long as its header says."""

    message_type: int
    status: int
    transaction_id: int
    body: bytes


def pipe_frame(data: bytes) -> bytes:
    """``data`` as a frame of a message pipe."""
    return bytes(PipeHeader.build(type=PIPE_DATA, length=len(data))) + data


def open_pipe_frame(payload: bytes, *, padded: bool = True) -> bytes | Refusal:
    """What is in the frame. With ``padded``, no more may follow it than the ring adds."""
    if len(payload) < PipeHeader.byte_count:
        return Refusal.SHORT
    header = PipeHeader(bytearray(payload[: PipeHeader.byte_count]))
    length, room = header.length, len(payload) - PipeHeader.byte_count
    if header.type != PIPE_DATA:
        return Refusal.PIPE_TYPE
    if length > room or (padded and room - length >= RING_UNIT):
        return Refusal.LENGTH
    return payload[PipeHeader.byte_count : PipeHeader.byte_count + length]


def question(
    message_type: MessageType, framework: Revision, version: Revision, transaction_id: int, body: bytes
) -> bytes:
    """A message from the parent to the child, with both headers."""
    header = IcHeader.build(
        framework_major=framework[0],
        framework_minor=framework[1],
        message_type=message_type,
        message_major=version[0],
        message_minor=version[1],
        body_bytes=len(body),
        transaction_id=transaction_id,
        flags=IcFlags.TRANSACTION | IcFlags.REQUEST,
    )
    return pipe_frame(bytes(header) + body)


def open_answer(payload: bytes) -> Answer | Refusal:
    """The answer in a packet. Linux answers in the frame of the question, which may be longer."""
    message = open_pipe_frame(payload, padded=False)
    if isinstance(message, Refusal):
        return message
    if len(message) < IcHeader.byte_count:
        return Refusal.SHORT
    header = IcHeader(bytearray(message[: IcHeader.byte_count]))
    if IcHeader.byte_count + header.body_bytes > len(message):
        return Refusal.LENGTH
    if not header.flags & IcFlags.RESPONSE or header.flags & IcFlags.REQUEST:
        return Refusal.NOT_AN_ANSWER
    body = message[IcHeader.byte_count : IcHeader.byte_count + header.body_bytes]
    return Answer(header.message_type, header.status, header.transaction_id, body)


def version_list(frameworks: Iterable[Revision], messages: Iterable[Revision]) -> bytes:
    """The body of a negotiation, from either side."""
    both = [list(frameworks), list(messages)]
    counts = Negotiate.build(framework_count=len(both[0]), message_count=len(both[1]))
    pairs = (Version.build(major=major, minor=minor) for major, minor in both[0] + both[1])
    return bytes(counts) + b"".join(map(bytes, pairs))


def chosen_versions(body: bytes) -> tuple[Revision, Revision] | Refusal | None:
    """The framework version and the message version that the guest chose; None if none suits it."""
    if len(body) < Negotiate.byte_count:
        return Refusal.SHORT
    counts = Negotiate(bytearray(body[: Negotiate.byte_count]))
    if (counts.framework_count, counts.message_count) == (0, 0):
        return None
    if (counts.framework_count, counts.message_count) != (1, 1):
        return Refusal.BODY
    if len(body) < Negotiate.byte_count + 2 * Version.byte_count:
        return Refusal.SHORT
    chosen = [Version(bytearray(body), Negotiate.byte_count + at) for at in (0, Version.byte_count)]
    return (chosen[0].major, chosen[0].minor), (chosen[1].major, chosen[1].minor)
