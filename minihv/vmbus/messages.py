"""Bytes of a guest to a message, and a message to bytes. The decoder looks at nothing but the bytes.

Stands for: the mouth and ear of the parent's VMBus service.
Spec: ``minihv.spec.vmbus``.
Simplified: none known. What follows the end of a message is ignored, unless the message carries qwords.
Next: ``minihv.vmbus.versions``
"""

from dataclasses import dataclass
from typing import Any

from minihv.spec.bits import Layout
from minihv.spec.vmbus import MESSAGE_BYTES, MESSAGES, MessageHeader, MessageKind, MessageType
from minihv.vmbus.rules import Refused, Rule, refused


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message of a type that guests send; nothing in it is true yet."""

    kind: MessageKind
    body: Any
    """The layout of the kind over a copy of the bytes."""
    data: bytes = b""
    """The qwords behind the layout, where the kind carries them."""


def decode(payload: bytes) -> Message | Refused:
    """What the guest says, or the rule that the bytes break."""
    if len(payload) > MESSAGE_BYTES:
        return refused(Rule.OVERSIZED, found=len(payload))
    if len(payload) < MessageHeader.byte_count:
        return refused(Rule.TRUNCATED, kind="A message", needed=MessageHeader.byte_count, found=len(payload))
    number = MessageHeader(payload).type
    kind = MESSAGES.get(MessageType(number)) if number in set(MessageType) else None
    if kind is None or not kind.from_guest:
        return refused(Rule.UNKNOWN_TYPE, found=number)
    return shaped(kind, bytes(payload))


def shaped(kind: MessageKind, payload: bytes) -> Message | Refused:
    """The bytes as a message of ``kind``."""
    if kind.layout is None:
        return refused(Rule.NOT_MODELLED, kind=kind.words)
    end = kind.layout.byte_count
    if len(payload) < end:
        return refused(Rule.TRUNCATED, kind=kind.words, needed=end, found=len(payload))
    return Message(kind, kind.layout(payload), payload[end:] if kind.carries_qwords else b"")


def encode(kind: MessageType, **members: Any) -> bytes:
    """The bytes of a message, exactly as many as it has: newer Linux drops shorter ones."""
    layout: type[Layout] | None = MESSAGES[kind].layout
    assert layout is not None
    return bytes(layout.build(type=kind, **members))
