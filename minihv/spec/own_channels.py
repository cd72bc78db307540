"""Channels that only minihv has: an echo for tests and measurements, and a console of text.

Stands for: nothing of Microsoft's; the identifiers spell their names in ASCII.
Spec: this module. Both speak in-band packets, little-endian.
Twin: ``native/guests/lib/vmbus.h`` and the programs that use it, held equal by running them.

The console is a message pipe: a ``PipeHeader`` with type 1 and the length, then so many bytes of text. Both
sides send so, whenever they like, and nothing is answered.

On the echo channel the guest asks. Every packet of either side begins with an ``EchoHeader``; ``length``
counts the bytes behind it.

- ``ECHO``: comes back as it is, all of the packet: as the completion when one was requested, else in-band.
- ``SINK``: counted and dropped. If a completion is requested, it is an ``EchoTotals``.
- ``SOURCE``: the body is an ``EchoOrder``. So many ``DATA`` packets are sent in-band, with bodies of so many
  bytes: first the number of the packet (u64, from 0; cut when the body is shorter), then zeros. If a
  completion is requested it follows the last of them, an ``EchoTotals``. An order that comes before the last
  one is served is dropped.
- ``TOTALS``: answered by an ``EchoTotals``, as the completion when one was requested, else in-band.
"""

from enum import IntEnum
from uuid import UUID

from minihv.spec.bits import Layout, part, u32, u64

ECHO_INTERFACE = UUID("6d696e69-6876-4563-686f-000000000001")
ECHO_INSTANCE = UUID("6d696e69-6876-4563-686f-696e7374616e")
CONSOLE_INTERFACE = UUID("6d696e69-6876-436f-6e73-6f6c65000001")
CONSOLE_INSTANCE = UUID("6d696e69-6876-436f-6e73-6f6c65696e73")

MOST_SOURCE_BYTES = 64 * 1024
"""Of the body of one DATA packet."""


class EchoOperation(IntEnum):
    """What a packet of the echo channel is."""

    ECHO = 1
    SINK = 2
    SOURCE = 3
    DATA = 4
    TOTALS = 5


class EchoHeader(Layout, byte_count=8):
    """Begins every packet of the echo channel."""

    operation = u32(0)
    length = u32(4)


class EchoOrder(Layout, byte_count=16):
    """The body of ``SOURCE``: how many packets, and how many bytes each body has."""

    packet_count = u64(0)
    body_bytes = u32(8)


class EchoTotals(Layout, byte_count=40):
    """An answer with what was counted since the channel was opened; packets of SINK and of DATA alone."""

    header = part(0, EchoHeader)
    sunk_packets = u64(8)
    sunk_bytes = u64(16)
    sent_packets = u64(24)
    sent_bytes = u64(32)
