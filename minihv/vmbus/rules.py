"""The rules of the protocol: what each says, and the status in the answer to a guest that breaks it.

Stands for: the checks in the parent's VMBus service.
Spec: [MS-ERREF], "NTSTATUS Values", for the statuses.
Simplified: a message is held against one rule after the other, and answered for the first that it breaks.
Next: ``minihv.vmbus.messages``
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from minihv.spec.vmbus import ChannelStatus


class Rule(Enum):
    """A sentence with places for what was found. Without a status the message is dropped and not answered."""

    def __init__(self, sentence: str, status: ChannelStatus | None = None) -> None:
        self.sentence = sentence
        self.status = status

    TRUNCATED = "{kind} has at least {needed} bytes, not {found}."
    OVERSIZED = "A message has at most 240 bytes, not {found}."
    UNKNOWN_TYPE = "Type {found} is no message that a guest sends."
    NOT_MODELLED = "{kind} is not modelled: there are no reserved channels and no sockets."
    NOT_CONNECTED = "{kind} comes after a version is agreed on."
    TOO_EARLY = "{kind} is of VMBus {since} and later, and the connection of {version}."
    BACKLOG = "A guest that does not take its answers is not listened to: {found} actions wait."

    VERSION = "VMBus is spoken in versions {spoken}, not {found}."
    CONTACT_VP = "Messages go to a VP below {count}, not to VP {found}."
    CONTACT_SINT = "Messages go to SINT 2 of VTL 0, not to SINT {sint} of VTL {vtl}."
    OFFERS_TWICE = "Offers are requested once in a connection."

    NO_CHANNEL = "A channel must have been offered, and {relid:#x} was not.", ChannelStatus.NOT_FOUND
    RESCINDED = "A channel must not be rescinded, and {relid:#x} is.", ChannelStatus.INVALID_DEVICE_STATE
    NOT_CLOSED = (
        "A channel is opened when it is closed, and {relid:#x} is open.",
        (ChannelStatus.INVALID_DEVICE_STATE),
    )
    NOT_OPEN = (
        "{kind} is for an open channel, and {relid:#x} is not open.",
        ChannelStatus.INVALID_DEVICE_STATE,
    )
    NOT_RESCINDED = "A relid is released after it was rescinded, and {relid:#x} was not."
    NO_VP = "Events go to a VP below {count}, not to VP {found}.", ChannelStatus.INVALID_PARAMETER

    GPADL_TAKEN = "A new GPADL has a new id, and {gpadl:#x} is taken.", ChannelStatus.INVALID_PARAMETER
    GPADL_LENGTH = (
        "A GPADL has some qwords, not {found} bytes for {ranges} ranges.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    TOO_MANY_RANGES = "A GPADL has at most {limit} ranges, not {found}.", ChannelStatus.INSUFFICIENT_RESOURCES
    TOO_MANY_GPADLS = "At most {limit} GPADLs are kept for {whom}.", ChannelStatus.INSUFFICIENT_RESOURCES
    TOO_MUCH_HALF_RECEIVED = (
        "Half-received GPADLs have at most {limit} bytes, not {found}.",
        (ChannelStatus.INSUFFICIENT_RESOURCES),
    )
    TOO_MANY_PAGES = (
        "A partition grants at most {limit} pages, not {found}.",
        (ChannelStatus.INSUFFICIENT_RESOURCES),
    )
    BODY_LENGTH = (
        "A part of a GPADL is some qwords of the {left} bytes left, not {found} bytes.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    NO_BYTES = "A range has bytes, and range {index} has none.", ChannelStatus.INVALID_PARAMETER
    OFFSET = (
        "A range begins in its first page, not at byte {found:#x} of it.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    RANGES_END = (
        "The ranges fill the length exactly, and range {index} ends at {found} of {length} bytes.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    NOT_RAM = "A GPADL grants pages of RAM, and GPN {gpn:#x} is none.", ChannelStatus.INVALID_PARAMETER

    NO_GPADL = "A GPADL of the channel must be named, and {gpadl:#x} is none.", ChannelStatus.NOT_FOUND
    NOT_HALF_RECEIVED = "A body belongs to a half-received GPADL, and {gpadl:#x} is none."
    GPADL_UNFINISHED = (
        "A GPADL is used once all of it has come, and {gpadl:#x} is half-received.",
        (ChannelStatus.INVALID_DEVICE_STATE),
    )
    GPADL_IN_USE = (
        "A GPADL is torn down once its channel is closed, and {gpadl:#x} holds the rings of {relid:#x}."
    )
    RING_RANGE = (
        "The rings lie in one range of whole pages, and GPADL {gpadl:#x} is something else.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    RING_OFFSET = (
        "Each ring has two pages or more, and page {found} does not split {pages} pages so.",
        (ChannelStatus.INVALID_PARAMETER),
    )
    RING_SMALL = (
        "A ring must hold what its device sends: packets of {needed} bytes, and that of {relid:#x} does not."
    )
    DEVICE = "The device of channel {relid:#x} ends it: {reason}"
    TRANSFER = "A packet names at most {limit} bytes of memory, not {found}."
    TRANSFER_RAM = "A packet names pages of RAM, and GPN {gpn:#x} is none."
    RING_CORRUPT = "A ring must be sound, and that of channel {relid:#x} is not: {reason}."
    SIGNAL = "Events are for open channels, and {relid:#x} is not open."


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule was broken, and this was found."""

    rule: Rule
    found: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence with what was found."""
        return self.rule.sentence.format(**self.found)

    @property
    def status(self) -> ChannelStatus:
        """What the answer says, if the message has one."""
        return self.rule.status or ChannelStatus.UNSUCCESSFUL


def refused(rule: Rule, **found: object) -> Refused:
    """``rule`` is broken by what was ``found``."""
    return Refused(rule, found)
