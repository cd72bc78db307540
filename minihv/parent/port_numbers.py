"""Which port and which connection has which number: the one table of it.

Stands for: what the VMBus drivers of the parent and of the children agree on.
Spec: TLFS, "Inter-Partition Communication": ids have 24 bits, and each partition numbers its own.
Next: ``minihv.parent.vmbus_service``

=======================  ==========================  ==================================  =====================
Port                     Owner, id                   Leads to                            Connection
=======================  ==========================  ==================================  =====================
messages of a child      parent, child's id          SINT 2 of VP 0                      child: 1, and 4
events of a channel      parent, 0x10000 + flag      SINT 3 of VP 0, that flag           child: 0x2000 + relid
messages to a child      child, 0x100 + VP           SINT 2 of that VP                   parent: child, VP
events to a child        child, 0x200 + VP           SINT 2 of that VP, flag = relid     parent: child, VP
=======================  ==========================  ==================================  =====================

The parent's connections are numbered by the child's id in bits 23:8, bit 7 for events, and the VP below.
"""

MESSAGE_SINT, EVENT_SINT = 2, 3
"""Of the parent."""
CHILD_SINT = 2
FROM_GUEST = (1, 4)
"""Connections for messages of VMBus: before version 5.0, and from then on."""
CHANNEL_EVENTS = 0x10000
MESSAGES_TO_VP, EVENTS_TO_VP = 0x100, 0x200
EVENT_BIT = 1 << 7
FLAG_COUNT = 2048
"""Event flags of one SINT: the channels of all children together."""


def child_of_port(port: int) -> int:
    """Whose messages come to the parent by ``port``, which is their origin."""
    return port


def messages_from(child: int) -> int:
    """The port of the parent for messages of ``child``."""
    return child


def events_of(flag: int) -> int:
    """The port of the parent for the channel with ``flag``."""
    return CHANNEL_EVENTS + flag


def message_connection(child: int, vp: int) -> int:
    """The connection of the parent to the messages of a VP of ``child``."""
    return child << 8 | vp


def event_connection(child: int, vp: int) -> int:
    """The connection of the parent to the event flags of a VP of ``child``."""
    return child << 8 | EVENT_BIT | vp
