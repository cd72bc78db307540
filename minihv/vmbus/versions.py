"""Version negotiation: what an InitiateContact asks for, and whether it is spoken.

Stands for: the first exchange of the parent's VMBus service.
Spec: ``minihv.spec.vmbus``, ``InitiateContact`` and ``VersionResponse``.
Simplified: feature flags came to matter in 6.0 and are ignored; so are the addresses of interrupt and monitor
    pages, since no channel asks for them.
Next: ``minihv.vmbus.gpadl``
"""

from dataclasses import dataclass

from minihv.spec.vmbus import (
    CONNECTION_FROM_5_0,
    VMBUS_SINT,
    InitiateContact,
    InitiateContact5,
    Version,
    version_words,
)
from minihv.vmbus.rules import Refused, Rule, refused

SPOKEN = (
    Version.V2_4,
    Version.V3_0,
    Version.V4_0,
    Version.V4_1,
    Version.V5_0,
    Version.V5_1,
    Version.V5_2,
    Version.V5_3,
)
"""The versions that the server speaks. Older ones signal through a shared page; 6.0 is not modelled."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A version both sides speak, and the VP that the host's messages go to."""

    version: Version
    message_vp: int

    @property
    def connection_id(self) -> int:
        """Where the guest posts from now on, as VersionResponse says it; before 5.0 it says nothing."""
        return CONNECTION_FROM_5_0 if self.version >= Version.V5_0 else 0


def negotiate(contact: InitiateContact, vp_count: int) -> Agreement | Refused:
    """What both sides agree on, or why they do not."""
    if contact.version not in SPOKEN:
        spoken = ", ".join(map(version_words, SPOKEN))
        return refused(Rule.VERSION, spoken=spoken, found=version_words(contact.version))
    version = Version(contact.version)
    message_vp = message_vp_of(contact)
    if message_vp >= vp_count:
        return refused(Rule.CONTACT_VP, count=vp_count, found=message_vp)
    newer = InitiateContact5(contact.memory)
    if version >= Version.V5_0 and (newer.sint, newer.vtl) != (VMBUS_SINT, 0):
        return refused(Rule.CONTACT_SINT, sint=newer.sint, vtl=newer.vtl)
    return Agreement(version, message_vp)


def message_vp_of(contact: InitiateContact) -> int:
    """The VP that the guest wants its messages at; before 3.0 it has no choice."""
    return contact.target_vp if contact.version >= Version.V3_0 else 0


def answering_vp(contact: InitiateContact, vp_count: int) -> int:
    """The VP that hears of a refusal: the one that was named if it exists, else the first."""
    named = message_vp_of(contact)
    return named if named < vp_count else 0
